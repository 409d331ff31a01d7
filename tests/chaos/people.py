"""The people of a chaos run: their Frames, and all that follows when nothing goes wrong."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.readback import Stored, read_files
from ingest.frame import Frame
from ingest.observation import Observation
from processors.pipeline import Output, SubjectPipeline
from processors.sinks.lines import LineEncoder
from tests.benchmarks import subject

SECONDS_APART = 3
"""Everybody begins so much later in the same five minutes than the one before: no two are alike."""

Identity = tuple[object, ...]


def people(n_subjects: int, seconds: int) -> dict[str, list[Frame]]:
    """Give everybody's Frames of one second, by subject."""
    frames = subject.frames(seconds + SECONDS_APART * n_subjects)
    found: dict[str, list[Frame]] = {}
    for n in range(n_subjects):
        name = f"chaos-{n:02d}"
        first = n * SECONDS_APART
        found[name] = [
            replace(frame, subject_id=name, agent_id=f"agent-{n:02d}", sequence=i)
            for i, frame in enumerate(frames[first : first + seconds])
        ]
    return found


@dataclass(frozen=True, slots=True)
class Truth:
    """What an undisturbed run gives."""

    outputs: dict[Identity, Output]
    stored: Stored


def truth_of(everybody: dict[str, list[Frame]], folder: Path) -> Truth:
    """Run everybody's pipeline in this process, and write what a sink would."""
    outputs: list[Output] = []
    for name, frames in everybody.items():
        pipeline = SubjectPipeline(name)
        for frame in frames:
            outputs += pipeline.process(frame)
    encoder = LineEncoder()
    with (folder / "part-000001.lp").open("wb") as file:
        for frames in everybody.values():
            for frame in frames:
                file.writelines(line + b"\n" for line in encoder.frame(frame))
        for output in outputs:
            if isinstance(output, Observation):
                file.writelines(line + b"\n" for line in encoder.observation(output))
    return Truth(by_identity(outputs), read_files(folder))


def by_identity(outputs: Iterable[Output]) -> dict[Identity, Output]:
    """Key outputs by what makes two of them the same one; refuse two that differ."""
    found: dict[Identity, Output] = {}
    for output in outputs:
        key = (type(output).__name__, *output.identity)
        if found.setdefault(key, output) != output:
            raise AssertionError(f"twice and different: {found[key]} and {output}")
    return found


def differences(found: dict[Identity, Output], wanted: dict[Identity, Output]) -> str:
    """Say what is missing, extra or different; empty where nothing is."""
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    different = [key for key in found if key in wanted and found[key] != wanted[key]]
    if not (missing or extra or different):
        return ""
    examples = [f"{kind} {keys[:3]}" for kind, keys in (
        ("missing", missing), ("extra", extra), ("different", different)
    ) if keys]  # fmt: skip
    return (
        f"{len(missing)} missing, {len(extra)} extra, {len(different)} different of "
        f"{len(wanted)}: {'; '.join(examples)}"
    )


def stored_differences(found: Stored, wanted: Stored) -> str:
    """Say in what two stores differ; empty where they do not."""
    for kind in ("samples", "observations", "readings"):
        ours, theirs = getattr(found, kind), getattr(wanted, kind)
        if ours.keys() != theirs.keys():
            return f"series of {kind}: {sorted(ours.keys() ^ theirs.keys())[:3]}"
        for key, series in ours.items():
            n_found, n_wanted = series.t_ns.size, theirs[key].t_ns.size
            if n_found != n_wanted:
                return f"{kind} {key}: {n_found} points, not {n_wanted}"
            if series.t_ns.tobytes() != theirs[key].t_ns.tobytes():
                return f"{kind} {key}: other times"
            if series.values.tobytes() != theirs[key].values.tobytes():
                return f"{kind} {key}: other values"
    return "" if found.dropped == wanted.dropped else f"gaps {found.dropped}, not {wanted.dropped}"
