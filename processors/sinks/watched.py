"""Of whom raw waveforms are stored: pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

Waveforms = Literal["all", "watched", "none"]
"""Of all subjects, of those that are watched, or of nobody."""

SUBJECTS_MAX: Final = 100_000
"""Subjects whose answer is remembered; beyond, all are forgotten and looked up anew."""


class WaveformChoice:
    """Tells of a subject whether its samples are stored.

    Parameters
    ----------
    watched
        Subjects, or patterns of them with ``*``, ``?`` and ``[...]``, upper and lower case apart.
    """

    def __init__(self, waveforms: Waveforms = "all", watched: Sequence[str] = ()) -> None:
        self._waveforms = waveforms
        self._patterns = tuple(watched)
        self._known: dict[str, bool] = {}

    def __call__(self, subject_id: str) -> bool:
        """Say whether the samples of this subject are stored."""
        if self._waveforms != "watched":
            return self._waveforms == "all"
        known = self._known.get(subject_id)
        if known is None:
            if len(self._known) >= SUBJECTS_MAX:
                self._known.clear()
            known = any(fnmatchcase(subject_id, pattern) for pattern in self._patterns)
            self._known[subject_id] = known
        return known
