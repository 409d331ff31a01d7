"""What any bleak backend must do, over the real bumble stack: in process and by HCI over TCP."""

import asyncio

import bleak_retry_connector
import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from devices import uuids
from devices.battery import decode_battery_level
from devices.device_information import decode_string
from edge.virtual.adapter import Adapter
from edge.virtual.bleak_bumble import backend
from tests.edge_virtual.conftest import World
from tests.waiting import WAIT_S

STRAP = "Chevet Virtual Strap 0001"


async def test_scan_finds_the_name_of_the_scan_response_and_the_services(world: World) -> None:
    strap = await world.strap()
    world.ether.set_rssi(strap.identity.address, -71)
    agent = await world.agent()

    async with BleakScanner(backend=agent.scanner_type) as scanner:
        async for device, data in scanner.advertisement_data():
            if data.local_name is not None:
                assert device.address == strap.identity.address
                assert device.name == data.local_name == STRAP
                assert data.service_uuids == [uuids.HEART_RATE_SERVICE]
                assert data.rssi == -71
                break


async def test_passive_scan_gets_no_scan_response(world: World) -> None:
    await world.strap()
    agent = await world.agent()

    async with BleakScanner(
        scanning_mode="passive", backend=agent.scanner_type, bluez={"or_patterns": []}
    ) as scanner:
        heard = []
        async for _, data in scanner.advertisement_data():
            heard.append(data)
            if len(heard) == 3:
                break

    assert [data.local_name for data in heard] == [None] * 3


async def test_active_and_passive_scanners_share_the_adapter(world: World) -> None:
    await world.strap()
    agent = await world.agent()

    async with BleakScanner(
        scanning_mode="passive", backend=agent.scanner_type, bluez={"or_patterns": []}
    ):
        found = await agent.find(STRAP)

    assert found.name == STRAP


async def test_scan_filters_by_service(world: World) -> None:
    await world.strap()
    thermometer = await world.thermometer()
    agent = await world.agent()

    async with BleakScanner(
        service_uuids=[uuids.HEALTH_THERMOMETER_SERVICE], backend=agent.scanner_type
    ) as scanner:
        async for device, _ in scanner.advertisement_data():
            assert device.address == thermometer.identity.address
            if device.name is not None:
                break
        assert [found.name for found in scanner.discovered_devices] == [thermometer.identity.name]


