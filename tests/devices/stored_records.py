"""A meter that stores records, for tests of the collector's side: no link, no time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from devices.date_time import DeviceDateTime
from devices.glucose import GlucoseConcentration, GlucoseMeasurement, later
from devices.glucose_context import GlucoseContext, Meal
from devices.record_access import (
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
)
from devices.record_transfer import RecordTransfer
from devices.taken_records import TakenRecords
from devices.transfer_report import GlucoseRecord, TransferStep

Message = GlucoseMeasurement | GlucoseContext | RacpIndication
EPOCH = DeviceDateTime(year=2026, month=1, day=1, hour=0, minute=0, second=0)


@dataclass(slots=True, kw_only=True)
class Meter:
    """Gives each record a number and a minute of its own."""

    capacity: int = 1000
    next_number: int = 0
    order: str = "oldest first"
    with_contexts: bool = False
    refused: frozenset[tuple[int, int]] = frozenset()
    """Op codes with operators that it does not support."""
    stored: list[GlucoseRecord] = field(default_factory=list)
    overwritten: list[GlucoseRecord] = field(default_factory=list)
    n_made: int = 0

    def measure(self, n_records: int = 1) -> None:
        for _ in range(n_records):
            has_context = self.with_contexts and self.n_made % 2 == 0
            measured_at = later(EPOCH, self.n_made)
            assert measured_at is not None
            measurement = GlucoseMeasurement(
                sequence_number=self.next_number,
                base_time=measured_at,
                glucose=GlucoseConcentration(concentration=0.0009),
                context_follows=has_context,
            )
            context = GlucoseContext(sequence_number=self.next_number, meal=Meal.FASTING)
            self.stored.append(
                GlucoseRecord(measurement=measurement, context=context if has_context else None)
            )
            self.n_made += 1
            self.next_number = (self.next_number + 1) % 65536
            if len(self.stored) > self.capacity:
                self.overwritten.append(self.stored.pop(0))

    def reset(self) -> None:
        self.stored.clear()
        self.next_number = 0

    def answer(self, request: RacpRequest) -> Iterator[Message]:
        selected = [record for record in self.stored if _selects(request, record)]
        if (request.op_code, request.operator) in self.refused:
            code = RacpResponseCode.OPERATOR_NOT_SUPPORTED
        elif request.op_code == RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS:
            yield RacpNumberOfRecords(n_records=len(selected))
            return
        elif request.op_code == RacpOpCode.ABORT_OPERATION or selected:
            code = RacpResponseCode.SUCCESS
            if request.op_code == RacpOpCode.REPORT_STORED_RECORDS:
                yield from self._notified(selected)
        else:
            code = RacpResponseCode.NO_RECORDS_FOUND
        yield RacpResponse(request_op_code=request.op_code, response_code=code)

    def _notified(self, records: list[GlucoseRecord]) -> Iterator[Message]:
        if self.order == "newest first":
            records = records[::-1]
        elif self.order == "any order":
            records = Random(len(records)).sample(records, len(records))
        for record in records:
            yield record.measurement
            if record.context is not None:
                yield record.context


def _selects(request: RacpRequest, record: GlucoseRecord) -> bool:
    if request.operator is RacpOperator.GREATER_OR_EQUAL:
        assert isinstance(request.minimum, int)
        return record.measurement.sequence_number >= request.minimum
    return True


@dataclass(slots=True)
class Collector:
    """Keeps records, and the memory of them, as one commit would; the process ends at each loss."""

    records: list[GlucoseRecord] = field(default_factory=list)
    kept: bytes = field(default_factory=lambda: TakenRecords().to_bytes())

    def collect(self, meter: Meter, cut_after: int | None = None) -> RecordTransfer:
        """Run one transfer; the link is lost after so many messages."""
        transfer = RecordTransfer(TakenRecords.from_bytes(self.kept))
        n_messages = 0
        messages = self._commit(transfer, transfer.begin(), meter)
        while messages is not None:
            following = None
            for message in messages:
                if n_messages == cut_after:
                    transfer.link_lost()
                    return transfer
                n_messages += 1
                following = self._commit(transfer, tell(transfer, message), meter) or following
            messages = following
        assert transfer.end is not None
        return transfer

    def _commit(
        self, transfer: RecordTransfer, step: TransferStep, meter: Meter
    ) -> Iterable[Message] | None:
        self.records += step.records
        self.kept = transfer.taken.to_bytes()
        return None if step.request is None else meter.answer(step.request)


def tell(transfer: RecordTransfer, message: Message) -> TransferStep:
    if isinstance(message, GlucoseMeasurement):
        return transfer.measurement(message)
    if isinstance(message, GlucoseContext):
        return transfer.context(message)
    return transfer.indication(message)
