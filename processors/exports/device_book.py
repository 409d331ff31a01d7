"""What Frames tell of devices: model, agent, what they measure, and how their clocks went. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from devices.catalogue import CATALOGUE, DeviceModel
from ingest.frame import NS_PER_S, ClockRelation, DeviceEventKind, Frame

CLOCK_EVERY_NS: Final = 600 * NS_PER_S
"""A relation of a clock is kept so often: at 50 ppm it is 30 ms further by then."""
CLOCK_LEAP_NS: Final = NS_PER_S
"""A clock that is so much further off was set, and that is kept at once."""

N_DEVICES_MAX: Final = 1_000
"""Devices of one subject. More than any person wears in a lifetime of studies."""

_MODELS: Final = {row.name: row for row in CATALOGUE}


@dataclass(slots=True, kw_only=True)
class KnownDevice:
    """One device of the subject."""

    device_id: str
    model: str | None = None
    """As it said when it connected last."""
    agent_id: str | None = None
    """Whose Frames brought its data, the last one."""
    mdc_codes: set[int] = field(default_factory=set[int])
    """What it measures."""
    clocks: list[ClockRelation] = field(default_factory=list[ClockRelation])
    """In order of the Frames; those that say what the device's clock showed."""

    @property
    def row(self) -> DeviceModel | None:
        """The model's row of the catalogue, None if it is not one of a maker."""
        row = _MODELS.get(self.model or "")
        return None if row is None or row.manufacturer is None else row

    def clock_at(self, t_ns: int) -> ClockRelation | None:
        """Give the relation that held at a UTC time: the newest before it, else the first."""
        before = [one for one in self.clocks if _utc_ns(one) <= t_ns]
        return max(before, key=_utc_ns, default=min(self.clocks, key=_utc_ns, default=None))


def _utc_ns(clock: ClockRelation) -> int:
    return (clock.device_ns or 0) + clock.offset_ns


class DeviceBook:
    """The devices of one subject; ``add`` its Frames in order."""

    def __init__(self) -> None:
        self._devices: dict[str, KnownDevice] = {}

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Self:
        """Read all Frames."""
        book = cls()
        for frame in frames:
            book.add(frame)
        return book

    @property
    def device_ids(self) -> list[str]:
        """Every device, in order of its name."""
        return sorted(self._devices)

    def device(self, device_id: str) -> KnownDevice:
        """Say what is known of a device; of one that is not here, its name."""
        return self._devices.get(device_id) or KnownDevice(device_id=device_id)

    def add(self, frame: Frame) -> None:
        """Take the next Frame.

        Raises
        ------
        ValueError
            There are more devices than one subject has.
        """
        for block in frame.waveforms:
            self._known(block.device_id, frame).mdc_codes.add(block.mdc_code)
        for reading in frame.readings:
            self._known(reading.device_id, frame).mdc_codes.add(reading.mdc_code)
        for event in frame.events:
            device = self._known(event.device_id, frame)
            if event.kind is DeviceEventKind.CONNECTED and event.detail:
                device.model = event.detail
        for clock in frame.clocks:
            if clock.device_ns is not None:
                _keep(self._known(clock.device_id, frame).clocks, clock)

    def _known(self, device_id: str, frame: Frame) -> KnownDevice:
        device = self._devices.get(device_id)
        if device is None:
            if len(self._devices) >= N_DEVICES_MAX:
                raise ValueError(
                    f"more than {N_DEVICES_MAX} devices of {frame.subject_id}: are these the "
                    "Frames of one subject?"
                )
            device = self._devices[device_id] = KnownDevice(device_id=device_id)
        device.agent_id = frame.agent_id
        return device


def _keep(kept: list[ClockRelation], clock: ClockRelation) -> None:
    if kept:
        passed_ns = _utc_ns(clock) - _utc_ns(kept[-1])
        leapt_ns = abs(clock.offset_ns - kept[-1].offset_ns)
        if 0 <= passed_ns < CLOCK_EVERY_NS and leapt_ns < CLOCK_LEAP_NS:
            return
    kept.append(clock)
