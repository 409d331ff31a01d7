"""A transfer takes each stored record once, whatever the link does, and says what it missed."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices import record_transfer
from devices.glucose import GlucoseMeasurement
from devices.glucose_context import GlucoseContext, Meal
from devices.record_access import (
    ABORT,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
)
from devices.record_transfer import RecordTransfer
from devices.taken_records import TakenRecords, digest_of
from devices.transfer_report import MeterMemory, TransferEnd
from tests.devices.stored_records import EPOCH, Collector, Meter

REPORT = RacpOpCode.REPORT_STORED_RECORDS
NUMBER = RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS
DONE = RacpResponse(request_op_code=REPORT, response_code=RacpResponseCode.SUCCESS)


def measurement(number: int, *, context_follows: bool = False) -> GlucoseMeasurement:
    return GlucoseMeasurement(
        sequence_number=number, base_time=EPOCH, context_follows=context_follows
    )


def reporting(n_announced: int) -> RecordTransfer:
    """A first transfer that has asked for all records."""
    transfer = RecordTransfer()
    transfer.begin()
    step = transfer.indication(RacpNumberOfRecords(n_records=n_announced))
    assert step.request == RacpRequest(op_code=REPORT)
    return transfer


orders = st.sampled_from(["oldest first", "newest first", "any order"])
cuts = st.none() | st.integers(0, 14)
doings = st.lists(
    st.tuples(st.just("measure"), st.integers(1, 12))
    | st.tuples(st.just("collect"), cuts)
    | st.tuples(st.just("reset"), st.none()),
    max_size=14,
)


def act(doing: str, argument: int | None, meter: Meter, collector: Collector) -> None:
    match doing:
        case "measure":
            meter.measure(argument or 1)
        case "reset":
            meter.reset()
        case _:
            collector.collect(meter, argument)


@given(
    doings=doings,
    order=orders,
    capacity=st.sampled_from([1, 3, 8, 1000]),
    with_contexts=st.booleans(),
    first=st.sampled_from([0, 1, 400, 65520, 65530, 65535]),
    refused=st.frozensets(
        st.sampled_from(
            [
                (REPORT, RacpOperator.GREATER_OR_EQUAL),
                (NUMBER, RacpOperator.GREATER_OR_EQUAL),
                (NUMBER, RacpOperator.ALL_RECORDS),
            ]
        )
    ),
)
def test_every_record_is_taken_once(
    doings: list[tuple[str, int | None]],
    *,
    order: str,
    capacity: int,
    with_contexts: bool,
    first: int,
    refused: frozenset[tuple[int, int]],
) -> None:
    meter = Meter(
        order=order,
        capacity=capacity,
        with_contexts=with_contexts,
        next_number=first,
        refused=refused,
    )
    collector = Collector()

    for doing, argument in doings:
        act(doing, argument, meter, collector)
    last = collector.collect(meter)

    assert last.end is (TransferEnd.COMPLETE if meter.stored else TransferEnd.NO_RECORDS)
    times = [record.measurement.base_time for record in collector.records]
    assert len(times) == len(set(times))
    assert all(record in collector.records for record in meter.stored)
    assert last.counts.n_contexts_missing == last.counts.n_unexpected == 0


@given(
    doings=doings.map(lambda rows: [row for row in rows if row[0] != "reset"]),
    capacity=st.integers(1, 20),
    first=st.sampled_from([0, 1, 400, 65500, 65535]),
    with_contexts=st.booleans(),
)
def test_what_was_overwritten_before_it_was_taken_is_counted(
    doings: list[tuple[str, int | None]], *, capacity: int, first: int, with_contexts: bool
) -> None:
    meter = Meter(capacity=capacity, next_number=first, with_contexts=with_contexts)
    collector = Collector()
    n_overwritten = 0

    for doing, argument in [*doings, ("collect", None)]:
        if doing == "measure":
            meter.measure(argument or 1)
        else:
            transfer = collector.collect(meter, argument)
            n_overwritten += transfer.counts.n_overwritten
            # All that was known is gone, and number 0 or 1 is the first: that looks like a reset.
            assume(transfer.memory is not MeterMemory.RESET)

    lost = [record for record in meter.overwritten if record not in collector.records]
    if collector.records:
        times = [record.measurement.base_time.to_datetime() for record in collector.records]
        first_taken = min(time for time in times if time is not None)
        lost = [
            record
            for record in lost
            if (record.measurement.base_time.to_datetime() or first_taken) > first_taken
        ]
        assert n_overwritten == len(lost)
        assert len(times) == len(set(times))
    assert all(record in collector.records for record in meter.stored)


@pytest.mark.parametrize("order", ["oldest first", "newest first", "any order"])
@pytest.mark.parametrize("first", [0, 65528])
@pytest.mark.parametrize("n_before", [0, 4])
@pytest.mark.parametrize("with_contexts", [False, True])
def test_loss_of_the_link_at_any_message_is_made_good(
    *, order: str, first: int, n_before: int, with_contexts: bool
) -> None:
    for cut_after in range(40):
        meter = Meter(order=order, next_number=first, with_contexts=with_contexts)
        collector = Collector()
        meter.measure(n_before)
        collector.collect(meter)
        meter.measure(12)

        collector.collect(meter, cut_after)
        last = collector.collect(meter)

        assert last.end is TransferEnd.COMPLETE
        assert len(collector.records) == len(meter.stored)
        assert all(record in collector.records for record in meter.stored)


def test_numbers_that_were_round_before_the_first_transfer_go_on_from_the_newest() -> None:
    meter = Meter(next_number=65530)
    collector = Collector()
    meter.measure(20)

    first = collector.collect(meter)
    meter.measure(3)
    collector.collect(meter)

    assert first.taken.resume == 13
    assert collector.records == meter.stored


def test_numbers_that_go_round_are_found_however_much_is_remembered() -> None:
    meter = Meter(next_number=65300, capacity=20)
    collector = Collector()

    for _ in range(60):
        meter.measure(5)
        collector.collect(meter)

    assert len(collector.records) == 300


def test_first_transfer_that_was_cut_is_no_other_memory() -> None:
    meter = Meter(order="newest first")
    collector = Collector()
    meter.measure(9)
    collector.collect(meter, 4)

    transfer = collector.collect(meter)

    assert transfer.memory is MeterMemory.SAME
    assert len(collector.records) == 9


def test_gap_after_a_transfer_that_was_cut_is_counted() -> None:
    meter = Meter(capacity=4)
    collector = Collector()
    meter.measure(4)
    collector.collect(meter, 3)

    meter.measure(8)
    transfer = collector.collect(meter)

    assert transfer.memory is MeterMemory.OVERWRITTEN
    assert transfer.counts.n_overwritten == 6  # 2 to 7; 0 and 1 had come before the cut
    assert [record.measurement.sequence_number for record in collector.records] == [
        0,
        1,
        *range(8, 12),
    ]


def test_anchor_that_was_deleted_is_not_taken_for_overwritten() -> None:
    meter = Meter()
    collector = Collector()
    meter.measure(6)
    collector.collect(meter)
    del meter.stored[5]
    meter.measure(3)
    meter.stored.pop(6)

    transfer = collector.collect(meter)

    assert transfer.memory is MeterMemory.SAME
    assert transfer.counts.n_overwritten == 0
    assert len(collector.records) == 8


def test_second_transfer_goes_on_where_the_first_was_cut() -> None:
    meter = Meter()
    collector = Collector()
    meter.measure(500)
    collector.collect(meter, 400)

    resumed = collector.collect(meter)

    assert resumed.counts.n_received < 110
    assert resumed.counts.n_known == 1
    assert collector.records == meter.stored


def test_without_news_only_the_anchor_comes_again() -> None:
    meter = Meter()
    collector = Collector()
    meter.measure(300)
    collector.collect(meter)

    again = collector.collect(meter)

    assert again.end is TransferEnd.COMPLETE
    assert again.memory is MeterMemory.SAME
    assert again.counts.n_received == again.counts.n_known == 1
    assert again.counts.n_taken == 0


def test_empty_meter_has_no_records() -> None:
    transfer = Collector().collect(Meter())

    assert transfer.end is TransferEnd.NO_RECORDS
    assert transfer.memory is None


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
@pytest.mark.parametrize("cut_after", [*range(13), 40])
@pytest.mark.parametrize(
    ("n_old", "n_new"), [(5, 1), (5, 3), (5, 5), (5, 6), (5, 7), (5, 40), (400, 3)]
)
def test_reset_is_told_and_its_records_are_taken(
    n_old: int, n_new: int, cut_after: int, order: str
) -> None:
    meter = Meter(order=order)
    collector = Collector()
    meter.measure(n_old)
    collector.collect(meter)

    meter.reset()
    meter.measure(n_new)
    first = collector.collect(meter, cut_after)
    second = collector.collect(meter)

    finished = first if first.end is TransferEnd.COMPLETE else second
    assert finished.memory is MeterMemory.RESET
    assert len(collector.records) == n_old + n_new
    assert all(record in collector.records for record in meter.stored)


def test_cleared_memory_that_goes_on_counting_is_not_a_reset() -> None:
    meter = Meter()
    collector = Collector()
    meter.measure(10)
    collector.collect(meter)
    meter.stored.clear()

    cleared = collector.collect(meter)
    meter.measure(5)
    transfer = collector.collect(meter)

    assert cleared.end is TransferEnd.NO_RECORDS
    assert transfer.memory is MeterMemory.OVERWRITTEN
    assert transfer.counts.n_overwritten == 0
    assert len(collector.records) == 15


@pytest.mark.parametrize("n_after", [1, 5, 30])
def test_numbers_that_go_round_are_told_from_a_reset(n_after: int) -> None:
    meter = Meter(next_number=65500, capacity=500)
    collector = Collector()
    meter.measure(30)
    collector.collect(meter)

    meter.measure(6 + n_after)
    transfer = collector.collect(meter)
    meter.measure(4)
    later = collector.collect(meter)

    assert transfer.memory is MeterMemory.WRAPPED
    assert later.memory is MeterMemory.SAME
    assert collector.records == meter.stored


def test_numbers_that_went_round_while_all_was_overwritten_leave_a_counted_gap() -> None:
    meter = Meter(next_number=65500, capacity=10)
    collector = Collector()
    meter.measure(5)
    collector.collect(meter)

    meter.measure(100)
    transfer = collector.collect(meter)

    assert transfer.memory is MeterMemory.OVERWRITTEN
    assert transfer.counts.n_overwritten == 90


def test_records_that_the_user_deleted_do_not_matter() -> None:
    meter = Meter()
    collector = Collector()
    meter.measure(20)
    collector.collect(meter)
    del meter.stored[15:]
    del meter.stored[3:6]
    meter.measure(2)

    transfer = collector.collect(meter)

    assert transfer.end is TransferEnd.COMPLETE
    assert len(collector.records) == 22


def test_memory_stays_as_small_as_the_meters() -> None:
    meter = Meter(capacity=10)
    collector = Collector()

    for _ in range(200):
        meter.measure(5)
        collector.collect(meter)

    assert len(collector.records) == 1000
    assert len(TakenRecords.from_bytes(collector.kept).settled) < 300


def test_fewer_records_than_announced_are_missed_aloud() -> None:
    transfer = reporting(3)
    transfer.measurement(measurement(1))
    transfer.measurement(measurement(2))

    transfer.indication(DONE)

    assert transfer.end is TransferEnd.INCOMPLETE
    assert transfer.counts.n_missing == 1
    assert transfer.memory is None


def test_undecodable_record_is_counted_as_received() -> None:
    transfer = reporting(2)
    transfer.measurement(measurement(1))
    transfer.undecodable()

    transfer.indication(DONE)

    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.counts.n_undecodable == 1
    assert transfer.counts.n_received == 2


def test_nothing_but_undecodable_records_is_the_end() -> None:
    transfer = reporting(1)
    transfer.undecodable()

    transfer.indication(DONE)

    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.taken == TakenRecords()


def test_context_that_does_not_come_is_counted_and_its_record_taken() -> None:
    transfer = reporting(1)
    waiting = transfer.measurement(measurement(1, context_follows=True))
    transfer.undecodable(context=True)

    step = transfer.indication(DONE)

    assert not waiting.records
    assert [record.context for record in step.records] == [None]
    assert transfer.counts.n_contexts_missing == 1
    assert transfer.counts.n_contexts_undecodable == 1


def test_contexts_may_come_after_other_records() -> None:
    transfer = reporting(2)
    transfer.measurement(measurement(1, context_follows=True))
    transfer.measurement(measurement(2))
    context = GlucoseContext(sequence_number=1, meal=Meal.BEDTIME)

    step = transfer.context(context)

    assert [record.context for record in step.records] == [context]
    assert transfer.taken.resume == 2


def test_context_of_no_record_is_orphaned() -> None:
    transfer = reporting(1)
    transfer.measurement(measurement(1))

    transfer.context(GlucoseContext(sequence_number=1))
    transfer.context(GlucoseContext(sequence_number=2))

    assert transfer.counts.n_contexts_orphaned == 1


def test_two_records_of_one_number_are_both_taken() -> None:
    transfer = reporting(2)
    one = measurement(1, context_follows=True)
    other = replace(one, time_offset_min=5)
    transfer.measurement(one)
    transfer.measurement(one)

    released = transfer.measurement(other)
    step = transfer.context(GlucoseContext(sequence_number=1))
    transfer.indication(DONE)

    assert [record.measurement for record in released.records] == [one]
    assert [record.measurement for record in step.records] == [other]
    assert transfer.counts.n_contexts_missing == 1
    assert transfer.end is TransferEnd.COMPLETE


def test_what_nothing_asked_for_is_not_taken() -> None:
    transfer = RecordTransfer()
    before = transfer.measurement(measurement(1))
    transfer.begin()
    between = transfer.context(GlucoseContext(sequence_number=1))
    strange = transfer.indication(DONE)

    assert before == between == strange
    assert not before.records
    assert before.request is None
    assert transfer.counts.n_unexpected == 3


def test_abort_ends_it_and_the_rest_comes_next_time() -> None:
    transfer = reporting(2)
    transfer.measurement(measurement(1))

    assert transfer.abort().request == ABORT
    assert transfer.abort().request is None
    transfer.indication(
        RacpResponse(
            request_op_code=RacpOpCode.ABORT_OPERATION, response_code=RacpResponseCode.SUCCESS
        )
    )

    assert transfer.end is TransferEnd.ABORTED
    assert transfer.counts.n_missing == 1
    assert transfer.taken.resume == 1
    assert transfer.abort().request is None


def test_refused_abort_lets_it_go_on() -> None:
    transfer = reporting(1)
    transfer.abort()
    transfer.indication(
        RacpResponse(
            request_op_code=RacpOpCode.ABORT_OPERATION,
            response_code=RacpResponseCode.ABORT_UNSUCCESSFUL,
        )
    )
    transfer.measurement(measurement(1))
    transfer.indication(DONE)

    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.response_code == RacpResponseCode.ABORT_UNSUCCESSFUL


def test_abort_that_meets_the_end_of_a_procedure_asks_for_nothing_more() -> None:
    transfer = RecordTransfer()
    transfer.begin()
    transfer.abort()

    step = transfer.indication(RacpNumberOfRecords(n_records=4))

    assert step.request is None
    assert transfer.end is TransferEnd.ABORTED


@pytest.mark.parametrize("end", [TransferEnd.TIMED_OUT, TransferEnd.LINK_LOST])
def test_silence_and_loss_end_it_once(end: TransferEnd) -> None:
    transfer = reporting(2)
    transfer.measurement(measurement(1, context_follows=True))

    transfer.time_out() if end is TransferEnd.TIMED_OUT else transfer.link_lost()
    transfer.link_lost()

    assert transfer.end is end
    assert transfer.counts.n_taken == 0  # its context had not come: it will be asked for again
    assert transfer.taken == TakenRecords()


def test_busy_meter_refuses_and_says_why() -> None:
    first = RecordTransfer()
    first.begin()
    first.indication(
        RacpResponse(request_op_code=NUMBER, response_code=RacpResponseCode.SERVER_BUSY)
    )
    second = reporting(1)
    second.indication(
        RacpResponse(request_op_code=REPORT, response_code=RacpResponseCode.PROCEDURE_NOT_COMPLETED)
    )

    assert first.end is second.end is TransferEnd.REFUSED
    assert first.response_code == RacpResponseCode.SERVER_BUSY
    assert second.response_code == RacpResponseCode.PROCEDURE_NOT_COMPLETED
    assert second.counts.n_missing == 1


@pytest.mark.parametrize(
    "refused",
    [
        (REPORT, RacpOperator.GREATER_OR_EQUAL),
        (NUMBER, RacpOperator.GREATER_OR_EQUAL),
        (NUMBER, RacpOperator.ALL_RECORDS),
    ],
)
def test_meter_that_cannot_do_it_is_asked_for_all(refused: tuple[int, int]) -> None:
    meter = Meter(refused=frozenset({refused}))
    collector = Collector()
    meter.measure(3)
    collector.collect(meter)
    meter.measure(2)

    transfer = collector.collect(meter)

    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.counts.n_received == 5
    assert (transfer.counts.n_announced is None) == (refused == (NUMBER, RacpOperator.ALL_RECORDS))
    assert collector.records == meter.stored


def test_no_records_found_is_not_an_error_where_none_were_announced() -> None:
    none_found = RacpResponseCode.NO_RECORDS_FOUND
    counted = RecordTransfer()
    counted.begin()
    counted.indication(RacpResponse(request_op_code=NUMBER, response_code=none_found))
    announced = reporting(1)
    announced.indication(RacpResponse(request_op_code=REPORT, response_code=none_found))

    assert counted.end is TransferEnd.NO_RECORDS
    assert announced.end is TransferEnd.INCOMPLETE


def test_meter_that_sends_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_transfer, "RECORDS_MAX", 10)
    transfer = reporting(5)

    for number in range(20):
        transfer.measurement(measurement(number))

    assert transfer.end is TransferEnd.FLOODED
    assert transfer.counts.n_taken == 10


def test_digest_is_of_the_content_and_not_of_the_context_bit() -> None:
    plain = measurement(1)

    assert digest_of(plain) == digest_of(measurement(1, context_follows=True))
    assert digest_of(plain) != digest_of(measurement(2))
    assert digest_of(plain) != digest_of(replace(plain, time_offset_min=0))


@given(
    settled=st.dictionaries(st.binary(min_size=8, max_size=8), st.integers(0, 65535), max_size=5),
    fresh=st.dictionaries(st.binary(min_size=8, max_size=8), st.integers(0, 65535), max_size=5),
    anchored=st.booleans(),
)
def test_memory_survives_being_kept(
    settled: dict[bytes, int], *, fresh: dict[bytes, int], anchored: bool
) -> None:
    anchor = next(iter({**settled, **fresh}), None) if anchored else None
    taken = TakenRecords(settled=settled, fresh=fresh, anchor=anchor)

    assert TakenRecords.from_bytes(taken.to_bytes()) == taken


@pytest.mark.parametrize("kept", [b"", b"\x01", bytes(18), bytes([1]) + bytes(18)])
def test_broken_memory_is_refused(kept: bytes) -> None:
    with pytest.raises(ValueError, match="memory"):
        TakenRecords.from_bytes(kept)


def test_memory_without_its_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="left off"):
        TakenRecords(anchor=b"12345678")
