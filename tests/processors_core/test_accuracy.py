"""Accuracy on public recordings, with floors. ``pytest -m data -s`` prints the tables.

MIT-BIH Arrhythmia and Noise Stress Test Databases (Moody and Mark, IEEE Eng Med Biol 20(3):45-50,
2001; Moody, Muldrow and Mark, Comput Cardiol 11:381-384, 1984); BIDMC (Pimentel et al., IEEE Trans
Biomed Eng 64:1914-1923, 2017).
"""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.dsp.qrs import QrsDetector
from processors.dsp.sample_clock import SampleClock
from processors.vitals.ecg_chain import EcgChain
from processors.vitals.ecg_events import HeartRate
from tests.processors_core.scoring import (
    BeatScore,
    mean_rates_bpm,
    read_beats,
    read_ecg_uv,
    score_beats,
)

Floats = NDArray[np.float64]

FS_HZ = 360
QRS_RMS_S = 0.05


def detect(ecg: Floats, fs_hz: float) -> NDArray[np.int64]:
    detector = QrsDetector(fs_hz)
    n_chunk = round(10 * fs_hz)
    found = [
        i for at in range(0, ecg.size, n_chunk) for i in detector.process(ecg[at : at + n_chunk])
    ]
    return np.array(found + detector.skip(0))


def heart_rates(ecg: Floats, fs_hz: int) -> list[HeartRate]:
    chain = EcgChain(fs_hz, SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=fs_hz))
    events = [
        event
        for at in range(0, ecg.size, 10_000)
        for event in chain.process(ecg[at : at + 10_000], at)
    ]
    return [event for event in events if isinstance(event, HeartRate)]


