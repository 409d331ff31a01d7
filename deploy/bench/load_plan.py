"""When each Frame of each simulated subject is made: one plan for who sends and who measures."""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S

SUBJECTS_MAX: Final = 100_000
SEED: Final = 1


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """So many subjects, one Frame a second each, at phases of the second drawn by chance.

    Frames are numbered in order of time: Frame ``k`` is number ``k // n_subjects`` of subject
    ``k % n_subjects``.

    Raises
    ------
    ValueError
    """

    n_subjects: int
    seconds: int
    """Frames of each subject."""
    start_ns: int
    """UTC of the beginning of the first second, ns since 1970."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not 1 <= self.n_subjects <= SUBJECTS_MAX:
            raise ValueError(f"{self.n_subjects} subjects; 1 to {SUBJECTS_MAX} are allowed")
        if self.seconds < 1:
            raise ValueError(f"{self.seconds} s of load; at least one is needed")

    @cached_property
    def phases_ns(self) -> NDArray[np.int64]:
        """Where in a second each subject's Frames are made, rising, shape ``(n_subjects,)``."""
        rng = random.Random(self.seed)  # noqa: S311  # spreads load; it protects nothing
        phases = sorted(rng.randrange(NS_PER_S) for _ in range(self.n_subjects))
        return np.array(phases, dtype=np.int64)

    @property
    def n_frames(self) -> int:
        """Frames of all subjects."""
        return self.n_subjects * self.seconds

    def subject_id(self, i_subject: int) -> str:
        """Name a subject."""
        return f"bench-{i_subject:05d}"

    def made_ns(self, k: int) -> int:
        """UTC of the moment when Frame ``k`` is complete."""
        n, i_subject = divmod(k, self.n_subjects)
        return self.start_ns + (n + 1) * NS_PER_S + int(self.phases_ns[i_subject])

    def n_made(self, now_ns: int) -> int:
        """Count the Frames that are complete at a time."""
        n_whole, within_ns = divmod(now_ns - self.start_ns - NS_PER_S, NS_PER_S)
        if n_whole < 0:
            return 0
        n_of_second = int(np.searchsorted(self.phases_ns, within_ns, side="right"))
        return min(n_whole * self.n_subjects + n_of_second, self.n_frames)
