"""The values of a Generic Health Sensor's observations, one class of each kind.

A value is read and written without its class number, which stands in the observation's header (see
`devices.ghs_observation`) or in a compound's component.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), section 3.2; IEEE 11073-10206
(abstract content model). Neither text was at hand. Class numbers and layouts are those in which two
public implementations agree: ST's GHS sensor for STM32WBA (2024), whose examples are among the
tests, and Realtek's GHSS server (ghss_gatt_svc, v1.0). Not verified: how an observation's bits are
numbered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.ghs_classes import ObservationClass
from devices.ghs_samples import SampleArrayValue
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericValue:
    """A number with its unit.

    Attributes
    ----------
    unit
        MDC term of partition 4 (dimensions), 16 bits: see `devices.ghs_units`.
    value
        In that unit, or why there is none.
    """

    observation_class: ClassVar = ObservationClass.NUMERIC

    unit: int
    value: MedFloat

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        return cls(unit=reader.u16("unit"), value=reader.float_("value"))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        writer.u16("unit", self.unit)
        writer.float_("value", self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteValue:
    """One of the nomenclature's terms: 32 bits, as in `devices.codes`."""

    observation_class: ClassVar = ObservationClass.SIMPLE_DISCRETE

    code: int

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        return cls(code=reader.u32("value"))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        writer.u32("value", self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class StringValue:
    """A text for people."""

    observation_class: ClassVar = ObservationClass.STRING

    text: str

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        raw = reader.raw("value", reader.u16("length"))
        return cls(text=_text("value", raw))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        raw = _utf8("value", self.text)
        writer.u16("length", len(raw))
        writer.raw("value", raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteEventsValue:
    """Several of the nomenclature's terms that hold at once."""

    observation_class: ClassVar = ObservationClass.COMPOUND_DISCRETE_EVENT

    codes: tuple[int, ...]

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        return cls(codes=read_codes(reader, "value"))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        write_codes(writer, "value", self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEventsValue:
    """Bits that are states or events.

    The three fields are little-endian integers of `n_bytes`, as the Nordic sensors write them;
    which bit the nomenclature's bit 0 is could not be verified, so they are passed on as sent.

    Attributes
    ----------
    n_bytes
        Width of each, at least one.
    supported
        Bits that the sensor uses.
    states
        Of these, those that are states and last; the others are events.
    bits
        What is so now.
    """

    observation_class: ClassVar = ObservationClass.COMPOUND_STATE_EVENT

    n_bytes: int
    supported: int
    states: int
    bits: int

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        n_bytes = reader.u8("size")
        if not n_bytes:
            raise InvalidFieldError(field="size", value=0, why="is not 1 or more")
        return cls(
            n_bytes=n_bytes,
            supported=reader.unsigned("supported_mask", n_bytes),
            states=reader.unsigned("state_or_event_mask", n_bytes),
            bits=reader.unsigned("value", n_bytes),
        )

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        if not self.n_bytes:
            raise EncodeError(field="size", value=0, why="is not 1 or more")
        writer.u8("size", self.n_bytes)
        writer.unsigned("supported_mask", self.supported, self.n_bytes)
        writer.unsigned("state_or_event_mask", self.states, self.n_bytes)
        writer.unsigned("value", self.bits, self.n_bytes)


ComponentValue = (
    NumericValue
    | DiscreteValue
    | StringValue
    | SampleArrayValue
    | DiscreteEventsValue
    | StateEventsValue
)
"""What a component of a compound may be: compounds do not nest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of a compound.

    Attributes
    ----------
    observation_type
        What it is: MDC code, 32 bits.
    value
        Its value.
    """

    observation_type: int
    value: ComponentValue


@dataclass(frozen=True, slots=True, kw_only=True)
class CompoundValue:
    """Values that belong together: systolic, diastolic and mean pressure."""

    observation_class: ClassVar = ObservationClass.COMPOUND

    components: tuple[Component, ...]

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        n_components = reader.u8("number_of_components")
        return cls(components=tuple(_read_component(reader) for _ in range(n_components)))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        writer.u8("number_of_components", len(self.components))
        for component in self.components:
            writer.u32("component_type", component.observation_type)
            writer.u8("component_value_type", component.value.observation_class)
            component.value.write(writer)


def _read_component(reader: PayloadReader) -> Component:
    observation_type = reader.u32("component_type")
    number = reader.u8("component_value_type")
    read = _COMPONENT_READERS.get(number)
    if read is None:  # its length is not known: nothing after it can be read
        raise ReservedValueError(field="component_value_type", value=number)
    return Component(observation_type=observation_type, value=read(reader))


def read_codes(reader: PayloadReader, field: str) -> tuple[int, ...]:
    """Read a count of 8 bits and so many numbers of 32 bits."""
    n_codes = reader.u8(f"{field}_count")
    return tuple(reader.u32(field) for _ in range(n_codes))


def write_codes(writer: PayloadWriter, field: str, codes: tuple[int, ...]) -> None:
    """Write a count of 8 bits and so many numbers of 32 bits."""
    writer.u8(f"{field}_count", len(codes))
    for code in codes:
        writer.u32(field, code)


def _text(field: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFieldError(field=field, value=raw, why="is not UTF-8") from error


def _utf8(field: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodeError(field=field, value=text, why="is not text") from error


_COMPONENT_READERS: Final[Mapping[int, Callable[[PayloadReader], ComponentValue]]] = {
    ObservationClass.NUMERIC: NumericValue.read,
    ObservationClass.SIMPLE_DISCRETE: DiscreteValue.read,
    ObservationClass.STRING: StringValue.read,
    ObservationClass.SAMPLE_ARRAY: SampleArrayValue.read,
    ObservationClass.COMPOUND_DISCRETE_EVENT: DiscreteEventsValue.read,
    ObservationClass.COMPOUND_STATE_EVENT: StateEventsValue.read,
}