def shares(
    rates: list[HeartRate], reference_bpm: Floats, seconds: NDArray[np.bool_]
) -> tuple[float, float]:
    """Share of the seconds with a value, and with one within 2 bpm of the reference."""
    errors = [
        math.inf
        if rate.heart_rate_bpm is None
        else abs(rate.heart_rate_bpm - reference_bpm[rate.t_ns // 10**9])
        for rate in rates
        if rate.t_ns // 10**9 < reference_bpm.size and seconds[rate.t_ns // 10**9]
    ]
    return float(np.mean(np.isfinite(errors))), float(np.mean(np.array(errors) <= 2))


def table(title: str, rows: list[str]) -> None:
    print(f"\n{title}", *rows, sep="\n")


def mitdb_records(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "mitdb").glob("*.atr"))


def test_beats_of_the_arrhythmia_database(chevet_data: Path) -> None:
    rows, worst = [], 100.0
    total_150, total_50 = BeatScore(0, 0, 0), BeatScore(0, 0, 0)
    for record in mitdb_records(chevet_data):
        reference = read_beats(chevet_data / "mitdb" / record)
        found = detect(read_ecg_uv(chevet_data / "mitdb" / record), FS_HZ)
        at_150 = score_beats(reference, found, round(0.15 * FS_HZ))
        at_50 = score_beats(reference, found, round(0.05 * FS_HZ))
        rows.append(
            f"{record}  missed {at_150.n_reference - at_150.n_matched:3d}  extra "
            f"{at_150.n_detected - at_150.n_matched:3d}  F1 {at_150.f1_percent:6.2f} %  "
            f"at 50 ms {at_50.f1_percent:6.2f} %"
        )
        worst = min(worst, at_150.f1_percent)
        total_150, total_50 = total_150 + at_150, total_50 + at_50
    rows.append(f"gross F1 {total_150.f1_percent:.2f} %  at 50 ms {total_50.f1_percent:.2f} %")
    table("mitdb, channel 0, whole records, 150 ms", rows)

    assert total_150.f1_percent >= 99.5
    assert total_50.f1_percent >= 99.0
    assert worst >= 98.0


def test_heart_rate_of_the_arrhythmia_database(chevet_data: Path) -> None:
    rows, within = [], {}
    for record in mitdb_records(chevet_data):
        rates = heart_rates(read_ecg_uv(chevet_data / "mitdb" / record), FS_HZ)
        reference = mean_rates_bpm(read_beats(chevet_data / "mitdb" / record) / FS_HZ, 1800)
        shown, within[record] = shares(rates, reference, np.arange(1800) >= 10)
        rows.append(f"{record}  shown {shown:6.1%}  within 2 bpm {within[record]:6.1%}")
    mean = float(np.mean(list(within.values())))
    table(
        "mitdb, heart rate against the same rule over the annotations", [*rows, f"mean {mean:.1%}"]
    )

    assert within["101"] >= 0.95
    assert mean >= 0.90


def test_heart_rate_of_the_bidmc_monitors(chevet_data: Path) -> None:
    rows, within = [], []
    for header in sorted((chevet_data / "bidmc").glob("bidmc*.hea")):
        ecg = read_ecg_uv(header.with_suffix(""))
        monitor = bidmc_rates_bpm(chevet_data, header.stem[-2:])
        known = np.isfinite(monitor) & (np.arange(monitor.size) >= 10)
        shown, close = shares(heart_rates(ecg, 125), monitor, known)
        within.append(close)
        rows.append(f"{header.stem}  shown {shown:6.1%}  within 2 bpm {close:6.1%}")
    table("bidmc, heart rate against the monitor's", [*rows, f"mean {np.mean(within):.1%}"])

    # The monitor averages some 12 beats and shows them 1-2 s later: in atrial fibrillation and
    # with runs of ectopic beats the two means differ by more than 2 bpm though the beats agree.
    assert np.mean(within) >= 0.85
    assert sum(share >= 0.95 for share in within) >= 14


def bidmc_rates_bpm(folder: Path, number: str) -> Floats:
    path = folder / "bidmc" / "csv" / f"bidmc_{number}_Numerics.csv"
    with path.open(newline="") as opened:
        rows = list(csv.DictReader(opened, skipinitialspace=True))
    return np.array([float(row["HR"]) for row in rows])


@pytest.mark.parametrize("record", ["118", "119"])
def test_electrode_motion_hides_the_heart_rate_before_it_falsifies_it(
    chevet_data: Path, record: str
) -> None:
    clean = read_ecg_uv(chevet_data / "mitdb" / record)
    reference = mean_rates_bpm(read_beats(chevet_data / "mitdb" / record) / FS_HZ, 1800)
    noise = read_ecg_uv(chevet_data / "nstdb" / "em")
    seconds = np.arange(1800)
    noisy = (seconds >= 310) & ((seconds - 300) % 240 >= 10) & ((seconds - 300) % 240 < 120)

    rows, shown, wrong = [], {}, {}
    for snr_db in (24, 12, 6, 0, -6):
        ecg = with_noise(clean, noise, read_beats(chevet_data / "mitdb" / record), snr_db)
        shown[snr_db], close = shares(heart_rates(ecg, FS_HZ), reference, noisy)
        wrong[snr_db] = shown[snr_db] - close
        rows.append(f"{snr_db:3d} dB  shown {shown[snr_db]:6.1%}  within 2 bpm {close:6.1%}")
    table(f"{record} with electrode motion, noisy minutes only", rows)

    assert shown[24] >= 0.95
    assert shown[0] <= 0.05
    assert max(wrong.values()) <= 0.06


def with_noise(ecg: Floats, noise: Floats, beats: NDArray[np.int64], snr_db: float) -> Floats:
    """Add noise in every other two minutes from the fifth on, as the noise stress test does.

    The signal's power is an eighth of the squared height of its QRS complexes, as for a sine.
    """
    n_half = round(QRS_RMS_S * FS_HZ)
    heights = [np.ptp(ecg[i - n_half : i + n_half + 1]) for i in beats[1:300]]
    spread = [noise[i : i + FS_HZ].std() for i in range(0, 300 * FS_HZ, FS_HZ)]
    power = float(np.mean(np.sort(heights)[15:-15])) ** 2 / 8
    gain = math.sqrt(power / 10 ** (snr_db / 10)) / float(np.mean(np.sort(spread)[15:-15]))
    added = np.zeros(ecg.size)
    for start in range(300 * FS_HZ, ecg.size, 240 * FS_HZ):
        stop = min(start + 120 * FS_HZ, ecg.size)
        added[start:stop] = gain * (noise[start:stop] - noise[start])
        added[stop:] = added[stop - 1]
    return ecg + added
