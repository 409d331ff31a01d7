"""Oxygen saturation from red and infrared light, by the ratio of ratios."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from devices import codes
from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.vitals.calibration import CalibrationCurve
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.spo2_kernel import (
    AT_TOP,
    CORRELATION,
    DARK,
    DESIGN_DTYPE,
    FLAT,
    N_OUT,
    N_SECONDS,
    N_USED,
    PERFUSION,
    RATIO,
    SPREAD,
    STATE_DTYPE,
    close_second,
    take_light,
)

_KIND = "spo2_chain"
_VERSION = 2

Floats = NDArray[np.float64]

FS_HZ_MIN: Final = 20.0
FS_HZ_MAX: Final = 1000.0
GRID_NS: Final = 1_000_000_000
QUALITY_MIN: Final = 0.5
PERFUSION_PERCENT_MIN: Final = 0.1
"""Below this the quantisation of common front ends is a considerable part of the red pulse."""

_BAND_HZ: Final = (0.6, 5.0)
"""Third order: breathing moves all blood, also that of the veins, and is no pulse."""
_LIGHT_S: Final = 2.0
_SETTLE_S: Final = 4.0
_SECONDS_MIN: Final = 4
_SPREAD_SCALE: Final = 0.06
"""Of the ratio: some two percent of saturation."""
_CORRELATION_POWER: Final = 8
"""A correlation of 0.92 halves the quality: a twelfth of the power is then not the pulse's."""
_N_LIGHTS: Final = (2, 3)

ALGORITHM: Final = Algorithm(
    name="ppg_spo2",
    version=1,
    method="Red over infrared pulses, each over its own mean light, 0.6-5 Hz: the slope of a line "
    "with equal errors on both axes (total least squares) over two seconds, median of those of "
    "eight; saturation by the calibration curve of the sensor's model.",
    source="Webster (editor), Design of Pulse Oximeters, 1997; ISO 80601-2-61",
    delay_s=0.0,
    averaging="Median over the last 8 s, each second.",
    validity="A calibration curve for the model (not_calibrated); light (lead_off) within the "
    "range of the sensor (saturated); a device that does not move, as far as it can tell (moving); "
    "a pulse of at least 0.1 % of the infrared light "
    "(low_perfusion); red and infrared alike and their ratio steady (poor_signal); a ratio within "
    "the curve (out_of_range).",
)


