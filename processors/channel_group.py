"""Channels of one device that are sampled together, as aligned chunks: each sample once, in order.

Blocks of the channels may come in any number and cut; what is given depends on sample indices only.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.dsp.state import MalformedStateError, State

_KIND = "channel_group"
_VERSION = 1

WAIT_S: Final = 2.0
"""A channel that is further behind the newest one is not waited for."""


class Chunk(NamedTuple):
    """Consecutive samples of all channels."""

    i_first: int
    samples: NDArray[np.float64]
    """Shape ``(n_channels, n_samples)``."""

    @property
    def i_end(self) -> int:
        """One past the last sample."""
        return self.i_first + int(self.samples.shape[1])


class _Piece(NamedTuple):
    i_first: int
    i_end: int
    samples: NDArray[np.float64]

    def within(self, begin: int, end: int) -> NDArray[np.float64]:
        return self.samples[begin - self.i_first : end - self.i_first]


class ChannelGroup:
    """Align channels on their common sample grid.

    Where no channel has samples there is a gap between two chunks. Where only some have them, the
    others hold their last value: a flat line, which every chain takes for a lead that is off.

    Parameters
    ----------
    n_channels
        1 or more.
    fs_hz
        Sampling rate, the same for all.
    i_first
        First sample of interest; earlier ones are repetitions.
    """

    def __init__(self, n_channels: int, fs_hz: float, i_first: int) -> None:
        self._fs_hz = float(fs_hz)
        self._n_wait = int(WAIT_S * self._fs_hz)
        self._i_next = i_first
        self._i_ends = [i_first] * n_channels
        self._last = np.zeros(n_channels)
        self._pending: list[list[_Piece]] = [[] for _ in range(n_channels)]
        self.n_samples_repeated = 0
        """Samples that came again, or too late."""

    @property
    def n_channels(self) -> int:
        """How many channels are aligned."""
        return len(self._i_ends)

    @property
    def fs_hz(self) -> float:
        """Sampling rate that was told."""
        return self._fs_hz

    @property
    def i_next(self) -> int:
        """One past the last sample that was given."""
        return self._i_next

    @property
    def i_newest(self) -> int:
        """One past the newest sample of any channel."""
        return max(self._i_ends)

    def add(self, n_channel: int, i_first: int, samples: NDArray[np.float64]) -> None:
        """Take samples of one channel, shape ``(n_samples,)``, the first of them ``i_first``."""
        i_known = max(self._i_ends[n_channel], self._i_next)
        n_repeated = 0
        if i_known > i_first:
            n_repeated = min(samples.size, i_known - i_first)
            self.n_samples_repeated += n_repeated
        if n_repeated < samples.size:
            i_end = i_first + samples.size
            fresh = samples[n_repeated:] if n_repeated else samples
            self._pending[n_channel].append(_Piece(i_first + n_repeated, i_end, fresh))
            self._i_ends[n_channel] = i_end

    def is_level_at(self, i_sample: int) -> bool:
        """Tell whether ``i_sample`` is the next one of every channel, and nothing waits."""
        return self._i_next == i_sample and self._i_ends.count(i_sample) == len(self._i_ends)

    def pass_on(self, i_first: int, channels: list[NDArray[np.float64]]) -> Chunk:
        """Give the next samples of all channels, as many of each, where it `is_level_at` them.

        What adding and then taking them would give.
        """
        rows = _rows(channels)
        self._last = rows[:, -1].copy()
        self._i_next = i_first + channels[0].size
        self._i_ends = [self._i_next] * len(channels)
        return Chunk(i_first, rows)

    def take(self) -> list[Chunk]:
        """Give what is complete: up to the slowest channel that is still waited for."""
        i_oldest = max(self._i_ends) - self._n_wait
        i_slowest = min(self._i_ends)
        if i_slowest < i_oldest:
            # Behind a gap of all channels the wait for the others begins with its first sample.
            firsts = (pieces[0].i_first for pieces in self._pending if pieces)
            i_waited = self._i_next if min(firsts, default=0) >= i_oldest else i_oldest
            i_slowest = min(i for i in self._i_ends if i >= i_waited)
        return self._take_before(i_slowest)

    def take_all(self) -> list[Chunk]:
        """Give everything: the stream ends here."""
        return self._take_before(self.i_newest)

    def _take_before(self, i_end: int) -> list[Chunk]:
        if i_end <= self._i_next:
            return []
        runs: list[list[Chunk]] = []
        for begin, end in pairwise(self._edges(i_end)):
            pieces = [_piece_at(pending, begin) for pending in self._pending]
            if any(pieces):
                if not runs or runs[-1][-1].i_end != begin:
                    runs.append([])
                runs[-1].append(Chunk(begin, self._stack(pieces, begin, end)))
        chunks = [_joined(run) for run in runs]
        self._i_next = i_end
        self._pending = [_rest(pieces, i_end) for pieces in self._pending]
        return chunks

    def _edges(self, i_end: int) -> list[int]:
        """Where any channel begins or ends to have samples."""
        edges = {min(max(self._i_next, edge), i_end) for edge in (self._i_next, i_end)}
        for pieces in self._pending:
            for piece in pieces:
                edges.update(min(edge, i_end) for edge in (piece.i_first, piece.i_end))
        return sorted(edges)

    def _stack(self, pieces: list[_Piece | None], begin: int, end: int) -> NDArray[np.float64]:
        rows = np.empty((self.n_channels, end - begin))
        for n, piece in enumerate(pieces):
            rows[n] = self._last[n] if piece is None else piece.within(begin, end)
        self._last = rows[:, -1].copy()
        return rows

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        arrays: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {
            "i_ends": np.array(self._i_ends, dtype=np.int64),
            "last": self._last,
        }
        for n, pieces in enumerate(self._pending):
            arrays[f"first_{n}"] = np.array([p.i_first for p in pieces], dtype=np.int64)
            for k, piece in enumerate(pieces):
                arrays[f"piece_{n}_{k}"] = piece.samples
        scalars = {
            "fs_hz": self._fs_hz,
            "i_next": self._i_next,
            "n_samples_repeated": self.n_samples_repeated,
        }
        return State(kind=_KIND, version=_VERSION, scalars=scalars, arrays=arrays).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> ChannelGroup:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        i_ends = kept.int_array("i_ends").tolist()
        if not i_ends:
            raise MalformedStateError("a group without channels")
        restored = cls(len(i_ends), kept.number("fs_hz"), kept.integer("i_next"))
        restored.n_samples_repeated = kept.integer("n_samples_repeated")
        restored._i_ends = i_ends
        restored._last = kept.float_array("last", (len(i_ends),))
        for n, pieces in enumerate(restored._pending):
            for k, i_first in enumerate(kept.int_array(f"first_{n}").tolist()):
                samples = kept.float_array(f"piece_{n}_{k}", (None,))
                pieces.append(_Piece(i_first, i_first + samples.size, samples))
        return restored


def _rows(channels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array(channels) if len(channels) > 1 else channels[0][np.newaxis]


def _piece_at(pieces: list[_Piece], i: int) -> _Piece | None:
    """Find the piece with sample ``i``; pieces are in order, and a Frame may bring thousands."""
    n_before = bisect_right(pieces, i, key=_i_first)
    return pieces[n_before - 1] if n_before and i < pieces[n_before - 1].i_end else None


def _i_first(piece: _Piece) -> int:
    return piece.i_first


def _joined(run: list[Chunk]) -> Chunk:
    """Make one chunk of those that follow one another."""
    if len(run) == 1:
        return run[0]
    return Chunk(run[0].i_first, np.concatenate([chunk.samples for chunk in run], axis=1))


def _rest(pieces: list[_Piece], i_end: int) -> list[_Piece]:
    return [
        piece
        if piece.i_first >= i_end
        else _Piece(i_end, piece.i_end, piece.within(i_end, piece.i_end))
        for piece in pieces
        if piece.i_end > i_end
    ]
