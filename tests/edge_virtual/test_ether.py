"""The air: connection events, and what is said of a lost PDU."""

import asyncio

from devices import uuids
from edge.virtual.bleak_bumble import backend
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.radio import HCI_BACKLOG_BYTES_MAX, VirtualRadio
from tests.edge_virtual.conftest import World
from tests.waiting import WAIT_S, until

INTERVAL_S = 0.02


async def test_link_waits_for_the_connection_event(world: World) -> None:
    world.ether = Ether(EtherSettings(connection_interval_s=INTERVAL_S, jitter_s=0.005, seed=3))
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    loop = asyncio.get_running_loop()

    begin_s = loop.time()
    for _ in range(5):
        await client.read_gatt_char(uuids.BATTERY_LEVEL)

    # A request and its response cannot share an event.
    assert loop.time() - begin_s >= 5 * INTERVAL_S
    assert world.ether.n_links == 1
    await client.disconnect()
    await until(lambda: world.ether.n_links == 0)


async def test_central_decides_the_interval_unless_it_is_set(world: World) -> None:
    world.ether = Ether()
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    loop = asyncio.get_running_loop()

    begin_s = loop.time()
    await client.read_gatt_char(uuids.BATTERY_LEVEL)
    await client.read_gatt_char(uuids.BATTERY_LEVEL)

    assert loop.time() - begin_s >= 0.015


async def test_silenced_sensor_is_not_heard(world: World) -> None:
    strap = await world.strap()
    loud = await world.strap(2)
    agent = await world.agent()
    world.ether.silence(strap.identity.address)

    heard: set[str] = set()
    n_reports = 0
    async with agent.scanner() as scanner:
        async for device, _ in scanner.advertisement_data():
            heard.add(device.address)
            n_reports += 1
            if n_reports == 6:
                break

    assert heard == {loud.identity.address}
    assert world.ether.is_silent(strap.identity.address)


async def test_what_is_not_hci_is_cut_off(tcp_world: World) -> None:
    spec = await tcp_world.transport()
    assert isinstance(spec, str)
    port = int(spec.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(b"GET / HTTP/1.1\r\n\r\n")

    assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()
    await writer.wait_closed()
    radio = tcp_world.radio
    assert radio is not None
    await until(lambda: radio.n_sessions == 0)


async def test_agent_that_stops_reading_is_cut_off_and_others_are_not(tcp_world: World) -> None:
    agent = await tcp_world.agent()
    radio = tcp_world.radio
    assert radio is not None
    _, writer = await asyncio.open_connection("127.0.0.1", radio.port)
    await until(lambda: radio.n_sessions == 2)
    stuck = next(s for s in radio._sessions if s._controller.random_address.to_string()[:2] == "00")  # type: ignore[union-attr]

    # Long events: CPython 3.12 and newer add up all that waits at each write.
    event = b"\x04\x0f\xff" + b"\0" * 255
    while not stuck._transport.is_closing():  # type: ignore[union-attr]
        for _ in range(HCI_BACKLOG_BYTES_MAX // len(event) // 10):
            stuck.on_packet(event)

    await until(lambda: radio.n_sessions == 1)
    strap = await tcp_world.strap()
    assert (await agent.find(strap.identity.name)).name == strap.identity.name
    writer.close()


async def test_several_agents_have_their_own_sensors() -> None:
    async with VirtualRadio(Ether()) as radio:
        async with backend(radio.transport_spec) as one, backend(radio.transport_spec) as two:
            assert one[1].__name__ != two[1].__name__
            assert radio.n_sessions == 2
        await until(lambda: radio.n_sessions == 0)
