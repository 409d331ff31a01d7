"""The collector's side of stored records that a device also sends live: what to ask, what is new.

    begin ─► report ─► number ─► end

For continuous glucose monitors, whose records are numbered by their time in the session, and for
pulse oximeters that keep spot-checks, whose records have no number. Pure: no radio, no clock.

The records are counted after they were reported, not before: a live one that comes in between is
then counted, too, and cannot hide one that was lost. A record is taken once, whatever the link
does, if `taken` is kept in one commit with the records.

Source: Bluetooth SIG, Continuous Glucose Monitoring Service 1.0.2, section 3.9; Pulse Oximeter
Service 1.0.1, section 3.5.
"""

from dataclasses import dataclass, field
from typing import Final

from devices.record_access import (
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
)
from devices.transfer_report import StoreTransfer, TransferEnd

RECORDS_MAX: Final = 65_536
"""Records of one report, and keys that are kept; a device that sends more is left."""
COUNTS_MAX: Final = 4
"""Questions for the number of records while live ones come; then the transfer is tried again."""
_NOT_SUPPORTED: Final = frozenset(
    {
        RacpResponseCode.INVALID_OPERATOR,
        RacpResponseCode.OPERATOR_NOT_SUPPORTED,
        RacpResponseCode.INVALID_OPERAND,
        RacpResponseCode.OPERAND_NOT_SUPPORTED,
    }
)
"""Refusals after which all records may be had still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenStock:
    """The memory that is kept from one transfer to the next.

    Attributes
    ----------
    session
        What the records belong to; another one has other records.
    resume
        Number of the newest record of the last complete report: none before it is outstanding.
        None: ask for all.
    keys
        What those that were taken, and may come again, are known by.
    """

    session: str = ""
    resume: int | None = None
    keys: frozenset[str] = field(default_factory=frozenset[str])

    def to_text(self) -> str:
        """Write it for keeping."""
        resume = "" if self.resume is None else str(self.resume)
        return "|".join((self.session, resume, ",".join(sorted(self.keys))))

    @classmethod
    def from_text(cls, kept: str) -> "TakenStock":
        """Read what `to_text` wrote.

        Raises
        ------
        ValueError
            It is not that.
        """
        session, resume, keys = kept.split("|")
        return cls(
            session=session,
            resume=int(resume) if resume else None,
            keys=frozenset(filter(None, keys.split(","))),
        )


class StockTransfer(StoreTransfer):
    """One transfer, and the live records until the next.

    Parameters
    ----------
    taken
        As the last transfer from this device left it.

    Attributes
    ----------
    response_code
        Of a refusal.
    """

    def __init__(self, taken: TakenStock | None = None) -> None:
        super().__init__()
        before = taken or TakenStock()
        self._session = before.session
        self._resume = before.resume
        self._keys = set(before.keys)
        self._numbers: dict[str, int] = {}
        self._received: set[str] = set()
        self._fresh: set[str] = set()
        self._n_before_count = 0
        self._n_counts = 0
        self._asked_for: RacpOpCode | None = None
        self._from: int | None = None
        self.response_code: int | None = None

    @property
    def taken(self) -> TakenStock:
        """What to keep for the next transfer, now."""
        return TakenStock(session=self._session, resume=self._resume, keys=frozenset(self._keys))

    def begin(self) -> RacpRequest:
        """Give the first request."""
        self._from = self._resume
        return self._ask(RacpOpCode.REPORT_STORED_RECORDS)

    def record(self, key: str, number: int | None = None) -> bool:
        """Tell a record, stored or live; True: it is new, take it.

        Parameters
        ----------
        key
            What it is known by; no comma, no bar.
        number
            Rises from one record to the next; None: this device numbers none.
        """
        if self.end is None:
            self._received.add(key)
        if number is not None:
            self._numbers[key] = number
        if key in self._keys:
            self.counts.n_known += 1
            return False
        if len(self._keys) >= RECORDS_MAX:
            self.end = self.end or TransferEnd.FLOODED
            return False
        self._keys.add(key)
        self._fresh.add(key)
        self.counts.n_taken += 1
        return True

    def indication(self, indication: RacpIndication) -> RacpRequest | None:
        """Tell an indication of the control point; give what to write now, if anything."""
        if self.end is None:
            if isinstance(indication, RacpNumberOfRecords):
                if self._asked_for is RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS:
                    return self._on_number(indication.n_records)
            elif indication.request_op_code == self._asked_for:
                return self._on_response(indication)
        self.counts.n_unexpected += 1
        return None

    def _ask(self, op_code: RacpOpCode) -> RacpRequest:
        self._asked_for = op_code
        self._n_before_count = self._n_received
        if self._from is None:
            return RacpRequest(op_code=op_code)
        return RacpRequest(
            op_code=op_code, operator=RacpOperator.GREATER_OR_EQUAL, minimum=self._from
        )

    def _on_response(self, response: RacpResponse) -> RacpRequest | None:
        code = response.response_code
        reported = self._asked_for is RacpOpCode.REPORT_STORED_RECORDS
        if code == RacpResponseCode.NO_RECORDS_FOUND:
            self.end = TransferEnd.NO_RECORDS if reported else TransferEnd.COMPLETE
        elif code == RacpResponseCode.SUCCESS and reported:
            return self._ask(RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS)
        elif code in _NOT_SUPPORTED and self._from is not None:
            self._from = None
            return self._ask(RacpOpCode.REPORT_STORED_RECORDS)
        elif not reported and code == RacpResponseCode.OP_CODE_NOT_SUPPORTED:
            # It cannot count: its word that it has reported all is all there is.
            self._complete()
        elif code == RacpResponseCode.PROCEDURE_NOT_COMPLETED:
            self.end = TransferEnd.INCOMPLETE
        else:
            self.end = TransferEnd.REFUSED
            self.response_code = code
        return None

    @property
    def _n_received(self) -> int:
        return len(self._received) + self.counts.n_undecodable

    def _on_number(self, n_records: int) -> RacpRequest | None:
        if n_records <= self._n_before_count:
            self._complete()
            return None
        self._n_counts += 1
        if n_records <= self._n_received and self._n_counts < COUNTS_MAX:
            # What came meanwhile was perhaps counted, perhaps not: counted again, it is.
            return self._ask(RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS)
        self.counts.n_missing = n_records - self._n_before_count
        self.end = TransferEnd.INCOMPLETE
        return None

    def _complete(self) -> None:
        self.end = TransferEnd.COMPLETE
        numbers = [self._numbers[key] for key in self._received if key in self._numbers]
        if numbers:
            self._resume = newest = max(numbers)
            self._keys = {key for key in self._keys if self._numbers.get(key, -1) >= newest}
        else:
            self._keys = self._received | self._fresh
