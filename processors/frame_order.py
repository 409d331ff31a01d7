"""A subject's Frames, as they were delivered, put into the order in which their agents made them.

Each agent counts its Frames of a subject without holes. A Frame that was seen is dropped. One that
is ahead of its turn is held; when what is missing has not come by the bound, the hole is counted
and said (``frames_missing``), and what was held goes on. What comes after that is late: the streams
have passed its samples, so these are counted, and its readings and events go on alone. Nobody waits
for another agent, and nothing here reads a clock: an agent that falls silent behind a hole leaves
what is held where it is until it speaks again.

A Frame whose samples are all far ahead of what the subject has is doubted: it goes on with the
agent's next one if that bears its time out, and without its samples otherwise. Those that are far
ahead of others in their Frame are left out at once. Of the very first Frame nothing tells what it
is: when the next one is far behind it, the subject begins again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum, auto
from typing import Final

from ingest.codec import decode_frame, encode_frame
from ingest.errors import RecordError
from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent
from processors.alarms.technical import FramesMissingAlarm
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.frame_numbering import Numbering, Place
from processors.frame_times import FAR_NS, SampleTimes, newest_ns_of
from processors.order_counts import OrderCounts

_KIND = "frame_order"
_VERSION = 1

HELD_FRAMES_MAX: Final = 64
"""Of one agent. With more of them behind a hole it is given up."""

HELD_NS_MAX: Final = 5 * NS_PER_S
"""So is one when the Frames behind it span more event time than this: an outage of the broker sends
Frames again within it, and the technical alarm for a missing heart rate needs twice as long."""

HELD_BYTES_MAX: Final = 1_000_000
"""Of all agents of a subject together, as encoded: they go into each state. Beyond, the hole before
the Frame that came last is given up."""

AGENTS_MAX: Final = 16
"""Of one subject. Beyond, the one whose event time is oldest is forgotten, and what is held of it
goes on."""


class BeginAgain(Enum):
    """Forget what follows from the Frames so far: their time was wrong."""

    BEGIN_AGAIN = auto()


Ordered = Frame | AlarmEvent | BeginAgain


@dataclass(slots=True)
class _Agent:
    numbering: Numbering
    held: dict[int, tuple[Frame, int]] = field(default_factory=dict[int, tuple[Frame, int]])
    """Frames ahead of their turn and their encoded length, by sequence."""
    doubted: tuple[Frame, int] | None = None


class FrameOrder:
    """Takes the Frames of one subject; gives them back in order, with what is said of holes."""

    def __init__(self, subject_id: str) -> None:
        self._agents: dict[str, _Agent] = {}
        self._alarm = FramesMissingAlarm(subject_id)
        self._times = SampleTimes()
        self._n_bytes_held = 0
        self.counts = OrderCounts()

    def take(self, frame: Frame) -> Sequence[Ordered]:
        """Take the next Frame as delivered; give those whose turn has come, and alarms between."""
        agent = self._agents.get(frame.agent_id)
        if agent is None:
            return self._begin(frame)
        numbering = agent.numbering
        t_ns = newest_ns_of(frame)
        place = numbering.place_of(frame.sequence, t_ns)
        if place is Place.NEXT:  # nearly always
            numbering.take_next(t_ns)
            given = self._believed(agent, frame, t_ns)
            return given if not agent.held else [*given, *self._drain(agent)]
        return self._out_of_turn(agent, frame, t_ns, place)

    def _begin(self, frame: Frame) -> Sequence[Ordered]:
        """Begin with an agent's first Frame, whatever its sequence."""
        given: list[Ordered] = []
        if len(self._agents) >= AGENTS_MAX:
            oldest = min(self._agents, key=lambda one: self._agents[one].numbering.newest_ns)
            given += self._release(oldest)
            del self._agents[oldest]
            self.counts.n_agents_forgotten += 1
        t_ns = newest_ns_of(frame)
        agent = _Agent(Numbering.beginning(frame.sequence, t_ns))
        self._agents[frame.agent_id] = agent
        return [*given, *self._believed(agent, frame, t_ns)]

    def _out_of_turn(
        self, agent: _Agent, frame: Frame, t_ns: int | None, place: Place
    ) -> Sequence[Ordered]:
        counts = self.counts
        if place is Place.REPEATED or frame.sequence in agent.held:
            counts.n_frames_repeated += 1
            counts.n_samples_repeated += frame.n_samples
            return ()
        if place is Place.AHEAD:
            return self._hold(agent, frame)
        if place is Place.LATE:
            counts.n_frames_late += 1
            counts.n_samples_late += frame.n_samples
            agent.numbering.take_late(frame.sequence)
            return (replace(frame, waveforms=()),)
        if place is Place.ODD:
            return (self._without_far_samples(frame),)
        counts.n_agents_begun_anew += 1
        given = self._release(frame.agent_id)
        agent.numbering.begin_anew(frame.sequence, t_ns)
        return [*given, *self._believed(agent, frame, t_ns)]

    # Holes

    def _hold(self, agent: _Agent, frame: Frame) -> Sequence[Ordered]:
        n_bytes = _n_bytes(frame)
        agent.held[frame.sequence] = (frame, n_bytes)
        self._n_bytes_held += n_bytes
        self.counts.n_frames_held += 1
        given: list[Ordered] = []
        while agent.held and self._has_waited(agent):
            given += self._give_up_hole(frame.agent_id, agent)
        return given

    def _has_waited(self, agent: _Agent) -> bool:
        if len(agent.held) > HELD_FRAMES_MAX or self._n_bytes_held > HELD_BYTES_MAX:
            return True
        times = [newest_ns_of(frame) for frame, _ in agent.held.values()]
        known = [t_ns for t_ns in times if t_ns is not None]
        return bool(known) and max(known) - min(known) > HELD_NS_MAX

    def _give_up_hole(self, agent_id: str, agent: _Agent) -> list[Ordered]:
        """Go on behind a hole, up to the next one."""
        numbering = agent.numbering
        first, behind = numbering.next_sequence, min(agent.held)
        numbering.skip_to(behind)
        self.counts.n_frames_missing += behind - first
        t_ns = newest_ns_of(agent.held[behind][0])
        at_ns = numbering.newest_ns if t_ns is None else t_ns
        return [self._alarm.missing(at_ns, agent_id, first, behind), *self._drain(agent)]

    def _drain(self, agent: _Agent) -> list[Ordered]:
        """Give what was held and is next now."""
        given: list[Ordered] = []
        while (found := agent.held.pop(agent.numbering.next_sequence, None)) is not None:
            frame, n_bytes = found
            self._n_bytes_held -= n_bytes
            t_ns = newest_ns_of(frame)
            agent.numbering.take_next(t_ns)
            given += self._believed(agent, frame, t_ns)
        return given

    def _release(self, agent_id: str) -> list[Ordered]:
        """Give all that is kept of an agent, as if nothing followed it."""
        agent = self._agents[agent_id]
        given: list[Ordered] = []
        while agent.held:
            given += self._give_up_hole(agent_id, agent)
        if agent.doubted is not None:
            given.append(self._without_far_samples(self._take_doubted(agent)))
        return given

    # Times

    def _believed(self, agent: _Agent, frame: Frame, t_ns: int | None) -> Sequence[Ordered]:
        """Give a Frame whose turn has come, unless its time is doubted."""
        if t_ns is None:
            return ()  # there is nothing in it to process
        given = [] if agent.doubted is None else self._resolved(agent, t_ns)
        if frame.waveforms:
            if not self._times.is_far(t_ns):
                if not self._times.take(t_ns):
                    given.append(BeginAgain.BEGIN_AGAIN)
            elif self._doubt(agent, frame):
                return given
            else:
                frame = self._without_far_samples(frame)
        if self._alarm.active:
            given += self._alarm.at(t_ns)
        return [*given, frame] if given else (frame,)

    def _doubt(self, agent: _Agent, frame: Frame) -> bool:
        """Keep a Frame until the next one; False: it has no room, or samples that are not far."""
        if self._times.near_part(frame).waveforms:
            return False
        n_bytes = _n_bytes(frame)
        if self._n_bytes_held + n_bytes > HELD_BYTES_MAX:
            return False
        agent.doubted = (frame, n_bytes)
        self._n_bytes_held += n_bytes
        return True

    def _resolved(self, agent: _Agent, t_ns: int) -> list[Ordered]:
        """Give the Frame that was doubted, now that one at ``t_ns`` has come."""
        frame = self._take_doubted(agent)
        doubted_ns = newest_ns_of(frame)
        if doubted_ns is None or abs(t_ns - doubted_ns) > FAR_NS:
            return [self._without_far_samples(frame)]
        self._times.bear_out(doubted_ns)
        return [frame]

    def _take_doubted(self, agent: _Agent) -> Frame:
        if agent.doubted is None:
            raise ValueError("no Frame is doubted")
        frame, n_bytes = agent.doubted
        agent.doubted = None
        self._n_bytes_held -= n_bytes
        return frame

    def _without_far_samples(self, frame: Frame) -> Frame:
        kept = self._times.near_part(frame)
        self.counts.n_samples_doubted += frame.n_samples - kept.n_samples
        return kept

    # State

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        children = {"alarm": self._alarm.to_bytes()}
        for n, agent in enumerate(self._agents.values()):
            for place, (frame, _) in enumerate(agent.held.values()):
                children[f"{n}/held/{place}"] = encode_frame(frame)
            if agent.doubted is not None:
                children[f"{n}/doubted"] = encode_frame(agent.doubted[0])
        numberings = [[name, one.numbering.to_row()] for name, one in self._agents.items()]
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "newest_ns": self._times.newest_ns,
                "is_borne_out": self._times.is_borne_out,
                "counts": json.dumps(asdict(self.counts)),
                "agents": json.dumps(numberings),
            },
            children=children,
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes, subject_id: str) -> FrameOrder:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(subject_id)
        newest_ns = kept.optional_integer("newest_ns")
        restored._times = SampleTimes(newest_ns, kept.flag("is_borne_out"))
        restored._alarm = FramesMissingAlarm.from_bytes(kept.child("alarm"))
        with translated_errors(_KIND):
            restored.counts = OrderCounts(**json.loads(kept.text("counts")))
            for agent_id, row in json.loads(kept.text("agents")):
                restored._agents[str(agent_id)] = _Agent(Numbering.of_row(row))
        agents = list(restored._agents.values())
        for key, payload in kept.children.items():
            n_agent, _, what = key.partition("/")
            if what:
                with translated_errors(_KIND):
                    restored._keep(agents[int(n_agent)], what, payload)
        return restored

    def _keep(self, agent: _Agent, what: str, payload: bytes) -> None:
        """Take back a Frame of a state."""
        try:
            frame = decode_frame(payload)
        except RecordError as error:
            raise MalformedStateError(f"{_KIND}: {error}") from error
        self._n_bytes_held += len(payload)
        if what == "doubted":
            agent.doubted = (frame, len(payload))
        else:
            agent.held[frame.sequence] = (frame, len(payload))


def _n_bytes(frame: Frame) -> int:
    """Give a Frame's encoded length; of one that no record can say, more than is ever held."""
    try:
        return len(encode_frame(frame))
    except RecordError:
        return HELD_BYTES_MAX + 1
