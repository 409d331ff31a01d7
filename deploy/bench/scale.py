"""The largest number of subjects that is kept up with: short runs find it, a long one confirms."""

import math
import os
from collections.abc import Callable
from typing import Any, Final

from deploy.bench.card import ScaleCard
from deploy.bench.load_plan import SUBJECTS_MAX
from deploy.bench.scale_run import RunOptions, run_scale
from deploy.bench.search import largest

FIRST_SUBJECTS: Final = 50
"""What the first guess is made from."""

TRIAL_S: Final = 20
"""Of a run that only looks whether a number is too much."""

RESOLUTION: Final = 0.08
CONFIRMATIONS_MAX: Final = 4
STEP_DOWN: Final = 0.92
"""A number that a long run refutes is made so much smaller, a few times."""

Say = Callable[[str], None]


def measure(options: RunOptions, n_subjects: int, duration_s: int, say: Say) -> dict[str, Any]:
    """Measure a given number; give the card as a JSON object.

    Raises
    ------
    RunFailedError, ServerError, IngestError
    """
    return _run(options, n_subjects, duration_s, say).as_json()


def find(options: RunOptions, duration_s: int, say: Say) -> dict[str, Any]:
    """Find the largest number; give its card of a run of ``duration_s``.

    Raises
    ------
    RunFailedError, ServerError, IngestError
    """

    def holds(n_subjects: int) -> bool:
        return _run(options, n_subjects, TRIAL_S, say).kept_up

    first = _guess(_run(options, FIRST_SUBJECTS, TRIAL_S, say))
    n_subjects, n_bad = largest(holds, first=first, n_max=SUBJECTS_MAX, resolution=RESOLUTION)
    card = _run(options, max(1, n_subjects), duration_s, say)
    for _ in range(CONFIRMATIONS_MAX - 1):
        if card.kept_up:
            break
        n_bad = card.n_subjects
        card = _run(options, max(1, int(STEP_DOWN * n_bad)), duration_s, say)
    return {**card.as_json(), "not_kept_up": n_bad}


def _guess(card: ScaleCard) -> int:
    """Guess how many subjects keep all cores busy, from what a few cost."""
    per_subject = (card.cpu_ms("generator") + card.chevet_cpu_ms) / 1000
    n_cores = len(os.sched_getaffinity(0))
    return max(1, min(SUBJECTS_MAX, math.floor(n_cores / per_subject)))


def _run(options: RunOptions, n_subjects: int, duration_s: int, say: Say) -> ScaleCard:
    say(f"{n_subjects} subjects for {duration_s} s")
    card = run_scale(options, n_subjects, duration_s, say)
    p99 = card.latency_ms["p99"]
    say(
        f"  {'kept up' if card.kept_up else 'did not: ' + '; '.join(card.failures)}; p99 {p99} ms, "
        f"{card.chevet_cpu_ms:.2f} ms of CPU per subject-second"
    )
    return card
