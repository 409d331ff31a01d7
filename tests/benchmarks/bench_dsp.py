"""Samples per second of the ECG chain: ``pytest tests/benchmarks/bench_dsp.py``.

Chunks of 90 samples, as a sensor sends them; the detector of sleepecg, which takes a whole
recording at once, stands beside it as the yardstick of the machine.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from sleepecg.heartbeats import detect_heartbeats

from processors.dsp.r_peaks import RPeakDetector
from processors.dsp.sample_clock import SampleClock
from processors.vitals.ecg import EcgChain
from tests.processors_core.scoring import wheel_ecg_uv

Floats = NDArray[np.float64]

FS_HZ = 360
N_CHUNK = 90
ECG = wheel_ecg_uv()
CHUNKS = [(i, ECG[i : i + N_CHUNK]) for i in range(0, ECG.size, N_CHUNK)]


def run_detector() -> None:
    detector = RPeakDetector(FS_HZ)
    for _, chunk in CHUNKS:
        detector.process(chunk)


def run_chain() -> None:
    chain = EcgChain(FS_HZ, SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=FS_HZ))
    for i_first, chunk in CHUNKS:
        chain.process(chunk, i_first)


def run_chain_whole() -> None:
    chain = EcgChain(FS_HZ, SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=FS_HZ))
    chain.process(ECG, 0)


def run_sleepecg() -> None:
    detect_heartbeats(ECG, FS_HZ)


@pytest.mark.parametrize("run", [run_sleepecg, run_detector, run_chain, run_chain_whole])
def test_samples_per_second(benchmark: BenchmarkFixture, run: Callable[[], None]) -> None:
    benchmark.group = "ecg, five minutes at 360 Hz"

    benchmark(run)

    if benchmark.stats is not None:  # None under --benchmark-disable
        seconds = benchmark.stats.stats.min
        benchmark.extra_info["samples_per_second"] = round(ECG.size / seconds)
        benchmark.extra_info["cpu_seconds_per_hour"] = round(seconds * 12, 3)
        print(f"\n{run.__name__}: {ECG.size / seconds:,.0f} samples/s, {seconds * 12:.2f} s/h")


def test_state_to_bytes_and_back(benchmark: BenchmarkFixture) -> None:
    chain = EcgChain(FS_HZ, SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=FS_HZ))
    chain.process(ECG[:7200], 0)

    benchmark(lambda: EcgChain.from_bytes(chain.to_bytes()))
