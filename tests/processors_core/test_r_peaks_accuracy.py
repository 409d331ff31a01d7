"""R peaks on public recordings, with floors. ``pytest -m data -s`` prints the tables.

MIT-BIH Arrhythmia and Noise Stress Test Databases (Moody and Mark, IEEE Eng Med Biol 20(3):45-50,
2001; Moody, Muldrow and Mark, Comput Cardiol 11:381-384, 1984).
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.dsp.r_peaks import RPeakDetector
from tests.processors_core.scoring import BEAT_SYMBOLS, BeatScore, quiet, score_beats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FS_HZ = 360
QRS_RMS_S = 0.05
N_MINUTE = 60 * FS_HZ


def read(record: Path) -> Floats:
    """Both channels of a record, (2, n_samples) in microvolt."""
    with quiet():
        import wfdb

        leads_mv = wfdb.rdrecord(str(record)).p_signal
    return np.ascontiguousarray(leads_mv.T * 1e3)


def beats_of(record: Path) -> Ints:
    with quiet():
        import wfdb

        annotation = wfdb.rdann(str(record), "atr")
    kept = [symbol in BEAT_SYMBOLS for symbol in annotation.symbol]
    return np.asarray(annotation.sample, dtype=np.int64)[kept]


def detect(leads: Floats) -> Floats:
    detector = RPeakDetector(FS_HZ, len(leads))
    found = np.concatenate((detector.process(leads), detector.skip(0)))
    return np.asarray(found["i_r"], dtype=np.float64)


def records(folder: Path) -> Iterator[tuple[str, Ints, Floats]]:
    for path in sorted((folder / "mitdb").glob("*.atr")):
        yield path.stem, beats_of(path.with_suffix("")), read(path.with_suffix(""))


def offsets_ms(reference: Ints, found: Floats) -> Floats:
    nearest = found[np.abs(found[:, np.newaxis] - reference).argmin(axis=0)]
    offsets = (nearest - reference) / FS_HZ * 1e3
    close: Floats = offsets[np.abs(offsets) <= 150]
    return close


@pytest.mark.parametrize(("n_leads", "f1", "f1_50ms"), [(1, 99.85, 99.5), (2, 99.86, 99.45)])
def test_beats_of_the_arrhythmia_database(
    chevet_data: Path, n_leads: int, f1: float, f1_50ms: float
) -> None:
    rows, worst, cpu_s = [], 100.0, 0.0
    offsets: list[Floats] = []
    at_150, at_50 = BeatScore(0, 0, 0), BeatScore(0, 0, 0)
    for record, reference, leads in records(chevet_data):
        started_s = time.process_time()
        found = detect(leads[:n_leads])
        cpu_s += time.process_time() - started_s
        indices = np.rint(found).astype(np.int64)
        score = score_beats(reference, indices, round(0.15 * FS_HZ))
        at_150 += score
        at_50 += score_beats(reference, indices, round(0.05 * FS_HZ))
        offsets.append(offsets_ms(reference, found))
        worst = min(worst, score.f1_percent)
        rows.append(
            f"{record}  missed {score.n_reference - score.n_matched:3d}  extra "
            f"{score.n_detected - score.n_matched:3d}  F1 {score.f1_percent:6.2f} %"
        )
    print(f"\nmitdb, {n_leads} leads, whole records, 150 ms", *rows, sep="\n")
    median_ms = float(np.median(np.concatenate(offsets)))
    print(f"gross F1 {at_150.f1_percent:.3f} %, at 50 ms {at_50.f1_percent:.3f} %")
    print(f"worst {worst:.2f} %, median offset {median_ms:.1f} ms, {cpu_s:.2f} s CPU")

    assert at_150.f1_percent >= f1
    assert at_50.f1_percent >= f1_50ms
    assert worst >= 99.1
    assert abs(median_ms) <= 2


@pytest.mark.parametrize(
    ("snr_db", "n_leads", "se_floor", "ppv_floor"),
    [
        (24, 1, 99.9, 99.5),
        (12, 1, 99.7, 98.5),
        (6, 1, 97.0, 87.5),
        (0, 1, 88.5, 70.5),
        (12, 2, 99.9, 99.3),
        (6, 2, 99.3, 95.5),
        (0, 2, 93.5, 84.5),
    ],
)
def test_beats_in_electrode_motion(
    chevet_data: Path, snr_db: int, n_leads: int, se_floor: float, ppv_floor: float
) -> None:
    noise = read(chevet_data / "nstdb" / "em")
    n_matched = n_reference = n_detected = 0
    for record in ("118", "119"):
        reference = beats_of(chevet_data / "mitdb" / record)
        clean = read(chevet_data / "mitdb" / record)
        leads = np.stack([with_noise(clean[n], noise[n], reference, snr_db) for n in (0, 1)])
        found = np.rint(detect(leads[:n_leads])).astype(np.int64)
        score = score_beats(
            reference[is_noisy(reference)], found[is_noisy(found)], round(0.15 * FS_HZ)
        )
        n_matched += score.n_matched
        n_reference += score.n_reference
        n_detected += score.n_detected
    sensitivity, ppv = 100 * n_matched / n_reference, 100 * n_matched / n_detected
    print(f"\n{snr_db} dB, {n_leads} leads: Se {sensitivity:.2f} %, PPV {ppv:.2f} %")

    assert sensitivity >= se_floor
    assert ppv >= ppv_floor


def is_noisy(indices: Ints) -> NDArray[np.bool_]:
    minute = indices / N_MINUTE
    return (minute >= 5) & ((minute - 5) % 4 < 2)


def with_noise(ecg: Floats, noise: Floats, beats: Ints, snr_db: float) -> Floats:
    """Add noise in every other two minutes from the fifth on, as the noise stress test does.

    The signal's power is an eighth of the squared height of its QRS complexes, as for a sine.
    """
    n_half = round(QRS_RMS_S * FS_HZ)
    heights = [np.ptp(ecg[i - n_half : i + n_half + 1]) for i in beats[1:300]]
    spread = [noise[i : i + FS_HZ].std() for i in range(0, 300 * FS_HZ, FS_HZ)]
    power = float(np.mean(np.sort(heights)[15:-15])) ** 2 / 8
    gain = math.sqrt(power / 10 ** (snr_db / 10)) / float(np.mean(np.sort(spread)[15:-15]))
    added = np.zeros(ecg.size)
    for start in range(5 * N_MINUTE, ecg.size, 4 * N_MINUTE):
        stop = min(start + 2 * N_MINUTE, ecg.size)
        added[start:stop] = added[start - 1] + gain * (noise[start:stop] - noise[start])
        added[stop:] = added[stop - 1]
    return ecg + added
