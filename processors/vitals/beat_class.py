"""Where a beat began: normal, ventricular, paced, or not known; one or two leads, as they come.

A ventricular beat is wider than the person's own dominant one, of another shape in and behind the
complex (by the measure of how much dominant beats differ in this signal), without the P wave in
front, earlier than the basic cycle lets expect, and so are the other beats of its shape. None of
these holds always; a logistic sum of eight such figures weighs them, and none may count against its
meaning. A beat with its P wave that comes on time is conducted, however wide it is: a bundle branch
block may come and go.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import State, translated_errors
from processors.vitals.beat_class_kernel import READY_S, classify_beats, merge_leads
from processors.vitals.beat_class_layout import BEAT_CLASS_DTYPE, N_BEAT, N_SHIFTS
from processors.vitals.derived import Algorithm

QUANTITY: Final = codes.BEAT_CLASS

ALGORITHM: Final = Algorithm(
    name="beat_class",
    version=2,
    method=(
        "Beats are sorted into at most ten running templates per lead. The template that is "
        "frequent, on time and narrow is the dominant one; a beat is ventricular when a logistic "
        "sum says so of its prematurity against the basic cycle, its width, its difference from "
        "the dominant shape (QRS, ST-T; by what is usual in this signal), its lack of the usual P "
        "wave, and the prematurity and width of its own template. In noise, when half of the last "
        "beats resemble no shape, it is unknown instead. It is paced when it and half of its "
        "template begin with a pacing spike in front of a wide complex. Of two leads the second "
        "decides where it is sure and the first is in doubt."
    ),
    source=(
        "Features after Hamilton, Open Source ECG Analysis (Comput Cardiol 29:101-104, 2002) and "
        "de Chazal, O'Dwyer and Reilly (IEEE Trans Biomed Eng 51:1196-1206, 2004); classes of "
        "ANSI/AAMI EC57; weights fitted to records of the MIT-BIH Arrhythmia Database, and to "
        "bundle branch block drawn upon their normal beats; what they weigh, and how strongly they "
        "are held small, was chosen by records left out."
    ),
    delay_s=READY_S,
    averaging="None: one class per beat, given once and never changed.",
    validity=(
        "Unknown until a shape has come three times. Supraventricular and aberrant beats count as "
        "normal, as does bundle branch block when it is dominant, or on time with a P wave; so "
        "does a ventricular rhythm of nearly the rate of the sinus node (idioventricular), which "
        "no single lead tells from it. Paced beats whose spike the recorder has filtered away "
        "count as normal. A rhythm that is ventricular from the start looks normal. The "
        "compensatory pause is not yet known when the class is given."
    ),
)

KEEP_SHAPES_S_MAX: Final = 60.0
"""After a longer gap the shapes are learned again: the electrodes may have been moved."""

_KIND = "beat_classifier"
_VERSION = 2

_WEIGHTS: Final = np.array([-14.75, 2.4, 7.3, 1.5, 3.2, 5.5, 3.2, 2.9, 4.4])
"""Constant; then of how early the beat is by the basic cycle, or beats of its template are, against
the usual spread; how early those are as they stand; the width of the beat and of its template
against the dominant one; the differences in ST-T and QRS; how much of the usual P wave is lacking;
and that it is not both on time and behind a P wave. Fitted with all but the constant held at or
above zero, each record weighing alike and each with block drawn upon it a twentieth of that, and
kept small: records that are left out are then judged better."""
_RING_HZ_MIN: Final = 250.0
_RING_S: Final = 3.2
"""A beat may be handed over 2.5 s late, and begins a quarter of a second before its R peak."""
_N_LEADS_MAX: Final = 2
_FS_HZ_MIN: Final = 100.0
_FS_HZ_MAX: Final = 2000.0
_SPREAD_AT_START: Final = 0.1
_USUAL_AT_START: Final = (0.1, 0.15)
_USUAL_P_AT_START: Final = 0.5
"""Of a rhythm and of shapes of which little is known yet: somewhat noisy ones."""


class BeatClassifier:
    """The class of each beat, in the order in which the beats are handed over.

    Each lead knows its own shapes. The first one judges; where it is in doubt, or noise keeps it
    from judging, a second one that is sure does.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.
    n_leads
        One or two, sampled together.

    Raises
    ------
    ValueError
        The rate or the number of leads is outside its range.
    """

    def __init__(self, fs_hz: float, n_leads: int = 1) -> None:
        if not _FS_HZ_MIN <= fs_hz <= _FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {_FS_HZ_MIN} to {_FS_HZ_MAX} Hz")
        if not 1 <= n_leads <= _N_LEADS_MAX:
            raise ValueError(f"{n_leads} leads are not within 1 to {_N_LEADS_MAX}")
        self._fs_hz = float(fs_hz)
        self._n_per_block = max(1, int(fs_hz // _RING_HZ_MIN))
        self._rings = np.zeros((n_leads, int(_RING_S * fs_hz / self._n_per_block)))
        self._beat = np.zeros(N_BEAT)
        self._scratch = np.zeros((2, N_SHIFTS))
        self._records = [new_record(BEAT_CLASS_DTYPE) for _ in range(n_leads)]
        self._forget_shapes()
        self._rearm()

    def process(
        self, chunk_uv: NDArray[np.float64], i_rs: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Take the next samples, and judge the beats that became certain with them.

        Parameters
        ----------
        chunk_uv : shape (n_samples,) or (n_leads, n_samples)
            In microvolt, all finite.
        i_rs : shape (n_beats,), rising
            R peaks in samples since the start of the stream, each 0.25 to 2.5 s before the end of
            the samples given so far. Before a gap and at the end a beat may be younger: it is
            judged by the samples that there are.

        Returns
        -------
        shape (n_beats,)
            Values of `BeatClass`.

        Raises
        ------
        ValueError
            The number of leads is another one.
        """
        leads = chunk_uv if chunk_uv.ndim > 1 else chunk_uv.reshape(1, -1)
        if leads.shape[0] != len(self._records):
            raise ValueError(f"{leads.shape[0]} leads were given, not {len(self._records)}")
        classes = np.empty((leads.shape[0], i_rs.size), dtype=np.int64)
        logits = np.empty((leads.shape[0], i_rs.size))
        for n, record in enumerate(self._records):
            classify_beats(
                record,
                self._rings[n],
                self._beat,
                self._scratch,
                leads[n],
                i_rs,
                self._fs_hz,
                self._n_per_block,
                _WEIGHTS,
                classes[n],
                logits[n],
            )
        if len(self._records) > 1:
            merge_leads(classes, logits)
        judged: NDArray[np.int64] = classes[0]
        return judged

    def skip(self, n_samples: int) -> None:
        """Pass a gap: no interval spans it; after a long one the shapes are learned anew."""
        for record in self._records:
            record[0]["i_next"] += n_samples
        if n_samples > KEEP_SHAPES_S_MAX * self._fs_hz:
            self._forget_shapes()
        self._rearm()

    def _forget_shapes(self) -> None:
        for record in self._records:
            i_next = record[0]["i_next"]
            record[:] = np.zeros(1, BEAT_CLASS_DTYPE)
            record[0]["i_next"] = i_next
            record[0]["spread"] = _SPREAD_AT_START
            record[0]["dominant"] = -1
            record[0]["usual"] = _USUAL_AT_START
            record[0]["usual_p"] = _USUAL_P_AT_START

    def _rearm(self) -> None:
        for kept in self._records:
            record = kept[0]
            record["i_start"] = record["i_next"]
            record["n_block"] = 0
            record["sum_block"] = 0.0
            record["n_blocks"] = 0
            record["i_r_last"] = -1.0
            record["was_normal"] = 0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz, "n_leads": len(self._records)},
            arrays={"rings": self._rings},
            children={str(n): record.tobytes() for n, record in enumerate(self._records)},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatClassifier:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), kept.integer("n_leads"))
        restored._rings = kept.float_array("rings", restored._rings.shape)
        restored._records = [
            restored_record(kept.child(str(n)), BEAT_CLASS_DTYPE)
            for n in range(len(restored._records))
        ]
        return restored
