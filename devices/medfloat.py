"""Medical numbers of 16 bits (SFLOAT) and 32 bits (FLOAT): a decimal mantissa and exponent.

Both fields are two's complement; the value is mantissa x 10^exponent. Five bit patterns, those of
exponent 0 around the largest mantissa, are not numbers: they decode to a `Special`, and no sentinel
leaves this module.

Source: IEEE 11073-20601, 4.3.3 (annex F.6 and F.7 of the 2008 edition); Bluetooth SIG, GATT
Specification Supplement, medfloat16 and medfloat32.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

from devices.errors import EncodeError


class Special(StrEnum):
    """Why a medical number has no value."""

    NAN = "not_a_number"
    NRES = "not_at_this_resolution"
    POSITIVE_INFINITY = "above_range"
    NEGATIVE_INFINITY = "below_range"
    RESERVED = "reserved_value"


MedFloat = float | Special
"""A decoded medical number: its value, or why it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    name: str
    mantissa_bits: int
    exponent_bits: int

    @property
    def largest_mantissa(self) -> int:
        """Largest magnitude that is a number at every exponent.

        The two patterns above it are special at exponent 0, and some receivers take them for
        special at any: they are decoded as the standard says, and never written.
        """
        return (1 << self.mantissa_bits - 1) - 3

    @property
    def exponents(self) -> range:
        half = 1 << self.exponent_bits - 1
        return range(-half, half)

    @property
    def specials(self) -> dict[int, Special]:
        """Specials by their bit pattern."""
        half = 1 << self.mantissa_bits - 1
        return {
            half - 1: Special.NAN,
            half: Special.NRES,
            half - 2: Special.POSITIVE_INFINITY,
            half + 2: Special.NEGATIVE_INFINITY,
            half + 1: Special.RESERVED,
        }


_SFLOAT: Final = _Format(name="SFLOAT", mantissa_bits=12, exponent_bits=4)
_FLOAT: Final = _Format(name="FLOAT", mantissa_bits=24, exponent_bits=8)

_EXACT: Final = Context(prec=40)
"""Digits for sums on decimals: more than any double has when written shortest."""


def value_of(number: MedFloat | None) -> float | None:
    """Give the value of a medical number, or None if it has none."""
    return None if number is None or isinstance(number, Special) else number


def decode_sfloat(raw: int) -> MedFloat:
    """Decode the 16 bits of an SFLOAT, given as an unsigned number."""
    return _decode(raw, _SFLOAT)


def decode_float(raw: int) -> MedFloat:
    """Decode the 32 bits of a FLOAT, given as an unsigned number."""
    return _decode(raw, _FLOAT)


def encode_sfloat(number: MedFloat, decimals: int | None = None) -> int:
    """Encode a number as the 16 bits of an SFLOAT.

    Parameters
    ----------
    number
        The value, or the special.
    decimals
        Decimal places to state, and to round to. None: as few as give the number exactly, or, if
        it has more digits than the mantissa holds, the nearest number that there is.

    Raises
    ------
    EncodeError
        The number is too large or too small, or is not finite, or does not fit with `decimals`.
    """
    return _encode(number, _SFLOAT, decimals)


def encode_float(number: MedFloat, decimals: int | None = None) -> int:
    """Encode a number as the 32 bits of a FLOAT; see `encode_sfloat`.

    Raises
    ------
    EncodeError
    """
    return _encode(number, _FLOAT, decimals)


def _signed(raw: int, n_bits: int) -> int:
    """Read the lowest bits as two's complement."""
    sign = 1 << n_bits - 1
    return (raw & sign - 1) - (raw & sign)


def _decode(raw: int, form: _Format) -> MedFloat:
    special = form.specials.get(raw)
    if special is not None:
        return special
    mantissa = _signed(raw, form.mantissa_bits)
    exponent = _signed(raw >> form.mantissa_bits, form.exponent_bits)
    # One rounding only: a division of integers, never a product with an inexact power of ten.
    return mantissa / 10**-exponent if exponent < 0 else float(mantissa * 10**exponent)


def _encode(number: MedFloat, form: _Format, decimals: int | None) -> int:
    if isinstance(number, Special):
        return next(raw for raw, special in form.specials.items() if special is number)
    if not math.isfinite(number):
        raise EncodeError(field=form.name, value=number, why="is not finite: write a Special")
    exact = Decimal(repr(float(number)))
    exponent = _smallest_exponent(exact, form) if decimals is None else -decimals
    mantissa = _mantissa(exact, exponent) if exponent in form.exponents else None
    if mantissa is None or abs(mantissa) > form.largest_mantissa:
        raise EncodeError(field=form.name, value=number, why="is too large for its decimal places")
    if mantissa == 0 and number and decimals is None:
        raise EncodeError(field=form.name, value=number, why="is too small")
    mantissa_mask = (1 << form.mantissa_bits) - 1
    exponent_mask = (1 << form.exponent_bits) - 1
    return (exponent & exponent_mask) << form.mantissa_bits | mantissa & mantissa_mask


def _mantissa(exact: Decimal, exponent: int) -> int:
    return int(exact.scaleb(-exponent, _EXACT).to_integral_value())


def _smallest_exponent(exact: Decimal, form: _Format) -> int:
    """Choose the exponent that states no digit too many and loses none that fits."""
    if abs(exact) <= form.largest_mantissa and exact == exact.to_integral_value():
        return 0  # 100 is written as 100, not as 1E2: its zeros were measured
    _, digits, own = exact.normalize(_EXACT).as_tuple()
    n_digits_max = len(str(form.largest_mantissa))
    exponent = int(own) + max(0, len(digits) - n_digits_max)
    exponent = max(form.exponents[0], min(exponent, form.exponents[-1]))
    if abs(_mantissa(exact, exponent)) > form.largest_mantissa:
        exponent += 1
    return exponent
