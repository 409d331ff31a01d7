"""What the ECG quality is worth: coverage/error curves, and the weights that fit.

``python -m tests.benchmarks.calibrate_quality`` prints, for the weights in the code, how many heart
rates are left and how many of them are right at each level of quality, and the same of intervals;
with ``each``, what is shown of each lead. With ``fit`` it also fits the weights anew, leaving out
some persons at a time, and prints them: run it when the detector has changed, and round what it
prints into ``processors/vitals/ecg_quality.py``.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.mains import MainsCanceller
from processors.dsp.r_peaks import RPeakDetector
from processors.scoring.pairing import pair_beats
from processors.scoring.rates import RateScore, coverage_error_curve, reference_rates_bpm
from processors.vitals.ecg_beats_kernel import (
    DOUBT,
    EARLY,
    EXCESS,
    GAP,
    N_FEATURES,
    NOISE,
    OVERDUE,
    SMALL,
    UNLIKE,
    VERY_EARLY,
    VERY_OVERDUE,
)
from processors.vitals.ecg_quality import EcgQuality
from processors.vitals.ecg_quality_kernel import GOOD, OF_INTERVAL, RATE, VERDICT
from tests.benchmarks import peers
from tests.benchmarks.quality_model import Cases, Model
from tests.benchmarks.recordings import NSTDB_DB, NSTDB_RECORDS, bidmc, mitdb
from tests.processors_core.scoring import with_noise

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RIGHT_BPM: Final = 5.0
TOLERANCE: Final = 0.1
"""IEC 60601-2-27 leaves a monitor this share of the rate, where it is more than ``RIGHT_BPM``."""
RIGHT_S: Final = 0.02
MATCH_S: Final = 0.15
CONSENSUS_BPM: Final = 1.0
"""Where two detectors differ by more, bidmc has no reference."""
YOUNG_S: Final = 10
LEVELS: Final = (0.5, 0.8, 0.9, 0.95, 0.97, 0.99)
MARGIN: Final = 0.7
"""Added to the constants of the rate: the odds of an error are taken twice as high as fitted."""
SET_WEIGHTS: Final = {"mitdb": 1.0, "lead 2": 0.5, "noised": 0.2, "nstdb": 0.4, "bidmc": 1.0}
"""What a second counts for in the fit: the noised ones are many, and of the same people."""

RATE_MODEL: Final = Model(
    (SMALL, EARLY, VERY_EARLY, DOUBT, UNLIKE, NOISE, EXCESS),
    (GAP, OVERDUE, VERY_OVERDUE),
    np.array([1.0] * 7 + [-4.0] + [1.0] * 3 + [-4.0]),
)
INTERVAL_MODEL: Final = Model(
    (SMALL, UNLIKE, NOISE, EXCESS),
    (GAP, OVERDUE, VERY_OVERDUE),
    np.array([1.0] * 4 + [0.0] + [1.0] * 3 + [-4.0]),
)


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """One lead of one recording, with reference beats."""

    person: str
    group: str
    fs_hz: float
    ecg_uv: Floats
    beats_s: Floats
    second_opinion_s: Floats | None = None
    """Beats by another detector, where nobody has annotated them."""
    from_s: int = YOUNG_S


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What detector and quality say of a lead, and what was right."""

    lead: Lead
    beats_s: Floats
    of_beats: Floats
    of_seconds: Floats
    seconds: Floats
    known: Bools
    """Seconds that the reference has a rate for."""
    reference_bpm: Floats
    errors_bpm: Floats
    interval_errors_s: Floats
    """Of the interval that each beat ends; infinite where it is not one of the reference's."""

    @property
    def shown(self) -> Bools:
        """Seconds whose rate is shown."""
        return np.asarray(self.known & (self.of_seconds[:, VERDICT] == GOOD))

    @property
    def n_wrong(self) -> tuple[int, int]:
        """Seconds whose rate is shown and wrong, and those that are beyond the standard too."""
        wrong = self.shown & (self.errors_bpm > RIGHT_BPM)
        return int(wrong.sum()), int((wrong & (self.errors_bpm > self.tolerance_bpm)).sum())

    @property
    def tolerance_bpm(self) -> Floats:
        """Error that the standard leaves a monitor."""
        return np.maximum(RIGHT_BPM, TOLERANCE * np.nan_to_num(self.reference_bpm))


