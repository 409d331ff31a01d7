"""Fit the weights of the R-peak detector: ``python -m tests.benchmarks.fit_r_peaks all 600``.

Arguments: which records to fit on (``all``, or one ``half`` or the ``other``, so that every record
is left out once), and for how many seconds. What is made smaller is the number of missed and of
false beats, in the recordings as they are and with noise added: electrode motion, played backwards
and from another place, so that the noise stress test is not learned by heart, and muscles. It
prints the errors before and after, on the records fitted on and on those left out, and the weights
to be put into ``processors/dsp/r_peaks_weights.py``.

The search is an evolution strategy with a variance for each weight (Ros and Hansen, Parallel
Problem Solving from Nature X, 296-305, 2008): the errors are counts, and have no gradient.
"""

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ingest.recording import open_recording
from processors.dsp.r_peaks import RPeakDetector
from processors.dsp.r_peaks_weights import WEIGHTS
from processors.scoring.pairing import pair_beats
from processors.scoring.tracks import LABELS
from tests.benchmarks.recordings import MITDB_HZ, NOISE_FROM_S, NOISE_PERIOD_S, mitdb, with_noise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ODDS: Final = tuple(name for name in WEIGHTS if name.startswith("odds"))
FITTED: Final = (*_ODDS, "noise_max", "trace_like", "commit")
NOISES: Final = (("motion", 0.0), ("motion", 6.0), ("motion", 12.0), ("muscles", 6.0))
"""Kind of noise and signal-to-noise ratio in dB, one noisy stretch after the other."""
QUIET: Final = len(NOISES)
COSTS: Final = np.array([(0.12, 0.018), (0.25, 0.1), (0.6, 0.6), (0.2, 0.2), (0.8, 0.8)])
"""Of a missed and of a false beat, by noise, and without: the deeper in noise the less, for there
are the more of them; and in deep noise a missed one costs more, for it cannot be made good."""
WHOLE: Final = 1.0
_WINDOW: Final = round(0.15 * MITDB_HZ)
_N_NORMAL_MIN: Final = 50
_N_CHILDREN: Final = 9
_N_PARENTS: Final = 4
_MUSCLES_HZ: Final = (15.0, 100.0)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A record as it is, and with noise."""

    name: str
    beats: Ints
    clean_uv: Floats
    noisy_uv: Floats


def trials() -> Iterator[Trial]:
    """Give every record of the arrhythmia database, channel 0."""
    folder = Path(os.environ["CHEVET_DATA"])
    motion = open_recording(str(folder / "nstdb" / "em"), beats=False).signals[0].physical()
    for n, record in enumerate(mitdb(folder)):
        track, clean = record.track, record.ecg_uv
        normal = track.samples[track.labels == LABELS.index("N")]
        normal = normal if normal.size > _N_NORMAL_MIN else track.samples  # paced throughout
        rng = np.random.default_rng(n)
        turned = np.roll(motion[::-1], int(rng.integers(motion.size)))
        sources = {"motion": turned, "muscles": _muscles(clean.size, rng)}
        # The gain is that of the noise as it is: its first minutes are the quietest.
        louder = {"motion": 20 * math.log10(_level(turned) / _level(motion)), "muscles": 0.0}
        noisy = clean.copy()
        stretches = _stretches(clean.size)
        for i, (kind, snr_db) in enumerate(NOISES):
            heard = with_noise(clean, sources[kind], normal, snr_db - louder[kind])
            noisy[stretches == i] = heard[stretches == i]
        yield Trial(record.name, track.samples.astype(np.int64), clean, noisy)


def _muscles(n_samples: int, rng: np.random.Generator) -> Floats:
    sos = signal.butter(2, _MUSCLES_HZ, "bandpass", fs=MITDB_HZ, output="sos")
    return np.asarray(signal.sosfilt(sos, rng.normal(size=n_samples)), dtype=np.float64)


def _level(noise: Floats) -> float:
    seconds = noise[: NOISE_FROM_S * MITDB_HZ].reshape(-1, MITDB_HZ)
    return float(np.median(seconds.std(axis=1)))


def _stretches(n_samples: int) -> Ints:
    """Number in turn the periods of which the first half is noisy; -1 before the first."""
    since = np.arange(n_samples) // MITDB_HZ - NOISE_FROM_S
    return np.where(since < 0, -1, since // NOISE_PERIOD_S % QUIET).astype(np.int64)


def _noise_at(samples: Ints) -> Ints:
    since: Ints = samples // MITDB_HZ - NOISE_FROM_S
    noisy = (since >= 0) & (since % NOISE_PERIOD_S < NOISE_PERIOD_S / 2)
    stretches = (since // NOISE_PERIOD_S) % QUIET
    stretches[~noisy] = QUIET
    return stretches


def beats_of(ecg_uv: Floats, weights: Mapping[str, float]) -> Ints:
    """Detect the beats of one lead with other weights."""
    detector = RPeakDetector(MITDB_HZ)
    for name, value in weights.items():
        detector._design[name] = value
    found = np.concatenate((detector.process(ecg_uv), detector.skip(0)))
    beats: Ints = np.rint(found["i_r"]).astype(np.int64)
    return beats


def errors(trial: Trial, weights: Mapping[str, float]) -> tuple[Ints, int]:
    """Count missed, false and annotated beats by noise, shape (5, 3); and errors of the clean."""
    found = beats_of(trial.noisy_uv, weights)
    pairing = pair_beats(trial.beats, found, _WINDOW)
    missed = np.delete(trial.beats, pairing.i_reference)
    false = np.delete(found, pairing.i_test)
    counts = np.stack(
        [np.bincount(_noise_at(one), minlength=QUIET + 1) for one in (missed, false, trial.beats)],
        axis=1,
    )
    clean = beats_of(trial.clean_uv, weights)
    n_paired = pair_beats(trial.beats, clean, _WINDOW).i_reference.size
    return counts, trial.beats.size + clean.size - 2 * n_paired


def cost(records: Sequence[Trial], weights: Mapping[str, float]) -> float:
    """Weigh all errors."""
    total = 0.0
    for trial in records:
        counts, n_clean = errors(trial, weights)
        total += float((COSTS * counts[:, :2]).sum()) + WHOLE * n_clean
    return total


def search(records: Sequence[Trial], duration_s: float, seed: int = 1) -> dict[str, float]:
    """Look for better weights around those that there are."""
    rng = np.random.default_rng(seed)
    start = np.array([WEIGHTS[name] for name in FITTED])
    reach = 0.1 * np.abs(start) + 0.1
    n = start.size
    ranks = math.log(_N_PARENTS + 0.5) - np.log(np.arange(1, _N_PARENTS + 1))
    ranks /= ranks.sum()
    mass = 1 / float((ranks**2).sum())
    keep_path, keep_step = 4 / (n + 4), (mass + 2) / (n + mass + 3)
    learn_path = 2 / ((n + 1.3) ** 2 + mass) * (n + 2) / 3
    learn_rank = 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass) * (n + 2) / 3
    middle, spread, step = np.zeros(n), np.ones(n), 0.6
    path, step_path = np.zeros(n), np.zeros(n)

    def weights_at(place: Floats) -> dict[str, float]:
        return dict(zip(FITTED, (start + reach * place).tolist(), strict=True))

    best, best_cost = WEIGHTS, cost(records, WEIGHTS)
    until_s = time.monotonic() + duration_s
    while time.monotonic() < until_s:
        places = middle + step * np.sqrt(spread) * rng.normal(size=(_N_CHILDREN, n))
        costs = np.array([cost(records, weights_at(place)) for place in places])
        order = np.argsort(costs)[:_N_PARENTS]
        if costs[order[0]] < best_cost:
            best, best_cost = weights_at(places[order[0]]), float(costs[order[0]])
        moves = (places[order] - middle) / step
        move = ranks @ moves
        middle = middle + step * move
        step_path *= 1 - keep_step
        step_path += math.sqrt(keep_step * (2 - keep_step) * mass) * move / np.sqrt(spread)
        path = (1 - keep_path) * path + math.sqrt(keep_path * (2 - keep_path) * mass) * move
        spread *= 1 - learn_path - learn_rank
        spread += learn_path * path**2 + learn_rank * (ranks @ moves**2)
        usual = math.sqrt(n) * (1 - 1 / (4 * n))
        step *= math.exp(keep_step / (1 + keep_step) * (np.linalg.norm(step_path) / usual - 1))
    last = weights_at(middle)
    return last if cost(records, last) < best_cost else dict(best)


def show(title: str, records: Sequence[Trial], weights: Mapping[str, float]) -> None:
    """Print sensitivity and positive predictivity by noise, and what is wrong without."""
    counts, n_clean = np.zeros((QUIET + 1, 3), np.int64), 0
    for trial in records:
        one, n_wrong = errors(trial, weights)
        counts, n_clean = counts + one, n_clean + n_wrong
    print(f"{title}: {n_clean} errors in {counts[:, 2].sum()} beats as recorded")
    for i, (n_missed, n_false, n_beats) in enumerate(counts.tolist()):
        name = "between the noise" if i == QUIET else f"{NOISES[i][0]} {NOISES[i][1]:.0f} dB"
        n_right = n_beats - n_missed
        se, ppv = 100 * n_right / n_beats, 100 * n_right / max(n_right + n_false, 1)
        print(f"  {name:18s} Se {se:6.2f}  PPV {ppv:6.2f}")


def main(words: list[str]) -> None:
    """Fit and print."""
    records = list(trials())
    chosen = {"all": records, "half": records[::2], "other": records[1::2]}[words[0]]
    rest = [one for one in records if one not in chosen]
    found = {**WEIGHTS, **search(chosen, float(words[1]))}
    for title, part in (("fitted on", chosen), ("left out", rest)):
        if part:
            show(f"{title}, before", part, WEIGHTS)
            show(f"{title}, after", part, found)
    print({name: round(found[name], 3) for name in FITTED})


if __name__ == "__main__":
    main(sys.argv[1:])
