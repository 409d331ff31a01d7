"""Observations of a Generic Health Sensor in the common form: readings, and waveforms apart.

Only what `devices.codes` has a row for becomes a reading or a waveform; `unread_types` tells what
else was observed, so that it can be counted. Whose an observation is, where a sensor has several
users, is `ObservationHeader.patient`: a caller that serves one person passes on that person's only.

Source: as in `devices.ghs_observation`; IEEE 11073-10206 for the measurement status.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from devices.codes import Quantity
from devices.date_time import DeviceDateTime
from devices.elapsed_time import ElapsedTime
from devices.ghs_header import ObservationHeader, ObservationStatus
from devices.ghs_observation import HealthObservation, Observation, ObservationBundle
from devices.ghs_samples import SampleArrayValue
from devices.ghs_units import conversion
from devices.ghs_values import CompoundValue, NumericValue
from devices.medfloat import MedFloat, Special, value_of
from devices.readings import Measured, NoValueReason

_PERCENT_MAX: Final = 100.0
UNIT_NOT_CONVERTED: Final = "unit_not_converted"
"""Status word of a value that is withheld because its unit cannot become the quantity's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What the counts of a waveform are: count x `scale` + `offset`, in its quantity's unit.

    Attributes
    ----------
    scale, offset
        Unit per count, and the unit's value of count 0.
    period_s
        From one sample to the next.
    """

    scale: float
    offset: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HealthWaveform:
    """Samples of one quantity.

    Attributes
    ----------
    quantity
        What is measured.
    counts : shape (n_samples,), oldest first
        One column of the sample array, read-only; none if there is a `reason`.
    n_withheld
        Samples that are not given, for the `reason`.
    i_column
        Which column: 0, unless several samples are taken at once.
    scaling
        What a count is; None where the sensor's cannot be used.
    status
        What the sensor said about it, in words.
    status_bits
        The same as it was sent.
    reason
        Why there are no samples; None if there are.
    measured_at
        When the first sample was taken, by the device's clock.
    measured_at_utc_ns
        The same in nanoseconds since 1970 UTC, where the clock can tell.
    elapsed_time
        The same as it was sent; None if it was not.
    user
        Which of the sensor's users, by its own number; None: it does not say.
    """

    quantity: Quantity
    counts: NDArray[np.int64]
    n_withheld: int
    i_column: int
    scaling: Scaling | None
    status: frozenset[str] = frozenset()
    status_bits: int = 0
    reason: NoValueReason | None = None
    measured_at: DeviceDateTime | None = None
    measured_at_utc_ns: int | None = None
    elapsed_time: ElapsedTime | None = None
    user: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A value with all that is said of it: an observation's own, or a component's."""

    header: ObservationHeader
    observation_type: int
    value: object


def health_observation_readings(observation: Observation) -> tuple[Measured, ...]:
    """List the numbers whose MDC code `devices.codes` has, each in the unit of its row.

    A time is given only if the device's clock still runs as it did then.
    """
    return tuple(
        _reading(part, part.value)
        for part in _parts(observation)
        if isinstance(part.value, NumericValue) and _quantity(part) is not None
    )


def health_observation_waveforms(
    observation: Observation, *, signed: bool
) -> tuple[HealthWaveform, ...]:
    """List the sample arrays whose MDC code `devices.codes` has, column by column, empty ones not.

    Parameters
    ----------
    observation
        Single or bundled.
    signed
        Whether this model's samples have a sign: see `SampleArrayValue.counts`.
    """
    return tuple(
        waveform
        for part in _parts(observation)
        if isinstance(part.value, SampleArrayValue)
        for waveform in _waveforms(part, part.value, signed=signed)
    )


def unread_types(observation: Observation) -> tuple[int, ...]:
    """List the MDC codes of what becomes neither a reading nor a waveform, in order.

    0 stands for what has no code.
    """
    return tuple(
        part.observation_type
        for part in _parts(observation)
        if _quantity(part) is None or not isinstance(part.value, NumericValue | SampleArrayValue)
    )


def _parts(observation: Observation) -> Iterator[_Part]:
    singles: Iterable[HealthObservation] = (
        observation.unbundled() if isinstance(observation, ObservationBundle) else (observation,)
    )
    for single in singles:
        header = single.header
        if isinstance(single.value, CompoundValue):
            for component in single.value.components:
                yield _Part(
                    header=header,
                    observation_type=component.observation_type,
                    value=component.value,
                )
        else:
            observation_type = header.observation_type or 0
            yield _Part(header=header, observation_type=observation_type, value=single.value)