async def test_connect_raises_the_mtu_and_discovers_the_services(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()

    client = await agent.connect(strap)

    assert client.is_connected
    assert client.name == STRAP
    assert client.mtu_size == 517
    found = {service.uuid for service in client.services}
    assert {uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE, uuids.BATTERY_SERVICE} <= found
    assert decode_string(bytes(await client.read_gatt_char(uuids.SERIAL_NUMBER))) == "0001"
    assert decode_string(bytes(await client.read_gatt_char(uuids.MODEL_NUMBER))) == "Virtual Strap"
    assert decode_string(bytes(await client.read_gatt_char(uuids.MANUFACTURER_NAME))) == "Chevet"
    assert decode_battery_level(bytes(await client.read_gatt_char(uuids.BATTERY_LEVEL))) == 85
    characteristic = client.services.get_characteristic(uuids.PMD_CONTROL_POINT)
    assert characteristic is not None
    assert set(characteristic.properties) == {"read", "write", "indicate"}
    assert characteristic.max_write_without_response_size == 514


async def test_connect_discovers_only_the_services_asked_for(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    device = await agent.find(strap.identity.name)

    async with BleakClient(
        device, services=[uuids.BATTERY_SERVICE], backend=agent.client_type
    ) as client:
        assert [service.uuid for service in client.services] == [uuids.BATTERY_SERVICE]


async def test_bare_address_is_scanned_for(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()

    async with agent.client(strap.identity.address) as client:
        assert client.name == STRAP


async def test_address_of_nobody_is_not_found(world: World) -> None:
    agent = await world.agent()

    with pytest.raises(BleakDeviceNotFoundError):
        await agent.client("C0:FF:EE:00:00:00", timeout=0.1).connect()


async def test_silent_device_times_out_and_is_not_connected_later(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    device = await agent.find(STRAP)
    world.ether.silence(strap.identity.address)

    with pytest.raises(TimeoutError):
        await agent.client(device, timeout=0.1).connect()

    world.ether.restore(strap.identity.address)
    await agent.find(STRAP)
    assert not strap.connected
    async with agent.client(device) as client:
        assert client.is_connected


async def test_disconnect_ends_the_link_at_both_ends(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    ended: list[BleakClient] = []
    client = await agent.connect(strap, ended.append)
    battery = client.services.get_characteristic(uuids.BATTERY_LEVEL)
    assert battery is not None

    await client.disconnect()

    assert not client.is_connected
    assert ended == [client]
    await agent.find(STRAP)  # it advertises again
    assert not strap.connected
    with pytest.raises(BleakError, match="not connected"):
        await client._backend.read_gatt_char(battery)
    await client.connect()
    with pytest.raises(BleakError, match="earlier connection"):
        await client._backend.read_gatt_char(battery)


async def test_same_client_connects_again(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    ended: list[BleakClient] = []
    client = await agent.connect(strap, ended.append)

    await client.disconnect()
    await client.connect()
    await client.disconnect()

    assert len(ended) == 2
    assert strap.n_connections == 2


async def test_second_connect_of_a_connected_client_is_an_error(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)

    with pytest.raises(BleakError, match="already connected"):
        await client.connect()


async def test_gatt_error_keeps_its_code(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)

    with pytest.raises(BleakGATTProtocolError) as caught:
        await client.write_gatt_char(uuids.PMD_CONTROL_POINT, b"\x01\x00", response=True)

    assert caught.value.code == 0xFD  # nobody has subscribed to the answer


async def test_second_subscription_is_an_error_and_unsubscribing_allows_one(
    world: World,
) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)

    await client.start_notify(uuids.HEART_RATE_MEASUREMENT, lambda *_: None)
    with pytest.raises(BleakError, match="already started"):
        await client.start_notify(uuids.HEART_RATE_MEASUREMENT, lambda *_: None)
    await client.stop_notify(uuids.HEART_RATE_MEASUREMENT)
    await client.start_notify(uuids.HEART_RATE_MEASUREMENT, lambda *_: None)


async def test_descriptors_are_read_and_written_by_handle(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    battery = client.services.get_characteristic(uuids.BATTERY_LEVEL)
    assert battery is not None
    (configuration,) = battery.descriptors

    await client._backend.write_gatt_descriptor(configuration, b"\x01\x00")

    assert await client.read_gatt_descriptor(configuration.handle) == b"\x01\x00"


async def test_pairing_bonds_and_unpairing_forgets(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    adapter = Adapter.named(agent.client_type.adapter_name)  # type: ignore[attr-defined]
    keystore = (await adapter.device()).keystore
    assert keystore is not None

    await client.pair()
    bonds = await keystore.get_all()
    await client.unpair()

    assert [address[:17] for address, _ in bonds] == [strap.identity.address]
    assert await keystore.get_all() == []
    assert not client.is_connected


async def test_pairing_while_connecting(world: World) -> None:
    await world.strap()
    agent = await world.agent()
    device = await agent.find(STRAP)

    async with BleakClient(device, pair=True, backend=agent.client_type) as client:
        assert client.is_connected


async def test_link_loss_calls_back_and_ends_the_operation_in_flight(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    lost = asyncio.Event()
    client = await agent.connect(strap, lambda _: lost.set())

    world.ether.silence(strap.identity.address)
    reads = [
        asyncio.create_task(client.read_gatt_char(uuids.BATTERY_LEVEL)) for _ in range(3)
    ]  # one on the air, two in the queue behind it
    outcomes = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), WAIT_S)

    assert [type(outcome) for outcome in outcomes] == [BleakError] * 3
    assert "disconnected" in str(outcomes[0])
    await asyncio.wait_for(lost.wait(), WAIT_S)
    assert not client.is_connected
    world.ether.restore(strap.identity.address)
    await agent.find(STRAP)


async def test_link_loss_while_connecting_is_an_error_and_no_callback(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    device = await agent.find(STRAP)
    called: list[BleakClient] = []
    client = agent.client(device, called.append)

    async def silence_once_connected() -> None:
        while not strap.connected:  # noqa: ASYNC110
            await asyncio.sleep(0)
        world.ether.silence(strap.identity.address)

    silence = asyncio.create_task(silence_once_connected())
    with pytest.raises(BleakError, match="disconnected"):
        await client.connect()
    await silence
    world.ether.restore(strap.identity.address)
    await agent.find(STRAP)

    await client.connect()  # the same client can be used for the next try
    assert called == []
    await client.disconnect()
    assert called == [client]


async def test_short_silence_delays_but_loses_nothing(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)

    world.ether.silence(strap.identity.address)
    read = asyncio.create_task(client.read_gatt_char(uuids.BATTERY_LEVEL))
    await asyncio.sleep(0)
    world.ether.restore(strap.identity.address)

    assert await asyncio.wait_for(read, WAIT_S) == b"\x55"
    assert client.is_connected


async def test_cancellation_of_the_caller_is_a_cancellation(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    world.ether.silence(strap.identity.address)

    read = asyncio.create_task(client.read_gatt_char(uuids.BATTERY_LEVEL))
    await asyncio.sleep(0)
    read.cancel()

    with pytest.raises(asyncio.CancelledError):
        await read
    world.ether.restore(strap.identity.address)
    assert await client.read_gatt_char(uuids.BATTERY_LEVEL) == b"\x55"


async def test_cancelled_connect_leaves_nothing_behind(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    device = await agent.find(STRAP)
    world.ether.silence(strap.identity.address)

    connect = asyncio.create_task(agent.client(device).connect())
    await asyncio.sleep(0.01)
    connect.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connect

    world.ether.restore(strap.identity.address)
    async with agent.client(device):
        assert strap.n_connections == 1


async def test_no_more_connections_than_slots(world: World) -> None:
    straps = [await world.strap(number) for number in (1, 2, 3)]
    agent = await world.agent(max_connections=2)
    devices = [await agent.find(strap.identity.name) for strap in straps]

    clients = [agent.client(device) for device in devices]
    outcomes = await asyncio.gather(
        *(client.connect() for client in clients), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], BleakError)
    assert "connection slot" in str(refused[0])
    for client in clients:
        await client.disconnect()


async def test_retry_connector_names_the_lack_of_slots(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    straps = [await world.strap(number) for number in (1, 2)]
    agent = await world.agent(max_connections=1)
    device = await agent.find(straps[1].identity.name)
    await agent.connect(straps[0])
    monkeypatch.setattr(bleak_retry_connector, "calculate_backoff_time", lambda _: 0.0)

    class Client(BleakClient):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, backend=agent.client_type, **kwargs)  # type: ignore[arg-type]

    with pytest.raises(bleak_retry_connector.BleakOutOfConnectionSlotsError):
        await bleak_retry_connector.establish_connection(Client, device, "strap", max_attempts=1)


async def test_retry_connector_connects_with_a_client_class_that_passes_the_backend(
    world: World,
) -> None:
    strap = await world.strap()
    agent = await world.agent()
    device = await agent.find(STRAP)
    lost = asyncio.Event()

    class Client(BleakClient):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, backend=agent.client_type, **kwargs)  # type: ignore[arg-type]

    client = await bleak_retry_connector.establish_connection(
        Client, device, device.name or "?", disconnected_callback=lambda _: lost.set()
    )

    assert await client.read_gatt_char(uuids.BATTERY_LEVEL) == b"\x55"
    world.ether.silence(strap.identity.address)
    await asyncio.wait_for(lost.wait(), WAIT_S)


async def test_two_agents_want_one_peripheral_and_one_gets_it(world: World) -> None:
    strap = await world.strap()
    agents = [await world.agent(), await world.agent()]
    clients = [agent.client(await agent.find(STRAP), timeout=0.5) for agent in agents]

    outcomes = await asyncio.gather(
        *(client.connect() for client in clients), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(o, BleakError | TimeoutError) for o in outcomes if o is not None)
    assert strap.n_connections == 1
    for client in clients:
        await client.disconnect()


async def test_ten_sensors_at_once(world: World) -> None:
    straps = [await world.strap(number) for number in range(1, 11)]
    agent = await world.agent(max_connections=10)
    devices = [await agent.find(strap.identity.name) for strap in straps]

    clients = [agent.client(device) for device in devices]
    await asyncio.gather(*(client.connect() for client in clients))

    assert all(strap.connected for strap in straps)
    serials = [await client.read_gatt_char(uuids.SERIAL_NUMBER) for client in clients]
    assert [serial.decode() for serial in serials] == [f"{n:04d}" for n in range(1, 11)]
    for client in clients:
        await client.disconnect()


async def test_lost_controller_ends_links_and_comes_back_when_it_is_there_again(
    tcp_world: World,
) -> None:
    strap = await tcp_world.strap()
    agent = await tcp_world.agent()
    lost = asyncio.Event()
    client = await agent.connect(strap, lambda _: lost.set())
    radio = tcp_world.radio
    assert radio is not None

    await radio.__aexit__(None, None, None)

    await asyncio.wait_for(lost.wait(), WAIT_S)
    with pytest.raises(BleakError):
        await client.read_gatt_char(uuids.BATTERY_LEVEL)
    with pytest.raises(BleakBluetoothNotAvailableError):
        await BleakScanner(backend=agent.scanner_type).start()
    with pytest.raises(BleakBluetoothNotAvailableError):
        await client.connect()

    await radio.__aenter__()
    async with agent.client(await agent.find(STRAP)) as again:
        assert again.is_connected


async def test_no_controller_is_not_available() -> None:
    with pytest.raises(BleakBluetoothNotAvailableError, match="hci0"):
        async with backend("tcp-client:127.0.0.1:1"):
            pass
    with pytest.raises(BleakBluetoothNotAvailableError, match="no adapter 'hci7'"):
        Adapter.named("hci7")


async def test_leaving_the_backend_ends_its_links_and_frees_its_name(world: World) -> None:
    strap = await world.strap()
    async with backend(await world.transport()) as (_, client_type):
        name = client_type.__name__
        client = BleakClient(strap.identity.address, backend=client_type)
        await client.connect()
        assert strap.connected

    assert not client.is_connected
    with pytest.raises(BleakBluetoothNotAvailableError, match="is closed"):
        await client.connect()
    async with backend(await world.transport()) as (_, client_type):
        assert client_type.__name__ == name
