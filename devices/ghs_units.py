"""Units of the nomenclature, as observations state them, and what they are in UCUM.

A unit is a term of partition 4 (dimensions), 16 bits: a base, whose five lowest bits are 0, plus a
decimal prefix in those five bits.

Source: ISO/IEEE 11073-10101, dimensions; the terms were verified against a public table of them
(Philips' GHS server) and HL7 examples (264864 beats per minute, 266016 mmHg). UCUM 2.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

DIMENSIONS: Final = 4 << 16
"""Partition MDC_PART_DIM: a unit's 32-bit code is this and its term."""
_PREFIX_MASK: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """From one unit to another: value x `factor` + `offset`."""

    factor: Fraction
    offset: Fraction = Fraction(0)

    def of(self, value: float) -> float:
        """Convert a value; the same unit gives the same value, bit for bit."""
        if self.factor == 1 and not self.offset:
            return value
        return float(Fraction(value) * self.factor + self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A unit by its like: value x `factor` + `offset` is in that."""

    like: str
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


def ucum_of(unit: int) -> str | None:
    """Write a unit as UCUM does, or None if it is not known here.

    Parameters
    ----------
    unit
        Term of partition 4, 16 bits.
    """
    prefix = _PREFIXES.get(unit & _PREFIX_MASK)
    base = unit & ~_PREFIX_MASK
    if base in _PREFIXABLE and prefix is not None:
        return prefix + _PREFIXABLE[base]
    return _WITHOUT_PREFIX.get(unit)


def conversion(unit: int, ucum: str) -> Conversion | None:
    """Find how a unit becomes another, or None if it is not known or not alike.

    Parameters
    ----------
    unit
        Term of partition 4, 16 bits.
    ucum
        The unit that is wanted.
    """
    stated = ucum_of(unit)
    if stated is None:
        return None
    if stated == ucum:
        return Conversion(factor=Fraction(1))
    source, target = _unit(stated), _unit(ucum)
    if source is None or target is None or source.like != target.like:
        return None
    return Conversion(
        factor=source.factor / target.factor,
        offset=(source.offset - target.offset) / target.factor,
    )


def _unit(ucum: str) -> _Unit | None:
    if ucum in _UNITS:
        return _UNITS[ucum]
    for prefix, power in _POWERS.items():
        base = ucum.removeprefix(prefix)
        if base != ucum and base in _PREFIXABLE.values():
            return _Unit(like=base, factor=Fraction(10) ** power)
    return None


_PREFIXES: Final[Mapping[int, str]] = {
    0: "",
    2: "h",
    3: "k",
    4: "M",
    16: "d",
    17: "c",
    18: "m",
    19: "u",
    20: "n",
}
_POWERS: Final[Mapping[str, int]] = {
    "h": 2,
    "k": 3,
    "M": 6,
    "d": -1,
    "c": -2,
    "m": -3,
    "u": -6,
    "n": -9,
}

_PREFIXABLE: Final[Mapping[int, str]] = {
    1280: "m",
    1600: "L",
    1728: "g",
    2112: "g/dL",
    2176: "s",
    2816: "m/s",
    3840: "Pa",
    3968: "J",
    4256: "V",
    4288: "Ohm",
    4704: "mol/L",
}
_WITHOUT_PREFIX: Final[Mapping[int, str]] = {
    512: "1",
    544: "%",
    736: "deg",
    1376: "[in_i]",
    1760: "[lb_av]",
    2208: "min",
    2240: "h",
    2528: "/min",
    2720: "/min",
    2752: "/min",
    2784: "/min",
    3872: "mm[Hg]",
    4384: "K",
    4416: "[degF]",
    6048: "Cel",
}

_UNITS: Final[Mapping[str, _Unit]] = {
    **{base: _Unit(like=base) for base in _PREFIXABLE.values()},
    "1": _Unit(like="1"),
    "%": _Unit(like="1", factor=Fraction(1, 100)),
    "min": _Unit(like="s", factor=Fraction(60)),
    "h": _Unit(like="s", factor=Fraction(3600)),
    "/min": _Unit(like="/min"),
    "[in_i]": _Unit(like="m", factor=Fraction(254, 10_000)),
    "[lb_av]": _Unit(like="g", factor=Fraction(45_359_237, 100_000)),
    "mm[Hg]": _Unit(like="Pa", factor=Fraction(133_322_387_415, 10**9)),
    "K": _Unit(like="K"),
    "Cel": _Unit(like="K", offset=Fraction(27_315, 100)),
    "[degF]": _Unit(like="K", factor=Fraction(5, 9), offset=Fraction(45_967, 180)),
}
