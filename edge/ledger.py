"""The ledger: what became of every sample, per device and channel. Pure.

::

    on air = acknowledged + waiting + held + dropped by cause + in gaps by cause

*On air* comes from the numbering of the samples, which counts the lost ones; everything else is
counted where it happens. So the two sides agree only if no sample was forgotten or counted twice:
``unaccounted`` is 0, and anything else is a bug.

Two parties keep it. What has come in (``Taken``) is the framer's; what lies on disk or has left it
(``Stored``) is the spool's. The spool writes both in the transactions that store and forget Frames,
as of those Frames, so that the sums outlive the process.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ingest.frame import ChannelLedger, ChannelLoss, GapCause, SamplePeriod

Channel: TypeAlias = tuple[str, str]
"""Device and name of a channel."""


def _counter() -> Counter[GapCause]:
    return Counter()


@dataclass(slots=True)
class Taken:
    """What has come in of one channel."""

    on_air: int = 0
    decoded: int = 0
    framed: int = 0
    """Cut into Frames, without those that were taken back."""
    given_up: Counter[GapCause] = field(default_factory=_counter)
    """Decoded, and never stored on disk."""
    in_gaps: Counter[GapCause] = field(default_factory=_counter)
    """Never decoded."""
    i_end: int = 0
    """Number of the sample that is due next."""
    run: int = 0
    """How often the numbering has begun anew."""
    epoch_ns: int = 0
    period: SamplePeriod | None = None
    """The time grid of the newest samples; None before the first."""

    def add_samples(self, i_first: int, n_samples: int) -> None:
        """Count samples that were decoded."""
        self._number(i_first, n_samples)
        self.decoded += n_samples

    def add_gap(self, i_first: int, n_samples: int, cause: GapCause) -> None:
        """Count samples that never came."""
        self._number(i_first, n_samples)
        self.in_gaps[cause] += n_samples

    def _number(self, i_first: int, n_samples: int) -> None:
        """Follow the numbering; it begins anew at 0 where the agent stopped the stream."""
        if not self.on_air:
            # The ledger begins where it first hears of the channel.
            self.i_end = i_first
        elif i_first == 0 and self.i_end > 0:
            self.run += 1
            self.i_end = 0
        i_behind = i_first + n_samples
        self.on_air += max(0, i_behind - self.i_end)
        self.i_end = max(self.i_end, i_behind)

    def copy(self) -> "Taken":
        """Give the present state, which does not change any more."""
        return Taken(
            on_air=self.on_air,
            decoded=self.decoded,
            framed=self.framed,
            given_up=self.given_up.copy(),
            in_gaps=self.in_gaps.copy(),
            i_end=self.i_end,
            run=self.run,
            epoch_ns=self.epoch_ns,
            period=self.period,
        )


@dataclass(slots=True)
class Stored:
    """What lies on disk of one channel, and what has left it."""

    spooled: int = 0
    acknowledged: int = 0
    dropped: Counter[GapCause] = field(default_factory=_counter)
    i_out: int = 0
    """Number of the sample behind the newest one that the broker has."""
    run_out: int = 0
    """The numbering that ``i_out`` belongs to."""

    @property
    def waiting(self) -> int:
        """Samples in the Frames that wait."""
        return self.spooled - self.acknowledged - self.dropped.total()

    def copy(self) -> "Stored":
        """Give the present state, which does not change any more."""
        return Stored(
            spooled=self.spooled,
            acknowledged=self.acknowledged,
            dropped=self.dropped.copy(),
            i_out=self.i_out,
            run_out=self.run_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTotals:
    """All that the ledger says of one channel, in samples; plain values, ready for JSON."""

    device_id: str
    channel: str
    on_air: int
    decoded: int
    framed: int
    spooled: int
    acknowledged: int
    waiting: int
    """In the spool, not yet acknowledged."""
    held: int
    """In memory, not yet in the spool."""
    dropped: dict[str, int]
    """Decoded, and given up; by cause."""
    in_gaps: dict[str, int]
    """Never decoded; by cause."""
    unaccounted: int
    """0, or there is a bug."""


def totals_of(
    taken: Mapping[Channel, Taken], stored: Mapping[Channel, Stored]
) -> list[ChannelTotals]:
    """Put both sides of the ledger together, in order of device and channel."""
    return [
        _totals(channel, taken.get(channel, Taken()), stored.get(channel, Stored()))
        for channel in sorted({*taken, *stored})
    ]


def _totals(channel: Channel, taken: Taken, stored: Stored) -> ChannelTotals:
    dropped = taken.given_up + stored.dropped
    held = taken.decoded - taken.given_up.total() - stored.spooled
    known = stored.acknowledged + stored.waiting + held + dropped.total() + taken.in_gaps.total()
    return ChannelTotals(
        device_id=channel[0],
        channel=channel[1],
        on_air=taken.on_air,
        decoded=taken.decoded,
        framed=taken.framed,
        spooled=stored.spooled,
        acknowledged=stored.acknowledged,
        waiting=stored.waiting,
        held=held,
        dropped=_by_cause(dropped),
        in_gaps=_by_cause(taken.in_gaps),
        unaccounted=taken.on_air - known,
    )


def as_records(
    totals: Iterable[ChannelTotals],
) -> tuple[list[ChannelLedger], list[ChannelLoss]]:
    """Write the ledger as Frames carry it."""
    ledger: list[ChannelLedger] = []
    losses: list[ChannelLoss] = []
    for one in totals:
        ledger.append(
            ChannelLedger(
                device_id=one.device_id,
                channel=one.channel,
                on_air=one.on_air,
                decoded=one.decoded,
                framed=one.framed,
                spooled=one.spooled,
                acknowledged=one.acknowledged,
            )
        )
        losses += [
            ChannelLoss(
                device_id=one.device_id,
                channel=one.channel,
                cause=GapCause(cause),
                n_dropped=one.dropped.get(cause, 0),
                n_in_gaps=one.in_gaps.get(cause, 0),
            )
            for cause in sorted({*one.dropped, *one.in_gaps})
        ]
    return ledger, losses


def account_text(channel: Channel, taken: Taken, stored: Stored) -> str:
    """Write what the ledger knows of a channel as text, to be kept on disk."""
    period = taken.period
    grid = None if period is None else [taken.epoch_ns, period.ns_numerator, period.ns_denominator]
    # Without the fields' names: all channels together should fit on a page of the disk.
    return json.dumps(
        [
            *channel,
            [taken.on_air, taken.decoded, taken.framed, stored.spooled, stored.acknowledged],
            [_by_cause(taken.given_up), _by_cause(taken.in_gaps), _by_cause(stored.dropped)],
            [taken.run, taken.i_end, stored.run_out, stored.i_out],
            grid,
        ],
        separators=(",", ":"),
    )


def account_of(text: str) -> tuple[Channel, Taken, Stored]:
    """Read what ``account_text`` has written.

    Raises
    ------
    ValueError, KeyError, TypeError
        The text is something else.
    """
    device_id, channel, totals, lost, numbering, grid = json.loads(text)
    on_air, decoded, framed, spooled, acknowledged = totals
    given_up, in_gaps, dropped = map(_counter_of, lost)
    run, i_end, run_out, i_out = numbering
    taken = Taken(
        on_air=on_air,
        decoded=decoded,
        framed=framed,
        given_up=given_up,
        in_gaps=in_gaps,
        i_end=i_end,
        run=run,
    )
    if grid is not None:
        taken.epoch_ns, numerator, denominator = grid
        taken.period = SamplePeriod(ns_numerator=numerator, ns_denominator=denominator)
    stored = Stored(
        spooled=spooled,
        acknowledged=acknowledged,
        dropped=dropped,
        i_out=i_out,
        run_out=run_out,
    )
    return (str(device_id), str(channel)), taken, stored


def _by_cause(counter: Counter[GapCause]) -> dict[str, int]:
    return {str(cause): n for cause, n in sorted(counter.items()) if n}


def _counter_of(by_cause: Mapping[str, int]) -> Counter[GapCause]:
    return Counter({GapCause(cause): n for cause, n in by_cause.items()})
