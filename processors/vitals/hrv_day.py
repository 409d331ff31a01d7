"""Heart rate variability of 24 hours, from summaries of five minutes and of hours.

A day has some hundred thousand intervals, and each figure of the day is a sum over them: so sums
are kept, and the intervals are not. SDNN, RMSSD and pNN50 come from counts, means and sums of
squares by five minutes; the triangular index from histograms by the hour; ULF from means over 30 s;
the fluctuation of DFA from boxes that are filled as the beats come, added up by the hour. These are
the figures of the NN series itself, but for ULF, where the mean over 30 s takes what is faster.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from devices.codes import Quantity
from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.vitals import hrv_kernel
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.hrv_nonlinear import ALPHA2_BEATS, FluctuationBoxes, scaling_exponent
from processors.vitals.hrv_spectrum import ulf_power_ms2
from processors.vitals.hrv_time import differences_s, histogram, n_above
from processors.vitals.hrv_window import Window, figure_or_reason
from processors.vitals.nn_intervals import INTERVAL_S_MAX
from processors.vitals.reasons import NoValueReason

_KIND = "hrv_day"
_VERSION = 2
_ZLIB_LEVEL = 1

EPOCH_NS: Final = 300_000_000_000
HOUR_NS: Final = 12 * EPOCH_NS
N_EPOCHS: Final = 288
N_HOURS: Final = 24
N_EPOCHS_MIN: Final = 216
"""Five-minute windows with values that make a day: 18 hours (Task Force: at least 18)."""
N_BINS: Final = 10
"""Of 30 s in an epoch, for ULF."""
BIN_S: Final = 30.0
_DAY_S: Final = 86_400.0
_MS_PER_S = 1e3
_PERCENT = 100.0

_N_LENGTHS = int(INTERVAL_S_MAX * 128) + 1
_N_SCALES = ALPHA2_BEATS[1] - ALPHA2_BEATS[0] + 1
_REASONS: Final = (
    NoValueReason.NO_SAMPLES,
    NoValueReason.WARMING_UP,
    NoValueReason.TOO_FEW_BEATS,
    NoValueReason.ECTOPY,
    NoValueReason.POOR_SIGNAL,
    NoValueReason.IRREGULAR,
)
_VALID: Final = len(_REASONS)

_DAY = np.dtype(
    [
        ("epoch", "i8", (N_EPOCHS,)),
        ("status", "u1", (N_EPOCHS,)),
        ("n_intervals", "u2", (N_EPOCHS,)),
        ("n_nn", "u2", (N_EPOCHS,)),
        ("mean_s", "f8", (N_EPOCHS,)),
        ("squares_s2", "f8", (N_EPOCHS,)),
        ("quality", "f8", (N_EPOCHS,)),
        ("n_steps", "u2", (N_EPOCHS,)),
        ("n_steps_50", "u2", (N_EPOCHS,)),
        ("step_squares_s2", "f8", (N_EPOCHS,)),
        ("n_bin", "u2", (N_EPOCHS, N_BINS)),
        ("bin_mean_s", "f8", (N_EPOCHS, N_BINS)),
        ("hour", "i8", (N_HOURS,)),
        ("n_length", "u2", (N_HOURS, _N_LENGTHS)),
        ("residual_s2", "f8", (N_HOURS, _N_SCALES)),
        ("n_boxes", "u2", (N_HOURS, _N_SCALES)),
        ("last_epoch", "i8"),
        ("last_leaves", "i8"),
        ("last_nn_s", "f8"),
        ("boxes", "f8", (_N_SCALES, hrv_kernel.BOX_FIELDS)),
    ]
)
"""An epoch's place is its number modulo 288, an hour's modulo 24; 0 is none."""

HRV_DAY: Final = Algorithm(
    name="hrv_24h",
    version=1,
    method="Figures of all NN intervals in those five-minute windows of 24 hours that have values: "
    "SDNN, RMSSD, pNN50; SDANN and SDNN index over the windows; triangular index with bins of "
    "1/128 s; ULF from means over 30 s by Lomb's periodogram; DFA alpha 2 with boxes of 16 to 64 "
    "beats, which span nothing that was left out.",
    source="Task Force of the ESC and NASPE, Circulation 93:1043-1065 (1996); Peng et al., Chaos "
    "5:82-87 (1995); Lomb, Astrophys Space Sci 39:447-462 (1976).",
    delay_s=0.0,
    averaging="24 hours, given on whole hours of UTC.",
    validity="At least 216 of the 288 windows of five minutes have values; until the recording is "
    "that old warming_up, later the most frequent reason of the windows without.",
)


class DayOfIntervals:
    """Summaries of the last 24 hours; ``add`` each five minutes, ``at`` on whole hours."""

    def __init__(self) -> None:
        self._set(new_record(_DAY))

    def _set(self, record: Record) -> None:
        self._record = record
        self._bytes: bytes | None = None
        self._fluctuation = FluctuationBoxes(ALPHA2_BEATS)
        self._fluctuation.boxes[:] = record["boxes"][0]

    def add(self, window: Window, reason: NoValueReason | None) -> None:
        """Take the five minutes that end at ``window.end_ns``; ``reason``: why without values."""
        number = window.end_ns // EPOCH_NS
        day = self._record[0]
        at = number % N_EPOCHS
        day["epoch"][at] = number
        day["status"][at] = _VALID if reason is None else _REASONS.index(reason)
        day["n_intervals"][at] = window.n_intervals
        day["n_nn"][at] = window.nn_s.size
        if reason is None:
            self._add_valid(window, number, at)
        day["last_epoch"] = number
        day["last_leaves"] = reason is None and window.leaves
        self._bytes = None

    def _add_valid(self, window: Window, number: int, at: int) -> None:
        day = self._record[0]
        linked = bool(window.enters and day["last_leaves"] and day["last_epoch"] == number - 1)
        follows = window.follows.copy()
        follows[0] = linked
        mean_s = float(window.nn_s.mean())
        day["mean_s"][at] = mean_s
        day["squares_s2"][at] = float(((window.nn_s - mean_s) ** 2).sum())
        day["quality"][at] = window.quality
        self._add_steps(window, at, linked=linked)
        self._add_bins(window, at)
        self._add_to_hour(window, follows)
        day["last_nn_s"] = window.nn_s[-1]

    def _add_steps(self, window: Window, at: int, *, linked: bool) -> None:
        day = self._record[0]
        steps_s = differences_s(window.nn_s, window.follows)
        if linked:
            steps_s = np.append(steps_s, window.nn_s[0] - day["last_nn_s"])
        day["n_steps"][at] = steps_s.size
        day["n_steps_50"][at] = n_above(steps_s, 50.0)
        day["step_squares_s2"][at] = float((steps_s * steps_s).sum())

    def _add_bins(self, window: Window, at: int) -> None:
        day = self._record[0]
        i_bin = np.ceil(window.t_s / BIN_S).astype(np.int64) - 1
        i_bin = np.clip(i_bin, 0, N_BINS - 1)
        n_bin = np.bincount(i_bin, minlength=N_BINS)
        total_s = np.bincount(i_bin, weights=window.nn_s, minlength=N_BINS)
        day["n_bin"][at] = n_bin
        day["bin_mean_s"][at] = total_s / np.maximum(1, n_bin)

    def _add_to_hour(self, window: Window, follows: NDArray[np.bool_]) -> None:
        day = self._record[0]
        hour = -(-window.end_ns // HOUR_NS)
        at = hour % N_HOURS
        if day["hour"][at] != hour:
            day["hour"][at] = hour
            day["n_length"][at] = 0
            day["residual_s2"][at] = 0.0
            day["n_boxes"][at] = 0
        day["n_length"][at] += histogram(window.nn_s, _N_LENGTHS).astype(np.uint16)
        boxes = self._fluctuation
        boxes.residual_s2[:] = 0.0
        boxes.n_boxes[:] = 0
        boxes.add(window.nn_s, follows)
        day["residual_s2"][at] += boxes.residual_s2
        day["n_boxes"][at] += boxes.n_boxes.astype(np.uint16)
        day["boxes"] = boxes.boxes

    def at(self, t_ns: int, first_ns: int | None, age_s: float) -> list[Derived]:
        """Give the figures of the 24 hours up to a whole hour.

        ``first_ns`` is when the recording began, ``age_s`` the age of the newest beat.
        """
        present = self._present(t_ns // EPOCH_NS)
        valid = present[self._record["status"][0][present] == _VALID]
        reason = self._reason(t_ns, first_ns, present, valid.size)
        quality = float(self._record["quality"][0][valid].sum()) / N_EPOCHS

        def derived(quantity: Quantity, figure: Callable[[], float]) -> Derived:
            value = figure_or_reason(figure) if reason is None else reason
            known = None if isinstance(value, NoValueReason) else value
            return Derived(
                quantity=quantity,
                algorithm=HRV_DAY,
                t_ns=t_ns,
                value=known,
                reason=value if isinstance(value, NoValueReason) else None,
                quality=0.0 if known is None else quality,
                age_s=age_s,
            )

        return [
            derived(codes.MEAN_NN, lambda: _MS_PER_S * self._moments(valid)[0]),
            derived(codes.SDNN, lambda: _MS_PER_S * self._moments(valid)[1]),
            derived(codes.RMSSD, lambda: self._rmssd_ms(valid)),
            derived(codes.PNN50, lambda: self._pnn50_percent(valid)),
            derived(codes.SDANN, lambda: self._sdann_ms(valid)),
            derived(codes.SDNN_INDEX, lambda: self._sdnn_index_ms(valid)),
            derived(codes.HRV_TRIANGULAR_INDEX, lambda: self._triangular_index(t_ns)),
            derived(codes.ULF_POWER, lambda: self._ulf_power_ms2(valid)),
            derived(codes.DFA_ALPHA2, lambda: self._dfa_alpha2(t_ns)),
            derived(codes.NN_SHARE, lambda: self._nn_share_percent(present)),
        ]

    def _present(self, number: int) -> NDArray[np.int64]:
        """Places of the last 288 epochs that there are, in order of time."""
        wanted = np.arange(number - N_EPOCHS + 1, number + 1)
        places = wanted % N_EPOCHS
        there: NDArray[np.bool_] = self._record["epoch"][0][places] == wanted
        return places[there]

    def _reason(
        self, t_ns: int, first_ns: int | None, present: NDArray[np.int64], n_valid: int
    ) -> NoValueReason | None:
        if n_valid >= N_EPOCHS_MIN:
            return None
        if first_ns is None or t_ns - first_ns < N_EPOCHS_MIN * EPOCH_NS:
            return NoValueReason.WARMING_UP
        n_by_status = np.bincount(self._record["status"][0][present], minlength=_VALID)[:_VALID]
        n_by_status[0] += N_EPOCHS - present.size
        return _REASONS[int(n_by_status.argmax())]

    def _moments(self, valid: NDArray[np.int64]) -> tuple[float, float]:
        """Mean and standard deviation of all NN, in seconds, from those of the epochs."""
        day = self._record[0]
        n_nn, means_s = day["n_nn"][valid].astype(np.float64), day["mean_s"][valid]
        n_all = float(n_nn.sum())
        mean_s = float((n_nn * means_s).sum()) / n_all
        between_s2 = float((n_nn * (means_s - mean_s) ** 2).sum())
        within_s2 = float(day["squares_s2"][valid].sum())
        return mean_s, math.sqrt((within_s2 + between_s2) / (n_all - 1.0))

    def _rmssd_ms(self, valid: NDArray[np.int64]) -> float:
        day = self._record[0]
        n_steps = int(day["n_steps"][valid].sum())
        return _MS_PER_S * math.sqrt(float(day["step_squares_s2"][valid].sum()) / n_steps)

    def _pnn50_percent(self, valid: NDArray[np.int64]) -> float:
        day = self._record[0]
        return _PERCENT * int(day["n_steps_50"][valid].sum()) / int(day["n_steps"][valid].sum())

    def _sdann_ms(self, valid: NDArray[np.int64]) -> float:
        return _MS_PER_S * float(np.std(self._record["mean_s"][0][valid], ddof=1))

    def _sdnn_index_ms(self, valid: NDArray[np.int64]) -> float:
        day = self._record[0]
        variances_s2 = day["squares_s2"][valid] / (day["n_nn"][valid] - 1.0)
        return _MS_PER_S * float(np.sqrt(variances_s2).mean())

    def _hours(self, t_ns: int) -> NDArray[np.int64]:
        wanted = np.arange(t_ns // HOUR_NS - N_HOURS + 1, t_ns // HOUR_NS + 1)
        places = wanted % N_HOURS
        there: NDArray[np.bool_] = self._record["hour"][0][places] == wanted
        return places[there]

    def _triangular_index(self, t_ns: int) -> float:
        n_length = self._record["n_length"][0][self._hours(t_ns)].sum(axis=0, dtype=np.int64)
        return int(n_length.sum()) / int(n_length.max())

    def _dfa_alpha2(self, t_ns: int) -> float:
        day, hours = self._record[0], self._hours(t_ns)
        residual_s2 = day["residual_s2"][hours].sum(axis=0)
        return scaling_exponent(
            ALPHA2_BEATS, residual_s2, day["n_boxes"][hours].sum(axis=0, dtype=np.int64)
        )

    def _ulf_power_ms2(self, valid: NDArray[np.int64]) -> float:
        day = self._record[0]
        n_bin, means_s = day["n_bin"][valid], day["bin_mean_s"][valid]
        offsets_s = BIN_S * (np.arange(N_BINS) + 0.5)
        starts_s = (day["epoch"][valid] - day["epoch"][valid][0]) * (EPOCH_NS / 1e9)
        t_s = starts_s[:, np.newaxis] + offsets_s
        return ulf_power_ms2(t_s[n_bin > 0], means_s[n_bin > 0], bin_s=BIN_S, window_s=_DAY_S)

    def _nn_share_percent(self, present: NDArray[np.int64]) -> float:
        day = self._record[0]
        return _PERCENT * int(day["n_nn"][present].sum()) / int(day["n_intervals"][present].sum())

    def to_bytes(self) -> bytes:
        """Everything the step remembers; made anew only when something was added."""
        if self._bytes is None:
            # Mostly zeros on the first day; this is done once in five minutes.
            children = {"record": zlib.compress(self._record.tobytes(), _ZLIB_LEVEL)}
            self._bytes = State(kind=_KIND, version=_VERSION, children=children).to_bytes()
        return self._bytes

    @classmethod
    def from_bytes(cls, state: bytes) -> DayOfIntervals:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        with translated_errors(_KIND):
            record = restored_record(_decompressed(kept.child("record")), _DAY)
        status = record["status"][0]
        if int(status.min()) < 0 or int(status.max()) > _VALID:
            raise MalformedStateError(f"{_KIND}: a status is not one of 0 to {_VALID}")
        restored._set(record)
        return restored


def _decompressed(written: bytes) -> bytes:
    """Read back a record; never more of it than one is long, and a byte that shows it."""
    try:
        return zlib.decompressobj().decompress(written, _DAY.itemsize + 1)
    except zlib.error as error:
        raise MalformedStateError(f"{_KIND}: {error}") from error
