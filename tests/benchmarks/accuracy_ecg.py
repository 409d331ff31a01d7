"""Accuracy on annotated ECGs: beats, their labels, rhythm, heart rate, noise."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.scoring.beats import BeatScore, score_beats, total
from processors.scoring.episodes import EpisodeScore, score_episodes
from processors.scoring.pairing import pair_beats
from processors.scoring.rates import CLOSE_BPM, RateScore, score_rates
from processors.scoring.tracks import BeatTrack, beat_track
from tests.benchmarks import peers
from tests.benchmarks.figures import Figure
from tests.benchmarks.observed import Observed, observe
from tests.benchmarks.recordings import (
    MITDB_HZ,
    NSTDB_DB,
    EcgRecord,
    is_noisy,
    mitdb,
    nstdb,
    single_lead,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BEATS = (codes.RR_INTERVAL.name,)
_CLASSES = (codes.BEAT_CLASS.name,)
_RATE = (codes.HEART_RATE.name,)
_WINDOW = round(0.15 * MITDB_HZ)
GOOD = 0.9
"""A heart rate of this quality is called good."""
EMPTY_RATES = score_rates(np.zeros(0), np.zeros(0), np.zeros(0))


def _samples_of(events_s: Floats) -> Ints:
    return np.rint(events_s * MITDB_HZ).astype(np.int64)


def _bare(samples: Ints) -> BeatTrack:
    return replace(beat_track(()), samples=samples, labels=np.zeros(samples.size, np.int64))


def arrhythmia(folder: Path) -> tuple[list[Figure], RateScore]:
    """Score the arrhythmia database; give the heart rates for the curve of quality too."""
    records = list(mitdb(folder))
    single = [observe(single_lead(record.recording)) for record in records]
    both = [observe(record.recording) for record in records]
    ours = {"channel 0": _scores(records, single), "both leads": _scores(records, both)}
    others = {
        peer.title: [
            score_beats(
                record.track, _bare(_samples_of(peer.events_s(record.ecg_uv, MITDB_HZ))), MITDB_HZ
            )
            for record in records
        ]
        for peer in peers.ECG
    }
    figures = [
        *_beat_figures(
            f"mitdb, {len(records)} records, channel 0, whole", ours["channel 0"], others
        ),
        *_beat_figures(f"mitdb, {len(records)} records, both leads, whole", ours["both leads"], {}),
        *_rhythm_figures(records, single),
    ]
    rates = sum(
        (
            one.rate_score(_RATE[0], record.track.samples / MITDB_HZ)
            for record, one in zip(records, single, strict=True)
        ),
        EMPTY_RATES,
    )
    section = "mitdb, channel 0: heart rate each second, against the annotations by the same rule"
    return [*figures, *rate_figures(section, _RATE, rates)], rates


def _scores(records: list[EcgRecord], found: list[Observed]) -> list[BeatScore]:
    return [
        score_beats(record.track, beat_track(one.annotations), MITDB_HZ)
        for record, one in zip(records, found, strict=True)
    ]


def _beat_figures(
    section: str, ours: list[BeatScore], others: dict[str, list[BeatScore]]
) -> Iterator[Figure]:
    percents = partial(_figure_of, section, ours, others)
    for key, name in (
        ("qrs_se_percent", "beats, sensitivity"),
        ("qrs_ppv_percent", "beats, positive predictivity"),
        ("qrs_f1_percent", "beats, F1"),
        ("qrs_f1_50_ms_percent", "beats, F1 within 50 ms"),
    ):
        yield percents(key, name, _BEATS)
    worst: dict[str, float | None] = {
        title: min(score.percentages()["qrs_f1_percent"] or 0.0 for score in scores)
        for title, scores in others.items()
    }
    yield Figure(
        section=section, quantities=_BEATS, name="beats, F1 of the worst record", unit="%",
        ours=min(score.percentages()["qrs_f1_percent"] or 0.0 for score in ours), peers=worst,
    )  # fmt: skip
    jitter = total(ours).jitter_ms()
    for key, name in (
        ("offset_ms", "beats, median offset"),
        ("offset_mad_ms", "beats, median absolute deviation of the offset"),
        ("rr_rms_ms", "RR intervals, RMS error"),
    ):
        peers_jitter = {title: total(scores).jitter_ms()[key] for title, scores in others.items()}
        yield Figure(
            section=section, quantities=_BEATS, name=name, unit="ms", ours=jitter[key],
            peers=peers_jitter, n_digits=1,
        )  # fmt: skip
    for key, name in (
        ("veb_se_percent", "ventricular beats, sensitivity"),
        ("veb_ppv_percent", "ventricular beats, positive predictivity"),
        ("veb_fpr_percent", "ventricular beats, false positive rate"),
    ):
        yield _figure_of(section, ours, {}, key, name, _CLASSES)


def _figure_of(
    section: str,
    ours: list[BeatScore],
    others: dict[str, list[BeatScore]],
    key: str,
    name: str,
    quantities: tuple[str, ...],
) -> Figure:
    return Figure(
        section=section,
        quantities=quantities,
        name=name,
        unit="%",
        ours=total(ours).percentages()[key],
        peers={title: total(scores).percentages()[key] for title, scores in others.items()},
    )


def _rhythm_figures(records: list[EcgRecord], found: list[Observed]) -> Iterator[Figure]:
    for kind, quantity in (
        ("atrial_fibrillation", codes.ATRIAL_FIBRILLATION),
        ("ventricular_tachycardia", codes.VENTRICULAR_TACHYCARDIA),
        ("ventricular_fibrillation", codes.VENTRICULAR_FIBRILLATION),
    ):
        score = sum(
            (
                score_episodes(
                    kind,
                    record.annotations,
                    one.annotations,
                    MITDB_HZ,
                    end_sample=record.recording.signals[0].n_samples,
                )
                for record, one in zip(records, found, strict=True)
            ),
            EpisodeScore(),
        )
        for key, value in score.percentages().items():
            name = f"{kind}, {key.removesuffix('_percent')}".replace("_", " ")
            yield Figure(
                section="mitdb, channel 0: rhythm, whole records", quantities=(quantity.name,),
                name=name, unit="%", ours=value,
            )  # fmt: skip


def rate_figures(section: str, quantities: tuple[str, ...], score: RateScore) -> Iterator[Figure]:
    """Give coverage and errors of a rate."""
    figures = score.figures()
    for key, name, unit in (
        ("coverage_percent", "shown", "%"),
        ("mae_bpm", "mean absolute error", "/min"),
        ("rms_bpm", "RMS error", "/min"),
        ("within_5_percent", "of these within 5/min", "%"),
    ):
        value = figures[key]
        yield Figure(
            section=section, quantities=quantities, name=name, unit=unit,
            ours=None if value is None else float(value),
        )  # fmt: skip


def noise(folder: Path) -> tuple[list[Figure], RateScore]:
    """Score the noise stress test, in its noisy minutes."""
    figures: list[Figure] = []
    rates = EMPTY_RATES
    for snr_db in NSTDB_DB:
        records = list(nstdb(folder, snr_db))
        found = [observe(single_lead(record.recording)) for record in records]
        both = [observe(record.recording) for record in records]
        others = {
            peer.title: [_samples_of(peer.events_s(record.ecg_uv, MITDB_HZ)) for record in records]
            for peer in peers.ECG
        }
        figures += _noise_figures("channel 0", snr_db, records, _beats(found), others)
        figures += _noise_figures("both leads", snr_db, records, _beats(both), {})
        score = sum(
            (
                one.rate_score(_RATE[0], record.track.samples / MITDB_HZ, _noisy_seconds(record))
                for record, one in zip(records, found, strict=True)
            ),
            EMPTY_RATES,
        )
        section = "nstdb rebuilt, 118 and 119, noisy minutes: heart rate each second"
        figures += _gate_figures(section, snr_db, score)
        rates += score
    return figures, rates


def _gate_figures(section: str, snr_db: int, score: RateScore) -> Iterator[Figure]:
    """Give what is shown of a noisy heart rate, and how much of that is wrong."""
    is_wrong = np.abs(score.errors_bpm) > CLOSE_BPM
    is_good = score.quality >= GOOD
    for name, unit, value in (
        ("shown", "%", score.figures()["coverage_percent"]),
        ("shown and off by more than 5/min", "s", float(is_wrong.sum())),
        (f"the same with a quality from {GOOD}", "s", float((is_wrong & is_good).sum())),
    ):
        yield Figure(
            section=section, quantities=_RATE, name=f"{snr_db} dB, {name}", unit=unit,
            ours=None if value is None else float(value), n_digits=2 if unit == "%" else 0,
        )  # fmt: skip


def _noisy_seconds(record: EcgRecord) -> Floats:
    seconds = np.arange(int(record.recording.duration_s), dtype=np.float64)
    # A rate rests on the last ten seconds: those of the first ones are not all noisy.
    return seconds[is_noisy(seconds) & is_noisy(seconds - 10)]


def _beats(found: list[Observed]) -> list[Ints]:
    return [_samples_of(one.event_times_s(_BEATS[0])) for one in found]


def _noise_figures(
    leads: str,
    snr_db: int,
    records: list[EcgRecord],
    ours: list[Ints],
    others: dict[str, list[Ints]],
) -> Iterator[Figure]:
    own = _noisy_percentages(records, ours)
    peer = {title: _noisy_percentages(records, found) for title, found in others.items()}
    for i, name in enumerate(("sensitivity", "positive predictivity")):
        yield Figure(
            section=f"nstdb rebuilt, 118 and 119, {leads}, noisy minutes: beats",
            quantities=_BEATS, name=f"{snr_db} dB, {name}", unit="%", ours=own[i],
            peers={title: both[i] for title, both in peer.items()},
        )  # fmt: skip


def _noisy_percentages(records: list[EcgRecord], found: list[Ints]) -> tuple[float, float]:
    n_matched = n_reference = n_test = 0
    for record, samples in zip(records, found, strict=True):
        reference = record.track.samples
        pairing = pair_beats(reference, samples, _WINDOW)
        noisy = is_noisy(reference / MITDB_HZ)
        n_matched += int(noisy[pairing.i_reference].sum())
        n_reference += int(noisy.sum())
        is_extra = is_noisy(samples / MITDB_HZ)
        is_extra[pairing.i_test] = False
        n_test += int(noisy[pairing.i_reference].sum() + is_extra.sum())
    return 100 * n_matched / n_reference, 100 * n_matched / max(1, n_test)
