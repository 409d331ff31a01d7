"""Asking a Viatom or Wellue oximeter again and again: what to write next, what came, when to stop.

All is arithmetic on a time that is given, so the same bytes at the same times give the same. One
question is open at a time, since an answer does not say what it answers; an answer that comes after
its time cannot be told from the next one, and the next one then finds no open question.

Source: as `devices.viatom`; the maker's application asks once a second and waits 3 s.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from devices.errors import DecodeError
from devices.viatom import (
    ViatomAssembler,
    ViatomCommand,
    ViatomRequest,
    decode_viatom_reply,
    encode_viatom_request,
    viatom_chunks,
)
from devices.viatom_data import (
    ViatomMeasurement,
    decode_viatom_real_time,
    decode_viatom_sensors,
)

PERIOD_S_DEFAULT: Final = 2.0
"""As the known clients ask; the ring itself measures once a second."""
REPLY_TIMEOUT_S_DEFAULT: Final = 3.0
N_FAILURES_MAX_DEFAULT: Final = 5

_NS_PER_S: Final = 10**9


class ViatomQuestion(StrEnum):
    """Which of the known questions is asked; not every firmware answers each."""

    SENSORS = "sensors"
    """Command 0x17 without data: the older answer."""
    SENSORS_WAVE = "sensors_wave"
    """Command 0x17 with one byte of 0: reported to give the newer answer, not seen in any source
    of the maker's."""
    REAL_TIME = "real_time"
    """Command 0x1B with 0 for 125 samples per second: the newer answer."""


class ViatomFailure(StrEnum):
    """Why a question brought no measurement."""

    NO_REPLY = "no_reply"
    """Nothing whole came in time."""
    REFUSED = "refused"
    """The answer has a status other than 0."""
    UNDECODABLE = "undecodable"
    """The answer is not laid out as the question's is."""
    LINK_ENDED = "link_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    request: ViatomRequest
    decode: Callable[[bytes], ViatomMeasurement]


class ViatomPoller:
    """Asks on a fixed grid, one question at a time.

    ``n_asked`` always equals ``n_answered`` plus all of ``n_failed`` plus one while it ``is_open``.

    Parameters
    ----------
    question
        What to ask.
    start_ns
        When to ask first; any monotonic clock, the same for all calls.
    period_s, reply_timeout_s
        From one question to the next, and from a question to giving it up; positive. Where the
        answer takes longer than the period, the questions that were due meanwhile are left out.
    n_failures_max
        Failures in a row after which it has given up; positive.

    Raises
    ------
    ValueError
        One of the three is not positive.
    """

    def __init__(
        self,
        question: ViatomQuestion,
        *,
        start_ns: int,
        period_s: float = PERIOD_S_DEFAULT,
        reply_timeout_s: float = REPLY_TIMEOUT_S_DEFAULT,
        n_failures_max: int = N_FAILURES_MAX_DEFAULT,
    ) -> None:
        if min(period_s, reply_timeout_s, n_failures_max) <= 0:
            raise ValueError("period, time-out and failures in a row must be positive")
        self.n_asked = 0
        """Questions written."""
        self.n_answered = 0
        """Those that brought a measurement."""
        self.n_failed: Counter[ViatomFailure] = Counter()
        """Those that did not, by cause."""
        self.n_skipped = 0
        """Questions left out, because the one before was still open or nobody asked in time."""
        self.n_unasked_replies = 0
        """Whole answers to no open question."""
        self.assembler = ViatomAssembler()
        """Its counters account for the bytes."""
        self._form = _FORMS[question]
        self._chunks = viatom_chunks(encode_viatom_request(self._form.request))
        self._period_ns = max(1, round(period_s * _NS_PER_S))
        self._timeout_ns = max(1, round(reply_timeout_s * _NS_PER_S))
        self._n_failures_max = n_failures_max
        self._n_failures = 0
        self._due_ns = start_ns
        self._deadline_ns: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether a question waits for its answer."""
        return self._deadline_ns is not None

    @property
    def has_given_up(self) -> bool:
        """Whether so many questions in a row have failed that the link is to be made anew."""
        return self._n_failures >= self._n_failures_max

    @property
    def wake_at_ns(self) -> int | None:
        """When `tick` is to be called next; None: never, it has given up."""
        if self.has_given_up:
            return None
        return self._due_ns if self._deadline_ns is None else self._deadline_ns

    def tick(self, now_ns: int) -> tuple[bytes, ...]:
        """Let time pass; give what to write now, chunk after chunk, perhaps nothing.

        Times that go back are taken as standing still.
        """
        if self._deadline_ns is not None and now_ns >= self._deadline_ns:
            self._fail(ViatomFailure.NO_REPLY)
        if self.is_open or self.has_given_up or now_ns < self._due_ns:
            return ()
        n_periods = 1 + (now_ns - self._due_ns) // self._period_ns
        self.n_skipped += n_periods - 1
        self._due_ns += n_periods * self._period_ns
        self._deadline_ns = now_ns + self._timeout_ns
        self.n_asked += 1
        return self._chunks

    def receive(self, chunk: bytes) -> tuple[ViatomMeasurement, ...]:
        """Take a notification; give the measurement that it completes, if it does."""
        measured = (self._answer(frame) for frame in self.assembler.process(chunk))
        return tuple(measurement for measurement in measured if measurement is not None)

    def end(self) -> None:
        """Close what is open: the link is gone."""
        if self.is_open:
            self._fail(ViatomFailure.LINK_ENDED)
        self.assembler.end()

    def _answer(self, frame: bytes) -> ViatomMeasurement | None:
        if not self.is_open:
            self.n_unasked_replies += 1
            return None
        reply = decode_viatom_reply(frame)
        if reply.status:
            self._fail(ViatomFailure.REFUSED)
            return None
        try:
            measurement = self._form.decode(reply.data)
        except DecodeError:
            self._fail(ViatomFailure.UNDECODABLE)
            return None
        self._deadline_ns = None
        self._n_failures = 0
        self.n_answered += 1
        return measurement

    def _fail(self, failure: ViatomFailure) -> None:
        self._deadline_ns = None
        self._n_failures += 1
        self.n_failed[failure] += 1
        if failure is ViatomFailure.NO_REPLY:
            self.assembler.end()


_FORMS: Final[Mapping[ViatomQuestion, _Form]] = {
    ViatomQuestion.SENSORS: _Form(
        request=ViatomRequest(command=ViatomCommand.SENSORS), decode=decode_viatom_sensors
    ),
    ViatomQuestion.SENSORS_WAVE: _Form(
        request=ViatomRequest(command=ViatomCommand.SENSORS, data=b"\0"),
        decode=decode_viatom_real_time,
    ),
    ViatomQuestion.REAL_TIME: _Form(
        request=ViatomRequest(command=ViatomCommand.REAL_TIME, data=b"\0"),
        decode=decode_viatom_real_time,
    ),
}
"""What is written for each question, and how its answer is laid out."""
