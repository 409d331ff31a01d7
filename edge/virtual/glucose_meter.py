"""Chevet Virtual Glucose Meter: SIMULATED measurements, stored and reported on request."""

import asyncio
import math
from collections import deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bumble.att import ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from devices.date_time import DeviceDateTime
from devices.errors import DecodeError, InvalidFieldError, ReservedValueError
from devices.glucose import (
    GlucoseConcentration,
    GlucoseFeature,
    GlucoseMeasurement,
    SampleLocation,
    SampleType,
    encode_glucose_feature,
    encode_glucose_measurement,
)
from devices.glucose_context import GlucoseContext, Meal, encode_glucose_context
from devices.record_access import (
    RacpBound,
    RacpFilterType,
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
    decode_racp_request,
    encode_racp_indication,
)
from devices.transfer_report import GlucoseRecord
from devices.uuids import (
    GLUCOSE_FEATURE,
    GLUCOSE_MEASUREMENT,
    GLUCOSE_MEASUREMENT_CONTEXT,
    GLUCOSE_SERVICE,
    RECORD_ACCESS_CONTROL_POINT,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import NS_PER_S, Clock, ticks
from edge.virtual.wall_clock import WallClockService

MODEL: Final = "Virtual Glucose Meter"
PERIOD_S_DEFAULT: Final = 1800.0
CAPACITY_DEFAULT: Final = 500

_N_NUMBERS: Final = 65_536
_MEAN_MG_PER_DL: Final = 105.0
_MEAL_SWING_MG_PER_DL: Final = 25.0
_NOISE_MG_PER_DL: Final = 4.0
_MEAL_PERIOD_S: Final = 6 * 3600
_KG_PER_L_PER_MG_PER_DL: Final = 1e-5
_N_DECIMALS: Final = 5
_RECORD_PACE_S: Final = 0.002
"""Between two reported records: a link takes only so much in one connection interval."""
_PROCEDURE_ALREADY_IN_PROGRESS: Final = 0xFE
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT errors of the Core Specification Supplement, part B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """How a meter is used and what it holds."""

    period_s: float = PERIOD_S_DEFAULT
    """Seconds between two measurements."""
    n_stored: int = 0
    """Measurements of the time before the start."""
    capacity: int = CAPACITY_DEFAULT
    """Records that fit; a further one overwrites the oldest."""
    first_number: int = 0
    """Sequence number of the first record."""
    clock_ahead_s: float = 0.0
    """How far its clock is ahead of UTC until it is set."""
    seed: int = 0
    """Of the noise."""


class GlucoseMeter(Peripheral):
    """A meter that measures on a schedule, stores, and reports when it is asked.

    Every third record has a context. ``readings["glucose"]`` counts notified measurements: a record
    that is asked for twice counts twice, one that nobody asks for is not counted.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    settings
        How it is used.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        settings: MeterSettings | None = None,
        *,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._settings = settings or MeterSettings()
        self.stored: deque[GlucoseRecord] = deque(maxlen=self._settings.capacity)
        """Oldest first."""
        self.n_measured = 0
        self.readings |= {"glucose": Counters(), "glucose_context": Counters()}
        self._next_number = self._settings.first_number
        self._start_ns = clock.now_ns()
        self.wall_clock = WallClockService(clock, ahead_s=self._settings.clock_ahead_s)
        """What its records are dated by."""
        self._running: RacpRequest | None = None
        self._aborted = False
        self._measurement = notifying(GLUCOSE_MEASUREMENT)
        self._context = notifying(GLUCOSE_MEASUREMENT_CONTEXT)
        self._control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(RECORD_ACCESS_CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )
        period_ns = round(self._settings.period_s * NS_PER_S)
        for k in range(self._settings.n_stored, 0, -1):
            self.measure(self._start_ns - k * period_ns)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (GLUCOSE_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Glucose and the Current Time service."""
        feature = readable(GLUCOSE_FEATURE, encode_glucose_feature(GlucoseFeature(0)))
        characteristics = [self._measurement, self._context, feature, self._control_point]
        return (
            Service(bumble_uuid(GLUCOSE_SERVICE), characteristics),
            self.wall_clock.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what measures."""
        return (self._measure_on_schedule(),)

    def reset(self) -> None:
        """Forget all records; the numbers begin again."""
        self.stored.clear()
        self._next_number = 0

    def measure(self, t_ns: int) -> None:
        """Store the measurement of an instant."""
        has_context = self.n_measured % 3 == 0
        number = self._next_number
        measurement = GlucoseMeasurement(
            sequence_number=number,
            base_time=self.wall_clock.date_time(t_ns),
            time_offset_min=0,
            glucose=GlucoseConcentration(
                concentration=self.glucose_kg_per_l(t_ns),
                sample_type=SampleType.CAPILLARY_PLASMA,
                sample_location=SampleLocation.FINGER,
            ),
            context_follows=has_context,
        )
        context = GlucoseContext(sequence_number=number, meal=Meal.CASUAL) if has_context else None
        self.stored.append(GlucoseRecord(measurement=measurement, context=context))
        self._next_number = (number + 1) % _N_NUMBERS
        self.n_measured += 1

    def glucose_kg_per_l(self, t_ns: int) -> float:
        """Return the simulated glucose at an instant, in whole mg/dL."""
        phase = 2 * math.pi * t_ns / NS_PER_S / _MEAL_PERIOD_S
        seed = f"{self._settings.seed}:{t_ns}"
        noise_mg_per_dl = Random(seed).gauss(0.0, _NOISE_MG_PER_DL)  # noqa: S311 - simulated
        mg_per_dl = _MEAN_MG_PER_DL + _MEAL_SWING_MG_PER_DL * math.sin(phase) + noise_mg_per_dl
        return round(mg_per_dl * _KG_PER_L_PER_MG_PER_DL, _N_DECIMALS)

    async def _measure_on_schedule(self) -> None:
        first_ns = self._start_ns + round(self._settings.period_s * NS_PER_S)
        async for t_ns in ticks(self.clock, first_ns, self._settings.period_s):
            self.measure(t_ns)

    def _on_write(self, connection: Connection, value: bytes) -> None:
        if not self.is_subscribed(self._control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        payload = bytes(value)
        if payload[:1] == bytes([RacpOpCode.ABORT_OPERATION]):
            self._on_abort()
        elif self._running is not None:
            raise ATT_Error(_PROCEDURE_ALREADY_IN_PROGRESS)
        else:
            try:
                request = decode_racp_request(payload)
            except DecodeError as error:
                self._answer(_refusal(payload, error))
            else:
                self._running = request
                self._aborted = False
                self.spawn(self._obey(connection, request))

    def _on_abort(self) -> None:
        self._aborted = self._running is not None
        code = RacpResponseCode.SUCCESS if self._aborted else RacpResponseCode.ABORT_UNSUCCESSFUL
        self._answer(RacpResponse(request_op_code=RacpOpCode.ABORT_OPERATION, response_code=code))

    def _answer(self, indication: RacpIndication) -> None:
        self.spawn(self.indicate(self._control_point, encode_racp_indication(indication), ()))

    async def _obey(self, connection: Connection, request: RacpRequest) -> None:
        try:
            indication = await self._run_procedure(connection, request)
        finally:
            self._running = None
        if not self._aborted and self.connection is connection:
            self._answer(indication)

    async def _run_procedure(self, connection: Connection, request: RacpRequest) -> RacpIndication:
        records = select(self.stored, request)
        code = RacpResponseCode.SUCCESS if records else RacpResponseCode.NO_RECORDS_FOUND
        match request.op_code:
            case RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS:
                return RacpNumberOfRecords(n_records=len(records))
            case RacpOpCode.REPORT_STORED_RECORDS:
                for record in records:
                    if self._aborted or self.connection is not connection:
                        break
                    await self._notify_record(record)
                    await asyncio.sleep(_RECORD_PACE_S)
            case RacpOpCode.DELETE_STORED_RECORDS:
                for record in records:
                    self.stored.remove(record)
            case _:
                code = RacpResponseCode.OP_CODE_NOT_SUPPORTED
        return RacpResponse(request_op_code=request.op_code, response_code=code)

    async def _notify_record(self, record: GlucoseRecord) -> None:
        payload = encode_glucose_measurement(record.measurement)
        await self.notify(self._measurement, payload, [(self.readings["glucose"], 1)])
        if record.context is not None:
            payload = encode_glucose_context(record.context)
            await self.notify(self._context, payload, [(self.readings["glucose_context"], 1)])


def select(records: Iterable[GlucoseRecord], request: RacpRequest) -> list[GlucoseRecord]:
    """List the records that a request is about, in their order."""
    stored = list(records)
    if request.operator is RacpOperator.FIRST_RECORD:
        return stored[:1]
    if request.operator is RacpOperator.LAST_RECORD:
        return stored[-1:]
    low, high = _key(request.minimum), _key(request.maximum)
    return [
        record
        for record in stored
        if (low is None or low <= _key_of(record, request))
        and (high is None or _key_of(record, request) <= high)
    ]


def _key_of(record: GlucoseRecord, request: RacpRequest) -> tuple[int, ...]:
    by_time = request.filter_type is RacpFilterType.USER_FACING_TIME
    seen_at = record.measurement.measured_at
    return _key(seen_at if by_time else record.measurement.sequence_number) or ()


def _key(bound: RacpBound | None) -> tuple[int, ...] | None:
    """Order sequence numbers, and times of which some parts may be unknown."""
    if isinstance(bound, DeviceDateTime):
        day = (bound.year or 0, bound.month or 0, bound.day or 0)
        return (*day, bound.hour, bound.minute, bound.second)
    return None if bound is None else (bound,)


def _refusal(payload: bytes, error: DecodeError) -> RacpResponse:
    """Say what is wrong with a request."""
    field = error.field if isinstance(error, InvalidFieldError) else None
    codes = {
        "op_code": RacpResponseCode.OP_CODE_NOT_SUPPORTED,
        "operator": RacpResponseCode.INVALID_OPERATOR,
        "filter_type": RacpResponseCode.OPERAND_NOT_SUPPORTED,
    }
    code = codes.get(field or "", RacpResponseCode.INVALID_OPERAND)
    if field == "operator" and isinstance(error, ReservedValueError):
        code = RacpResponseCode.OPERATOR_NOT_SUPPORTED
    return RacpResponse(request_op_code=payload[0] if payload else 0, response_code=code)
