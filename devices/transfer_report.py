"""What comes out of a transfer of stored records: requests, records, counts and how it ended."""

from dataclasses import dataclass
from enum import StrEnum

from devices.glucose import GlucoseMeasurement
from devices.glucose_context import GlucoseContext
from devices.record_access import RacpRequest


class TransferEnd(StrEnum):
    """How a transfer ended."""

    COMPLETE = "complete"
    NO_RECORDS = "no_records"
    INCOMPLETE = "incomplete"
    """Fewer records came than were announced: ask again."""
    ABORTED = "aborted"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    LINK_LOST = "link_lost"
    FLOODED = "flooded"
    """More records came than there are numbers."""


class MeterMemory(StrEnum):
    """What a complete transfer found of the memory that was known before."""

    FIRST = "first"
    """None was known."""
    SAME = "same"
    OVERWRITTEN = "overwritten"
    """The record where we left off is gone, and so may be some after it: see `n_overwritten`."""
    WRAPPED = "wrapped"
    """The numbers have gone round."""
    RESET = "reset"
    """Another memory: the numbers began again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseRecord:
    """A measurement with its context, None if it has none."""

    measurement: GlucoseMeasurement
    context: GlucoseContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStep:
    """What follows from what was told.

    Attributes
    ----------
    request
        To be written to the control point now; None: nothing.
    records
        Taken: store them together with `RecordTransfer.taken`.
    """

    request: RacpRequest | None = None
    records: tuple[GlucoseRecord, ...] = ()


@dataclass(slots=True, kw_only=True)
class StoreCounts:
    """What became of what was told of any store.

    Attributes
    ----------
    n_taken, n_known
        New records, and those that were taken before.
    n_missing
        Counted by the device and not received.
    n_undecodable
        Payloads that gave no record.
    n_overwritten
        Numbers between where we left off and the first that is left: at most so many are lost.
    n_unexpected
        Records and answers that nothing asked for.
    """

    n_taken: int = 0
    n_known: int = 0
    n_missing: int = 0
    n_undecodable: int = 0
    n_overwritten: int = 0
    n_unexpected: int = 0


class StoreTransfer:
    """What transfers that report all in one procedure have in common.

    Attributes
    ----------
    counts
        What became of what was told.
    end
        None while it lasts.
    memory
        What a complete transfer found of the memory that was known; None where nobody can tell.
    """

    def __init__(self) -> None:
        self.counts = StoreCounts()
        self.end: TransferEnd | None = None
        self.memory: MeterMemory | None = None

    def undecodable(self) -> None:
        """Tell that a payload gave a DecodeError, and so no record."""
        self.counts.n_undecodable += 1

    def time_out(self) -> None:
        """Tell that the device has been silent for too long."""
        self.end = self.end or TransferEnd.TIMED_OUT

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        self.end = self.end or TransferEnd.LINK_LOST


@dataclass(slots=True, kw_only=True)
class TransferCounts(StoreCounts):
    """What became of what was told of a glucose meter; of the whole transfer.

    Attributes
    ----------
    n_announced
        Of the last report; None if the meter cannot count.
    n_received
        Different records of the last report, with the undecodable ones.
    n_contexts_undecodable
        Payloads that gave no context.
    n_contexts_missing
        Records that were taken without the context that they announced.
    n_contexts_orphaned
        Contexts of no record of this report.
    """

    n_announced: int | None = None
    n_received: int = 0
    n_contexts_undecodable: int = 0
    n_contexts_missing: int = 0
    n_contexts_orphaned: int = 0
