"""A link that is gone, asked for anything."""

import asyncio
from collections.abc import Callable

import pytest
import structlog
from bleak.backends.service import BleakGATTServiceCollection
from bleak_retry_connector import BleakClientWithServiceCache

from devices import uuids
from edge.errors import DeviceRefusedError, LinkLostError
from edge.links.link import Link
from edge.links.radio import RadioAdapter
from edge.links.recovery import NoRecovery


@pytest.mark.parametrize(
    "ask",
    [
        lambda link: link.offers(uuids.CURRENT_TIME),
        lambda link: link.can_read(uuids.CURRENT_TIME),
        lambda link: link.can_write(uuids.CURRENT_TIME),
        lambda link: link.service_uuids(),
        lambda link: link.mtu_bytes,
    ],
)
def test_what_a_peripheral_had_is_not_known_once_its_link_is_lost(
    ask: Callable[[Link], object],
) -> None:
    """Whatever is asked in that moment, it is a lost link, and not the end of the agent."""
    client = BleakClientWithServiceCache("00:00:00:00:00:01")
    link = Link(client, asyncio.Event(), RadioAdapter(name="hci0", recovery=NoRecovery("hci0")))

    with pytest.raises(LinkLostError, match="services: BleakError"):
        ask(link)


class Services(BleakGATTServiceCollection):
    """Those of a peripheral that has whatever is asked for."""

    def get_characteristic(self, specifier: object) -> str:  # type: ignore[override]
        return str(specifier)


class Client(BleakClientWithServiceCache):
    """Of a peripheral whose strings have a NUL inside."""

    @property
    def services(self) -> BleakGATTServiceCollection:
        return Services()

    async def read_gatt_char(self, *_: object, **__: object) -> bytearray:
        return bytearray(b"1234\x005678")


async def test_a_serial_number_that_cannot_be_read_is_not_logged() -> None:
    adapter = RadioAdapter(name="hci0", recovery=NoRecovery("hci0"))
    link = Link(Client("00:00:00:00:00:01"), asyncio.Event(), adapter)

    with structlog.testing.capture_logs() as logged:
        found = await link.identity()

    assert found == {}
    assert {one["error"] for one in logged} == {"InvalidFieldError"}
    assert "1234" not in str(logged)


class Unpairing(BleakClientWithServiceCache):
    """A client of a system that pairs in its own settings."""

    async def pair(self, *_: object, **__: object) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError


async def test_a_system_that_cannot_pair_refuses_in_clear_words() -> None:
    adapter = RadioAdapter(name="hci0", recovery=NoRecovery("hci0"))
    link = Link(Unpairing("00:00:00:00:00:01"), asyncio.Event(), adapter)

    for act in (link.pair, link.unpair):
        with pytest.raises(DeviceRefusedError, match="pair there"):
            await act()