class Spo2Chain:
    """Red and infrared light of one sensor: however the samples are cut, the same outputs.

    One `codes.SPO2` on each whole second. A gap starts the chain anew; the first whole second
    within it says NO_SAMPLES.

    Parameters
    ----------
    fs_hz
        Sampling rate, 20..1000.
    clock
        Time of sample ``i``.
    curve
        Calibration of the sensor's model; None: there is none, and no value.
    """

    def __init__(self, fs_hz: float, clock: SampleClock, curve: CalibrationCurve | None) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN} to {FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._curve = curve
        self._design = _design(self._fs_hz)
        self._state = new_record(STATE_DTYPE)
        self._out = np.zeros(N_OUT)
        self._i_next: int | None = None
        self._grid_ns = 0

    @property
    def watermark_ns(self) -> int:
        """Every output before this time has been given."""
        return self._grid_ns

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them."""
        self._clock = clock

    def process(self, chunk: Floats, i_first: int) -> list[Derived]:
        """Take ``(2, n_samples)`` or ``(3, n_samples)``: red, infrared, ambient light if measured.

        All in the sensor's counts, proportional to the light, ambient light being part of red and
        infrared; the first sample is sample ``i_first``.

        Raises
        ------
        ValueError
            A sample is not a finite number, or there are not two or three channels.
        """
        light = np.array(chunk, dtype=np.float64, ndmin=2)  # in C order, and ours
        if light.shape[0] not in _N_LIGHTS:
            raise ValueError(f"{light.shape[0]} channels were given, not red, infrared (, ambient)")
        if not np.isfinite(light).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_next is None else self._i_next
        fresh = light[:, max(0, i_next - i_first) :]
        if fresh.shape[1] == 0:
            return []
        i_next = max(i_first, i_next)
        outputs: list[Derived] = []
        if i_next != self._i_next:
            self._begin(i_next, outputs)
        at = 0
        while at < fresh.shape[1]:
            i_due = self._clock.index_at_or_after(self._grid_ns + 1)
            piece = fresh[:, at : at + i_due - i_next]
            take_light(np.ascontiguousarray(piece), self._design, self._state)
            at += piece.shape[1]
            i_next += piece.shape[1]
            if i_next == i_due:
                outputs.append(self._second())
        self._i_next = i_next
        return outputs

    def _begin(self, i_first: int, outputs: list[Derived]) -> None:
        start_ns = self._clock.time_ns(i_first)
        if self._i_next is not None and self._grid_ns < start_ns:
            outputs.append(self._derived(None, NoValueReason.NO_SAMPLES, 0.0))
        self._state = new_record(STATE_DTYPE)
        self._grid_ns = -(-start_ns // GRID_NS) * GRID_NS

    def _second(self) -> Derived:
        close_second(self._state, self._out)
        said = self._out.tolist()
        reason = _reason(said)
        if reason is not None:
            said_quality = _quality(said) if reason is NoValueReason.POOR_SIGNAL else 0.0
            derived = self._derived(None, reason, said_quality)
        elif self._curve is None:
            derived = self._derived(None, NoValueReason.NOT_CALIBRATED, 0.0)
        else:
            value = self._curve.spo2_percent(said[RATIO])
            reason = NoValueReason.OUT_OF_RANGE if value is None else None
            derived = self._derived(value, reason, _quality(said))
        self._grid_ns += GRID_NS
        return derived

    def _derived(
        self, value: float | None, reason: NoValueReason | None, quality: float
    ) -> Derived:
        return Derived(
            quantity=codes.SPO2,
            algorithm=ALGORITHM,
            t_ns=self._grid_ns,
            value=value,
            reason=reason,
            quality=quality,
        )

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        curve = self._curve
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                **self._clock.scalars(),
                "i_next": self._i_next,
                "grid_ns": self._grid_ns,
                "model": None if curve is None else curve.model,
                "spo2_percent_min": None if curve is None else curve.spo2_percent_min,
                "source": None if curve is None else curve.source,
            },
            arrays={
                "coefficients": np.array(() if curve is None else curve.coefficients, dtype="f8")
            },
            children={"kernel": self._state.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Spo2Chain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            clock = SampleClock.of_state(kept)
            curve = None
            if kept.scalars["model"] is not None:
                curve = CalibrationCurve(
                    model=str(kept.scalars["model"]),
                    coefficients=tuple(kept.float_array("coefficients", (None,)).tolist()),
                    spo2_percent_min=kept.number("spo2_percent_min"),
                    source=str(kept.scalars["source"]),
                )
            restored = cls(kept.number("fs_hz"), clock, curve)
        restored._i_next = kept.optional_integer("i_next")
        restored._grid_ns = kept.integer("grid_ns")
        restored._state = restored_record(kept.child("kernel"), STATE_DTYPE)
        if min(int(restored._state[name][0]) for name in ("n_seen", "n_seconds")) < 0:
            raise MalformedStateError(f"{_KIND}: a count is negative")
        return restored


def _reason(said: list[float]) -> NoValueReason | None:
    if said[FLAT]:
        return NoValueReason.SATURATED if said[AT_TOP] else NoValueReason.LEAD_OFF
    if said[DARK]:
        return NoValueReason.LEAD_OFF
    if said[N_USED] < _SECONDS_MIN:
        return NoValueReason.WARMING_UP
    if said[PERFUSION] < PERFUSION_PERCENT_MIN:
        return NoValueReason.LOW_PERFUSION
    return NoValueReason.POOR_SIGNAL if _quality(said) < QUALITY_MIN else None


def _quality(said: list[float]) -> float:
    steady = 1.0 / (1.0 + (said[SPREAD] / _SPREAD_SCALE) ** 2)
    share = min(1.0, said[N_USED] / N_SECONDS)
    return float(max(0.0, said[CORRELATION]) ** _CORRELATION_POWER * steady * math.sqrt(share))


def _design(fs_hz: float) -> Record:
    design = new_record(DESIGN_DTYPE)
    sos = signal.butter(len(design["band"][0]), _BAND_HZ, "bandpass", fs=fs_hz, output="sos")
    design["band"] = sos[:, [0, 1, 2, 4, 5]]
    design["n_light"] = _LIGHT_S * fs_hz
    design["n_settle"] = round(_SETTLE_S * fs_hz)
    return design
