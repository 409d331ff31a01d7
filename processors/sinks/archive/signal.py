"""Rows of waveforms to the samples of one signal, with the time of each: pure."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, Gap
from processors.sinks.archive.errors import ArchiveRefusedError

_PRODUCT_MAX: Final = 2**61

_SPAN: Final = 16_384
"""Samples whose times are worked out at once, where a period allows it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalValues:
    """What is known of one signal between two times."""

    device_id: str
    channel: str
    mdc_code: int | None
    """None where there is no sample."""
    unit: str
    """UCUM unit of ``values``."""
    rate_hz: float
    """Samples per second as of the first sample; 0 where there is none."""
    t_ns: NDArray[np.int64]
    """UTC of each sample, ns since 1970, rising; shape ``(n_samples,)``."""
    counts: NDArray[np.int32]
    """The integers that the sensor sent, shape ``(n_samples,)``."""
    scales: NDArray[np.float64]
    """What one count is worth: one number for all, or one for each sample."""
    offsets: NDArray[np.float64]
    """What a count of 0 is, likewise."""
    gaps: tuple[Gap, ...]
    """Where samples are missing, and why."""

    @property
    def values(self) -> NDArray[np.float64]:
        """The samples in ``unit``, shape ``(n_samples,)``."""
        return self.counts.astype(np.float64) * self.scales + self.offsets

    @property
    def n_samples(self) -> int:
        """Samples that are there."""
        return int(self.counts.size)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Rows as arrays, one number for each."""

    i_first: NDArray[np.int64]
    t0_ns: NDArray[np.int64]
    numerator: NDArray[np.int64]
    denominator: NDArray[np.int64]
    n_samples: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Any) -> "_Blocks":  # noqa: ANN401
        names = ("i_first", "t0_ns", "period_ns_numerator", "period_ns_denominator", "n_samples")
        return cls(*(rows[name].to_numpy().astype(np.int64, copy=False) for name in names))


def times_of(rows: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Give the time of every sample of rows, in their order.

    Rows that follow one another on one grid are dealt with together.
    """
    blocks = _Blocks.of(rows)
    starts = _first_of_runs(blocks)
    behind = np.cumsum(blocks.n_samples)
    ends = np.append(starts[1:], len(blocks.n_samples))
    times = np.empty(int(behind[-1]) if behind.size else 0, dtype=np.int64)
    at = 0
    for first, end in zip(starts.tolist(), ends.tolist(), strict=True):
        n = int(behind[end - 1]) - at
        numerator, denominator = int(blocks.numerator[first]), int(blocks.denominator[first])
        remainder = int(blocks.i_first[first]) * numerator % denominator
        piece = times[at : at + n]
        _fill(piece, numerator, denominator, remainder)
        piece += blocks.t0_ns[first]
        at += n
    return times


