"""The collector's side of the store of a Generic Health Sensor: what to ask, what is new. Pure.

    begin ─► report from where we left ─► (report all) ─► end

A record is taken once, whatever the link does, if `taken` is kept in one commit with the records.
Between transfers the newest record of the last complete report is kept in mind, the anchor, and
what was taken since. The anchor is asked for again, with all that follow: if another record has its
number, the store was reset, and all are asked for. Records are known by number and content; whether
a time stamp is still of the clock's present timeline is no content, for setting a clock changes it.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), section 3.4, as in
`devices.ghs_record_access`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from devices.ghs_header import ObservationHeader
from devices.ghs_observation import Observation, ObservationBundle, StoredObservation
from devices.ghs_observation import encode_health_observation as encode_observation
from devices.ghs_record_access import (
    RecordAnswer,
    RecordAnswerCode,
    RecordCount,
    RecordOpCode,
    RecordOperator,
    RecordRequest,
)
from devices.transfer_report import MeterMemory, StoreTransfer, TransferEnd

RECORDS_MAX: Final = 65_536
"""Records of one report; a sensor that sends more is left."""
DIGEST_BYTES: Final = 8
_NOTHING: Final[Mapping[int, str]] = MappingProxyType({})
_ALL: Final = RecordRequest(op_code=RecordOpCode.REPORT, operator=RecordOperator.ALL)
_NOT_SUPPORTED: Final = frozenset(
    {
        RecordAnswerCode.INVALID_OPERATOR,
        RecordAnswerCode.OPERATOR_NOT_SUPPORTED,
        RecordAnswerCode.INVALID_OPERAND,
        RecordAnswerCode.OPERAND_NOT_SUPPORTED,
    }
)
"""Refusals after which all records may be had still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenObservations:
    """The memory that is kept from one transfer to the next.

    Attributes
    ----------
    anchor
        Number and digest of the newest record of the last complete report; None: ask for all.
    fresh
        Digests by number of those taken since, by reports that were not complete.
    """

    anchor: tuple[int, str] | None = None
    fresh: Mapping[int, str] = field(default_factory=lambda: _NOTHING)

    def to_text(self) -> str:
        """Write it for keeping."""
        rows = [*([self.anchor] if self.anchor else [(0, "")]), *self.fresh.items()]
        return " ".join(f"{number}:{digest}" for number, digest in rows)

    @classmethod
    def from_text(cls, kept: str) -> "TakenObservations":
        """Read what `to_text` wrote.

        Raises
        ------
        ValueError
            It is not that.
        """
        rows = [row.split(":") for row in kept.split(" ")]
        (number, digest), *fresh = [(int(number), digest) for number, digest in rows]
        return cls(anchor=(number, digest) if digest else None, fresh=dict(fresh))


class HealthTransfer(StoreTransfer):
    """One transfer, from the first request to its end.

    Parameters
    ----------
    taken
        As the last transfer from this sensor left it.

    Attributes
    ----------
    answer_code
        Of a refusal.
    """

    def __init__(self, taken: TakenObservations | None = None) -> None:
        super().__init__()
        before = taken or TakenObservations()
        self._anchor = before.anchor
        self._fresh = dict(before.fresh)
        self._received: dict[int, str] = {}
        self._from_anchor = False
        self._was_reset = False
        self._began = False
        self.answer_code: int | None = None

    @property
    def taken(self) -> TakenObservations:
        """What to keep for the next transfer, now."""
        return TakenObservations(anchor=self._anchor, fresh=dict(self._fresh))

    def begin(self) -> RecordRequest:
        """Give the first request."""
        self._began = True
        if self._anchor is None:
            return _ALL
        self._from_anchor = True
        return RecordRequest(
            op_code=RecordOpCode.REPORT,
            operator=RecordOperator.GREATER_OR_EQUAL,
            record_numbers=(self._anchor[0],),
        )

    def record(self, stored: StoredObservation) -> bool:
        """Tell a record; True: it is new, take it."""
        if not self._began or self.end is not None:
            self.counts.n_unexpected += 1
            return False
        number, digest = stored.record_number, digest_of(stored.observation)
        self._received[number] = digest
        if len(self._received) > RECORDS_MAX:
            self.end = TransferEnd.FLOODED
            return False
        if self._anchor is not None and self._anchor[0] == number:
            self._was_reset |= self._anchor[1] != digest
        if (number, digest) == self._anchor or self._fresh.get(number) == digest:
            self.counts.n_known += 1
            return False
        self._fresh[number] = digest
        self.counts.n_taken += 1
        return True

    def answer(self, answer: RecordAnswer | RecordCount) -> RecordRequest | None:
        """Tell an indication of the control point; give what to write now, if anything."""
        if not self._began or self.end is not None:
            self.counts.n_unexpected += 1
            return None
        if isinstance(answer, RecordCount):
            if answer.op_code == RecordOpCode.REPORT_ANSWER:
                return self._reported(answer.n_records)
        elif answer.request == RecordOpCode.REPORT:
            return self._refused(answer.code)
        self.counts.n_unexpected += 1
        return None

    def _reported(self, n_records: int) -> RecordRequest | None:
        n_received = len(self._received) + self.counts.n_undecodable
        self.counts.n_missing = max(0, n_records - n_received)
        if self.counts.n_missing:
            self.end = TransferEnd.INCOMPLETE
            return None
        if self._from_anchor and self._was_reset:
            return self._ask_for_all()
        self._complete()
        return None

    def _refused(self, code: int) -> RecordRequest | None:
        if code == RecordAnswerCode.NO_RECORDS_FOUND and not self._from_anchor:
            self.end = TransferEnd.NO_RECORDS
        elif code in {RecordAnswerCode.NO_RECORDS_FOUND, *_NOT_SUPPORTED} and self._from_anchor:
            # Nothing from the anchor on: the store is empty, or its numbers began again.
            self._was_reset = code == RecordAnswerCode.NO_RECORDS_FOUND
            return self._ask_for_all()
        elif code == RecordAnswerCode.PROCEDURE_NOT_COMPLETED:
            self.end = TransferEnd.INCOMPLETE
        else:
            self.end = TransferEnd.REFUSED
            self.answer_code = code
        return None

    def _ask_for_all(self) -> RecordRequest:
        self._from_anchor = False
        self._received.clear()
        return _ALL

    def _complete(self) -> None:
        self.memory = MeterMemory.FIRST if self._anchor is None else MeterMemory.SAME
        if self._was_reset:
            self.memory = MeterMemory.RESET
        elif self._anchor is not None and self._received:
            first = min(self._received)
            if first > self._anchor[0]:
                between = range(self._anchor[0] + 1, first)
                n_taken = sum(number in between for number in self._fresh)
                self.counts.n_overwritten = len(between) - n_taken
                self.memory = MeterMemory.OVERWRITTEN
        if self._received:
            newest = max(self._received)
            self._anchor = (newest, self._received[newest])
            self._fresh = {}
        self.end = TransferEnd.COMPLETE


def digest_of(observation: Observation) -> str:
    """Digest what a record is known by."""
    if isinstance(observation, ObservationBundle):
        inside = tuple(
            replace(one, header=_timeless(one.header)) for one in observation.observations
        )
        same: Observation = replace(
            observation, header=_timeless(observation.header), observations=inside
        )
    else:
        same = replace(observation, header=_timeless(observation.header))
    return hashlib.blake2b(encode_observation(same), digest_size=DIGEST_BYTES).hexdigest()


def _timeless(header: ObservationHeader) -> ObservationHeader:
    if header.time is None:
        return header
    return replace(header, time=replace(header.time, on_current_timeline=True))
