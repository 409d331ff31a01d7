"""Frames of Polar's measurement data service, taken in: pure."""

from dataclasses import dataclass

from devices import uuids
from devices.catalogue import PmdStream
from devices.polar_frames import PMD_EPOCH_UNIX_NS, PmdFrame, decode_frame
from devices.polar_pmd import PmdMeasurement
from devices.polar_readings import pmd_readings
from edge.intake import DeviceIntake
from ingest.frame import DeviceEventKind


@dataclass(slots=True)
class _Started:
    name: str
    factor: float


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
        self._started[row.measurement] = _Started(name, 1.0)
        self._intake.streams.begin(name, uuids.PMD_DATA, row.channels, rate_hz)
        detail = f"{row.measurement.name} {rate_hz} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, now_ns, detail)

    def set_factor(self, row: PmdStream, factor: float) -> None:
        """Note the unit per count that the answer to the start gave."""
        self._started[row.measurement].factor = factor

    def take(self, payload: bytes, received_ns: int) -> None:
        """Take one frame.

        Raises
        ------
        DecodeError
        """
        frame = decode_frame(payload)
        if frame.measurement is PmdMeasurement.PPI:
            self._intake.add_readings(pmd_readings(frame), received_ns)
        elif frame.layout.waveform:
            self._take_samples(frame, received_ns)
        # Other frames say how samples are taken: there is nothing to record, and nothing is wrong.

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
