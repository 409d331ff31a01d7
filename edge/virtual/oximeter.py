"""Chevet Virtual Oximeter: a pulse oximeter with a waveform, on a recorded person."""

from collections.abc import Coroutine, Iterable
from typing import Any, Final

import numpy as np
from bumble.gatt import Service
from numpy.typing import NDArray

from devices import uuids
from devices.medfloat import MedFloat, Special
from devices.polar_pmd import PmdMeasurement, PmdSettings
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxContinuous,
    PlxFeature,
    PlxFeatures,
    SpO2PulseRate,
    encode_plx_continuous,
    encode_plx_features,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import Body, Clock, SampleTable, ticks
from edge.virtual.pmd import PmdService, StreamOffer, whole_rate_hz
from edge.virtual.recorded import RecordedPeripheral
from ingest.errors import RecordingError
from ingest.recording import Signal

MODEL: Final = "Virtual Oximeter"
PLX_PERIOD_S: Final = 1.0

_PPG_RESOLUTION_BITS: Final = 22
_N_COLUMNS: Final = 4
_S24_MIN: Final = -(1 << 23)
_S24_MAX: Final = (1 << 23) - 1


class Oximeter(RecordedPeripheral):
    """Oxygen saturation and pulse rate each second, and the photoplethysmogram.

    Where the recording has no saturation, it is sent as not available: nothing is made up. The
    waveform is column 0 of a PMD PPG frame; columns 1 and 2 and the ambient
    light are not wired, and zero.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it. The first photoplethysmogram of the recording is sent.

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
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(
            ether, identity, clock, body, advertising_interval_ms=advertising_interval_ms
        )
        self._plx = notifying(uuids.PLX_CONTINUOUS)
        self.readings["plx"] = Counters()
        self.pmd = PmdService(self, (self._ppg_offer(),))

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.PULSE_OXIMETER_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Pulse Oximeter service and PMD."""
        features = PlxFeatures(
            features=PlxFeature(0),
            measurement_status=MeasurementStatus.ONGOING | MeasurementStatus.UNAVAILABLE,
        )
        return (
            Service(
                bumble_uuid(uuids.PULSE_OXIMETER_SERVICE),
                [self._plx, readable(uuids.PLX_FEATURES, encode_plx_features(features))],
            ),
            self.pmd.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what notifies the saturation."""
        return (self._notify_saturation(),)

    async def _notify_saturation(self) -> None:
        async for t_ns in ticks(self.clock, self._body.start_ns, PLX_PERIOD_S):
            payload = encode_plx_continuous(self.plx_at(t_ns))
            await self.notify(self._plx, payload, [(self.readings["plx"], 1)])

    def plx_at(self, t_ns: int) -> PlxContinuous:
        """Return what the oximeter measures at an instant."""
        status = MeasurementStatus.ONGOING
        has_spo2 = "spo2" in self._body.recording.numerics
        spo2_percent = self._body.numeric("spo2", t_ns) if has_spo2 else None
        pulse_rate_bpm = self._pulse_rate_bpm(t_ns)
        if spo2_percent is None and pulse_rate_bpm is None:
            status |= MeasurementStatus.UNAVAILABLE
        return PlxContinuous(
            normal=SpO2PulseRate(
                spo2_percent=_med_float(spo2_percent), pulse_rate_bpm=_med_float(pulse_rate_bpm)
            ),
            measurement_status=status,
        )

    def _pulse_rate_bpm(self, t_ns: int) -> float | None:
        if "pulse_rate" in self._body.recording.numerics or self._beats is None:
            return self._body.numeric("pulse_rate", t_ns)
        return self._beats.rate_bpm(self._body.elapsed_s(t_ns))

    def _ppg_offer(self) -> StreamOffer:
        signal = self._body.recording.first("pleth")
        if signal is None:
            raise RecordingError(
                f"recording {self.record_name} has no photoplethysmogram: an oximeter cannot play "
                "it; choose another"
            )
        rate_hz = whole_rate_hz(signal.sampling_rate, f"PPG of {self.record_name}")
        table = SampleTable(ppg_columns(signal), loops=self._body.loops)
        return StreamOffer(
            measurement=PmdMeasurement.PPG,
            frame_type=0,
            settings=PmdSettings(
                sample_rates_hz=(rate_hz,),
                resolutions_bits=(_PPG_RESOLUTION_BITS,),
                n_channels=(_N_COLUMNS,),
            ),
            channels=("pleth",),
            start_ns=self._body.start_ns,
            table_at=lambda _: table,
        )


def ppg_columns(signal: Signal) -> NDArray[np.int32]:
    """Put the raw counts into column 0 of a frame's four, shape ``(n_samples, 4)``.

    Counts are sent as they are; only those that do not fit 24 bits lose their median.

    Raises
    ------
    RecordingError
    """
    counts = signal.counts.astype(np.int64)
    if counts.min() < _S24_MIN or counts.max() > _S24_MAX:
        counts -= int(np.median(counts))
    if counts.min() < _S24_MIN or counts.max() > _S24_MAX:
        raise RecordingError(f"photoplethysmogram {signal.name} goes beyond 24 bits")
    columns = np.zeros((counts.size, _N_COLUMNS), dtype=np.int32)
    columns[:, 0] = counts
    return columns


def _med_float(value: float | None) -> MedFloat:
    return Special.NAN if value is None else float(round(value))
