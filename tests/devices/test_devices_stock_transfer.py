"""Stored records that also come live: each once, and a live one hides none that was lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.record_access import (
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
)
from devices.stock_transfer import StockTransfer, TakenStock
from devices.transfer_report import TransferEnd

REPORT = RacpOpCode.REPORT_STORED_RECORDS
SUCCESS = RacpResponseCode.SUCCESS


class Device:
    """A store that is asked, and may lose what it sends."""

    def __init__(self, *, numbered: bool) -> None:
        self.numbered = numbered
        self.n_records = 0

    def chosen(self, request: RacpRequest) -> list[int]:
        least = request.minimum if isinstance(request.minimum, int) else 0
        return [number for number in range(self.n_records) if number >= least]

    def answer(self, request: RacpRequest) -> RacpIndication:
        numbers = self.chosen(request)
        if request.op_code is not REPORT:
            return RacpNumberOfRecords(n_records=len(numbers))
        code = SUCCESS if numbers else RacpResponseCode.NO_RECORDS_FOUND
        return RacpResponse(request_op_code=request.op_code, response_code=code)


class Collector:
    """What has been taken, and what is kept from one transfer to the next."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.taken: list[int] = []
        self.kept = TakenStock().to_text()

    def tell(self, transfer: StockTransfer, number: int) -> None:
        if transfer.record(f"r{number}", number if self.device.numbered else None):
            self.taken.append(number)

    def collect(self, lost: frozenset[int], n_live: int, cut_after: int) -> StockTransfer:
        """Run a transfer: records of these places are lost, and so many are taken live in it."""
        transfer = StockTransfer(TakenStock.from_text(self.kept))
        request: RacpRequest | None = transfer.begin()
        n_sent = 0
        while request is not None and transfer.end is None:
            answer = self.device.answer(request)
            for number in self.device.chosen(request) if request.op_code is REPORT else ():
                if n_sent == cut_after:
                    transfer.link_lost()
                n_sent += 1
                if transfer.end is None and n_sent not in lost:
                    self.tell(transfer, number)
            for _ in range(n_live):
                self.device.n_records += 1
                self.tell(transfer, self.device.n_records - 1)
            request = transfer.indication(answer)
        self.kept = transfer.taken.to_text()
        return transfer


@pytest.mark.parametrize("numbered", [True, False])
@given(
    rounds=st.lists(
        st.tuples(
            st.integers(0, 6),
            st.frozensets(st.integers(1, 10), max_size=4),
            st.integers(0, 2),
            st.integers(0, 30),
        ),
        max_size=6,
    )
)
def test_every_record_is_taken_once_whatever_is_lost(
    numbered: bool,  # noqa: FBT001
    rounds: list[tuple[int, frozenset[int], int, int]],
) -> None:
    device = Device(numbered=numbered)
    collector = Collector(device)
    for n_records, lost, n_live, cut_after in rounds:
        device.n_records += n_records
        collector.collect(lost, n_live, cut_after)

    end = collector.collect(frozenset(), 0, 10**9).end

    assert end is (TransferEnd.COMPLETE if device.n_records else TransferEnd.NO_RECORDS)
    assert sorted(collector.taken) == list(range(device.n_records))


def test_a_live_record_does_not_hide_one_that_was_lost() -> None:
    device = Device(numbered=True)
    collector = Collector(device)
    device.n_records = 5

    transfer = collector.collect(frozenset({3}), 1, 10**9)

    assert transfer.end is TransferEnd.INCOMPLETE
    assert transfer.counts.n_missing == 1


def test_a_device_that_knows_no_numbers_is_asked_for_all_and_need_not_count() -> None:
    transfer = StockTransfer(TakenStock(resume=7, keys=frozenset({"a"})))
    first = transfer.begin()
    refused = RacpResponseCode.OPERATOR_NOT_SUPPORTED
    again = transfer.indication(RacpResponse(request_op_code=REPORT, response_code=refused))
    transfer.record("a")
    transfer.record("b")
    count = transfer.indication(RacpResponse(request_op_code=REPORT, response_code=SUCCESS))

    assert first.minimum == 7
    assert again == RacpRequest(op_code=REPORT)
    assert count is not None
    no_op_code = RacpResponseCode.OP_CODE_NOT_SUPPORTED
    transfer.indication(RacpResponse(request_op_code=count.op_code, response_code=no_op_code))
    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.taken.keys == {"a", "b"}
    assert transfer.counts.n_taken == transfer.counts.n_known == 1


def test_what_nothing_asked_for_is_counted_and_refusals_end_it() -> None:
    transfer = StockTransfer()
    transfer.begin()
    transfer.indication(RacpNumberOfRecords(n_records=3))
    busy = RacpResponseCode.SERVER_BUSY
    transfer.indication(RacpResponse(request_op_code=REPORT, response_code=busy))
    transfer.indication(RacpResponse(request_op_code=REPORT, response_code=busy))
    transfer.time_out()

    assert transfer.end is TransferEnd.REFUSED
    assert transfer.response_code == busy
    assert transfer.counts.n_unexpected == 2
