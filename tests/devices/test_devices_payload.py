"""Fields, medical numbers, dates and errors."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.date_time import DeviceDateTime
from devices.errors import (
    EncodeError,
    InvalidFieldError,
    TrailingBytesError,
    TruncatedPayloadError,
    UnknownCharacteristicError,
    UnsupportedFrameError,
)
from devices.medfloat import (
    Special,
    decode_float,
    decode_sfloat,
    encode_float,
    encode_sfloat,
    value_of,
)
from devices.payload import PayloadReader, PayloadWriter

SFLOAT_MANTISSA = 2045
FLOAT_MANTISSA = (1 << 23) - 3
SPECIALS = {
    Special.NAN: (0x07FF, 0x007FFFFF),
    Special.NRES: (0x0800, 0x00800000),
    Special.POSITIVE_INFINITY: (0x07FE, 0x007FFFFE),
    Special.NEGATIVE_INFINITY: (0x0802, 0x00800002),
    Special.RESERVED: (0x0801, 0x00800001),
}


def test_truncation_names_the_missing_field() -> None:
    reader = PayloadReader(b"\x01\x02\x03")
    reader.u16("first")

    with pytest.raises(
        TruncatedPayloadError, match="second: 4 bytes needed, 1 available"
    ) as caught:
        reader.u32("second")

    assert (caught.value.field, caught.value.needed, caught.value.available) == ("second", 4, 1)


def test_a_failed_read_takes_nothing() -> None:
    reader = PayloadReader(b"\x01")
    with pytest.raises(TruncatedPayloadError):
        reader.u16("pair")

    assert reader.u8("single") == 1


def test_trailing_bytes_are_counted() -> None:
    reader = PayloadReader(b"\x01\x02\x03")
    reader.u8("only")

    with pytest.raises(TrailingBytesError, match="2 bytes") as caught:
        reader.finish()

    assert caught.value.n_bytes == 2


def test_an_optional_rest_may_be_empty_and_a_named_one_may_not() -> None:
    assert PayloadReader(b"").rest() == b""
    with pytest.raises(TruncatedPayloadError):
        PayloadReader(b"").rest("content")


@given(
    u8=st.integers(0, 2**8 - 1),
    u16=st.integers(0, 2**16 - 1),
    u24=st.integers(0, 2**24 - 1),
    s24=st.integers(-(2**23), 2**23 - 1),
    u32=st.integers(0, 2**32 - 1),
    u64=st.integers(0, 2**64 - 1),
    binary32=st.floats(width=32, allow_nan=False),
)
def test_what_is_written_is_read_back(
    u8: int, u16: int, u24: int, s24: int, u32: int, u64: int, binary32: float
) -> None:
    writer = PayloadWriter()
    writer.u8("u8", u8)
    writer.u16("u16", u16)
    writer.u24("u24", u24)
    writer.s24("s24", s24)
    writer.u32("u32", u32)
    writer.u64("u64", u64)
    writer.binary32("binary32", binary32)
    reader = PayloadReader(writer.finish())

    assert reader.u8("u8") == u8
    assert reader.u16("u16") == u16
    assert reader.u24("u24") == u24
    assert reader.s24("s24") == s24
    assert reader.u32("u32") == u32
    assert reader.u64("u64") == u64
    assert reader.binary32("binary32") == binary32
    reader.finish()


@pytest.mark.parametrize(
    ("method", "value"),
    [("u8", 256), ("u8", -1), ("u16", 65536), ("u24", 1 << 24), ("s24", 1 << 23), ("u64", 1 << 64)],
)
def test_an_integer_that_does_not_fit_is_refused(method: str, value: int) -> None:
    with pytest.raises(EncodeError, match="count") as caught:
        getattr(PayloadWriter(), method)("count", value)

    assert (caught.value.field, caught.value.value) == ("count", value)


@pytest.mark.parametrize("method", ["sfloat", "float_", "binary32"])
def test_a_number_that_does_not_fit_names_its_field(method: str) -> None:
    with pytest.raises(EncodeError, match="temperature"):
        getattr(PayloadWriter(), method)("temperature", 1e200)


def test_a_payload_that_grows_too_long_is_refused() -> None:
    writer = PayloadWriter()
    writer.raw("first", bytes(512))

    with pytest.raises(EncodeError, match="last"):
        writer.u8("last", 0)


@pytest.mark.parametrize("special", Special)
def test_specials_go_both_ways(special: Special) -> None:
    sfloat, float_ = SPECIALS[special]

    assert decode_sfloat(sfloat) is special
    assert decode_float(float_) is special
    assert encode_sfloat(special) == sfloat
    assert encode_float(special) == float_
    assert value_of(special) is None


def test_the_infinities_differ() -> None:
    assert decode_sfloat(0x07FE) is not decode_sfloat(0x0802)


def test_value_of_passes_numbers_and_nothing() -> None:
    assert value_of(36.6) == 36.6
    assert value_of(None) is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (0x0061, 97.0),
        (0xF3E8, 100.0),
        (0x0064, 100.0),
        (0xF057, 8.7),
        (0x8001, 1e-8),
        (0x77FF, 2047e7),  # the patterns are special at exponent 0 only
        (0x0FFF, -1.0),
    ],
)
def test_sfloat_is_two_decimal_integers_in_two_complement(raw: int, value: float) -> None:
    assert decode_sfloat(raw) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [(0xFE000E71, 36.97), (0xFF000178, 37.6), (0x7F000001, 1e127), (0x80000001, 1e-128)],
)
def test_float_is_two_decimal_integers_in_two_complement(raw: int, value: float) -> None:
    assert decode_float(raw) == value


@given(mantissa=st.integers(-SFLOAT_MANTISSA, SFLOAT_MANTISSA), exponent=st.integers(-8, 7))
def test_every_sfloat_survives_a_round_trip(mantissa: int, exponent: int) -> None:
    value = float(f"{mantissa}e{exponent}")

    assert decode_sfloat(encode_sfloat(value)) == value


@given(mantissa=st.integers(-FLOAT_MANTISSA, FLOAT_MANTISSA), exponent=st.integers(-128, 127))
def test_every_float_survives_a_round_trip(mantissa: int, exponent: int) -> None:
    value = float(f"{mantissa}e{exponent}")

    assert decode_float(encode_float(value)) == value


@given(value=st.floats(min_value=1e-5, max_value=1e10))
def test_a_number_with_too_many_digits_is_rounded_to_the_nearest(value: float) -> None:
    decoded = value_of(decode_sfloat(encode_sfloat(value)))

    assert decoded is not None
    assert math.isclose(decoded, value, rel_tol=0.5 / 205)


@given(value=st.floats(min_value=-1e6, max_value=1e6))
def test_a_float_keeps_six_digits(value: float) -> None:
    if abs(value) > 1e-100:
        decoded = value_of(decode_float(encode_float(value)))
        assert decoded is not None
        assert math.isclose(decoded, value, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("value", "decimals", "raw"),
    [(98, None, 0x0062), (98, 1, 0xF3D4), (98.25, 1, 0xF3D6), (100, None, 0x0064), (0, 2, 0xE000)],
)
def test_decimal_places_are_stated_on_demand(value: float, decimals: int, raw: int) -> None:
    assert encode_sfloat(value, decimals) == raw


def test_twenty_thousand_needs_an_exponent() -> None:
    assert encode_sfloat(20_000.0) == 0x4002


def test_rounding_may_carry_into_one_more_digit() -> None:
    assert decode_sfloat(encode_sfloat(9999.6)) == 10_000.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e12, -1e12, 1e-12])
def test_a_number_that_no_sfloat_is_near_is_refused(value: float) -> None:
    with pytest.raises(EncodeError):
        encode_sfloat(value)


@pytest.mark.parametrize("decimals", [2, 9, -8])
def test_decimal_places_that_do_not_fit_are_refused(decimals: int) -> None:
    with pytest.raises(EncodeError):
        encode_sfloat(98.0, decimals)


dates = st.builds(
    DeviceDateTime,
    year=st.none() | st.integers(1582, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 28),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
)


@given(date=dates)
def test_a_date_survives_a_round_trip(date: DeviceDateTime) -> None:
    writer = PayloadWriter()
    writer.date_time("timestamp", date)

    assert PayloadReader(writer.finish()).date_time("timestamp") == date


@pytest.mark.parametrize(
    "changes",
    [
        {"year": 1581},
        {"year": 10_000},
        {"month": 13},
        {"day": 32},
        {"year": 2023, "month": 2, "day": 29},
        {"month": 4, "day": 31},
        {"hour": 24},
        {"minute": 60},
        {"second": 60},
    ],
    ids=str,
)
def test_a_date_that_there_is_not_cannot_exist(changes: dict[str, int]) -> None:
    good = {"year": 2024, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}

    with pytest.raises(ValueError, match=r"day|month|year|hour|minute|second"):
        DeviceDateTime(**good | changes)


def test_29_february_may_be_in_a_year_that_is_not_known() -> None:
    date = DeviceDateTime(year=None, month=2, day=29, hour=1, minute=2, second=3)

    assert date.to_datetime() is None


def test_a_known_date_is_a_naive_datetime() -> None:
    date = DeviceDateTime(year=2024, month=2, day=29, hour=1, minute=2, second=3)

    known = date.to_datetime()
    assert known is not None
    assert known.isoformat() == "2024-02-29T01:02:03"


def test_an_impossible_date_on_the_wire_is_an_invalid_field() -> None:
    with pytest.raises(InvalidFieldError, match="timestamp"):
        PayloadReader(bytes.fromhex("e8070d01000000")).date_time("timestamp")


def test_errors_say_what_they_are_about() -> None:
    frame = UnsupportedFrameError(measurement=2, frame_type=9, compressed=True)

    assert str(frame) == "compressed frame type 9 of measurement type 2"
    assert str(UnknownCharacteristicError("2a00")) == "no decoder for characteristic 2a00"
