"""The collector's side of a transfer of stored records: what to ask, what to take, when it is done.

    begin ─► number from where we left ─► number of all ─► report ─► (report all) ─► end

No radio and no clock: requests come out, indications and notifications go in, time-outs and the
loss of the link are told. A record is taken once, whatever the link does, if `taken` is kept in one
commit with the records; and a transfer that missed one says so.

Where it leaves off. Between transfers one record is kept in mind, the anchor: nothing before it is
outstanding. It moves on a report that brought as many records as were announced, or along numbers
without a hole. It is asked for again, with all that follow: if it comes back as it was, the meter's
memory is the one that we know. If it does not, or if more records are stored before it than we have
taken, all are asked for, and known ones are recognised by their content.

What the meter did. An anchor that is gone with all that was before it was overwritten. None of all
records known, and numbers from the beginning: the meter was reset. Known ones and new ones with
smaller numbers: the numbers have gone round.

Source: Bluetooth SIG, Glucose Service 1.0.1, section 3.4; Glucose Profile 1.0.1, section 5.
"""

from collections.abc import Collection
from enum import Enum, auto
from typing import Final

from devices.glucose import GlucoseMeasurement
from devices.glucose_context import GlucoseContext
from devices.record_access import (
    ABORT,
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
)
from devices.taken_records import TakenRecords, digest_of
from devices.transfer_report import (
    GlucoseRecord,
    MeterMemory,
    TransferCounts,
    TransferEnd,
    TransferStep,
)

RECORDS_MAX: Final = 65_536
"""Records of one report: there are no more numbers. A meter that sends more is left."""
_N_NUMBERS: Final = 65_536
_LAST_NUMBERS: Final = 0xFC00
"""From here on the numbers may have gone round since: all records are asked for."""
_SPARE_RECORDS: Final = 256
"""Remembered beyond twice what the meter stores, before a report of all records tidies up."""
_NOT_SUPPORTED: Final = frozenset(
    {
        RacpResponseCode.OP_CODE_NOT_SUPPORTED,
        RacpResponseCode.INVALID_OPERATOR,
        RacpResponseCode.OPERATOR_NOT_SUPPORTED,
        RacpResponseCode.INVALID_OPERAND,
        RacpResponseCode.OPERAND_NOT_SUPPORTED,
    }
)
"""Refusals after which a plainer request may be granted."""


class _Phase(Enum):
    IDLE = auto()
    NUMBER_OF_NEW = auto()
    NUMBER_OF_ALL = auto()
    NEW = auto()
    ALL = auto()
    ENDED = auto()


_REPORTS: Final = frozenset({_Phase.NEW, _Phase.ALL})
_NOTHING: Final = TransferStep()


