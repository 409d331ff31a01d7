"""Sensors, an agent's framer and spool, and a broker, all counted, for tests that hurt."""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge.framer import ChannelFormat, Framer
from edge.ledger import ChannelTotals, totals_of
from edge.spool.rows import Row
from edge.spool.spool import Spool, SpoolError
from ingest.codec import decode_frame
from ingest.frame import DeviceEvent, DeviceEventKind, Frame, Gap, GapCause, SamplePeriod

PERIOD = SamplePeriod(ns_numerator=1_000_000_000, ns_denominator=130)
T0_NS = 10**18
CAUSES = [GapCause.RADIO_LOSS, GapCause.LINK_LOST, GapCause.UNDECODABLE, GapCause.OVERFLOW]


class Sensor:
    """A channel that counts its samples; each sample's value is its number."""

    def __init__(self, name: str, n_taken: int = 0) -> None:
        self.name = name
        self.n_taken = n_taken
        self.n_unknown = 0
        """Taken, and the agent that knew of it was killed before it could store anything of it."""
        self.n_before_run = 0

    @property
    def on_air(self) -> int:
        return self.n_taken - self.n_unknown

    @property
    def state(self) -> str:
        """What an agent keeps of a stream."""
        return f"{self.n_taken} {self.n_before_run}"

    def send(self, framer: Framer, n_samples: int) -> None:
        framer.add_samples(
            ChannelFormat(
                device_id="strap-1",
                channel=self.name,
                mdc_code=131328,
                unit="mV",
                scale=1e-3,
                offset=0.0,
                period=PERIOD,
            ),
            np.arange(self.n_taken, self.n_taken + n_samples, dtype=np.int32),
            i_first=self.n_taken - self.n_before_run,
            t0_ns=T0_NS + PERIOD.offset_ns(self.n_taken),
            received_ns=T0_NS,
        )
        self.n_taken += n_samples

    def lose(self, framer: Framer, n_samples: int, cause: GapCause) -> None:
        self.tell_gap(framer, self.n_taken, n_samples, cause)
        self.n_taken += n_samples

    def tell_gap(self, framer: Framer, n_first: int, n_samples: int, cause: GapCause) -> None:
        framer.add_gap(
            Gap(
                device_id="strap-1",
                channel=self.name,
                cause=cause,
                i_first=n_first - self.n_before_run,
                n_samples=n_samples,
                t0_ns=T0_NS + PERIOD.offset_ns(n_first),
            )
        )