def leads(folder: Path) -> Iterator[Lead]:
    """Everything that has a reference."""
    noise_uv = _noise_uv(folder)
    for record in mitdb(folder):
        beats = record.track.samples
        for n, signal in enumerate(record.recording.signals[:2]):
            group = "mitdb" if n == 0 else "lead 2"
            yield Lead(record.name, group, 360.0, signal.physical(), beats / 360.0)
        group = "nstdb" if record.name in NSTDB_RECORDS else "noised"
        for snr_db in NSTDB_DB:
            noisy = with_noise(record.ecg_uv, noise_uv, beats, snr_db)
            yield Lead(record.name, group, 360.0, noisy, beats / 360.0, from_s=300)
    for monitor in bidmc(folder):
        signal = next(one for one in monitor.recording.signals if one.kind == "ecg")
        fs_hz, ecg_uv = float(signal.sampling_rate), signal.physical()
        one, other = (peer.events_s(ecg_uv, fs_hz) for peer in (peers.SLEEPECG, peers.GQRS))
        yield Lead(monitor.name, "bidmc", fs_hz, ecg_uv, one, other)


def _noise_uv(folder: Path) -> Floats:
    from ingest.recording import open_recording

    return open_recording(str(folder / "nstdb" / "em")).signals[0].physical()


def judge(lead: Lead) -> Judged:
    """Run detector and quality over a lead."""
    ecg_uv = MainsCanceller(lead.fs_hz).process(lead.ecg_uv)
    found = RPeakDetector(lead.fs_hz).process(ecg_uv)
    n_seconds = int(lead.ecg_uv.size / lead.fs_hz) - 1
    seconds = np.arange(1.0, n_seconds)
    found = found[found["i_r"] < (n_seconds - 1) * lead.fs_hz]
    beats_s = found["i_r"] / lead.fs_hz
    ends = np.stack((np.ceil(seconds * lead.fs_hz), np.searchsorted(beats_s, seconds)), axis=1)
    quality = EcgQuality(lead.fs_hz)
    quality.process(ecg_uv, lead.ecg_uv)
    places = np.stack((found["i_r"], found["certainty"]), axis=1)
    of_beats, of_seconds = quality.judge(places, ends.astype(np.int64))
    rates_bpm = reference_rates_bpm(beats_s, seconds)
    reference_bpm = reference_rates_bpm(lead.beats_s, seconds)
    errors = np.abs(rates_bpm - reference_bpm)
    known = np.isfinite(reference_bpm) & (seconds >= lead.from_s)
    if lead.second_opinion_s is not None:
        other_bpm = reference_rates_bpm(lead.second_opinion_s, seconds)
        known &= np.abs(other_bpm - reference_bpm) < CONSENSUS_BPM
    return Judged(
        lead=lead,
        beats_s=beats_s,
        of_beats=of_beats,
        of_seconds=of_seconds,
        seconds=seconds,
        known=known,
        reference_bpm=reference_bpm,
        errors_bpm=np.where(np.isfinite(errors), errors, np.inf),
        interval_errors_s=_interval_errors(lead.beats_s, beats_s),
    )


def _interval_errors(reference_s: Floats, beats_s: Floats) -> Floats:
    """Difference of each interval from the reference's, if both have the same two beats."""
    fine = 1e4
    pairing = pair_beats(
        np.rint(reference_s * fine).astype(np.int64),
        np.rint(beats_s * fine).astype(np.int64),
        round(MATCH_S * fine),
    )
    partner = np.full(beats_s.size, -9, dtype=np.int64)
    partner[pairing.i_test] = pairing.i_reference
    errors = np.full(beats_s.size, np.inf)
    same = np.flatnonzero((np.diff(partner) == 1) & (partner[1:] > 0)) + 1
    reference = reference_s[partner[same]] - reference_s[partner[same] - 1]
    errors[same] = np.abs(beats_s[same] - beats_s[same - 1] - reference)
    return errors


def rate_cases(judged: list[Judged]) -> Cases:
    """Give every second with enough beats: is its rate right."""
    parts: list[tuple[NDArray[np.int64], ...]] = []
    right: list[Bools] = []
    n_before = 0
    for one in judged:
        first = np.searchsorted(one.beats_s, one.seconds - 10, "right")
        stop = np.searchsorted(one.beats_s, one.seconds)
        kept = one.known & (stop - first >= 3) & (one.seconds >= YOUNG_S)
        parts.append((np.maximum(first - 1, 0)[kept] + n_before, stop[kept] + n_before))
        right.append(one.errors_bpm[kept] <= RIGHT_BPM)
        n_before += one.beats_s.size
    return _cases(judged, parts, right)


def interval_cases(judged: list[Judged]) -> Cases:
    """Give every interval: is it the reference's."""
    parts: list[tuple[NDArray[np.int64], ...]] = []
    right: list[Bools] = []
    n_before = 0
    for one in judged:
        later = np.flatnonzero(one.beats_s > one.lead.from_s)
        later = later[later > 0]
        parts.append((later - 1 + n_before, later + 1 + n_before))
        right.append(one.interval_errors_s[later] <= RIGHT_S)
        n_before += one.beats_s.size
    return _cases(judged, parts, right)


