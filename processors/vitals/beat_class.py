"""Where a beat began: normal, ventricular, paced, or not known; one lead, as it comes.

A ventricular beat is wider than the person's own dominant one, of another shape before, in and
behind the complex (by the measure of how much dominant beats differ in this signal), earlier than
the rhythm lets expect, and so are the other beats of its shape. None of these holds always; a
logistic sum of nine such figures weighs them, and none may count against its meaning.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import State, translated_errors
from processors.vitals.beat_class_kernel import (
    BEAT_CLASS_DTYPE,
    N_BEAT,
    N_SHIFTS,
    READY_S,
    classify_beats,
)
from processors.vitals.derived import Algorithm

QUANTITY: Final = codes.BEAT_CLASS

ALGORITHM: Final = Algorithm(
    name="beat_class",
    version=1,
    method=(
        "Beats are sorted into at most eight running templates. The template that is frequent, on "
        "time and narrow is the dominant one; a beat is ventricular when a logistic sum says so of "
        "its prematurity, its width and its difference from the dominant shape (P, QRS, ST-T; by "
        "what is usual in this signal), and of the prematurity, width and rarity of its own "
        "template. In noise, when half of the last beats resemble no shape, it is unknown instead. "
        "It is paced when it and half of "
        "its template begin with a pacing spike in front of a wide complex."
    ),
    source=(
        "Features after Hamilton, Open Source ECG Analysis (Comput Cardiol 29:101-104, 2002) and "
        "de Chazal, O'Dwyer and Reilly (IEEE Trans Biomed Eng 51:1196-1206, 2004); classes of "
        "ANSI/AAMI EC57; weights fitted to the MIT-BIH Arrhythmia Database, one record left out "
        "at a time."
    ),
    delay_s=READY_S,
    averaging="None: one class per beat, given once and never changed.",
    validity=(
        "Unknown until a shape has come three times. Supraventricular and aberrant beats count as "
        "normal, as does bundle branch block when it is dominant. Paced beats whose spike the "
        "recorder has filtered away count as normal. A rhythm that is ventricular from the start "
        "looks normal. The compensatory pause is not yet known when the class is given."
    ),
)

KEEP_SHAPES_S_MAX: Final = 60.0
"""After a longer gap the shapes are learned again: the electrodes may have been moved."""

_KIND = "beat_classifier"
_VERSION = 1

_WEIGHTS: Final = np.array([-14.0, 1.5, 2.8, 2.4, 0.13, 2.25, 3.8, 5.8, 5.7, 3.2])
"""Constant; then of the prematurity against its usual spread, the same of the template, the
template's plain prematurity, its rarity, the beat's width and the template's against the dominant
one, and the differences in ST-T, P and QRS. Fitted with all but the constant held at or above
zero, each record weighing alike, and rounded."""
_RING_HZ_MIN: Final = 250.0
_RING_S: Final = 3.2
"""A beat may be handed over 2.5 s late, and begins a quarter of a second before its R peak."""
_FS_HZ_MIN: Final = 100.0
_FS_HZ_MAX: Final = 2000.0
_SPREAD_AT_START: Final = 0.1
_USUAL_AT_START: Final = (0.1, 0.1, 0.15)
"""Of a rhythm and of shapes of which little is known yet: somewhat noisy ones."""


class BeatClassifier:
    """The class of each beat, in the order in which the beats are handed over.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.

    Raises
    ------
    ValueError
        The rate is outside its range.
    """

    def __init__(self, fs_hz: float) -> None:
        if not _FS_HZ_MIN <= fs_hz <= _FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {_FS_HZ_MIN} to {_FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._n_per_block = max(1, int(fs_hz // _RING_HZ_MIN))
        self._ring = np.zeros(int(_RING_S * fs_hz / self._n_per_block))
        self._beat = np.zeros(N_BEAT)
        self._scratch = np.zeros((2, N_SHIFTS))
        self._record = new_record(BEAT_CLASS_DTYPE)
        self._forget_shapes()
        self._rearm()

    def process(
        self, chunk_uv: NDArray[np.float64], i_rs: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Take the next samples, and judge the beats that became certain with them.

        Parameters
        ----------
        chunk_uv : shape (n_samples,)
            In microvolt, all finite.
        i_rs : shape (n_beats,), rising
            R peaks in samples since the start of the stream, each 0.25 to 2.5 s before the end of
            the samples given so far. Before a gap and at the end a beat may be younger: it is
            judged by the samples that there are.

        Returns
        -------
        shape (n_beats,)
            Values of `BeatClass`.
        """
        classes = np.zeros(i_rs.size, dtype=np.int64)
        classify_beats(
            self._record,
            self._ring,
            self._beat,
            self._scratch,
            chunk_uv,
            i_rs,
            self._fs_hz,
            self._n_per_block,
            _WEIGHTS,
            classes,
        )
        return classes

    def skip(self, n_samples: int) -> None:
        """Pass a gap: no interval spans it; after a long one the shapes are learned anew."""
        self._record[0]["i_next"] += n_samples
        if n_samples > KEEP_SHAPES_S_MAX * self._fs_hz:
            self._forget_shapes()
        self._rearm()

    def _forget_shapes(self) -> None:
        i_next = self._record[0]["i_next"]
        self._record[:] = np.zeros(1, BEAT_CLASS_DTYPE)
        self._record[0]["i_next"] = i_next
        self._record[0]["spread"] = _SPREAD_AT_START
        self._record[0]["dominant"] = -1
        self._record[0]["usual"] = _USUAL_AT_START

    def _rearm(self) -> None:
        record = self._record[0]
        record["i_start"] = record["i_next"]
        record["n_block"] = 0
        record["sum_block"] = 0.0
        record["n_blocks"] = 0
        record["i_r_last"] = -1.0
        record["normal_before"] = 1

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            arrays={"ring": self._ring},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatClassifier:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._ring = kept.float_array("ring", restored._ring.shape)
        restored._record = restored_record(kept.child("kernel"), BEAT_CLASS_DTYPE)
        return restored
