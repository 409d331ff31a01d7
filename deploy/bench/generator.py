"""The simulated subjects as a process of their own: Frames onto the topic when they are made.

One connection stands for the agents of all subjects: the Frames that were made within a few
milliseconds leave in one request. A Frame that is late, because this process or the broker is
slow, keeps the time at which it should have left, so that waiting counts as latency.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from deploy.bench.frame_templates import PersonTemplates, avro_string
from deploy.bench.load_plan import LoadPlan
from deploy.bench.waveforms import load_people
from ingest.frame import NS_PER_S
from ingest.kafka import Producer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES

TICK_S: Final = 0.01
"""Frames wait so long for others: at 500 subjects five leave together."""

BATCH_FRAMES_MAX: Final = 500
"""Frames in one request; what is more waits for the next, and is late."""

START_IN_NS: Final = NS_PER_S // 2
_PERCENTILES: Final = (50, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStatistics:
    """What the generator says of itself: at its start, and with everything at its end."""

    n_subjects: int
    seconds: int
    seed: int
    start_ns: int
    n_frames: int = 0
    """Acknowledged by the broker."""
    n_bytes: int = 0
    """Of these, without keys and Kafka's own headers, before compression."""
    late_ms: tuple[float, ...] = ()
    """From the time at which a Frame was due to when it left: median, 99th percentile, longest."""
    acknowledged_ms: tuple[float, ...] = ()
    """From there to the broker's word that it is stored, likewise."""

    @property
    def plan(self) -> LoadPlan:
        """When each Frame was due."""
        return LoadPlan(
            n_subjects=self.n_subjects,
            seconds=self.seconds,
            start_ns=self.start_ns,
            seed=self.seed,
        )

    def write(self, path: Path) -> None:
        """Replace a file by this, at once."""
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(self)), encoding="utf-8")
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> "LoadStatistics":
        """Read what `write` has written."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["late_ms"] = tuple(fields["late_ms"])
        fields["acknowledged_ms"] = tuple(fields["acknowledged_ms"])
        return cls(**fields)


class FrameMaker:
    """Makes the Frames of a plan, in order."""

    def __init__(self, plan: LoadPlan, people: Sequence[PersonTemplates]) -> None:
        self._plan = plan
        self._people = people
        self._ids = [plan.subject_id(i) for i in range(plan.n_subjects)]
        self._subjects = [avro_string(subject_id) for subject_id in self._ids]

    def frame(self, k: int) -> tuple[str, bytes]:
        """Give key and payload of Frame ``k``.

        Subjects of the same recording are at different places of it.
        """
        n, i_subject = divmod(k, self._plan.n_subjects)
        person = self._people[i_subject % len(self._people)]
        payload = person.payload(
            self._subjects[i_subject], n, self._plan.made_ns(k), n + 7 * i_subject
        )
        return self._ids[i_subject], payload


async def run_load(
    kafka: KafkaSettings,
    records: Sequence[str],
    *,
    n_subjects: int,
    seconds: int,
    statistics: Path | None,
    stop: asyncio.Event,
) -> LoadStatistics:
    """Send Frames for so many seconds, or until ``stop`` is set.

    Parameters
    ----------
    records
        Recordings that the subjects wear in turn.
    statistics
        JSON file, written when the first Frame is about to be made and once more at the end.

    Raises
    ------
    RecordingError, BrokerError, BrokerRefusedError
    """
    people = [PersonTemplates(channels) for channels in load_people(records)]
    async with open_producer(kafka) as producer:
        start_ns = time.time_ns() + START_IN_NS
        plan = LoadPlan(n_subjects=n_subjects, seconds=seconds, start_ns=start_ns)
        begun = LoadStatistics(
            n_subjects=n_subjects, seconds=seconds, seed=plan.seed, start_ns=start_ns
        )
        if statistics is not None:
            begun.write(statistics)
        done = await _send(producer, plan, FrameMaker(plan, people), stop)
    if statistics is not None:
        done.write(statistics)
    return done


async def _send(
    producer: Producer, plan: LoadPlan, maker: FrameMaker, stop: asyncio.Event
) -> LoadStatistics:
    # The wall clock may be set during a run: time goes on as it was at the start.
    wall_ns = time.time_ns() - time.monotonic_ns()
    k = n_bytes = 0
    late_ms: list[float] = []
    acknowledged_ms: list[float] = []
    while k < plan.n_frames and not stop.is_set():
        now_ns = wall_ns + time.monotonic_ns()
        k_end = min(plan.n_made(now_ns), k + BATCH_FRAMES_MAX)
        if k_end == k:
            await asyncio.sleep(max(TICK_S, (plan.made_ns(k) - now_ns) / NS_PER_S))
            continue
        batch = [maker.frame(each) for each in range(k, k_end)]
        await producer.send(FRAMES, batch)
        late_ms.append((now_ns - plan.made_ns(k)) / 1e6)
        acknowledged_ms.append((wall_ns + time.monotonic_ns() - now_ns) / 1e6)
        n_bytes += sum(len(payload) for _, payload in batch)
        k = k_end
    return LoadStatistics(
        n_subjects=plan.n_subjects,
        seconds=plan.seconds,
        seed=plan.seed,
        start_ns=plan.start_ns,
        n_frames=k,
        n_bytes=n_bytes,
        late_ms=_percentiles(late_ms),
        acknowledged_ms=_percentiles(acknowledged_ms),
    )


def _percentiles(values_ms: list[float]) -> tuple[float, ...]:
    if not values_ms:
        return ()
    return tuple(round(float(one), 2) for one in np.percentile(values_ms, _PERCENTILES))
