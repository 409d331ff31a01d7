"""How the time of an EDF+ file is cut into data records, none of which lacks a sample.

Source: Kemp and Olivan, Clin. Neurophysiol. 114:1755-1761 (2003), section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ingest.frame import NS_PER_S
from processors.exports.edf_fields import decimal_field
from processors.exports.tracks import ExportError

N_RECORDS_MAX: Final = 20_000_000
"""Data records of one file."""

_RECORD_BYTES_MAX: Final = 61_440
"""Of a data record, by the format's definition."""
_RECORD_BYTES_LARGEST: Final = 10_000_000
"""Programs read larger ones than that, and where nothing else is exact they are written."""
_RATE_ERROR_MAX: Final = 1e-6
"""A rate that the header states no better would be off by a sample after an hour of 300 Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How the time of a file is cut into data records."""

    frames_per_record: int
    duration: str
    """Of a data record in seconds, as the header writes it."""
    rate_error: float
    """By what share the rate that a reader makes of it is off."""
    is_continuous: bool
    onsets_ns: Sequence[int]
    """Of each data record, since the first one."""


def cut_into_records(
    runs: Sequence[tuple[int, int]], frame_rate: Fraction, frame_bytes: int
) -> Cut:
    """Choose how many frames a record has: a divisor of each run, the best of them.

    Parameters
    ----------
    runs
        Frames with samples: the first of each stretch and the one behind its last.

    Raises
    ------
    ExportError
    """
    common = math.gcd(*(end - begin for begin, end in runs))
    may_be = (n for n in _divisors(common) if n == 1 or n * frame_bytes <= _RECORD_BYTES_LARGEST)

    def cost(n: int) -> tuple[bool, bool, float, float]:
        error = _rate_error(n, frame_rate, down=len(runs) > 1)
        is_long = n * frame_bytes > _RECORD_BYTES_MAX
        # Of those that are as good, the one of about a second.
        return error > _RATE_ERROR_MAX, is_long, error, abs(math.log(n / frame_rate))

    n = min(may_be, key=cost)
    is_continuous = len(runs) == 1 and _rate_error(n, frame_rate, down=False) <= _RATE_ERROR_MAX
    if sum(end - begin for begin, end in runs) // n > N_RECORDS_MAX:
        raise ExportError(
            f"between the gaps there are {common} samples at a time or multiples of it, which "
            f"makes more than {N_RECORDS_MAX} data records: export a shorter time, or WFDB records"
        )
    text = decimal_field(n / frame_rate, down=not is_continuous)
    if Fraction(text) == 0:
        raise ExportError(f"{float(frame_rate):g} Hz is too fast for {n} samples in a record")
    if is_continuous:
        onsets = [int(Fraction(text) * NS_PER_S) * i for i in range(runs[0][1] // n)]
    else:
        starts = (start for begin, end in runs for start in range(begin, end, n))
        onsets = [int(start * NS_PER_S / frame_rate) for start in starts]
    return Cut(
        frames_per_record=n,
        duration=text,
        rate_error=_rate_error(n, frame_rate, down=not is_continuous),
        is_continuous=is_continuous,
        onsets_ns=onsets,
    )


def _divisors(n: int) -> Iterator[int]:
    for one in range(1, math.isqrt(n) + 1):
        if n % one == 0:
            yield one
            if one * one != n:
                yield n // one


def _rate_error(n: int, frame_rate: Fraction, *, down: bool) -> float:
    exact = n / frame_rate
    try:
        return float(abs(Fraction(decimal_field(exact, down=down)) / exact - 1))
    except ExportError:
        return math.inf
