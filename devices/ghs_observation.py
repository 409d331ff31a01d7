"""Observations of a Generic Health Sensor: header and value, single or bundled.

    class u8 | length u16 | flags u16 | what the flags say | value

The length counts what follows it. Several notifications may carry one observation (see
`devices.ghs_segments`); a stored one has its record number in front.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), section 3.2, whose text was not at
hand. Order, widths and flags are those of ST's public GHS sensor for STM32WBA (2024), whose example
observations are among the tests, and of Realtek's GHSS server v1.0. That the length counts what
follows it is as ST, Philips and Brian Reinhold have it; Realtek's counts the whole observation, and
is refused here. Only a bundle may leave out what it observes, Realtek says; ST's examples do it
too, and nothing can be read from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from devices.errors import EncodeError, InvalidFieldError
from devices.ghs_classes import ObservationClass
from devices.ghs_header import ObservationHeader, inherit, read_header, write_header
from devices.ghs_samples import SampleArrayValue
from devices.ghs_tlv import TlvValue
from devices.ghs_values import (
    ComponentValue,
    CompoundValue,
    DiscreteEventsValue,
    DiscreteValue,
    NumericValue,
    StateEventsValue,
    StringValue,
)
from devices.payload import PayloadReader, PayloadWriter

_RECORD_NUMBER_BYTES: Final = 4
_LENGTH_MAX: Final = 0xFFFF
OBSERVATION_BYTES_MAX: Final = _RECORD_NUMBER_BYTES + 3 + _LENGTH_MAX
"""The longest stored observation that the length field can tell of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownValue:
    """The value of an observation of a class that is not known here: its bytes.

    Attributes
    ----------
    observation_class
        As sent.
    content
        As sent.
    """

    observation_class: int
    content: bytes

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        writer.raw("value", self.content)


ObservationValue = ComponentValue | CompoundValue | TlvValue | UnknownValue


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthObservation:
    """One observation."""

    header: ObservationHeader
    value: ObservationValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationBundle:
    """Several observations, and what is said of all of them."""

    header: ObservationHeader
    observations: tuple[HealthObservation, ...]

    def unbundled(self) -> tuple[HealthObservation, ...]:
        """Give the observations with what the bundle says of them.

        What an observation says of itself stands; a status of either holds, so that a bundle of
        test data has no real observation in it.
        """
        return tuple(
            replace(observation, header=inherit(observation.header, self.header))
            for observation in self.observations
        )


Observation = HealthObservation | ObservationBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObservation:
    """An observation from the sensor's store.

    Attributes
    ----------
    record_number
        Its place in the store, 32 bits, ascending.
    observation
        The observation.
    """

    record_number: int
    observation: Observation


def decode_health_observation(payload: bytes) -> Observation:
    """Decode a Live Health Observation, put together from its segments.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload, n_bytes_max=OBSERVATION_BYTES_MAX)
    observation = _read_observation(reader)
    reader.finish()
    return observation


def encode_health_observation(observation: Observation) -> bytes:
    """Encode a Live Health Observation, to be cut into segments.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter(n_bytes_max=OBSERVATION_BYTES_MAX)
    writer.raw("observation", _observation_bytes(observation))
    return writer.finish()


def decode_stored_observation(payload: bytes) -> StoredObservation:
    """Decode a Stored Health Observation, put together from its segments.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload, n_bytes_max=OBSERVATION_BYTES_MAX)
    record_number = reader.u32("record_number")
    observation = _read_observation(reader)
    reader.finish()
    return StoredObservation(record_number=record_number, observation=observation)


def encode_stored_observation(stored: StoredObservation) -> bytes:
    """Encode a Stored Health Observation, to be cut into segments.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter(n_bytes_max=OBSERVATION_BYTES_MAX)
    writer.u32("record_number", stored.record_number)
    writer.raw("observation", _observation_bytes(stored.observation))
    return writer.finish()


def _read_observation(reader: PayloadReader) -> Observation:
    number, body = _read_body(reader)
    header = read_header(body)
    if number == ObservationClass.BUNDLE:
        n_observations = body.u8("number_of_observations")
        inside = tuple(_read_bundled(body) for _ in range(n_observations))
        body.finish()
        return ObservationBundle(header=header, observations=inside)
    return _with_value(body, number, header)


def _read_bundled(reader: PayloadReader) -> HealthObservation:
    number, body = _read_body(reader)
    if number == ObservationClass.BUNDLE:
        raise InvalidFieldError(field="observation_class", value=number, why="is in a bundle")
    return _with_value(body, number, read_header(body))


def _read_body(reader: PayloadReader) -> tuple[int, PayloadReader]:
    number = reader.u8("observation_class")
    body = reader.raw("observation", reader.u16("length"))
    return number, PayloadReader(body, n_bytes_max=_LENGTH_MAX)


def _with_value(body: PayloadReader, number: int, header: ObservationHeader) -> HealthObservation:
    read = _READERS.get(number)
    value = (
        UnknownValue(observation_class=number, content=body.rest()) if read is None else read(body)
    )
    body.finish()
    return HealthObservation(header=header, value=value)


def _observation_bytes(observation: Observation) -> bytes:
    header = observation.header
    if isinstance(observation, ObservationBundle):
        number: int = ObservationClass.BUNDLE
    else:
        number = observation.value.observation_class
        if isinstance(observation.value, UnknownValue) and number in set(ObservationClass):
            raise EncodeError(field="observation_class", value=number, why="is a known one")
    body = PayloadWriter(n_bytes_max=_LENGTH_MAX)
    write_header(body, header)
    if isinstance(observation, ObservationBundle):
        body.u8("number_of_observations", len(observation.observations))
        for inside in observation.observations:
            body.raw("observation", _observation_bytes(inside))
    else:
        observation.value.write(body)
    content = body.finish()
    writer = PayloadWriter(n_bytes_max=OBSERVATION_BYTES_MAX)
    writer.u8("observation_class", number)
    writer.u16("length", len(content))
    writer.raw("observation", content)
    return writer.finish()


_READERS: Final[Mapping[int, Callable[[PayloadReader], ObservationValue]]] = {
    ObservationClass.NUMERIC: NumericValue.read,
    ObservationClass.SIMPLE_DISCRETE: DiscreteValue.read,
    ObservationClass.STRING: StringValue.read,
    ObservationClass.SAMPLE_ARRAY: SampleArrayValue.read,
    ObservationClass.COMPOUND_DISCRETE_EVENT: DiscreteEventsValue.read,
    ObservationClass.COMPOUND_STATE_EVENT: StateEventsValue.read,
    ObservationClass.COMPOUND: CompoundValue.read,
    ObservationClass.TLV: TlvValue.read,
}
