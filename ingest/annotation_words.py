"""Annotations as words, where a format has texts only: ``beat V``, ``+ (AFIB``, ``[sleep] N2``.

What is a text only stands as it is. A set other than ``atr`` is named in brackets in front.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ingest.annotation import ANNOTATOR, NOTE
from ingest.wfdb_annotations import BEAT_SYMBOLS, CODES, code_of

_SET: Final = re.compile(r"\[([A-Za-z0-9_]{1,32})\] (.+)", re.DOTALL)

_PLAIN: Final = frozenset(one for one in CODES if not one.isalpha()) - BEAT_SYMBOLS
"""Symbols that stand for themselves; letters and bare codes, which begin many a text, do not."""

_SAID: Final = re.compile(
    r"(?:(?P<kind>beat|mark) )?(?P<symbol>\[\d{1,2}\]|.)"
    r"(?: subtype (?P<subtype>-?\d{1,3}))?(?: chan (?P<chan>\d{1,3}))?(?: num (?P<num>-?\d{1,3}))?"
    r"(?: (?P<text>.+))?",
    re.DOTALL,
)
_NUMBER: Final = re.compile(r"(subtype|chan|num) ")

_SIGNED: Final = range(-128, 128)
_UNSIGNED: Final = range(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an annotation says."""

    annotator: str = ANNOTATOR
    symbol: str = NOTE
    subtype: int = 0
    chan: int = 0
    num: int = 0
    text: str = ""


def words_of(said: Said) -> str:
    """Write it; the NUL with which old files end their texts is left out."""
    text = said.text.rstrip("\0")
    said = replace(said, text=text)
    own = (said.symbol, said.subtype, said.chan, said.num, text)
    body = text if text and own == (NOTE, 0, 0, 0, text) == _body(text) else " ".join(_parts(said))
    if said.annotator == ANNOTATOR and not _SET.fullmatch(body):
        return body
    return f"[{said.annotator}] {body}"


def _parts(said: Said) -> Iterator[str]:
    if said.symbol not in _PLAIN:
        yield "beat" if said.symbol in BEAT_SYMBOLS else "mark"
    yield said.symbol
    is_all = _NUMBER.match(said.text) is not None
    for name, value in (("subtype", said.subtype), ("chan", said.chan), ("num", said.num)):
        if value or is_all:
            yield f"{name} {value}"
    if said.text:
        yield said.text


def said_by(words: str) -> Said:
    """Read it; what is nothing that `words_of` writes is a text."""
    named = _SET.fullmatch(words)
    annotator, body = named.groups() if named else (ANNOTATOR, words)
    symbol, subtype, chan, num, text = _body(body)
    return Said(annotator=annotator, symbol=symbol, subtype=subtype, chan=chan, num=num, text=text)


def _body(body: str) -> tuple[str, int, int, int, str]:
    found = _SAID.fullmatch(body)
    if found is None or not _is_said_so(found["kind"], found["symbol"]):
        return NOTE, 0, 0, 0, body
    subtype, chan, num = (int(found[name] or 0) for name in ("subtype", "chan", "num"))
    if subtype not in _SIGNED or chan not in _UNSIGNED or num not in _SIGNED:
        return NOTE, 0, 0, 0, body
    return found["symbol"], subtype, chan, num, found["text"] or ""


def _is_said_so(kind: str | None, symbol: str) -> bool:
    if kind == "beat":
        return symbol in BEAT_SYMBOLS
    if kind == "mark":
        return code_of(symbol) is not None and symbol not in BEAT_SYMBOLS | _PLAIN
    return symbol in _PLAIN
