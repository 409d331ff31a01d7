"""How Grafana Live's channels are named: pure.

A channel is ``stream/STREAM/SUBJECT_SIGNAL``. A signal has no underscore, so that the last one
parts the two whatever the subject's name is. A subject whose name is plain keeps it, and a board
may write ``stream/chevet/${subject}_ecg``; any other becomes what is plain of it, two dashes and a
hash.

Source: Grafana Live, "Live channel": ASCII letters, digits, ``_`` and ``-``; at most 160 characters
in all.
"""

import hashlib
import re
from typing import Final

from ingest.frame import WaveformBlock
from processors.sinks.live.labels import waveform_kind

CHANNEL_CHARS_MAX: Final = 160

SUBJECT_CHARS_MAX: Final = 80
"""A longer name of a subject is cut, and told from others by its hash."""

SIGNAL_CHARS_MAX: Final = 30
"""Of the signal's own name, without the number that it may need."""

NUMERALS: Final = "numerals"
EVENTS: Final = "events"

_HASH_CHARS: Final = 16
"""64 bits: among a million subjects two share a channel with a chance of 3 in a hundred million."""

_PLAIN: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{SUBJECT_CHARS_MAX}}}")
_HASHED: Final = re.compile(rf".*--[0-9a-f]{{{_HASH_CHARS}}}", re.DOTALL)
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9]+")

_STEMS: Final = {"ecg": "ecg", "pleth": "pleth", "respiration": "resp"}


def subject_part(subject_id: str) -> str:
    """Name a subject within a channel: as it is called, or what is plain of that and a hash."""
    # A plain name that looks like a hashed one is hashed too: it could be another's.
    if _PLAIN.fullmatch(subject_id) and not _HASHED.fullmatch(subject_id):
        return subject_id
    digest = hashlib.sha256(subject_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    kept = _plain(subject_id)[: SUBJECT_CHARS_MAX - _HASH_CHARS - 2].rstrip("-")
    return f"{kept}--{digest}"


def measurement(subject_id: str, signal: str) -> str:
    """Name the channel of a subject's signal, without scope and stream."""
    return f"{subject_part(subject_id)}_{signal}"


def channel_address(stream: str, name: str) -> str:
    """Name a channel as a panel subscribes to it."""
    return f"stream/{stream}/{name}"


def signal_stem(block: WaveformBlock) -> str:
    """Name what a waveform is: ``ecg``, ``pleth``, ``resp``, or its channel's own name."""
    stem = _STEMS.get(waveform_kind(block))
    if stem is not None:
        return stem
    plain = _plain(block.channel)[:SIGNAL_CHARS_MAX].strip("-") or "signal"
    # What is called like something else of ours is told from it.
    return f"other-{plain}"[:SIGNAL_CHARS_MAX].strip("-") if plain in _TAKEN else plain


_TAKEN: Final = frozenset({NUMERALS, EVENTS, *_STEMS.values()})


def numbered(stem: str, i_place: int) -> str:
    """Name the first signal of a kind like its kind, the next ones ``ecg--2`` and ``ecg--3``.

    No stem has two dashes in a row, so that no number makes it another's name.
    """
    return stem if i_place == 0 else f"{stem}--{i_place + 1}"


def _plain(name: str) -> str:
    return _NOT_PLAIN.sub("-", name).strip("-")