def _fill(times: NDArray[np.int64], numerator: int, denominator: int, remainder: int) -> None:
    """Put ``(remainder + k × numerator) // denominator`` into place k."""
    # After as many samples as the denominator says all begins anew, a numerator later.
    repeats = max(1, _SPAN // denominator)
    if denominator * repeats <= 2 * _SPAN:
        span, n_max = denominator * repeats, denominator * repeats
    else:
        # So many at once that the products stay within 64 bits.
        span, n_max = 0, max(1, _PRODUCT_MAX // denominator)
    whole, part = divmod(numerator, denominator)
    k = np.arange(min(n_max, times.size), dtype=np.int64)
    steps = k * whole + (k * part + remainder) // denominator
    for first in range(0, times.size, n_max):
        piece = times[first : first + n_max]
        if span:
            np.add(steps[: piece.size], numerator * (first // denominator), out=piece)
            continue
        base, left = divmod(remainder + first * numerator, denominator)
        k = k[: piece.size]
        piece[:] = k * whole + (k * part + left) // denominator + base


def _first_of_runs(blocks: _Blocks) -> NDArray[np.intp]:
    """Give the first row of each run of rows whose samples are one grid without a hole."""
    if blocks.n_samples.size == 0:
        return np.zeros(0, dtype=np.intp)
    follows = (
        (blocks.i_first[1:] == blocks.i_first[:-1] + blocks.n_samples[:-1])
        & (blocks.numerator[1:] == blocks.numerator[:-1])
        & (blocks.denominator[1:] == blocks.denominator[:-1])
    )
    # On the same grid the next row begins where this one's period says, to the nanosecond.
    i_first, n = blocks.i_first[:-1], blocks.n_samples[:-1]
    numerator, denominator = blocks.numerator[:-1], blocks.denominator[:-1]
    remainder = _remainders(i_first, numerator, denominator)
    whole, part = numerator // denominator, numerator % denominator
    due = blocks.t0_ns[:-1] + n * whole + (n * part + remainder) // denominator
    follows &= blocks.t0_ns[1:] == due
    first: NDArray[np.intp] = np.flatnonzero(np.concatenate(([True], ~follows)))
    return first


def _remainders(
    i_first: NDArray[np.int64], numerator: NDArray[np.int64], denominator: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give ``i_first × numerator % denominator``; beyond 64 bits by Python's integers."""
    part = numerator % denominator
    i = i_first % denominator
    if i.size and float(i.max()) * float(part.max()) < 2.0**62:
        return i * part % denominator
    exact = [
        a * b % c for a, b, c in zip(i.tolist(), part.tolist(), denominator.tolist(), strict=True)
    ]
    return np.array(exact, dtype=np.int64)


def counts_of(rows: Any) -> NDArray[np.int32]:  # noqa: ANN401
    """Give the integers of rows, one after the other."""
    chunks = [chunk.flatten().to_numpy() for chunk in rows["counts"].chunks]
    if not chunks:
        return np.zeros(0, dtype=np.int32)
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def signal_of(
    rows: Any,  # noqa: ANN401
    gaps: tuple[Gap, ...],
    *,
    device_id: str,
    channel: str,
    between: tuple[int | None, int | None],
) -> SignalValues:
    """Join rows of one signal, in order of time and each once, to its samples.

    Parameters
    ----------
    gaps
        Those of the time, and some from before: these are left out where they end before it.
    between
        Samples from the one time on and before the other are given; None: no bound.

    Raises
    ------
    ArchiveRefusedError
        The unit changes in between.
    """
    units = set(rows["unit"].to_pylist()) if len(rows) else set()
    if len(units) > 1:
        raise ArchiveRefusedError(
            f"{device_id} {channel}: its unit changes between {sorted(units)}; ask for less time"
        )
    times, counts = times_of(rows), counts_of(rows)
    scales, offsets = (_of_samples(rows, name) for name in ("scale", "offset"))
    if times.size and bool(np.any(times[1:] <= times[:-1])):
        # The end of one numbering and the begin of the next may overlap, and what came again in
        # other pieces is there once: no two samples of a channel have the same time.
        order = np.argsort(times, kind="stable")
        ranked = times[order]
        order = order[np.concatenate(([True], ranked[1:] > ranked[:-1]))]
        times, counts = times[order], counts[order]
        scales, offsets = (one[order] if one.size > 1 else one for one in (scales, offsets))
    start_ns, end_ns = between
    first = 0 if start_ns is None else int(np.searchsorted(times, start_ns))
    end = times.size if end_ns is None else int(np.searchsorted(times, end_ns))
    cut = slice(first, max(first, end))
    rate_hz = 0.0
    if len(rows):
        head = rows.slice(0, 1).select(["period_ns_numerator", "period_ns_denominator"]).to_pylist()
        numerator, denominator = head[0].values()
        rate_hz = NS_PER_S * denominator / numerator
    return SignalValues(
        device_id=device_id,
        channel=channel,
        mdc_code=rows["mdc_code"][0].as_py() if len(rows) else None,
        unit=units.pop() if units else "",
        rate_hz=rate_hz,
        t_ns=times[cut],
        counts=counts[cut],
        scales=scales[cut] if scales.size > 1 else scales,
        offsets=offsets[cut] if offsets.size > 1 else offsets,
        gaps=tuple(one for one in gaps if _reaches(one, start_ns, rate_hz)),
    )


def _reaches(gap: Gap, start_ns: int | None, rate_hz: float) -> bool:
    """Tell whether a gap ends behind a time; where the rate is unknown, whether it begins there."""
    if start_ns is None or gap.t0_ns >= start_ns:
        return True
    return rate_hz > 0 and gap.t0_ns + gap.n_samples / rate_hz * NS_PER_S > start_ns


def _of_samples(rows: Any, name: str) -> NDArray[np.float64]:  # noqa: ANN401
    """Give one number where all rows have the same, else one for each sample."""
    values: NDArray[np.float64] = rows[name].to_numpy()
    if values.size and bool(np.all(values == values[0])):
        return values[:1]
    repeated: NDArray[np.float64] = np.repeat(values, rows["n_samples"].to_numpy())
    return repeated
