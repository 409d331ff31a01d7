"""Records that a device has stored, taken in: pure.

What has been taken is kept in one commit with the Frame that has the readings, so that a record
comes once, whatever the link, the agent or its power do.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from devices import uuids
from devices.errors import DecodeError
from devices.glucose import decode_glucose_measurement
from devices.glucose_context import decode_glucose_context
from devices.glucose_readings import glucose_readings
from devices.record_access import decode_racp_indication, encode_racp_request
from devices.record_transfer import RecordTransfer
from devices.taken_records import TakenRecords
from devices.transfer_report import MeterMemory, StoreCounts, TransferEnd, TransferStep
from edge import metrics
from edge.intakes.intake import DeviceIntake
from ingest.frame import DeviceEventKind

_KEPT: Final = "records"
_IN_ORDER: Final = frozenset({TransferEnd.COMPLETE, TransferEnd.NO_RECORDS})


class Transfer(Protocol):
    """What a transfer of any kind tells, and is told."""

    @property
    def counts(self) -> StoreCounts:
        """What became of what was told."""
        ...

    @property
    def end(self) -> TransferEnd | None:
        """None while it lasts."""
        ...

    @property
    def memory(self) -> MeterMemory | None:
        """What a complete transfer found of the memory that was known."""
        ...

    def time_out(self) -> None:
        """Tell that the device has been silent for too long."""
        ...

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        ...


TransferT = TypeVar("TransferT", bound=Transfer)
Kept = TypeVar("Kept")


class StoredRecords(ABC, Generic[TransferT]):
    """What a device has stored, and how far it has been taken over. Pure.

    Parameters
    ----------
    intake
        The device's.
    transfer
        The first, with what was kept of those before.

    Attributes
    ----------
    characteristics
        What to subscribe to, the control point last.
    control_point
        Where requests are written.
    reads
        What to read before, where the device has it.
    """

    characteristics: ClassVar[tuple[str, ...]]
    control_point: ClassVar[str] = uuids.RECORD_ACCESS_CONTROL_POINT
    reads: ClassVar[tuple[str, ...]] = ()
    _CHANGED: ClassVar[frozenset[MeterMemory]] = frozenset()
    """What is worth a word of the memory though no record was new."""

    def __init__(self, intake: DeviceIntake, transfer: TransferT) -> None:
        self._intake = intake
        self._transfer = transfer
        self._requests: deque[bytes] = deque()

    @property
    def ended(self) -> bool:
        """Whether the transfer has come to its end, good or bad."""
        return self._transfer.end is not None

    @property
    def in_order(self) -> bool:
        """Whether the transfer has come to its end with nothing outstanding."""
        return self._transfer.end in _IN_ORDER

    def learn(self, uuid: str, payload: bytes, received_ns: int) -> None:
        """Take what was read of the device; nothing is, unless a kind says so.

        Raises
        ------
        DecodeError
        """

    @abstractmethod
    def begin(self) -> bytes:
        """Begin a transfer where the last one left off; give the first request."""

    def next_request(self) -> bytes | None:
        """Give what follows from what has come; None: wait for more."""
        return self._requests.popleft() if self._requests else None

    def time_out(self) -> None:
        """Tell that the device has been silent for too long."""
        self._transfer.time_out()

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        self._transfer.link_lost()

    def report(self, now_ns: int) -> None:
        """Say by events what came of the transfer, unless there was nothing new."""
        counts, end, memory = self._transfer.counts, self._transfer.end, self._transfer.memory
        if counts.n_taken or memory in self._CHANGED:
            found = "" if memory is None else f"; memory {memory}"
            detail = f"{counts.n_taken} taken, {counts.n_known} known{found}"
            self._intake.event(DeviceEventKind.RECORDS_TAKEN, now_ns, detail)
        if counts.n_overwritten:
            detail = f"at most {counts.n_overwritten}: overwritten before they were taken"
            self._intake.event(DeviceEventKind.RECORDS_LOST, now_ns, detail)
        if counts.n_undecodable:
            detail = f"{counts.n_undecodable}: not decodable"
            self._intake.event(DeviceEventKind.RECORDS_LOST, now_ns, detail)
        if end not in _IN_ORDER:
            detail = f"{end}{self._refusal()}: {counts.n_taken} taken, {counts.n_missing} missing"
            self._intake.event(DeviceEventKind.TRANSFER_FAILED, now_ns, detail)

    @abstractmethod
    def _refusal(self) -> str:
        """Give the code of a refusal, as `` (response 8)``; empty: there was none."""


def code_text(word: str, code: int | None) -> str:
    """Write the code of a refusal behind how a transfer ended; empty: there was none."""
    return "" if code is None else f" ({word} {code})"


def read_kept(kept: str | None, read: Callable[[str], Kept]) -> Kept | None:
    """Read what was kept; where it cannot be read all records are asked for, and come again."""
    try:
        return None if kept is None else read(kept)
    except ValueError:
        return None


class GlucoseRecords(StoredRecords[RecordTransfer]):
    """The records of a glucose meter, each with its context.

    Parameters
    ----------
    intake
        The device's.
    """

    characteristics = (
        uuids.GLUCOSE_MEASUREMENT,
        uuids.GLUCOSE_MEASUREMENT_CONTEXT,
        uuids.RECORD_ACCESS_CONTROL_POINT,
    )
    _CHANGED = frozenset({MeterMemory.OVERWRITTEN, MeterMemory.WRAPPED, MeterMemory.RESET})

    def __init__(self, intake: DeviceIntake) -> None:
        kept = read_kept(
            intake.kept(_KEPT), lambda text: TakenRecords.from_bytes(bytes.fromhex(text))
        )
        super().__init__(intake, RecordTransfer(kept))
        intake.keep(_KEPT, lambda: self._transfer.taken.to_bytes().hex())
        intake.expect(uuids.GLUCOSE_MEASUREMENT, self._take_measurement)
        intake.expect(uuids.GLUCOSE_MEASUREMENT_CONTEXT, self._take_context)
        intake.expect(uuids.RECORD_ACCESS_CONTROL_POINT, self._take_indication)

    def begin(self) -> bytes:
        """Begin a transfer where the last one left off; give the first request."""
        self._transfer = RecordTransfer(self._transfer.taken)
        self._requests.clear()
        self._follow(self._transfer.begin(), 0)
        return self._requests.popleft()

    def _refusal(self) -> str:
        return code_text("response", self._transfer.response_code)

    def _take_measurement(self, payload: bytes, received_ns: int) -> None:
        try:
            measurement = decode_glucose_measurement(payload)
        except DecodeError:
            self._transfer.undecodable()
            raise
        self._follow(self._transfer.measurement(measurement), received_ns)

    def _take_context(self, payload: bytes, received_ns: int) -> None:
        try:
            context = decode_glucose_context(payload)
        except DecodeError:
            self._transfer.undecodable(context=True)
            raise
        self._follow(self._transfer.context(context), received_ns)

    def _take_indication(self, payload: bytes, received_ns: int) -> None:
        self._follow(self._transfer.indication(decode_racp_indication(payload)), received_ns)

    def _follow(self, step: TransferStep, received_ns: int) -> None:
        for record in step.records:
            readings = glucose_readings(record.measurement, record.context)
            self._intake.add_readings(readings, received_ns, stored=True)
            metrics.RECORDS_TAKEN.labels(self._intake.device_id).inc()
        if step.request is not None:
            self._requests.append(encode_racp_request(step.request))
