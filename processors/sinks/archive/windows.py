"""Windows of several signals with labels, for those who train something on them: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.signal import SignalValues


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody says of a time; of a moment where begin and end are the same."""

    text: str
    begin_ns: int
    end_ns: int

    def meets(self, begin_ns: int, end_ns: int) -> bool:
        """Tell whether it has a part of the time from the one to before the other."""
        if self.begin_ns == self.end_ns:
            return begin_ns <= self.begin_ns < end_ns
        return self.begin_ns < end_ns and self.end_ns > begin_ns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A stretch of time in which every signal is whole."""

    begin_ns: int
    end_ns: int
    """The first moment behind it."""
    values: Mapping[str, NDArray[np.float64]]
    """By channel, in its unit; as many samples in every window."""
    labels: tuple[Label, ...]
    """Those that have a part of it."""


def windows_of(
    signals: Sequence[SignalValues], *, seconds: float, step: float, labels: Sequence[Label] = ()
) -> Iterator[Window]:
    """Cut signals into windows of one length, in order of time.

    A window begins each ``step`` seconds from the first sample of the last signal to begin. One in
    which a sample of any signal is missing is left out.

    Raises
    ------
    ArchiveRefusedError
        Length or step are not positive, or there is no signal.
    """
    length_ns, step_ns = round(seconds * NS_PER_S), round(step * NS_PER_S)
    if length_ns <= 0 or step_ns <= 0:
        raise ArchiveRefusedError(f"windows of {seconds} s each {step} s: both must be positive")
    if not signals:
        raise ArchiveRefusedError("windows of no signal: name at least one")
    if any(one.n_samples == 0 for one in signals):
        return
    needed = [max(1, round(one.rate_hz * length_ns / NS_PER_S)) for one in signals]
    values = [one.values for one in signals]
    begin_ns = max(int(one.t_ns[0]) for one in signals)
    last_ns = min(int(one.t_ns[-1]) for one in signals)
    while begin_ns <= last_ns:
        cuts = [_cut(one, begin_ns, n) for one, n in zip(signals, needed, strict=True)]
        if all(cut is not None for cut in cuts):
            yield Window(
                begin_ns=begin_ns,
                end_ns=begin_ns + length_ns,
                values={
                    one.channel: value[cut]
                    for one, value, cut in zip(signals, values, cuts, strict=True)
                    if cut is not None
                },
                labels=tuple(
                    label for label in labels if label.meets(begin_ns, begin_ns + length_ns)
                ),
            )
        begin_ns += step_ns


def _cut(signal: SignalValues, begin_ns: int, n_samples: int) -> slice | None:
    """Give the samples from a time on; None where they are not as close as its rate says."""
    first = int(np.searchsorted(signal.t_ns, begin_ns))
    if first + n_samples > signal.n_samples:
        return None
    period_ns = NS_PER_S / signal.rate_hz
    # The first one comes within a period, and the last one when it is due; the agent's grids may
    # be measured anew in between, so half a period is allowed.
    is_whole = (
        signal.t_ns[first] - begin_ns < 1.5 * period_ns
        and signal.t_ns[first + n_samples - 1] - signal.t_ns[first] < (n_samples - 0.5) * period_ns
    )
    return slice(first, first + n_samples) if is_whole else None
