"""The largest number of subjects that is kept up with: short runs find it, a long one confirms."""

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from deploy.bench.card import ScaleCard
from deploy.bench.load_plan import SUBJECTS_MAX
from deploy.bench.scale_run import RunFailedError, RunOptions, run_scale
from deploy.bench.search import largest

FIRST_SUBJECTS: Final = 50
"""What the first guess is made from."""

TRIAL_S: Final = 20
"""Of a run that only looks whether a number is too much."""

RESOLUTION: Final = 0.08
CONFIRMATIONS_MAX: Final = 4
STEP_DOWN: Final = 0.92
"""A number that a long run refutes is made so much smaller, a few times."""

TRIAL_SETTLE_S: Final = 15
"""Java and numba have compiled most by then: a trial must not cost more than the long run."""

Say = Callable[[str], None]


class Run(Protocol):
    """Measures a number of subjects; raises RunFailedError where that comes to no result."""

    def __call__(self, n_subjects: int, duration_s: int, settle_s: int | None = None) -> ScaleCard:
        """Give the card."""
        ...


def runner(options: RunOptions, say: Say) -> Run:
    """Give what measures on this machine, and says what comes of each run.

    It raises RunFailedError, ServerError and IngestError.
    """

    def run(n_subjects: int, duration_s: int, settle_s: int | None = None) -> ScaleCard:
        say(f"{n_subjects} subjects for {duration_s} s")
        card = run_scale(options, n_subjects, duration_s, say, settle_s)
        verdict = "kept up" if card.kept_up else "did not: " + "; ".join(card.failures)
        say(
            f"  {verdict}; p99 {card.latency_ms['p99']} ms, "
            f"{card.chevet_cpu_ms:.2f} ms of CPU per subject-second"
        )
        return card

    return run


def find(run: Run, duration_s: int, say: Say) -> dict[str, Any]:
    """Find the largest number that is kept up with; give its card of a run of ``duration_s``.

    The smallest number that was seen not to be is ``not_kept_up`` of the card.

    Raises
    ------
    RunFailedError
        The first run, or the last, came to no result.
    """

    def holds(n_subjects: int) -> bool:
        try:
            return run(n_subjects, TRIAL_S, TRIAL_SETTLE_S).kept_up
        except RunFailedError as error:
            # Too much may end a process, or leave it no time to answer.
            say(f"  broke: {error}")
            return False

    first = _guess(run(FIRST_SUBJECTS, TRIAL_S, TRIAL_SETTLE_S))
    n_subjects, n_bad = largest(holds, first=first, n_max=SUBJECTS_MAX, resolution=RESOLUTION)
    n_subjects, n_left = max(1, n_subjects), CONFIRMATIONS_MAX
    while True:
        n_left -= 1
        try:
            card = run(n_subjects, duration_s)
        except RunFailedError as error:
            if n_left == 0:
                raise
            say(f"  broke: {error}")
        else:
            if card.kept_up or n_left == 0:
                return {**card.as_json(), "not_kept_up": n_bad}
        n_bad, n_subjects = n_subjects, max(1, int(STEP_DOWN * n_subjects))


def _guess(card: ScaleCard) -> int:
    """Guess how many subjects keep all cores busy, from what a few cost."""
    per_subject_s = (card.cpu_ms("generator") + card.chevet_cpu_ms) / 1000
    n_subjects = math.floor(int(card.machine["cores"]) / per_subject_s)
    return max(1, min(SUBJECTS_MAX, n_subjects))
