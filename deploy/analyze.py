"""``chevet analyze``: recordings through the same pipeline as live signals, no broker between."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_results import Results, prepared
from deploy.analysis_summary import Summary
from deploy.annotation_marks import EVENT_KINDS
from deploy.run_inputs import InputFiles
from deploy.wfdb_files import read_header
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S, Frame, WaveformBlock
from ingest.frame_limits import N_BLOCKS_MAX, N_SAMPLES_MAX
from ingest.observation import Observation
from ingest.recording import Recording, Signal, open_recording
from ingest.replay import ReplayPlan, frames_of, unknown_signals
from processors.pipeline import SubjectPipeline

EPOCH_NS: Final = 946_684_800 * NS_PER_S
"""2000-01-01T00:00:00Z: when every record begins, whatever its header says. Many records do not say
when they were taken, some say it in local time or moved by decades, and the same record must give
the same file: what relates to the clock on the wall is for the reader to add."""

FRAME_S: Final = Fraction(10)
"""Outputs do not depend on how the samples are cut; long Frames cost less. Where so much would be
more than a Frame may hold, they are shorter."""

GAP_S: Final = 60
"""What is behind the end of a record is a gap: it makes the pipeline say what it still knows."""


def analyze(
    spec: str, options: AnalyzeOptions, on_progress: Callable[[float], None] | None = None
) -> Summary:
    """Analyze one record and write its files; each of them is there completely or not at all.

    A run that fails or is interrupted leaves nothing of the record it was at.

    Parameters
    ----------
    spec
        As ``open_recording`` takes it.
    on_progress
        Called with the share that is done.

    Raises
    ------
    RecordingError, RecordError, WfdbFileError
        The record, or the choice of its signals.
    OSError
        A file cannot be written.
    """
    began_s = time.process_time()
    source = InputFiles(spec, options.mapping) if prepared(options) else None
    recording = chosen(open_recording(spec, beats=False, mapping=options.mapping), options)
    facts = source.noted() if source else None
    fs_hz = frame_rate_hz(spec, recording)
    end_ns = EPOCH_NS + round(recording.duration_s * NS_PER_S)
    results = Results(recording.name, options, start_ns=EPOCH_NS, fs_hz=fs_hz, began_s=began_s)
    with results:
        for observation in observations_of(recording, on_progress, options.device_model):
            if observation.t_ns <= end_ns:
                results.add(observation)
        results.end(round(recording.duration_s * fs_hz), _annotators(recording))
    return results.finish(
        facts,
        duration_s=recording.duration_s,
        channels=[signal.name for signal in recording.signals],
        left_out=unknown_signals(recording),
        missing_s={
            signal.name: float(signal.n_missing / signal.sampling_rate)
            for signal in recording.signals
            if signal.missing
        },
    )


def chosen(recording: Recording, options: AnalyzeOptions) -> Recording:
    """Keep the signals that are asked for; what a monitor showed is a reference, never an input.

    Raises
    ------
    RecordingError
        There is no such signal, or none of those that are left is one that can be analyzed.
    """
    signals = list(recording.signals)
    names = ", ".join(f"{i} {signal.name}" for i, signal in enumerate(signals))
    if any(not 0 <= i < len(signals) for i in options.channels):
        raise RecordingError(
            f"{recording.name} has no channel {max(options.channels)}; it has {names}"
        )
    kept = [signals[i] for i in options.channels] or signals
    if options.leads:
        kept = [signal for signal in kept if _is_wanted(signal, options.leads)]
        if not any(signal.kind == "ecg" for signal in kept):
            raise RecordingError(
                f"{recording.name} has no ECG lead called {' or '.join(options.leads)}; "
                f"it has {names}"
            )
    wanted = replace(recording, signals=tuple(kept), numerics={})
    if len(unknown_signals(wanted)) == len(kept):
        raise RecordingError(
            f"{recording.name} has no signal that can be analyzed among "
            f"{', '.join(signal.name for signal in kept)}: needed is an ECG, a plethysmogram, "
            "respiration or an acceleration"
        )
    return wanted


def _is_wanted(signal: Signal, leads: tuple[str, ...]) -> bool:
    return signal.kind != "ecg" or signal.name.upper() in {lead.upper() for lead in leads}


def frame_rate_hz(spec: str, recording: Recording) -> float:
    """Tell what the record's annotations count in: its frames, whatever each signal's rate."""
    path = Path(spec).expanduser()
    header = path.with_name(path.name.removesuffix(".hea") + ".hea")
    if header.is_file():
        return read_header(header).fs_hz
    return float(recording.signals[0].sampling_rate)


def observations_of(
    recording: Recording,
    on_progress: Callable[[float], None] | None = None,
    device_model: str | None = None,
) -> Iterator[Observation]:
    """Run a recording through the pipeline, as the worker would, in order of delivery."""
    pipeline = SubjectPipeline(recording.name)
    frame_s = frame_s_of(recording)
    plan = ReplayPlan(
        subject_id=recording.name,
        agent_id="analyze",
        start_ns=EPOCH_NS,
        frame_s=frame_s,
        device_model=device_model,
    )
    sequence = 0
    for frame in frames_of(recording, plan):
        yield from _observations(pipeline, frame)
        sequence = frame.sequence + 1
        if on_progress is not None:
            on_progress(min(1.0, sequence * float(frame_s) / recording.duration_s))
    yield from _observations(pipeline, _frame_behind(recording, plan, sequence))


def frame_s_of(recording: Recording) -> Fraction:
    """Give the length of a Frame; half of what it may hold leaves room for rounding.

    Where samples are missing a block ends. Where that might be too often for one Frame, it has so
    few samples that even every other one may be missing.
    """
    n_per_s = sum((signal.sampling_rate for signal in recording.signals), Fraction(0))
    n_blocks = sum(len(signal.missing) + 1 for signal in recording.signals)
    n_samples_max = N_SAMPLES_MAX if n_blocks <= N_BLOCKS_MAX else N_BLOCKS_MAX
    return min(FRAME_S, Fraction(n_samples_max, 2) / n_per_s)


def _observations(pipeline: SubjectPipeline, frame: Frame) -> Iterator[Observation]:
    for output in pipeline.process(frame):
        if isinstance(output, Observation):
            yield output


def _frame_behind(recording: Recording, plan: ReplayPlan, sequence: int) -> Frame:
    """Make a Frame with one sample of each channel, a minute behind the record's last."""
    last = [replace(one, counts=one.counts[-1:], missing=()) for one in recording.signals]
    frame = next(frames_of(replace(recording, signals=tuple(last)), plan))
    behind_ns = round((recording.duration_s + GAP_S) * NS_PER_S)
    blocks: list[WaveformBlock] = []
    for block in frame.waveforms:
        i_first = behind_ns * block.period.ns_denominator // block.period.ns_numerator
        t0_ns = EPOCH_NS + block.period.offset_ns(i_first)
        blocks.append(replace(block, i_first=i_first, t0_ns=t0_ns))
    return replace(frame, sequence=sequence, waveforms=tuple(blocks))


def _annotators(recording: Recording) -> list[str]:
    kinds = {signal.kind for signal in recording.signals}
    return [kind.annotator for kind in EVENT_KINDS if kind.signal in kinds]
