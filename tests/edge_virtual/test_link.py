"""The agent's link to a peripheral, with what goes wrong between the two."""

import asyncio

import pytest

from devices import uuids
from edge.errors import LinkLostError
from edge.links.link import connect
from edge.links.radio import RadioAdapter
from edge.links.recovery import NoRecovery
from tests.edge_virtual.conftest import World
from tests.waiting import WAIT_S


async def test_what_a_lost_link_led_to_is_not_known_any_more(tcp_world: World) -> None:
    strap = await tcp_world.strap()
    agent = await tcp_world.agent()
    device = await agent.find(strap.identity.name)
    adapter = RadioAdapter(
        name="radio0",
        recovery=NoRecovery("radio0"),
        scanner=agent.scanner_type,
        client=agent.client_type,
    )
    link = await connect(lambda: device, "strap", adapter, timeout_s=WAIT_S)
    assert link.offers(uuids.PMD_DATA)

    tcp_world.ether.silence(strap.identity.address)
    async with asyncio.timeout(WAIT_S):
        await link.lost.wait()

    for ask in (link.service_uuids, lambda: link.offers(uuids.PMD_DATA), lambda: link.mtu_bytes):
        with pytest.raises(LinkLostError, match="services"):
            ask()
    with pytest.raises(LinkLostError, match="services"):
        await link.identity()
