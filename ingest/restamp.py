"""Frames of the past as Frames of another time: all times moved by one constant: pure."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S, ClockRelation, Frame
from ingest.frame_times import begun_ns, taken_ns

BETWEEN_NS: Final = NS_PER_S
"""Between the last sample of one stretch and the first of the next, at least."""

REPEATS_MAX: Final = 1_024
"""A Frame that comes again within so many others of its agent is sent as the repeat that it is;
later, as another one, whose time is behind."""

_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


def moved(frame: Frame, shift_ns: int) -> Frame:
    """Move every time of a Frame: relations within it, and to others that are moved so, stay.

    A device's own clock shows what it showed: its offset to UTC is moved.

    Raises
    ------
    MalformedRecordError
        It would be before 1970 or after 2116.
    """

    def later(t_ns: int | None) -> int | None:
        return None if t_ns is None else t_ns + shift_ns

    return replace(
        frame,
        waveforms=tuple(
            replace(one, t0_ns=one.t0_ns + shift_ns, received_ns=later(one.received_ns))
            for one in frame.waveforms
        ),
        readings=tuple(
            replace(one, t_ns=one.t_ns + shift_ns, received_ns=later(one.received_ns))
            for one in frame.readings
        ),
        clocks=tuple(_moved_clock(one, shift_ns) for one in frame.clocks),
        gaps=tuple(replace(one, t0_ns=one.t0_ns + shift_ns) for one in frame.gaps),
        events=tuple(replace(one, t_ns=one.t_ns + shift_ns) for one in frame.events),
    )


def _moved_clock(clock: ClockRelation, shift_ns: int) -> ClockRelation:
    return replace(clock, offset_ns=clock.offset_ns + shift_ns)


class Stamps:
    """Gives the Frames of a replay the times, senders and numbers under which they are sent.

    A stretch is what is played without a break. Those that are moved have an agent of their own, so
    that nobody takes them for repeats, and count from 0 without holes, whatever part is played.

    Parameters
    ----------
    is_now
        Each stretch begins at the time of day, or behind the last one where that has run ahead of
        it. False: Frames stay as they are; only when all is played once more are they moved, to
        behind what was sent.
    run_ns
        When the replay began, UTC: names the agents.
    names
        What subjects are called instead.
    """

    def __init__(self, *, is_now: bool, run_ns: int, names: Mapping[str, str] = _NO_NAMES) -> None:
        self._is_now = is_now
        self._agent = f"replay-{run_ns}"
        self._names = names
        self._n_stretches = 0
        self._shift_ns = 0
        self._is_moved = is_now
        self._agents: dict[tuple[str, str], _Agent] = {}
        self._newest_ns = 0
        self.first_ns: int | None = None
        """When the first Frame that was sent begins, as it was sent."""

    @property
    def shift_ns(self) -> int:
        """By how much the current stretch is moved."""
        return self._shift_ns

    def begin(self, event_ns: int, utc_ns: int, *, is_round: bool = False) -> None:
        """Begin a stretch: what was at ``event_ns`` is at ``utc_ns`` in the time of day.

        Parameters
        ----------
        is_round
            Everything is played once more.
        """
        if not (self._is_moved or is_round):
            return
        at_ns = utc_ns if self._is_now else event_ns
        if self._newest_ns:
            at_ns = max(at_ns, self._newest_ns + BETWEEN_NS)
            self._n_stretches += 1
        self._shift_ns = at_ns - event_ns
        self._is_moved = True
        self._agents.clear()

    def frame(self, frame: Frame) -> Frame:
        """Give a Frame of the stretch as it is sent.

        Raises
        ------
        MalformedRecordError
            Its time would be none, or its new name is too long.
        """
        sent = moved(frame, self._shift_ns) if self._shift_ns else frame
        self._newest_ns = max(self._newest_ns, taken_ns(sent) or 0)
        if self.first_ns is None:
            self.first_ns = begun_ns(sent)
        subject_id = self._names.get(frame.subject_id, frame.subject_id)
        if self._is_moved:
            agent = self._agent_of(subject_id, frame.agent_id)
            return replace(
                sent,
                subject_id=subject_id,
                agent_id=agent.agent_id,
                sequence=agent.number_of(frame),
            )
        if subject_id != frame.subject_id:
            return replace(sent, subject_id=subject_id)
        return sent

    def annotation(self, one: SubjectAnnotation) -> SubjectAnnotation:
        """Give what is said of the stretch as it is sent; moved, it is another annotation.

        Raises
        ------
        MalformedRecordError
            Its time would be none, or its name is too long.
        """
        subject_id = self._names.get(one.subject_id, one.subject_id)
        if not self._is_moved:
            return replace(one, subject_id=subject_id)
        return replace(
            one,
            subject_id=subject_id,
            annotation_id=f"{one.annotation_id}@{self._agent}",
            t_ns=one.t_ns + self._shift_ns,
        )

    def _agent_of(self, subject_id: str, agent_id: str) -> "_Agent":
        known = self._agents.get((subject_id, agent_id))
        if known is None:
            n_of_subject = sum(one == subject_id for one, _ in self._agents)
            name = f"{self._agent}-{self._n_stretches}" if self._n_stretches else self._agent
            name += f"-agent-{n_of_subject + 1}" if n_of_subject else ""
            known = self._agents[subject_id, agent_id] = _Agent(name)
        return known


class _Agent:
    """Numbers the Frames of one agent of a subject, in one stretch."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self._n_frames = 0
        self._recent: OrderedDict[tuple[int, int | None], int] = OrderedDict()

    def number_of(self, frame: Frame) -> int:
        """Give the next number, or of a repeat the one that it had."""
        key = (frame.sequence, taken_ns(frame))
        number = self._recent.get(key)
        if number is None:
            number = self._recent[key] = self._n_frames
            self._n_frames += 1
            if len(self._recent) > REPEATS_MAX:
                self._recent.popitem(last=False)
        return number
