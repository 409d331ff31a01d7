"""The ward: all subjects at a glance, told once a second and only what has changed. Pure.

    {"type": "ward",
     "subjects": [{subject, heard_ms, received_ms, lag_ms, numerals, devices, alarms, trace}],
     "traces":   [{subject, i, low, high}],
     "gone":     [subject]}

``numerals``, ``devices`` and ``alarms`` hold the messages of the subject's own socket. ``lag_ms``
is how far the event time of a replay is behind, null of what is live. ``trace`` says what the
miniature is: ``id`` (another one begins anew), ``label``, ``kind``, ``unit``, ``scale``,
``bin_ms``, and ``join_ms``, the longest step between two bins that belong together.

``traces`` has the least and the greatest count of each bin that came since the last message; bin
``i`` begins at ``i * bin_ms`` milliseconds since 1970. What a page has already it may get again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np

from devices import codes
from ingest.frame import NS_PER_S, WaveformBlock
from processors.sinks.live.protocol import (
    Channel,
    Numeral,
    content_of,
    encode_json,
    ms_from_ns,
)
from processors.sinks.live.subject import SubjectState

TICK_NS: Final = 900_000_000
"""What is told once a second is looked at again after so long: a page's second is no exact one."""
WARD_NUMERALS: Final = frozenset(
    quantity.name
    for quantity in (
        codes.HEART_RATE,
        codes.SPO2,
        codes.PULSE_RATE,
        codes.RESPIRATORY_RATE,
        codes.BODY_TEMPERATURE,
        codes.BATTERY_LEVEL,
    )
)
SOURCES_MAX: Final = 4
"""Sources of one quantity that a ward is told of, the newest; a subject's own page shows all."""
BIN_MS: Final = 20
TRACE_S: Final = 6
BINS_MAX: Final = TRACE_S * 1_000 // BIN_MS
"""Bins remembered of each subject, for a page that opens or was slow."""
SILENT_S: Final = 5
"""A waveform that is silent for so long gives way to another of the subject."""
REPLAY_S: Final = 600
"""Samples older than this that no radio received are a replay."""

_BIN_NS: Final = BIN_MS * 1_000_000
_KINDS: Final = ("ecg", "pleth", "respiration", "other", "motion")

Bin = tuple[int, int, int]
"""Number, least and greatest count."""


def envelope(blocks: Sequence[WaveformBlock], i_first: int) -> list[Bin]:
    """Give the least and greatest count of each bin from ``i_first`` on, in order of time.

    The bin of the newest sample is left out: it is not over. A block that begins before the one
    before it has ended (the device's clock was set) begins anew from there.
    """
    bins: list[Bin] = []
    for block in blocks[_n_before(blocks, i_first * _BIN_NS) :]:
        for one in _bins_of(block):
            if bins and one[0] == bins[-1][0]:
                bins[-1] = (one[0], min(one[1], bins[-1][1]), max(one[2], bins[-1][2]))
            elif one[0] >= i_first and (not bins or one[0] > bins[-1][0]):
                bins.append(one)
    return bins[:-1]


def _n_before(blocks: Sequence[WaveformBlock], t_ns: int) -> int:
    """Count the blocks up to the last that ends before ``t_ns``; those behind it are new."""
    for n in range(len(blocks), 0, -1):
        if blocks[n - 1].time_ns(blocks[n - 1].i_end) <= t_ns:
            return n
    return 0


def _bins_of(block: WaveformBlock) -> Iterator[Bin]:
    period_ns = block.period.ns_numerator / block.period.ns_denominator
    since_ns = block.t0_ns % _BIN_NS + np.arange(block.n_samples) * period_ns
    number = block.t0_ns // _BIN_NS + (since_ns // _BIN_NS).astype(np.int64)
    first = np.concatenate(([0], np.flatnonzero(number[1:] != number[:-1]) + 1))
    low = np.minimum.reduceat(block.counts, first)
    high = np.maximum.reduceat(block.counts, first)
    return zip(number[first].tolist(), low.tolist(), high.tolist(), strict=True)


@dataclass(slots=True)
class _Row:
    """What a ward was told of one subject last."""

    state: str = ""
    """As JSON."""
    version: int = 0
    """Of the ward, when the state last changed."""
    channel: Channel | None = None
    bins: deque[Bin] = field(default_factory=lambda: deque(maxlen=BINS_MAX))
    fresh: str | None = None
    """The bins that came with the last look, as JSON."""


