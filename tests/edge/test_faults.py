"""An error that nobody foresaw while one device is dealt with: it costs the others nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edge.faults import PLACES_MAX, trace_of
from edge.identity import device_pseudonym, load_key
from edge.intakes.intake import DeviceIntake
from edge.links.link import Link
from edge.metrics import FAULTS
from edge.protocols.polar import PolarSpeaker
from edge.virtual.peripheral import Peripheral
from edge.virtual.sensors import PersonSettings
from ingest.frame import DeviceEventKind
from ingest.settings import KafkaSettings
from tests.edge.test_agent import kafka
from tests.edge.ward import SensorWard, accounts_of, events_of
from tests.waiting import until

__all__ = ["kafka"]

STRAP = PersonSettings(strap="sleepecg")
N_FAULTS = 2
N_PAYLOADS = 4


def sent(sensor: Peripheral) -> int:
    return sensor.channels["ecg"].sent


class BugError(Exception):
    """What nobody has foreseen; its text names somebody."""


class Faulty:
    """Meets a bug a few times, with one sensor of two."""

    def __init__(self, ward: SensorWard, sensor: Peripheral) -> None:
        self._ward = ward
        self._sensor = sensor
        self.n_left = N_FAULTS

    @property
    def device_id(self) -> str:
        who = self._sensor.identity
        return device_pseudonym(
            f"Chevet {who.model}", who.serial, load_key(self._ward.settings().key_path)
        )

    def meet(self, device_id: str) -> None:
        if self.n_left and device_id == self.device_id:
            self.n_left -= 1
            raise BugError(self._sensor.identity.name)


async def until_heard(sensor: Peripheral, intake: DeviceIntake) -> None:
    """Wait until every stream of a link has brought something: what began unheard has no number."""
    n_sent = {name: one.sent for name, one in sensor.channels.items()}
    await until(lambda: all(one.sent > n_sent[name] for name, one in sensor.channels.items()))
    n_payloads = intake.n_payloads
    await until(lambda: intake.n_payloads >= n_payloads + N_PAYLOADS)


@pytest.mark.parametrize("where", ["open", "attend"])
async def test_a_speaker_that_fails_costs_its_own_device_and_no_other(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP], breaker_failures=N_FAULTS, breaker_open_s=1)
    ill, well = ward.sensors
    faulty = Faulty(ward, ill)
    right: Callable[[PolarSpeaker], Awaitable[None]] = getattr(PolarSpeaker, where)

    async def fail(speaker: PolarSpeaker) -> None:
        if where == "attend":
            await until_heard(ill, speaker._intake)
        faulty.meet(speaker._intake.device_id)
        await right(speaker)

    monkeypatch.setattr(PolarSpeaker, where, fail)
    async with ward.running():
        async with ward.agent():
            await until(lambda: bool(ward.logged("device_left_alone")))
            n_sent = sent(ill), sent(well)
            await until(lambda: sent(ill) >= n_sent[0] + 200)
            await until(lambda: sent(well) >= n_sent[1] + 200)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert (ill.n_connections, well.n_connections) == (1 + N_FAULTS, 1)
    faults = ward.logged("device_fault")
    assert len(faults) == N_FAULTS
    assert all(one["error"].startswith("BugError at edge/test_faults.py:") for one in faults)
    assert [one["cause"] for one in ward.logged("link_failed")] == ["fault"] * N_FAULTS
    kinds = [event.kind for event in events_of(frames)]
    assert kinds.count(DeviceEventKind.LEFT_ALONE) == 1
    assert kinds.count(DeviceEventKind.LINK_LOST) == N_FAULTS
    ward.assert_nobody_is_named(frames)


async def test_a_payload_that_an_intake_fails_with_costs_a_gap_and_its_own_link(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP, STRAP])
    ill, well = ward.sensors
    faulty = Faulty(ward, ill)
    right = DeviceIntake.take

    def fail(intake: DeviceIntake, *arguments: Any) -> bool:  # noqa: ANN401
        if sent(ill) >= 200:
            faulty.meet(intake.device_id)
        return right(intake, *arguments)

    monkeypatch.setattr(DeviceIntake, "take", fail)
    n_faults = FAULTS.labels(faulty.device_id)._value.get()
    async with ward.running():
        async with ward.agent():
            await until(lambda: bool(ward.logged("link_failed")))
            n_sent = sent(ill)
            await until(lambda: sent(ill) >= n_sent + 200)
        frames = await ward.frames()

        _, causes = accounts_of(ward.sensors, frames)
    assert faulty.n_left == 0
    assert FAULTS.labels(faulty.device_id)._value.get() == n_faults + N_FAULTS
    assert set(causes) <= {"undecodable", "link_lost"}
    assert causes.total() > 0
    assert well.n_connections == 1
    assert ward.logged("device_fault")[0]["device_id"] == faulty.device_id
    ward.assert_nobody_is_named(frames)


async def test_a_link_whose_end_fails_gives_its_slot_back(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = SensorWard(kafka, tmp_path, [STRAP], adapter_slots=1)
    (strap,) = ward.sensors
    n_left, right = [1], Link.disconnect

    async def fail(link: Link) -> None:
        await right(link)
        while n_left:
            n_left.pop()
            raise BugError(strap.identity.name)

    monkeypatch.setattr(Link, "disconnect", fail)
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent(strap) >= 100)
            assert strap.connection is not None
            await strap.connection.disconnect()
            n_sent = sent(strap)
            await until(lambda: sent(strap) >= n_sent + 100)
        frames = await ward.frames()

        accounts_of(ward.sensors, frames)
    assert len(ward.logged("device_fault")) == 1
    ward.assert_nobody_is_named(frames)


def raised(depth: int) -> BugError:
    def fall(n: int) -> None:
        if n == 0:
            raise BugError("Patient-4711")
        fall(n - 1)

    try:
        fall(depth)
    except BugError as error:
        return error
    raise AssertionError


def test_a_trace_tells_where_and_not_what_and_is_bounded() -> None:
    text = trace_of(raised(100))

    assert text.startswith("BugError at edge/test_faults.py:")
    assert text.count(" < ") == PLACES_MAX - 1
    assert "4711" not in text


def test_of_several_errors_the_first_is_told() -> None:
    several = ExceptionGroup("Patient-4711", [ExceptionGroup("", [raised(0)]), ValueError()])

    assert trace_of(several).startswith("BugError at edge/test_faults.py:")
    assert trace_of(BugError()) == "BugError at no place"
