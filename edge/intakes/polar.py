"""Frames of Polar's measurement data service, taken in: pure."""

from dataclasses import dataclass
from typing import Final

from devices import uuids
from devices.catalogue import PmdReadings, PmdStream
from devices.errors import DecodeError
from devices.polar_frames import PMD_EPOCH_UNIX_NS, PmdFrame, decode_frame
from devices.polar_pmd import MEASUREMENT_MAX, PmdMeasurement
from devices.polar_readings import pmd_readings
from edge.intakes.intake import DeviceIntake
from edge.links.link_limits import NOTIFICATION_BYTES_MIN
from ingest.frame import DeviceEventKind

_OF_READINGS: Final = frozenset(
    {
        PmdMeasurement.PPI,
        PmdMeasurement.SKIN_TEMPERATURE,
        PmdMeasurement.TEMPERATURE,
        PmdMeasurement.PRESSURE,
    }
)
"""Measurements whose frames are readings."""


@dataclass(slots=True)
class _Started:
    name: str
    rate_hz: float
    factor: float = 1.0
    cut: bool = False
    """Its frames do not fit the link's notifications."""


class PolarIntake:
    """What a device streams over the measurement data service during one link.

    Parameters
    ----------
    intake
        The device's.
    """

    def __init__(self, intake: DeviceIntake) -> None:
        self._intake = intake
        self._started: dict[int, _Started] = {}
        intake.expect(uuids.PMD_DATA, self.take)

    def begin(self, row: PmdStream, *, rate_hz: int, now_ns: int) -> None:
        """Expect the frames of a stream that is being started at ``rate_hz``."""
        name = row.measurement.name.lower()
        self._started[row.measurement] = _Started(name, rate_hz)
        self._intake.streams.begin(name, uuids.PMD_DATA, row.channels, rate_hz)
        detail = f"{row.measurement.name} {rate_hz} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, now_ns, detail)

    def begin_readings(self, row: PmdReadings, *, rate_hz: int | None, now_ns: int) -> None:
        """Expect the readings of a stream that is being started; it may have no rate."""
        name = row.measurement.name.lower()
        self._started[row.measurement] = _Started(name, rate_hz or 1.0)
        self._intake.begin_readings(name)
        rate = "" if rate_hz is None else f" {rate_hz} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, now_ns, f"{row.measurement.name}{rate}")

    def set_factor(self, measurement: int, factor: float) -> None:
        """Note the unit per count that the answer to the start gave."""
        self._started[measurement].factor = factor

    def take(self, payload: bytes, received_ns: int) -> None:
        """Take one frame.

        Raises
        ------
        DecodeError
        """
        try:
            frame = decode_frame(payload)
        except DecodeError:
            self._check_length(payload, received_ns)
            raise
        if frame.measurement in _OF_READINGS:
            self._take_readings(frame, received_ns)
        elif frame.layout.waveform:
            self._take_samples(frame, received_ns)
        # Other frames say how samples are taken: there is nothing to record, and nothing is wrong.

    def _check_length(self, payload: bytes, received_ns: int) -> None:
        """Say so once where a frame ends where the narrowest link's notifications do."""
        started = self._started.get(payload[0] & MEASUREMENT_MAX) if payload else None
        if started is None or started.cut or len(payload) != NOTIFICATION_BYTES_MIN:
            return
        started.cut = True
        detail = (
            f"{started.name.upper()}: frames are cut at {NOTIFICATION_BYTES_MIN} bytes: the link's "
            "ATT MTU is 23"
        )
        self._intake.event(DeviceEventKind.STREAM_REFUSED, received_ns, detail)

    def _take_readings(self, frame: PmdFrame, received_ns: int) -> None:
        # Intervals need no settings: those of an earlier link are as good.
        started = self._started.get(frame.measurement, _Started("", 1.0))
        if started.name or frame.measurement is PmdMeasurement.PPI:
            readings = pmd_readings(frame, rate_hz=started.rate_hz, factor=started.factor)
            self._intake.add_readings(readings, received_ns)

    def _take_samples(self, frame: PmdFrame, received_ns: int) -> None:
        # A frame of a stream that was not asked for is left over from an earlier link.
        if started := self._started.get(frame.measurement):
            self._intake.streams.take(
                started.name,
                frame.samples,
                device_last_ns=frame.timestamp_ns + PMD_EPOCH_UNIX_NS,
                received_ns=received_ns,
                factor=frame.scale_factor(started.factor),
            )