class WardBoard:
    """What may be told of each subject; looked at anew about once a second, by whoever asks."""

    def __init__(self) -> None:
        self.version = 0
        """How often it was looked at."""
        self._at_ns: int | None = None
        self._rows: dict[str, _Row] = {}

    def update(self, subjects: Iterable[SubjectState], now_ns: int) -> None:
        """Look at the subjects, unless that was done less than a second ago."""
        if self._at_ns is not None and 0 <= now_ns - self._at_ns < TICK_NS:
            return
        self._at_ns = now_ns
        self.version += 1
        rows: dict[str, _Row] = {}
        for subject in subjects:
            row = self._rows.get(subject.subject_id) or _Row()
            rows[subject.subject_id] = row
            self._look_at(row, subject, now_ns)
        self._rows = rows

    @property
    def subjects(self) -> list[str]:
        """All of whom something is known, sorted."""
        return sorted(self._rows)

    def state(self, subject_id: str, since: int) -> str | None:
        """Give what has changed of a subject since a version, as JSON; None: nothing."""
        row = self._rows[subject_id]
        return row.state if row.version > since else None

    def trace(self, subject_id: str, since: int) -> str | None:
        """Give the bins that came since a version, as JSON; to who is behind, all that are kept."""
        row = self._rows[subject_id]
        if since == self.version - 1:
            return row.fresh
        has_all = since >= self.version or not row.bins
        return None if has_all else _encode_bins(subject_id, row.bins)

    def _look_at(self, row: _Row, subject: SubjectState, now_ns: int) -> None:
        block = self._follow(row, subject, now_ns)
        state = encode_json(_content(subject, row.channel, block, now_ns))
        if state != row.state:
            row.state = state
            row.version = self.version

    def _follow(self, row: _Row, subject: SubjectState, now_ns: int) -> WaveformBlock | None:
        """Add what came of the subject's main waveform; give its newest block."""
        row.fresh = None
        waveform = _main_waveform(subject, now_ns)
        if waveform is None:
            return None
        channel, blocks = waveform
        if row.channel is None or channel.id != row.channel.id:
            row.channel = channel
            row.bins.clear()
        newest = blocks[-1].time_ns(blocks[-1].i_end - 1) // _BIN_NS
        if row.bins and row.bins[-1][0] > newest:
            row.bins.clear()  # the clock was set back
        known = row.bins[-1][0] + 1 if row.bins else 0
        fresh = envelope(blocks, max(known, newest - BINS_MAX))
        if fresh:
            row.bins.extend(fresh)
            row.fresh = _encode_bins(subject.subject_id, fresh)
        return blocks[-1]


class WardPage:
    """One open ward, and what it was told."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def message(self, board: WardBoard, may_watch: Callable[[str], bool]) -> str | None:
        """Give what is new to this page, as JSON; None: nothing.

        Parameters
        ----------
        may_watch
            Says of a subject whether this page may be told of it now.
        """
        seen = [subject for subject in board.subjects if may_watch(subject)]
        gone = sorted(self._told.keys() - set(seen))
        since = {subject: self._told.get(subject, -1) for subject in seen}
        states = (board.state(subject, since[subject]) for subject in seen)
        traces = (board.trace(subject, since[subject]) for subject in seen)
        self._told = dict.fromkeys(seen, board.version)
        parts = [",".join(text for text in texts if text) for texts in (states, traces)]
        if not (gone or any(parts)):
            return None
        return '{{"type":"ward","subjects":[{}],"traces":[{}],"gone":{}}}'.format(
            *parts, encode_json(gone)
        )


def _content(
    subject: SubjectState, channel: Channel | None, block: WaveformBlock | None, now_ns: int
) -> dict[str, object]:
    heard_ns = subject.heard_ns
    received_ns = None if block is None else block.received_ns
    return {
        "subject": subject.subject_id,
        "heard_ms": None if heard_ns is None else ms_from_ns(heard_ns),
        "received_ms": None if received_ns is None else ms_from_ns(received_ns),
        "lag_ms": _replay_lag_ms(subject, block),
        "numerals": [content_of(numeral) for numeral in _ward_numerals(subject.numerals)],
        "devices": [content_of(device) for device in subject.device_states],
        "alarms": [content_of(alarm) for alarm in subject.active_alarms],
        "trace": None if channel is None else _describe(channel),
    }


def _ward_numerals(numerals: list[Numeral]) -> Iterator[Numeral]:
    def order(numeral: Numeral) -> tuple[str, float]:
        return numeral.name, -numeral.t_ms

    wanted = (one for one in numerals if one.name in WARD_NUMERALS)
    for _, group in groupby(sorted(wanted, key=order), key=lambda one: one.name):
        yield from list(group)[:SOURCES_MAX]


def _replay_lag_ms(subject: SubjectState, block: WaveformBlock | None) -> float | None:
    if block is None or block.received_ns is not None or subject.heard_ns is None:
        return None
    lag_ns = subject.heard_ns - block.time_ns(block.i_end - 1)
    return ms_from_ns(lag_ns) if abs(lag_ns) > REPLAY_S * NS_PER_S else None


def _main_waveform(
    subject: SubjectState, now_ns: int
) -> tuple[Channel, tuple[WaveformBlock, ...]] | None:
    """Give the first in the clinical order of those that come, or else the first."""

    def order(channel: Channel, heard_ns: int) -> tuple[bool, int, str, str]:
        is_silent = now_ns - heard_ns > SILENT_S * NS_PER_S
        kind = _KINDS.index(channel.kind) if channel.kind in _KINDS else len(_KINDS)
        return is_silent, kind, channel.device, channel.channel

    drawn = [one for one in subject.waveforms if one[1].newest is not None]
    if not drawn:
        return None
    channel, trail, _ = min(drawn, key=lambda one: order(one[0], one[2]))
    return channel, trail.blocks


def _describe(channel: Channel) -> dict[str, object]:
    period_ms = channel.period_ns[0] / channel.period_ns[1] / 1e6
    return {
        "id": channel.id,
        "label": channel.label,
        "kind": channel.kind,
        "unit": channel.unit,
        "scale": channel.scale,
        "bin_ms": BIN_MS,
        "join_ms": 2 * max(BIN_MS, period_ms),
    }


def _encode_bins(subject_id: str, bins: Iterable[Bin]) -> str:
    number, low, high = zip(*bins, strict=True)
    return encode_json({"subject": subject_id, "i": number, "low": low, "high": high})
