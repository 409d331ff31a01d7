"""Numbers in the eight characters that a header of EDF has for each.

Source: Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393 (1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from processors.exports.tracks import ExportError

CHARS: Final = 8

_DENOMINATOR_MAX: Final = 10**6
_VALUE_MIN, _VALUE_MAX = -9_999_999, 99_999_999
_N_TRIED_MAX: Final = 4_096
"""Counts that are looked at for one whose value needs no rounding."""


def shortest_fraction(value: float) -> Fraction:
    """Give the simple fraction, or else the decimal, that a float was made of."""
    simple = Fraction(value).limit_denominator(_DENOMINATOR_MAX)
    return simple if float(simple) == value else Fraction(repr(value))


def decimal_field(value: Fraction, *, down: bool = False) -> str:
    """Write a number in eight characters, to the nearest that fits, or to the one below.

    Raises
    ------
    ExportError
        Its whole part has more.
    """
    for n_decimals in range(CHARS - 2, -1, -1):
        scaled = value * 10**n_decimals
        number = math.floor(scaled) if down else round(scaled)
        text = f"{abs(number):0{n_decimals + 1}d}"
        if n_decimals:
            text = f"{text[:-n_decimals]}.{text[-n_decimals:]}".rstrip("0").rstrip(".")
        text = f"-{text}" if number < 0 else text
        if len(text) <= CHARS:
            return text
    raise ExportError(f"{float(value):g} has no room in the {CHARS} characters of a header of EDF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Two counts and their values, by which a header says what all counts mean."""

    digital: tuple[int, int]
    physical: tuple[str, str]

    @property
    def scale(self) -> Fraction:
        """What a reader makes of it: units per count."""
        low, high = map(Fraction, self.physical)
        return (high - low) / (self.digital[1] - self.digital[0])

    @property
    def offset(self) -> Fraction:
        """The value of the count 0."""
        return Fraction(self.physical[0]) - self.digital[0] * self.scale


def calibrate(
    scale: Fraction, offset: Fraction, *, counts: tuple[int, int], limits: tuple[int, int]
) -> Calibration:
    """Choose the counts and values of a header: those that say the scale exactly, or nearly.

    Parameters
    ----------
    counts
        The least and the greatest there is: the chosen ones are not within.
    limits
        The least and the greatest that the file can hold.

    Raises
    ------
    ExportError
        The values have no room in a header, or are the same there.
    """
    # What is further out has no room.
    ends = sorted((one - offset) / scale for one in (_VALUE_MIN, _VALUE_MAX))
    least, most = max(limits[0], math.ceil(ends[0])), min(limits[1], math.floor(ends[1]))
    low = _least_rounded(
        scale, offset, range(least, counts[0] + 1) or range(counts[0], counts[0] + 1)
    )
    high = _least_rounded(
        scale, offset, range(most, counts[1] - 1, -1) or range(counts[1], counts[1] + 1)
    )
    if low == high:  # one count only, and it is at a limit
        low, high = low - (low > limits[0]), high + (low == limits[0])
    chosen = Calibration(
        digital=(low, high),
        physical=(decimal_field(low * scale + offset), decimal_field(high * scale + offset)),
    )
    if chosen.scale == 0:
        raise ExportError(
            f"the counts {low} to {high} are {float(low * scale + offset):g} to "
            f"{float(high * scale + offset):g}, which are the same in the {CHARS} characters of a "
            "header of EDF: export it in a smaller unit"
        )
    return chosen


def _least_rounded(scale: Fraction, offset: Fraction, counts: range) -> int:
    """Give the first count of which the value needs no rounding, or else the least."""
    chosen = counts[0]
    least: Fraction | float = math.inf
    for count in counts[:_N_TRIED_MAX]:
        value = count * scale + offset
        if _VALUE_MIN <= value <= _VALUE_MAX:
            rounding = abs(Fraction(decimal_field(value)) - value)
            if rounding < least:
                chosen, least = count, rounding
            if rounding == 0:
                break
    return chosen
