"""Chevet Virtual Armband: an optical armband like a Polar Verity Sense, on a recorded person."""

from collections.abc import Coroutine, Iterable
from typing import Any, Final

import numpy as np
from bumble.gatt import Service
from numpy.typing import NDArray

from devices import uuids
from devices.heart_rate import (
    BodySensorLocation,
    HeartRateMeasurement,
    encode_body_sensor_location,
    encode_heart_rate,
)
from devices.polar_frames import PulseInterval
from devices.polar_models import POLAR_MODELS
from devices.polar_pmd import PmdMeasurement
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import BeatTrain, Body, Clock, SampleTable, ticks
from edge.virtual.pmd import IntervalOffer, PmdService, StreamOffer
from edge.virtual.recorded import RecordedPeripheral
from edge.virtual.strap import still_person_mg
from ingest.errors import RecordingError
from ingest.recording import Signal

MODEL: Final = "Virtual Armband"
HEART_RATE_PERIOD_S: Final = 1.0

_VERITY_SENSE: Final = POLAR_MODELS["Polar Verity Sense"]
_COUNTS_PER_RANGE: Final = 1 << 15
_LIGHT_MAX: Final = (1 << 21) - 1
"""Of 22 bits with a sign."""
_CHANNEL_SHARES: Final = (1.0, 0.9, 1.1)
"""How much of the light the three photodiodes see."""
_AMBIENT_COUNTS: Final = 2000.0
_AMBIENT_NOISE_COUNTS: Final = 20.0

_MOTION_LOOP_S: Final = 60
_ROCKING_MDPS: Final = (3000.0, -1500.0, 500.0)
_ROCKINGS_PER_MIN: Final = 6
_NOISE_MDPS: Final = 60.0

_INTERVAL_ERROR_MS: Final = 10
_INTERVAL_MS_MAX: Final = 0xFFFF
_BPM_MAX: Final = 0xFF


