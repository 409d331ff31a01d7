"""Chevet Virtual Strap: a chest strap like a Polar H10, on a recorded person."""

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
from devices.polar_pmd import PmdMeasurement, PmdSettings
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import NS_PER_S, Body, Clock, SampleTable, ticks
from edge.virtual.pmd import PmdService, StreamOffer, whole_rate_hz
from edge.virtual.recorded import RecordedPeripheral
from ingest.errors import RecordingError
from ingest.recording import Signal

MODEL: Final = "Virtual Strap"
HEART_RATE_PERIOD_S: Final = 1.0
ACC_RATES_HZ: Final = (25, 50, 100, 200)

_ECG_RESOLUTION_BITS: Final = 14
_ACC_RESOLUTION_BITS: Final = 16
_ACC_RANGES_G: Final = (2, 4, 8)
_S24_MAX: Final = (1 << 23) - 1

_ACC_LOOP_S: Final = 60
_ACC_POSTURE_MG: Final = (-40.0, 180.0, 980.0)
"""Half lying: gravity falls mostly on the axis through the chest."""
_BREATHS_PER_MIN: Final = 15
_BREATHING_MG: Final = (2.0, 4.0, 8.0)
_NOISE_MG: Final = 1.5


class Strap(RecordedPeripheral):
    """Heart rate with RR intervals, ECG and acceleration.

    ECG and beats are the recording's. The acceleration is SIMULATED, since few recordings have
    one: a still, half-lying person who breathes 15 times a minute.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it. The first ECG channel of the recording is sent.
    seed
        Of the simulated acceleration.
    drift_ppm
        How much faster than UTC its clock runs.

    Raises
    ------
    RecordingError
        The recording has no ECG, or one that the sensor's frames cannot carry.
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
        self.readings |= {"heart_rate": Counters(), "rr_interval": Counters()}
        offers = (self._ecg_offer(), self._acc_offer())
        self.pmd = PmdService(self, offers, drift_ppm=drift_ppm)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.HEART_RATE_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Heart Rate service and PMD."""
        location = encode_body_sensor_location(BodySensorLocation.CHEST)
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
            measurement = self.heart_rate_at(t_ns)
            counts = [
                (self.readings["heart_rate"], 1),
                (self.readings["rr_interval"], len(measurement.rr_intervals_s)),
            ]
            await self.notify(self._heart_rate, encode_heart_rate(measurement), counts)

    def heart_rate_at(self, t_ns: int) -> HeartRateMeasurement:
        """Return what the strap measures at an instant: the rate, and the last second's RR."""
        until_s = self._body.elapsed_s(t_ns)
        rr_intervals_s: tuple[float, ...] = ()
        rate_bpm = self._body.numeric("heart_rate", t_ns)
        if self._beats is not None:
            after_s = self._body.elapsed_s(t_ns - round(HEART_RATE_PERIOD_S * NS_PER_S))
            rr_intervals_s = self._beats.rr_intervals_s(after_s, until_s)
            rate_bpm = self._beats.rate_bpm(until_s)
        return HeartRateMeasurement(
            heart_rate_bpm=round(rate_bpm or 0), contact=True, rr_intervals_s=rr_intervals_s
        )

    def _ecg_offer(self) -> StreamOffer:
        signal = self._body.recording.first("ecg")
        if signal is None:
            raise RecordingError(
                f"recording {self.record_name} has no ECG: a strap cannot play it; choose another"
            )
        rate_hz = whole_rate_hz(signal.sampling_rate, f"ECG of {self.record_name}")
        table = SampleTable(microvolts(signal), loops=self._body.loops)
        return StreamOffer(
            measurement=PmdMeasurement.ECG,
            frame_type=0,
            settings=PmdSettings(
                sample_rates_hz=(rate_hz,), resolutions_bits=(_ECG_RESOLUTION_BITS,)
            ),
            channels=("ecg",),
            start_ns=self._body.start_ns,
            table_at=lambda _: table,
        )

    def _acc_offer(self) -> StreamOffer:
        return StreamOffer(
            measurement=PmdMeasurement.ACC,
            frame_type=1,
            settings=PmdSettings(
                sample_rates_hz=ACC_RATES_HZ,
                resolutions_bits=(_ACC_RESOLUTION_BITS,),
                ranges=_ACC_RANGES_G,
            ),
            channels=("acc/x", "acc/y", "acc/z"),
            start_ns=self._body.start_ns,
            table_at=lambda rate_hz: SampleTable(still_person_mg(rate_hz, self._seed)),
        )


def microvolts(signal: Signal) -> NDArray[np.int32]:
    """Convert an ECG to the frame's whole microvolts, shape ``(n_samples, 1)``.

    Exact where a count is a whole number of microvolts, as in the MIT-BIH database.

    Raises
    ------
    RecordingError
    """
    if signal.unit != "uV":
        raise RecordingError(f"ECG {signal.name} is in {signal.unit}, not in a unit of voltage")
    rounded = np.rint(signal.physical())
    if np.abs(rounded).max() > _S24_MAX:
        raise RecordingError(f"ECG {signal.name} goes beyond 24 bits of microvolts")
    return rounded.astype(np.int32).reshape(-1, 1)


def still_person_mg(rate_hz: int, seed: int) -> NDArray[np.int32]:
    """Simulate a minute of a still person's acceleration in mg, shape ``(n_samples, 3)``."""
    rng = np.random.default_rng(seed)
    n_samples = _ACC_LOOP_S * rate_hz
    phase = np.arange(n_samples) / rate_hz * (2 * np.pi * _BREATHS_PER_MIN / 60)
    breathing = np.sin(phase)[:, np.newaxis] * np.array(_BREATHING_MG)
    noise = rng.normal(0.0, _NOISE_MG, (n_samples, len(_BREATHING_MG)))
    acceleration: NDArray[np.float64] = np.array(_ACC_POSTURE_MG) + breathing + noise
    return np.rint(acceleration).astype(np.int32)