def _quantity(part: _Part) -> Quantity | None:
    """Find what a part is; a setting of the sensor is nothing that was measured."""
    if ObservationStatus.SETTING in _status(part.header):
        return None
    try:
        return codes.by_mdc(part.observation_type)
    except KeyError:
        return None


def _status(header: ObservationHeader) -> ObservationStatus:
    return header.status or ObservationStatus(0)


def _status_words(status: ObservationStatus) -> frozenset[str]:
    return frozenset(str(flag.name).lower() for flag in status)


def _status_reason(status: ObservationStatus) -> NoValueReason | None:
    return next((reason for bit, reason in _REASONS.items() if bit in status), None)


def _reading(part: _Part, numeric: NumericValue) -> Measured:
    quantity = codes.by_mdc(part.observation_type)
    status = _status(part.header)
    words = _status_words(status)
    reason = _status_reason(status) or _special_reason(numeric.value)
    number = value_of(numeric.value)
    if number is not None:
        convert = conversion(numeric.unit, quantity.ucum)
        if convert is None:
            reason = reason or NoValueReason.INVALID
            words |= {UNIT_NOT_CONVERTED}
        else:
            number = convert.of(number)
            reason = reason or _range_reason(quantity, number)
    return Measured(
        quantity=quantity,
        value=None if reason else number,
        reason=reason,
        status=words,
        status_bits=int(status),
        measured_at=_measured_at(part.header),
        elapsed_time=part.header.time,
        user=part.header.patient,
    )


def _waveforms(part: _Part, array: SampleArrayValue, *, signed: bool) -> Iterator[HealthWaveform]:
    quantity = _quantity(part)
    if quantity is None:
        return
    status = _status(part.header)
    scaling = _scaling(array, quantity)
    reason = _status_reason(status) or (None if scaling else NoValueReason.INVALID)
    counts = array.counts(signed=signed)
    counts.flags.writeable = False
    time = part.header.time
    for i_column in range(counts.shape[1] if len(counts) else 0):
        column = counts[:, i_column]
        yield HealthWaveform(
            quantity=quantity,
            counts=column[:0] if reason else column,
            n_withheld=len(column) if reason else 0,
            i_column=i_column,
            scaling=scaling,
            status=_status_words(status),
            status_bits=int(status),
            reason=reason,
            measured_at=_measured_at(part.header),
            measured_at_utc_ns=time.utc_ns if time and time.on_current_timeline else None,
            elapsed_time=time,
            user=part.header.patient,
        )


def _scaling(array: SampleArrayValue, quantity: Quantity) -> Scaling | None:
    """Give the scaling in the quantity's unit, or None where the array's cannot be used."""
    convert = conversion(array.unit, quantity.ucum)
    scale, offset, period_s = (
        value_of(number) for number in (array.scale, array.offset, array.period_s)
    )
    if convert is None or offset is None or not scale or not period_s or period_s < 0:
        return None
    return Scaling(
        scale=float(Fraction(scale) * convert.factor),
        offset=convert.of(offset),
        period_s=period_s,
    )


def _special_reason(number: MedFloat) -> NoValueReason | None:
    return NoValueReason(number.value) if isinstance(number, Special) else None


def _range_reason(quantity: Quantity, number: float) -> NoValueReason | None:
    value_min, value_max = _RANGES.get(quantity.name, (-math.inf, math.inf))
    return None if value_min <= number <= value_max else NoValueReason.OUT_OF_RANGE


def _measured_at(header: ObservationHeader) -> DeviceDateTime | None:
    time = header.time
    return time.to_date_time() if time is not None and time.on_current_timeline else None


_REASONS: Final[Mapping[ObservationStatus, NoValueReason]] = {
    ObservationStatus.TEST_DATA: NoValueReason.TEST_DATA,
    ObservationStatus.NOT_AVAILABLE: NoValueReason.SENSOR_UNAVAILABLE,
    ObservationStatus.INVALID: NoValueReason.INVALID,
    ObservationStatus.CALIBRATING: NoValueReason.CALIBRATING,
}
"""Bits that withhold a value; the first that is set gives the reason."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    codes.SPO2.name: (0.0, _PERCENT_MAX),
    codes.BATTERY_LEVEL.name: (0.0, _PERCENT_MAX),
    codes.PERFUSION_INDEX.name: (0.0, math.inf),
    codes.HEART_RATE.name: (0.0, math.inf),
    codes.PULSE_RATE.name: (0.0, math.inf),
    codes.RESPIRATORY_RATE.name: (0.0, math.inf),
    codes.RR_INTERVAL.name: (0.0, math.inf),
}
"""What a quantity cannot be outside of; as the profiles of single devices have it."""
