"""Records that a device has stored, taken in: pure.

What has been taken is kept in one commit with the Frame that has the readings, so that a record
comes once, whatever the link, the agent or its power do.
"""

from collections import deque
from typing import Final, Protocol

from devices import uuids
from devices.errors import DecodeError
from devices.glucose import decode_glucose_measurement
from devices.glucose_context import decode_glucose_context
from devices.glucose_readings import glucose_readings
from devices.record_access import (
    RacpRequest,
    decode_racp_indication,
    encode_racp_request,
)
from devices.record_transfer import RecordTransfer
from devices.taken_records import TakenRecords
from devices.transfer_report import MeterMemory, TransferEnd, TransferStep
from edge import metrics
from edge.intake import DeviceIntake
from ingest.frame import DeviceEventKind

_KEPT: Final = "records"
_IN_ORDER: Final = frozenset({TransferEnd.COMPLETE, TransferEnd.NO_RECORDS})
_CHANGED: Final = frozenset({MeterMemory.OVERWRITTEN, MeterMemory.WRAPPED, MeterMemory.RESET})


class StoredRecords(Protocol):
    """What a device has stored, and how far it has been taken over. Pure."""

    @property
    def characteristics(self) -> tuple[str, ...]:
        """What to subscribe to, the control point last."""
        ...

    @property
    def control_point(self) -> str:
        """Where requests are written."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """What to read before, where the device has it."""
        ...

    def learn(self, uuid: str, payload: bytes, received_ns: int) -> None:
        """Take what was read.

        Raises
        ------
        DecodeError
        """
        ...

    def begin(self) -> bytes:
        """Begin a transfer; give the first request."""
        ...

    def next_request(self) -> bytes | None:
        """Give what follows from what has come; None: wait for more."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the transfer has come to its end, good or bad."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether it has come to its end with nothing outstanding."""
        ...

    def time_out(self) -> None:
        """Tell that the device has been silent for too long."""
        ...

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        ...

    def report(self, now_ns: int) -> None:
        """Say by events what came of the transfer."""
        ...


class GlucoseRecords:
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
    control_point = uuids.RECORD_ACCESS_CONTROL_POINT
    reads: tuple[str, ...] = ()

    def learn(self, uuid: str, payload: bytes, received_ns: int) -> None:
        """Take nothing: nothing is read before."""

    def __init__(self, intake: DeviceIntake) -> None:
        self._intake = intake
        self._transfer = RecordTransfer(_taken(intake.kept(_KEPT)))
        self._requests: deque[RacpRequest] = deque()
        intake.keep(_KEPT, lambda: self._transfer.taken.to_bytes().hex())
        intake.expect(uuids.GLUCOSE_MEASUREMENT, self._take_measurement)
        intake.expect(uuids.GLUCOSE_MEASUREMENT_CONTEXT, self._take_context)
        intake.expect(uuids.RECORD_ACCESS_CONTROL_POINT, self._take_indication)

    @property
    def ended(self) -> bool:
        """Whether the transfer has come to its end."""
        return self._transfer.end is not None

    @property
    def in_order(self) -> bool:
        """Whether the transfer has come to its end with nothing outstanding."""
        return self._transfer.end in _IN_ORDER

    def begin(self) -> bytes:
        """Begin a transfer where the last one left off; give the first request."""
        self._transfer = RecordTransfer(self._transfer.taken)
        self._requests.clear()
        self._follow(self._transfer.begin(), 0)
        return encode_racp_request(self._requests.popleft())

    def next_request(self) -> bytes | None:
        """Give what follows from what has come."""
        return encode_racp_request(self._requests.popleft()) if self._requests else None

    def time_out(self) -> None:
        """Tell that the meter has been silent for too long."""
        self._transfer.time_out()

    def link_lost(self) -> None:
        """Tell that the link has ended."""
        self._transfer.link_lost()

    def report(self, now_ns: int) -> None:
        """Say by events what came of the transfer, unless there was nothing new."""
        counts, end, memory = self._transfer.counts, self._transfer.end, self._transfer.memory
        if counts.n_taken or memory in _CHANGED:
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
            code = self._transfer.response_code
            said = "" if code is None else f" (response {code})"
            detail = f"{end}{said}: {counts.n_taken} taken, {counts.n_missing} missing"
            self._intake.event(DeviceEventKind.TRANSFER_FAILED, now_ns, detail)

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
            self._requests.append(step.request)


def _taken(kept: str | None) -> TakenRecords | None:
    """Read what was kept; where it cannot be read all records are asked for, and come again."""
    try:
        return None if kept is None else TakenRecords.from_bytes(bytes.fromhex(kept))
    except ValueError:
        return None
