"""Speed on one core: the pipeline in chunks of a second, whole recordings, and the peers.

CPU time of this process; the repetitions of all candidates take turns, so that what else the
machine does meets all of them, and the median is taken.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import Frame
from processors.dsp.sample_clock import SampleClock
from processors.pipeline import SubjectPipeline
from tests.benchmarks import results, subject

Floats = NDArray[np.float64]

STREAM_S: Final = 300
WHOLE_S: Final = 1800
WHOLE_HZ: Final = 360
N_REPEATS: Final = 7
SLOW_S: Final = 1.0
"""A candidate that takes longer is run three times only."""
N_REPEATS_SLOW: Final = 3
YARDSTICK: Final = "sleepecg (compiled)"
SNAPSHOT_EVERY_S: Final = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that takes a signal of some length."""

    group: str
    name: str
    signal_s: int
    run: Callable[[], object]


def _stream(frames: list[Frame], *, snapshot: bool = False) -> Callable[[], object]:
    def run() -> None:
        pipeline = SubjectPipeline("benchmark")
        for i, frame in enumerate(frames):
            pipeline.process(frame)
            if snapshot and i % SNAPSHOT_EVERY_S == 0:
                pipeline.to_bytes()

    return run


def _streams() -> list[Candidate]:
    everything = subject.frames(STREAM_S)
    ecg = subject.frames(STREAM_S, only=("ecg",))
    group = "streams in Frames of one second"
    found = [
        Candidate(group, "whole subject", STREAM_S, _stream(everything)),
        Candidate(group, "ECG alone", STREAM_S, _stream(ecg)),
        Candidate(group, "ECG chain alone, no Frames", STREAM_S, _chain_in_chunks()),
        Candidate(
            group, "pulse wave alone", STREAM_S, _stream(subject.frames(STREAM_S, only=("pleth",)))
        ),
        Candidate(
            group, "respiration alone", STREAM_S, _stream(subject.frames(STREAM_S, only=("resp",)))
        ),
        Candidate(
            group,
            "accelerometer alone",
            STREAM_S,
            _stream(subject.frames(STREAM_S, only=("acc/x", "acc/y", "acc/z"))),
        ),
    ]
    if hasattr(SubjectPipeline, "to_bytes"):
        name = f"whole subject, state written every {SNAPSHOT_EVERY_S} s"
        found.insert(1, Candidate(group, name, STREAM_S, _stream(everything, snapshot=True)))
    return found


def _chain_in_chunks() -> Callable[[], object]:
    from processors.vitals.ecg import EcgChain

    fs_hz = 250
    ecg = subject.ecg_uv(STREAM_S, fs_hz)
    clock = SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=fs_hz)

    def run() -> None:
        chain = EcgChain(fs_hz, clock)
        for i in range(0, ecg.size, fs_hz):
            chain.process(ecg[i : i + fs_hz], i)

    return run


def _wholes() -> list[Candidate]:
    ecg = subject.ecg_uv(WHOLE_S, WHOLE_HZ)
    group = "half an hour of ECG at 360 Hz, whole"
    runs: dict[str, Callable[[], object]] = {
        YARDSTICK: lambda: _sleepecg(ecg),
        "chevet, R peaks": lambda: _r_peaks(ecg),
        "chevet, ECG chain": lambda: _ecg_chain(ecg),
        "chevet, pipeline": _stream(_whole_frame(ecg)),
        "NeuroKit2": lambda: _neurokit(ecg),
        "wfdb XQRS": lambda: _xqrs(ecg),
        "HeartPy": lambda: _heartpy(ecg),
    }
    return [Candidate(group, name, WHOLE_S, run) for name, run in runs.items()]


def _whole_frame(ecg: Floats) -> list[Frame]:
    channel = subject.Channel("ecg", codes.ECG, WHOLE_HZ, ecg, "uV", 1.0)
    block = channel.block(0, WHOLE_S)
    return [Frame(subject_id="benchmark", agent_id="benchmark", sequence=0, waveforms=(block,))]


def _clock() -> SampleClock:
    return SampleClock(epoch_ns=0, period_num_ns=10**9, period_den=WHOLE_HZ)


def _r_peaks(ecg: Floats) -> object:
    from processors.dsp.r_peaks import RPeakDetector

    return RPeakDetector(WHOLE_HZ).process(ecg)


def _ecg_chain(ecg: Floats) -> object:
    from processors.vitals.ecg import EcgChain

    return EcgChain(WHOLE_HZ, _clock()).process(ecg, 0)


def _sleepecg(ecg: Floats) -> object:
    from sleepecg.heartbeats import detect_heartbeats

    return detect_heartbeats(ecg, WHOLE_HZ)


def _neurokit(ecg: Floats) -> object:
    import neurokit2

    cleaned = neurokit2.ecg_clean(ecg / 1e3, sampling_rate=WHOLE_HZ)
    return neurokit2.ecg_peaks(cleaned, sampling_rate=WHOLE_HZ)


def _xqrs(ecg: Floats) -> object:
    from wfdb import processing

    return processing.xqrs_detect(ecg / 1e3, fs=WHOLE_HZ, verbose=False)


def _heartpy(ecg: Floats) -> object:
    import heartpy

    return heartpy.process(heartpy.scale_data(ecg), WHOLE_HZ)


def _seconds(run: Callable[[], object]) -> float:
    began_s = time.process_time()
    run()
    return time.process_time() - began_s


def measure() -> dict[str, Any]:
    """Measure everything, print the table, and keep it.

    Returns
    -------
    What is in the JSON.
    """
    candidates = [*_streams(), *_wholes()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The first run compiles kernels and imports the peers.
        first = {one.name: _seconds(one.run) for one in candidates}
        taken: dict[str, list[float]] = {one.name: [] for one in candidates}
        for i in range(N_REPEATS):
            for one in candidates:
                if i < N_REPEATS_SLOW or first[one.name] < SLOW_S:
                    taken[one.name].append(_seconds(one.run))
    medians_s = {name: statistics.median(seconds) for name, seconds in taken.items()}
    rows = [
        {
            "group": one.group,
            "name": one.name,
            "ms_per_s": 1e3 * medians_s[one.name] / one.signal_s,
            "times_real_time": one.signal_s / medians_s[one.name],
            "ratio": medians_s[one.name] / medians_s[YARDSTICK]
            if one.signal_s == WHOLE_S
            else None,
            "n_repeats": len(taken[one.name]),
        }
        for one in candidates
    ]
    found: dict[str, Any] = {"rows": rows, "yardstick": YARDSTICK}
    _show(rows)
    results.save("speed", found)
    return found


def _show(rows: list[dict[str, Any]]) -> None:
    for group in dict.fromkeys(row["group"] for row in rows):
        results.show(
            f"{group} (one core, CPU time, median)",
            ("", "ms per s", "x real time", f"/ {YARDSTICK}"),
            [
                (
                    row["name"],
                    results.cell(row["ms_per_s"], 4),
                    results.cell(row["times_real_time"], 0),
                    results.cell(row["ratio"]),
                )
                for row in rows
                if row["group"] == group
            ],
        )
