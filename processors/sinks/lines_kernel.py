"""Samples and parts of a second as line protocol: a hundred thousand lines in some milliseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel
from processors.sinks.envelope_kernel import SLOT_NS

Bytes = NDArray[np.uint8]
Integer = int | np.int64

SAMPLE_BYTES_MAX = 34
"""Of a line beside its prefix: a count of 11 digits and sign, a time of 19, and what divides."""

SLOT_BYTES_MAX = 80
"""Of a line of `write_slots` beside its prefix: two counts, a number of samples of 10 digits, a
time, and what divides."""

_MAX_NAME = np.frombuffer(b"i,max=", dtype=np.uint8)
_N_SAMPLES_NAME = np.frombuffer(b"i,n_samples=", dtype=np.uint8)
_NEWLINE = 10
_SPACE = 32
_MINUS = 45
_ZERO = 48
_LETTER_I = 105
_NS_PER_S = 1_000_000_000
_N_DIGITS_MAX = 19
_N_FRACTION_DIGITS = 9


@kernel
def _write_digits(number: Integer, n_digits: int, out: Bytes, at: int) -> int:
    """Write the lowest digits of a number, zeros in front; give the place behind them."""
    for i in range(at + n_digits - 1, at - 1, -1):
        rest = number // 10
        out[i] = _ZERO + number - rest * 10
        number = rest
    return at + n_digits


@kernel
def _write_number(number: Integer, out: Bytes, at: int) -> int:
    """Write an integer that is less than 10**18; give the place behind it."""
    if number < 0:
        out[at] = _MINUS
        at += 1
        number = -number
    n_digits = 1
    bound = 10
    while n_digits < _N_DIGITS_MAX - 1 and number >= bound:
        bound *= 10
        n_digits += 1
    return _write_digits(number, n_digits, out, at)


@kernel
def _write_text(text: Bytes, out: Bytes, at: int) -> int:
    """Write bytes as they are; give the place behind them."""
    for j in range(text.size):
        out[at + j] = text[j]
    return at + text.size


@kernel
def _write_time(t_ns: Integer, out: Bytes, at: int) -> int:
    """Write a time; give the place behind it."""
    seconds = t_ns // _NS_PER_S
    if seconds == 0:
        # No zeros in front: times of the first second of 1970.
        return _write_number(t_ns, out, at)
    at = _write_number(seconds, out, at)
    return _write_digits(t_ns - seconds * _NS_PER_S, _N_FRACTION_DIGITS, out, at)


@kernel
def write_slots(prefix: Bytes, slots: NDArray[np.int64], t0_ns: int, out: Bytes) -> int:
    """Write a line for each part of a second that has samples, a newline between two.

    Parameters
    ----------
    prefix
        What stands in front of the least count: measurement, tags and the field's name.
    slots
        Shape ``(N_SLOTS, 3)``: samples, least, greatest.
    t0_ns
        Begin of the second.
    out
        Room for ``prefix.size + SLOT_BYTES_MAX`` per part.

    Returns
    -------
    Bytes written.
    """
    at = 0
    for slot in range(slots.shape[0]):
        if slots[slot, 0] == 0:
            continue
        if at > 0:
            out[at] = _NEWLINE
            at += 1
        at = _write_text(prefix, out, at)
        at = _write_number(slots[slot, 1], out, at)
        at = _write_text(_MAX_NAME, out, at)
        at = _write_number(slots[slot, 2], out, at)
        at = _write_text(_N_SAMPLES_NAME, out, at)
        at = _write_number(slots[slot, 0], out, at)
        out[at] = _LETTER_I
        out[at + 1] = _SPACE
        at = _write_time(t0_ns + slot * SLOT_NS, out, at + 2)
    return at


@kernel
def write_samples(
    prefix: Bytes,
    counts: NDArray[np.int32],
    i_first: int,
    i_end: int,
    t0_ns: int,
    numerator: int,
    denominator: int,
    remainder: int,
    out: Bytes,
) -> int:
    """Write the lines of samples ``i_first`` to ``i_end`` of a block, a newline between two.

    Parameters
    ----------
    prefix
        What stands in front of each count: measurement, tags and the field's name.
    i_first, i_end
        Places in ``counts``.
    t0_ns, numerator, denominator, remainder
        The time of sample ``i`` is ``t0_ns + (i * numerator + remainder) // denominator``.
    out
        Room for ``prefix.size + SAMPLE_BYTES_MAX`` per sample.

    Returns
    -------
    Bytes written.
    """
    at = 0
    n_prefix = prefix.size
    written_s = -1
    seconds_at = 0
    n_second_digits = 0
    for i in range(i_first, i_end):
        if i > i_first:
            out[at] = _NEWLINE
            at += 1
        for j in range(n_prefix):
            out[at + j] = prefix[j]
        at = _write_number(np.int64(counts[i]), out, at + n_prefix)
        out[at] = _LETTER_I
        out[at + 1] = _SPACE
        at += 2
        t_ns = t0_ns + (i * numerator + remainder) // denominator
        seconds = t_ns // _NS_PER_S
        if seconds == 0:
            # No zeros in front: times of the first second of 1970.
            at = _write_number(t_ns, out, at)
            continue
        begin = at
        if seconds == written_s:
            for j in range(n_second_digits):
                out[at + j] = out[seconds_at + j]
            at += n_second_digits
        else:
            at = _write_number(seconds, out, at)
            n_second_digits = at - begin
            written_s = seconds
        seconds_at = begin
        at = _write_digits(t_ns - seconds * _NS_PER_S, _N_FRACTION_DIGITS, out, at)
    return at
