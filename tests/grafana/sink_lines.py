"""Lines of the measurements that the boards read beside those of Frames and Observations."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from ingest.frame import NS_PER_S, Frame
from ingest.observation import Observation

MINUTE_NS: Final = 60 * NS_PER_S
SLOT_NS: Final = 40_000_000


def trends(observations: Iterable[Observation]) -> Iterator[bytes]:
    """Put the observations of each minute together."""
    minutes: dict[tuple[str, str, str, int], list[Observation]] = defaultdict(list)
    for one in observations:
        begin_ns = one.t_ns // MINUTE_NS * MINUTE_NS
        minutes[one.subject_id, one.name, one.algorithm, begin_ns].append(one)
    for (subject, name, algorithm, begin_ns), those in minutes.items():
        values = [one.value for one in those if one.value is not None]
        quality = float(np.mean([one.quality for one in those]))
        figures = f"n_values={len(values)}i,n_missing={len(those) - len(values)}i,quality={quality}"
        if values:
            mean = float(np.mean(values))
            figures += f",mean={mean},min={float(min(values))},max={float(max(values))}"
        series = f"trend,algorithm={algorithm},name={name},subject={subject}"
        yield f"{series} {figures} {begin_ns}".encode()


def envelopes_25hz(frames: Iterable[Frame]) -> Iterator[bytes]:
    """Give the least and the greatest count of every 40 ms."""
    for frame in frames:
        for block in frame.waveforms:
            slots = block.times_ns() // SLOT_NS
            begins = np.flatnonzero(np.diff(slots, prepend=-1))
            low = np.minimum.reduceat(block.counts, begins)
            high = np.maximum.reduceat(block.counts, begins)
            n_samples = np.diff([*begins, block.n_samples])
            series = (
                f"envelope_25hz,channel={block.channel},device={block.device_id},"
                f"subject={frame.subject_id}"
            )
            yield "\n".join(
                f"{series} min={least}i,max={greatest}i,n_samples={n}i {slots[i] * SLOT_NS}"
                for i, least, greatest, n in zip(begins, low, high, n_samples, strict=True)
            ).encode()


def ledger_lines(frame: Frame) -> Iterator[bytes]:
    """Say an agent's totals, at the newest thing in the Frame."""
    t_ns = max(reading.t_ns for reading in frame.readings)
    for one in frame.ledger:
        yield (
            f"ledger,agent={frame.agent_id},channel={one.channel},device={one.device_id},"
            f"subject={frame.subject_id} on_air={one.on_air}i,decoded={one.decoded}i,"
            f"framed={one.framed}i,spooled={one.spooled}i,acknowledged={one.acknowledged}i {t_ns}"
        ).encode()


def role_status_lines(
    subject: str, agent: str, roles: Sequence[str], end_ns: int, *, last: str = "ready"
) -> Iterator[bytes]:
    """Let every role say each second of the last minute that it is ready, but for the last."""
    for role in roles:
        instance = f"{subject}/{agent}" if role == "agent" else f"{role}-1"
        gauges = ",links_up=1.0,links_wanted=2.0,spool_frames=4.0,spool_bytes=2048.0"
        for second in range(60):
            state = "ready" if second else last
            yield (
                f'role_status,instance={instance},role={role} state="{state}",reason=""'
                f"{gauges if role == 'agent' else ''} {end_ns - second * NS_PER_S}"
            ).encode()