def _cases(
    judged: list[Judged], parts: list[tuple[NDArray[np.int64], ...]], right: list[Bools]
) -> Cases:
    sizes = [part.size for part in right]
    return Cases(
        features=np.concatenate([one.of_beats[:, :N_FEATURES] for one in judged]),
        first=np.concatenate([part[0] for part in parts]),
        stop=np.concatenate([part[1] for part in parts]),
        right=np.concatenate(right),
        weight=np.repeat([SET_WEIGHTS[one.lead.group] for one in judged], sizes),
        group=np.repeat(np.array([one.lead.person for one in judged]), sizes),
    )


def rate_score(judged: list[Judged]) -> RateScore:
    """Compare the rates of all seconds that the reference has, each with its quality."""
    return RateScore(
        n_asked=sum(int(one.known.sum()) for one in judged),
        test_bpm=np.concatenate([one.errors_bpm[one.known] for one in judged]),
        reference_bpm=np.zeros(sum(int(one.known.sum()) for one in judged)),
        quality=np.concatenate([one.of_seconds[one.known, RATE] for one in judged]),
    )


def show(judged: list[Judged]) -> None:
    """Print what the quality as it stands is worth, by data set, and what is shown."""
    for group in SET_WEIGHTS:
        own = [one for one in judged if one.lead.group == group]
        if not own:
            continue
        print(f"\n{group}: heart rates of {sum(int(one.known.sum()) for one in own)} seconds")
        for point in coverage_error_curve(rate_score(own), LEVELS):
            right = point.within_5_percent
            print(
                f"  quality >= {point.quality_min:4.2f}: {point.coverage_percent:5.1f} % of seconds"
                f", within 5/min {'-' if right is None else f'{right:7.3f} %'}"
            )
        wrong, beyond = np.sum([one.n_wrong for one in own], axis=0)
        n_shown = sum(int(one.shown.sum()) for one in own)
        n_right = sum(int((one.errors_bpm[one.known] <= RIGHT_BPM).sum()) for one in own)
        print(
            f"  shown: {n_shown}, wrong {wrong}, of these beyond the standard {beyond}; "
            f"right if all were shown: {n_right}"
        )
        quality = np.concatenate([one.of_beats[1:, OF_INTERVAL] for one in own])
        errors_s = np.concatenate([one.interval_errors_s[1:] for one in own])
        for level in LEVELS[:4]:
            left = errors_s[quality >= level]
            print(
                f"  interval quality >= {level:4.2f}: {left.size / errors_s.size:6.1%}, "
                f"within 20 ms {np.mean(left <= RIGHT_S):7.2%}"
            )


def show_each(judged: list[Judged]) -> None:
    """Print what is shown of each lead."""
    for one in judged:
        wrong, beyond = one.n_wrong
        right = float(np.mean(one.errors_bpm[one.known] <= RIGHT_BPM))
        share = one.shown.sum() / max(1, one.known.sum())
        print(
            f"  {one.lead.group:7} {one.lead.person:8} right {right:6.1%}  shown {share:6.1%}"
            f"  wrong {wrong:4d} s, beyond the standard {beyond:4d} s"
        )


def fit(name: str, model: Model, cases: Cases, margin: float) -> None:
    """Fit, print the weights as the kernel takes them, and what is left without one's own data."""
    fitted = model.fitted(cases)
    for part, columns in zip(("beat", "interval"), fitted.columns(), strict=True):
        columns[-1] += margin
        print(f"\n{name}, {part}: ({', '.join(f'{weight:.2f}' for weight in columns)})")
    quality = fitted.left_out(cases)
    for level in LEVELS:
        left = cases.right[quality >= level]
        print(
            f"  left out, quality >= {level:4.2f}: {left.size / cases.right.size:6.1%}, "
            f"right {left.mean() if left.size else 1.0:8.3%}"
        )


def main(words: list[str]) -> None:
    """Print the curves; with ``fit`` the weights, with ``each`` every lead."""
    judged = [judge(lead) for lead in leads(Path(os.environ["CHEVET_DATA"]))]
    if "each" in words:
        show_each(judged)
    show(judged)
    if "fit" in words:
        fit("rate", RATE_MODEL, rate_cases(judged), MARGIN)
        fit("interval", INTERVAL_MODEL, interval_cases(judged), 0.0)


if __name__ == "__main__":
    main(sys.argv[1:])