class Ward:
    """One agent after the other on one spool; what it sends and what it loses is counted."""

    def __init__(
        self,
        path: Path,
        n_taken: Mapping[str, int] = MappingProxyType({"a": 0, "b": 0}),
        **settings: Any,  # noqa: ANN401
    ) -> None:
        self.path = path
        self.settings = {"n_bytes_max": 1 << 40, "owner": "a-1/p-1", **settings}
        self.sensors = {name: Sensor(name, n) for name, n in n_taken.items()}
        self.streaming: set[str] = set()
        self.broker: dict[int, bytes] = {}
        self.start()

    def start(self) -> None:
        """Start an agent: it goes on numbering from what the spool has kept."""
        self.spool = Spool(self.path, **self.settings)
        self.framer = Framer("p-1", "a-1", self.spool.taken())
        states = self.spool.streams()
        taken = self.spool.taken()
        self.streaming = set(states)
        for name, sensor in self.sensors.items():
            if name in states:
                n_taken, sensor.n_before_run = map(int, states[name].split())
                if n_missing := sensor.n_taken - n_taken:
                    sensor.tell_gap(self.framer, n_taken, n_missing, GapCause.AGENT_DOWN)
                continue
            known = taken.get(("strap-1", name))
            sensor.n_unknown = sensor.n_taken - (0 if known is None else known.on_air)
            sensor.n_before_run = sensor.n_taken

    # What may happen

    def send(self, name: str, n_samples: int) -> None:
        self._begin(name)
        self.sensors[name].send(self.framer, n_samples)

    def lose(self, name: str, n_samples: int) -> None:
        self._begin(name)
        cause = CAUSES[n_samples % len(CAUSES)]
        self.sensors[name].lose(self.framer, n_samples, cause)

    def _begin(self, name: str) -> None:
        if name not in self.streaming:
            self.streaming.add(name)
            self.sensors[name].n_before_run = self.sensors[name].n_taken

    def stop_stream(self, name: str) -> None:
        self.streaming.discard(name)
        event = DeviceEvent(
            device_id="strap-1", kind=DeviceEventKind.STREAM_STOPPED, t_ns=T0_NS, detail=name
        )
        self.framer.add_event(event)

    def flush(self) -> SpoolError | None:
        """Store what was collected; take it back where that is not possible."""
        if self.framer.empty:
            return None
        frames = self.framer.cut(self.spool.next_sequence, stored=self.spool.stored())
        states = {name: self.sensors[name].state for name in self.streaming}
        try:
            self.spool.append(frames, states, self.framer.taken())
        except SpoolError as error:
            self.framer.restore(frames)
            return error
        return None

    def give_up(self, n_samples: int) -> None:
        self.framer.give_up(n_samples, GapCause.SPOOL_FULL)

    def deliver(self, n_frames: int, *, acknowledged: bool = True) -> None:
        """Send the oldest Frames; the word that they have arrived may get lost."""
        frames = self.spool.oldest(n_frames)
        for one in frames:
            # What comes twice is the same.
            assert self.broker.setdefault(one.sequence, one.payload) == one.payload
        if frames and acknowledged:
            self.spool.acknowledge_to(frames[-1].sequence)

    def kill(self) -> None:
        """Lose the agent as SIGKILL would: what is on disk stays, and nothing else."""
        copy = self.path.with_name("copy")
        for end in ("", "-wal"):
            beside = self.path.with_name(self.path.name + end)
            if beside.exists():
                shutil.copy(beside, copy.with_name(copy.name + end))
        self.spool.close()
        for end in ("-wal", ""):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
            if copy.with_name(copy.name + end).exists():
                copy.with_name(copy.name + end).rename(self.path.with_name(self.path.name + end))
        self.start()

    def drain(self) -> None:
        """Store and deliver everything that there is."""
        self.stop_stream("nobody")
        assert self.flush() is None
        while self.spool.size().n_frames:
            self.deliver(50)
            if self.spool._books.gaps:
                # What gave way last is told when nothing gives way any more.
                self.stop_stream("nobody")
                assert self.flush() is None

    # What must hold

    def totals(self) -> dict[str, ChannelTotals]:
        found = totals_of(self.framer.taken(), self.spool.stored())
        return {one.channel: one for one in found}

    def waiting(self) -> dict[int, Frame]:
        """Read what is in the file and was not acknowledged, past the spool."""
        rows: list[Row] = self.spool._file.rows(after=-1, n_rows_max=10**9)
        return {
            row.sequence: decode_frame(self.spool._seals.open(row.key_id, row.payload, row.about()))
            for row in rows
            if row.sequence not in self.spool._way.acknowledged
        }

    def check(self) -> None:
        """Hold the ledger against what was taken and against what lies on disk."""
        waiting = self.waiting()
        n_waiting = samples_of(waiting.values())
        arrived = [decode_frame(one) for n, one in self.broker.items() if n not in waiting]
        n_arrived = samples_of(arrived)
        totals = self.totals()
        for name, sensor in self.sensors.items():
            if name not in totals:
                assert sensor.on_air == 0
                continue
            one = totals[name]
            assert one.on_air == sensor.on_air, one
            assert one.unaccounted == 0, one
            assert one.waiting == n_waiting[name], one
            assert one.acknowledged == n_arrived[name], one
            assert min(one.held, one.waiting, *one.dropped.values(), 0) == 0, one
        size = self.spool.size()
        assert size.n_frames == len(waiting)
        assert size.n_samples == n_waiting.total()

    def check_all_arrived(self) -> dict[str, ChannelTotals]:
        """Once all is drained: what came and what is in gaps is what was taken."""
        self.check()
        frames = [decode_frame(self.broker[n]) for n in sorted(self.broker)]
        totals = self.totals()
        n_arrived, n_in_gaps = samples_of(frames), gaps_of(frames)
        for name, sensor in self.sensors.items():
            assert n_arrived[name] + n_in_gaps[name] == sensor.on_air
            values = [
                int(count)
                for frame in frames
                for block in frame.waveforms
                if block.channel == name
                for count in block.counts
            ]
            assert len(set(values)) == len(values) == n_arrived[name]
            if name in totals:
                lost = totals[name].dropped, totals[name].in_gaps
                assert sum(sum(one.values()) for one in lost) == n_in_gaps[name]
                assert (totals[name].held, totals[name].waiting) == (0, 0)
        return totals


def samples_of(frames: Any) -> Counter[str]:  # noqa: ANN401
    n_samples: Counter[str] = Counter()
    for frame in frames:
        for block in frame.waveforms:
            n_samples[block.channel] += block.n_samples
    return n_samples


def gaps_of(frames: Any) -> Counter[str]:  # noqa: ANN401
    n_samples: Counter[str] = Counter()
    for frame in frames:
        for gap in frame.gaps:
            n_samples[gap.channel] += gap.n_samples
    return n_samples