class RecordTransfer:
    """One transfer, from the first request to its end.

    Parameters
    ----------
    taken
        As the last transfer from this meter left it.

    Attributes
    ----------
    counts
        What became of what was told.
    end
        None while it lasts.
    response_code
        Of a refusal.
    memory
        None unless it is complete.
    """

    def __init__(self, taken: TakenRecords | None = None) -> None:
        before = taken or TakenRecords()
        self._settled = dict(before.settled)
        self._fresh = dict(before.fresh)
        # Where no transfer has been complete yet, those that came before it was cut are known.
        self._known_before = frozenset(before.settled or before.fresh)
        self._anchor = before.anchor
        self._anchor_before = before.anchor
        self._resume = before.resume
        self._resume_before = before.resume
        self._phase = _Phase.IDLE
        self._aborting = False
        self._n_new: int | None = None
        self._n_all: int | None = None
        self._received: dict[bytes, int] = {}
        self._numbers: set[int] = set()
        self._taken_here: dict[int, bytes] = {}
        self._n_bad = 0
        self._anchored = False
        self._matched = False
        self._pending: dict[int, GlucoseMeasurement] = {}
        self.counts = TransferCounts()
        self.end: TransferEnd | None = None
        self.response_code: int | None = None
        self.memory: MeterMemory | None = None

    @property
    def taken(self) -> TakenRecords:
        """What to keep for the next transfer, now."""
        return TakenRecords(
            settled=dict(self._settled), fresh=dict(self._fresh), anchor=self._anchor
        )

    def begin(self) -> TransferStep:
        """Give the first request; the notifications and indications are subscribed to before it."""
        if self._resume is None:
            return self._ask(_Phase.NUMBER_OF_ALL)
        # This number first: a record that is stored meanwhile then makes us ask for too much.
        return self._ask(_Phase.NUMBER_OF_NEW)

    def measurement(self, measurement: GlucoseMeasurement) -> TransferStep:
        """Tell a Glucose Measurement."""
        if self._phase not in _REPORTS:
            self.counts.n_unexpected += 1
            return _NOTHING
        if len(self._received) >= RECORDS_MAX:
            return self._end(TransferEnd.FLOODED)
        digest = digest_of(measurement)
        repeated = digest in self._received
        number = self._received[digest] = measurement.sequence_number
        self._numbers.add(number)
        if digest in self._settled or digest in self._fresh:
            self.counts.n_known += not repeated
            self._matched |= digest in self._known_before
            self._anchored |= digest == self._anchor_before
            self._advance(number, digest)
            return _NOTHING
        released = self._pending.pop(number, None)
        if released is not None and digest_of(released) != digest:
            self.counts.n_contexts_missing += 1
            return TransferStep(
                records=(self._take(released), *self.measurement(measurement).records)
            )
        if measurement.context_follows:
            self._pending[number] = measurement
            return _NOTHING
        return TransferStep(records=(self._take(measurement),))

    def context(self, context: GlucoseContext) -> TransferStep:
        """Tell a Glucose Measurement Context."""
        if self._phase not in _REPORTS:
            self.counts.n_unexpected += 1
            return _NOTHING
        measurement = self._pending.pop(context.sequence_number, None)
        if measurement is not None:
            return TransferStep(records=(self._take(measurement, context),))
        if context.sequence_number not in self._numbers:
            self.counts.n_contexts_orphaned += 1
        return _NOTHING

    def undecodable(self, *, context: bool = False) -> TransferStep:
        """Tell that a notification gave a DecodeError: of a measurement, or of a context."""
        if context:
            self.counts.n_contexts_undecodable += 1
        else:
            self.counts.n_undecodable += 1
            self._n_bad += 1
        return _NOTHING

    def indication(self, indication: RacpIndication) -> TransferStep:
        """Tell an indication of the control point."""
        step = self._on_indication(indication)
        if self._aborting and step.request is not None:
            # The procedure came to its end before the abort: nothing further is asked.
            self._end(TransferEnd.ABORTED)
            return TransferStep(records=step.records)
        return step

    def abort(self) -> TransferStep:
        """End it before its end: the request to write, if there is something to abort."""
        if self._aborting or self._phase in {_Phase.IDLE, _Phase.ENDED}:
            return _NOTHING
        self._aborting = True
        return TransferStep(request=ABORT)

    def time_out(self) -> None:
        """Tell that the meter has been silent for too long: what was asked will not be answered."""
        self._end(TransferEnd.TIMED_OUT)

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        self._end(TransferEnd.LINK_LOST)

    def _on_indication(self, indication: RacpIndication) -> TransferStep:
        match indication, self._phase:
            case RacpNumberOfRecords(combined=False, n_records=n_records), _Phase.NUMBER_OF_NEW:
                self._n_new = n_records
                return self._ask(_Phase.NUMBER_OF_ALL)
            case RacpNumberOfRecords(combined=False, n_records=n_records), _Phase.NUMBER_OF_ALL:
                self._n_all = n_records
                return self._ask_for_records() if n_records else self._end(TransferEnd.NO_RECORDS)
            case RacpResponse(request_op_code=RacpOpCode.ABORT_OPERATION), _ if self._aborting:
                return self._on_abort(indication.response_code)
            case RacpResponse(request_op_code=request), phase if request == _OP_CODES.get(phase):
                return self._on_response(indication.response_code)
            case _:
                self.counts.n_unexpected += 1
                return _NOTHING

    def _ask(self, phase: _Phase) -> TransferStep:
        self._phase = phase
        op_code = _OP_CODES[phase]
        if phase in {_Phase.NUMBER_OF_NEW, _Phase.NEW}:
            return TransferStep(
                request=RacpRequest(
                    op_code=op_code,
                    operator=RacpOperator.GREATER_OR_EQUAL,
                    minimum=self._resume_before,
                )
            )
        return TransferStep(request=RacpRequest(op_code=op_code))

    def _report(self, phase: _Phase, n_announced: int | None) -> TransferStep:
        self.counts.n_announced = n_announced
        self._received.clear()
        self._numbers.clear()
        self._taken_here.clear()
        self._n_bad = 0
        return self._ask(phase)

    def _ask_for_records(self) -> TransferStep:
        if self._resume_is_good():
            return self._report(_Phase.NEW, self._n_new)
        return self._report(_Phase.ALL, self._n_all)

    def _resume_is_good(self) -> bool:
        """Whether nothing can be outstanding below where we left off."""
        resume = self._resume_before
        if resume is None or not self._n_new or self._n_all is None:
            return False
        known = {**self._settled, **self._fresh}
        n_known_below = sum(number < resume for number in known.values())
        untidy = len(known) > 2 * self._n_all + _SPARE_RECORDS
        return self._n_all - self._n_new <= n_known_below and not untidy

    def _take(
        self, measurement: GlucoseMeasurement, context: GlucoseContext | None = None
    ) -> GlucoseRecord:
        number, digest = measurement.sequence_number, digest_of(measurement)
        self._fresh[digest] = number
        self.counts.n_taken += 1
        if self._anchor is None:
            self._anchor, self._resume = digest, number
        self._advance(number, digest)
        return GlucoseRecord(measurement=measurement, context=context)

    def _advance(self, number: int, digest: bytes) -> None:
        """Move on along the numbers of this report that have been taken, up to the first hole."""
        self._taken_here[number] = digest
        if self._anchor_before is not None and not (self._anchored and self._phase is _Phase.NEW):
            return
        while self._resume is not None and self._resume + 1 in self._taken_here:
            self._resume += 1
            self._anchor = self._taken_here[self._resume]

    def _on_abort(self, response_code: int) -> TransferStep:
        if response_code == RacpResponseCode.SUCCESS:
            return self._end(TransferEnd.ABORTED)
        self._aborting = False
        self.response_code = response_code
        return _NOTHING

    def _on_response(self, response_code: int) -> TransferStep:
        if self._phase in _REPORTS:
            return self._on_report_end(response_code)
        if response_code == RacpResponseCode.NO_RECORDS_FOUND:
            return self._on_indication(RacpNumberOfRecords(n_records=0))
        if response_code not in _NOT_SUPPORTED:
            return self._refused(response_code)
        if self._phase is _Phase.NUMBER_OF_NEW:
            return self._ask(_Phase.NUMBER_OF_ALL)
        return self._report(_Phase.ALL, None)

    def _on_report_end(self, response_code: int) -> TransferStep:
        if response_code not in {RacpResponseCode.SUCCESS, RacpResponseCode.NO_RECORDS_FOUND}:
            if self._phase is _Phase.NEW and response_code in _NOT_SUPPORTED:
                return self._report(_Phase.ALL, self._n_all)
            return self._refused(response_code)
        records = tuple(self._take(measurement) for measurement in self._pending.values())
        self.counts.n_contexts_missing += len(records)
        self._pending.clear()
        self._count_received()
        if self.counts.n_missing:
            step = self._end(TransferEnd.INCOMPLETE)
        elif self._phase is _Phase.NEW:
            step = self._settle_new()
        else:
            step = self._settle_all()
        return TransferStep(request=step.request, records=records)

    def _count_received(self) -> None:
        n_received = len(self._received) + self._n_bad
        self.counts.n_received = n_received
        self.counts.n_missing = max(0, (self.counts.n_announced or 0) - n_received)

    def _settle_new(self) -> TransferStep:
        newest = max(self._numbers, default=0)
        may_have_gone_round = newest >= _LAST_NUMBERS and self._n_all != self._n_new
        if not self._anchored or may_have_gone_round:
            return self._report(_Phase.ALL, self._n_all)
        self._settled |= self._fresh
        return self._complete(MeterMemory.SAME, newest)

    def _settle_all(self) -> TransferStep:
        if not self._received:
            # All of them were undecodable, or deleted since they were counted.
            bad = bool(self._n_bad)
            return self._end(TransferEnd.COMPLETE if bad else TransferEnd.NO_RECORDS)
        memory, newest = self._find_memory(self._numbers)
        self._settled = dict(self._received)
        return self._complete(memory, newest)

    def _n_overwritten(self, first: int) -> int:
        """Count the numbers from where we left off to the first that is left, but for those taken.

        These are lost, as far as there were records of these numbers.
        """
        known = {**self._settled, **self._fresh}
        n_steps = _steps(self._resume_before or 0, first)
        since = (_steps(self._resume_before or 0, number) for number in known.values())
        return max(0, n_steps - 1 - sum(0 < step < n_steps for step in since))

    def _find_memory(self, numbers: Collection[int]) -> tuple[MeterMemory, int]:
        """Tell what has become of the memory that we knew, and its newest number."""
        left_at = self._resume_before
        if left_at is None:
            return MeterMemory.FIRST, _newest(numbers)
        steps = [_steps(left_at, number) for number in numbers]
        newest = (left_at + max(steps)) % _N_NUMBERS
        lowest = (left_at + min(steps)) % _N_NUMBERS
        # A memory that was reset has its first record still, number 0 or 1, unless it is full.
        goes_on = self._matched or lowest > left_at or lowest > 1
        if min(steps) > 0 and goes_on:
            self.counts.n_overwritten = self._n_overwritten(lowest)
            return MeterMemory.OVERWRITTEN, newest
        if self._matched:
            return (MeterMemory.WRAPPED if newest < left_at else MeterMemory.SAME), newest
        return MeterMemory.RESET, _newest(numbers)

    def _complete(self, memory: MeterMemory, newest: int) -> TransferStep:
        self._fresh = {}
        self._anchor, self._resume = self._taken_here[newest], newest
        self.memory = memory
        return self._end(TransferEnd.COMPLETE)

    def _refused(self, response_code: int) -> TransferStep:
        self.response_code = response_code
        return self._end(TransferEnd.REFUSED)

    def _end(self, end: TransferEnd) -> TransferStep:
        if self.end is None:
            if self._phase in _REPORTS:
                self._count_received()
            self.end = end
            self._phase = _Phase.ENDED
            self._pending.clear()
        return _NOTHING


def _steps(start: int, number: int) -> int:
    """Count the steps from one number to another the shorter way round; negative: backward."""
    half = _N_NUMBERS // 2
    return (number - start + half) % _N_NUMBERS - half


def _newest(numbers: Collection[int]) -> int:
    """Find the newest of numbers that may have gone round: that before the widest gap."""
    ordered = sorted(numbers)
    gaps = zip(ordered, [*ordered[1:], ordered[0] + _N_NUMBERS], strict=True)
    return max(gaps, key=lambda gap: gap[1] - gap[0])[0]


_OP_CODES: Final = {
    _Phase.NUMBER_OF_NEW: RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS,
    _Phase.NUMBER_OF_ALL: RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS,
    _Phase.NEW: RacpOpCode.REPORT_STORED_RECORDS,
    _Phase.ALL: RacpOpCode.REPORT_STORED_RECORDS,
}
"""What is asked in each phase."""
