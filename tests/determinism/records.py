"""What is played, and the digest of what follows."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from ingest.frame import NS_PER_S, Frame, WaveformBlock
from ingest.observation import Observation
from ingest.observation_digest import ObservationDigest
from ingest.recording import Recording, open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.pipeline import Output, SubjectPipeline

RECORDS = ("mitdb/208", "bidmc/bidmc31")
"""Two leads with many ectopic beats; one lead, light and respiration."""
SECONDS = 40
START = "2000-01-01T00:00:00"
START_NS = 946_684_800 * NS_PER_S
"""The same moment."""
FRAME_S = Fraction(1, 4)
"""As `chevet replay` and agents cut."""
BEHIND_S = 60
"""From the end of a record to the sample with which all is said that is known of it."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is compared."""

    observations: str
    n_observations: int
    alarms: frozenset[tuple[object, ...]]
    """All of them but the subject's name."""

    def __str__(self) -> str:
        return f"{self.observations[:12]} {self.n_observations:5d}"


def digest_of(outputs: Iterable[Output]) -> Digest:
    digest = ObservationDigest()
    alarms: set[tuple[object, ...]] = set()
    for one in outputs:
        if isinstance(one, Observation):
            digest.add(one)
        else:
            alarms.add((one.t_ns, one.name, one.priority, one.active, one.detail))
    return Digest(digest.hexdigest(), digest.n_observations, frozenset(alarms))


def processed(frames: Iterable[Frame]) -> Digest:
    """Run Frames through a pipeline in this process."""
    pipeline = SubjectPipeline("offline")
    return digest_of(output for frame in frames for output in pipeline.process(frame))


def path_of(name: str) -> str:
    return str(Path(os.environ["CHEVET_DATA"]) / name)


def opened(name: str) -> Recording:
    return open_recording(path_of(name), beats=False)


def recorded(
    name: str, frame_s: Fraction = FRAME_S, *, seconds: float | None = SECONDS
) -> list[Frame]:
    """Cut a record as `chevet replay` does, and close it."""
    plan = ReplayPlan(
        subject_id="offline",
        agent_id="replay",
        start_ns=START_NS,
        frame_s=frame_s,
        seconds_max=seconds,
    )
    frames = list(frames_of(opened(name), plan))
    return [*frames, closing(frames)]


def closing(frames: Sequence[Frame]) -> Frame:
    """Make the Frame that ends a record: a sample of each channel, a minute behind its last.

    It is an agent's of its own, so that it is the same one whoever has sent the others.
    """
    last: dict[tuple[str, str], WaveformBlock] = {}
    for frame in frames:
        last |= {(block.device_id, block.channel): block for block in frame.waveforms}
    blocks: list[WaveformBlock] = []
    for block in last.values():
        i_first = block.i_end + round(BEHIND_S * block.period.rate_hz)
        t0_ns = block.time_ns(i_first)
        blocks.append(replace(block, i_first=i_first, t0_ns=t0_ns, counts=block.counts[-1:]))
    return Frame(
        subject_id=frames[0].subject_id, agent_id="end", sequence=0, waveforms=tuple(blocks)
    )


def renamed(frames: Iterable[Frame], subject_id: str) -> list[Frame]:
    return [replace(frame, subject_id=subject_id) for frame in frames]