class Armband(RecordedPeripheral):
    """Heart rate, photoplethysmogram, acceleration, angular velocity and pulse intervals.

    Rates, ranges, resolutions and frame types are those of a Verity Sense, in SDK mode too; the
    factors that it states are not published and are the range over 2^15 here. The light is the
    recording's, interpolated to the chosen rate and dimmed for each photodiode; intervals and heart
    rate are its beats'. Ambient light, acceleration and angular velocity are SIMULATED: a still
    person whose arm rocks.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it. The first photoplethysmogram of the recording is sent; where no beats are
        known there are no intervals.
    seed
        Of what is simulated.
    drift_ppm
        How much faster than UTC its clock runs.

    Raises
    ------
    RecordingError
        The recording has no photoplethysmogram, or one that the frames cannot carry.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        body: Body,
        *,
        seed: int = 0,
        drift_ppm: float = 0.0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(
            ether, identity, clock, body, advertising_interval_ms=advertising_interval_ms
        )
        self._seed = seed
        self._heart_rate = notifying(uuids.HEART_RATE_MEASUREMENT)
        self.readings["heart_rate"] = Counters()
        offers = [self._ppg_offer(), self._acc_offer(), self._gyro_offer()]
        intervals = [] if self._beats is None else [self._interval_offer(self._beats)]
        self.pmd = PmdService(self, (*offers, *intervals), drift_ppm=drift_ppm)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.HEART_RATE_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Heart Rate service and PMD."""
        location = encode_body_sensor_location(BodySensorLocation.OTHER)
        return (
            Service(
                bumble_uuid(uuids.HEART_RATE_SERVICE),
                [self._heart_rate, readable(uuids.BODY_SENSOR_LOCATION, location)],
            ),
            self.pmd.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what notifies the heart rate."""
        return (self._notify_heart_rate(),)

    async def _notify_heart_rate(self) -> None:
        async for t_ns in ticks(self.clock, self._body.start_ns, HEART_RATE_PERIOD_S):
            # In SDK mode no algorithm runs.
            if not self.pmd.sdk_mode:
                payload = encode_heart_rate(self.heart_rate_at(t_ns))
                await self.notify(self._heart_rate, payload, [(self.readings["heart_rate"], 1)])

    def heart_rate_at(self, t_ns: int) -> HeartRateMeasurement:
        """Return what the armband measures at an instant: a rate, and no intervals."""
        rate_bpm = self._body.numeric("pulse_rate", t_ns)
        if self._beats is not None:
            rate_bpm = self._beats.rate_bpm(self._body.elapsed_s(t_ns))
        return HeartRateMeasurement(heart_rate_bpm=round(rate_bpm or 0))

    def _ppg_offer(self) -> StreamOffer:
        signal = self._body.recording.first("pleth")
        if signal is None:
            raise RecordingError(
                f"recording {self.record_name} has no photoplethysmogram: an armband cannot play "
                "it; choose another"
            )
        counts = light_counts(signal)
        rate_hz = float(signal.sampling_rate)
        return StreamOffer(
            measurement=PmdMeasurement.PPG,
            frame_type=0,
            compressed=True,
            settings=_VERITY_SENSE.streams[PmdMeasurement.PPG],
            sdk_settings=_VERITY_SENSE.sdk_streams[PmdMeasurement.PPG],
            channels=("ppg/0", "ppg/1", "ppg/2", "ppg/ambient"),
            start_ns=self._body.start_ns,
            table_at=lambda wanted_hz: SampleTable(
                light_columns(counts, rate_hz, wanted_hz, self._seed), loops=self._body.loops
            ),
        )

    def _acc_offer(self) -> StreamOffer:
        return StreamOffer(
            measurement=PmdMeasurement.ACC,
            frame_type=1,
            compressed=True,
            settings=_VERITY_SENSE.streams[PmdMeasurement.ACC],
            sdk_settings=_VERITY_SENSE.sdk_streams[PmdMeasurement.ACC],
            channels=("acc/x", "acc/y", "acc/z"),
            start_ns=self._body.start_ns,
            table_at=lambda rate_hz: SampleTable(still_person_mg(rate_hz, self._seed)),
            factor_of=lambda settings: 1000 * settings.ranges[0] / _COUNTS_PER_RANGE,
        )

    def _gyro_offer(self) -> StreamOffer:
        return StreamOffer(
            measurement=PmdMeasurement.GYRO,
            frame_type=0,
            compressed=True,
            settings=_VERITY_SENSE.streams[PmdMeasurement.GYRO],
            sdk_settings=_VERITY_SENSE.sdk_streams[PmdMeasurement.GYRO],
            channels=("gyro/x", "gyro/y", "gyro/z"),
            start_ns=self._body.start_ns,
            table_at=lambda rate_hz: SampleTable(rocking_arm_mdps(rate_hz, self._seed)),
            factor_of=lambda settings: settings.ranges[0] / _COUNTS_PER_RANGE,
            table_unit=1e-3,
        )

    def _interval_offer(self, beats: BeatTrain) -> IntervalOffer:
        def intervals(after_ns: int, until_ns: int) -> tuple[PulseInterval, ...]:
            after_s, until_s = self._body.elapsed_s(after_ns), self._body.elapsed_s(until_ns)
            return tuple(map(pulse_interval, beats.rr_intervals_s(after_s, until_s)))

        return IntervalOffer(intervals=intervals)


def pulse_interval(interval_s: float) -> PulseInterval:
    """Give an interval as an armband at rest sends it."""
    return PulseInterval(
        heart_rate_bpm=min(_BPM_MAX, round(60 / interval_s)),
        interval_ms=min(_INTERVAL_MS_MAX, round(1000 * interval_s)),
        error_ms=_INTERVAL_ERROR_MS,
        blocked=False,
        contact=True,
    )


def light_counts(signal: Signal) -> NDArray[np.int64]:
    """Give the raw counts, shape ``(n_samples,)``, without their median if they must lose it.

    Raises
    ------
    RecordingError
        They do not fit 22 bits even so.
    """
    counts = signal.counts.astype(np.int64)
    limit = int(_LIGHT_MAX / max(_CHANNEL_SHARES))
    if np.abs(counts).max() > limit:
        counts -= int(np.median(counts))
    if np.abs(counts).max() > limit:
        raise RecordingError(f"photoplethysmogram {signal.name} goes beyond 22 bits")
    return counts


def light_columns(
    counts: NDArray[np.int64], rate_hz: float, wanted_hz: int, seed: int
) -> NDArray[np.int32]:
    """Interpolate light to another rate and share it out, shape ``(n_samples, 4)``.

    Columns are three photodiodes and the simulated ambient light.
    """
    n_samples = int(counts.size / rate_hz * wanted_hz)
    at_s = np.arange(n_samples) / wanted_hz
    light = np.interp(at_s, np.arange(counts.size) / rate_hz, counts)
    rng = np.random.default_rng(seed)
    ambient = _AMBIENT_COUNTS + rng.normal(0.0, _AMBIENT_NOISE_COUNTS, n_samples)
    columns = [light * share for share in _CHANNEL_SHARES]
    return np.rint(np.column_stack([*columns, ambient])).astype(np.int32)


def rocking_arm_mdps(rate_hz: int, seed: int) -> NDArray[np.int32]:
    """Simulate a minute of an arm's angular velocity in mdeg/s, shape ``(n_samples, 3)``."""
    rng = np.random.default_rng(seed)
    n_samples = _MOTION_LOOP_S * rate_hz
    phase = np.arange(n_samples) / rate_hz * (2 * np.pi * _ROCKINGS_PER_MIN / 60)
    rocking = np.sin(phase)[:, np.newaxis] * np.array(_ROCKING_MDPS)
    noise = rng.normal(0.0, _NOISE_MDPS, (n_samples, len(_ROCKING_MDPS)))
    velocity: NDArray[np.float64] = rocking + noise
    return np.rint(velocity).astype(np.int32)
