"""Annotation files of the WFDB (MIT format): bytes to annotations and back.

Source: WFDB Applications Guide, annot(5), and the WFDB Programmer's Guide, annotation codes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SYMBOLS: Final[Mapping[int, str]] = MappingProxyType(
    {
        **dict(enumerate("NLRaVFJASEj/Q~", start=1)),
        16: "|",
        **dict(enumerate('sT*D"=pB^t+u?![]en@xf()r', start=18)),
    }
)
"""The annotation codes that every WFDB program knows, and their symbols."""

CODES: Final[Mapping[str, int]] = MappingProxyType({text: code for code, text in SYMBOLS.items()})

BEAT_SYMBOLS: Final = frozenset("NLRBAaJSVrFejnE/fQ?")
"""Those that mark a beat; the others mark rhythm, noise and waves."""

_CODE_MAX: Final = 49
_UNNAMED: Final[Mapping[str, int]] = MappingProxyType(
    {f"[{code}]": code for code in range(1, _CODE_MAX + 1) if code not in SYMBOLS}
)
"""Codes that programs may use as they like."""

RESOLUTION: Final = "## time resolution: "
"""The note at time 0 in which a file states the samples per second that it counts in."""

AUX_BYTES_MAX: Final = 255
"""The C library keeps the length in one byte."""

_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_NOTE: Final = CODES['"']
_INTERVAL_MAX: Final = 1023
_SKIP_MAX: Final = 2**31 - 1
_WORD: Final = 2


_SIGNED: Final = range(-128, 128)
_UNSIGNED: Final = range(256)


class AnnotationFileError(ValueError):
    """The bytes are no annotation file, or what is to be written does not fit into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Something that happened at a sample."""

    sample: int
    """Counted in the file's own time resolution, from the record's first sample."""
    symbol: str
    subtype: int = 0
    """-128 to 127."""
    chan: int = 0
    """Of the record's signals, the one that it was made on; 0 to 255."""
    num: int = 0
    """Whatever the annotator means by it; -128 to 127."""
    aux: str = ""
    """Free text: with ``+`` the rhythm, ``(AFIB``."""


_ZERO: Final = Annotation(sample=0, symbol='"')
"""What an annotation is told from at the begin of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationFile:
    """What one file says."""

    annotations: tuple[Annotation, ...]
    fs_hz: float | None = None
    """Samples per second that the file states; None: those of the record's header."""


def code_of(symbol: str) -> int | None:
    """Give the code of a symbol, or of a bare number such as ``[47]``; None: there is none."""
    return CODES.get(symbol, _UNNAMED.get(symbol))


def decode_annotations(content: bytes, *, exactly: bool = False) -> AnnotationFile:
    """Read a file's bytes.

    Parameters
    ----------
    exactly
        Leave the NUL with which old files end their texts where it is.

    Raises
    ------
    AnnotationFileError
        With the offset of the byte from which on nothing can be made of it.
    """
    annotations: list[Annotation] = []
    fs_hz: float | None = None
    for annotation in _decode(content, exactly=exactly):
        if annotation.sample == 0 and annotation.aux.startswith("## "):
            fs_hz = _resolution(annotation.aux) or fs_hz
        else:
            annotations.append(annotation)
    return AnnotationFile(annotations=tuple(annotations), fs_hz=fs_hz)


def _resolution(aux: str) -> float | None:
    try:
        return (
            float(aux.removeprefix(RESOLUTION).rstrip("\0")) if aux.startswith(RESOLUTION) else None
        )
    except ValueError as error:
        raise AnnotationFileError(f"the time resolution {aux!r} is not a number") from error


def _decode(content: bytes, *, exactly: bool) -> Iterator[Annotation]:
    """Give one annotation after the other: a code with the time, then what belongs to it."""
    reader = _Words(content)
    sample = 0
    # Channel and number hold until they are said anew.
    said = {_CHN: 0, _NUM: 0}
    word = reader.word()
    while word:
        while word >> 10 == _SKIP:
            sample += reader.skip()
            word = reader.word()
        if not word:
            return
        code = word >> 10
        sample += word & _INTERVAL_MAX
        said[_SUB], aux = 0, ""
        word = reader.word()
        while word >> 10 > _SKIP:
            kind, value = word >> 10, word & _INTERVAL_MAX
            if kind == _AUX:
                aux = reader.text(value)
            else:
                said[kind] = value & 0xFF
            word = reader.word()
        if code:
            yield Annotation(
                sample=sample,
                # A code that the table does not have is kept as text, as "[47]".
                symbol=SYMBOLS.get(code, f"[{code}]"),
                subtype=_signed(said[_SUB]),
                chan=said[_CHN],
                num=_signed(said[_NUM]),
                aux=aux if exactly else aux.rstrip("\0"),
            )


def _signed(value: int) -> int:
    return (value ^ 0x80) - 0x80


class _Words:
    """The 16-bit words of a file, little-endian."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def _take(self, n_bytes: int) -> bytes:
        taken = self._content[self._at : self._at + n_bytes]
        if len(taken) < n_bytes:
            raise AnnotationFileError(
                f"the file ends at byte {len(self._content)}, within what begins at {self._at}; "
                "it is cut off, or it is no annotation file in MIT format"
            )
        self._at += n_bytes
        return taken

    def word(self) -> int:
        """Give the next word; 0 ends the file."""
        return int.from_bytes(self._take(_WORD), "little")

    def skip(self) -> int:
        """Give a signed interval of 32 bits: the upper word comes first."""
        pair = self._take(2 * _WORD)
        return int.from_bytes(pair[_WORD:] + pair[:_WORD], "little", signed=True)

    def text(self, n_bytes: int) -> str:
        """Give a text that is filled up to whole words."""
        return self._take(n_bytes + n_bytes % _WORD)[:n_bytes].decode("latin-1")


def encode_annotations(annotations: Iterable[Annotation], fs_hz: float | None = None) -> bytes:
    """Write annotations, which must ascend in time, as a file's bytes.

    Raises
    ------
    AnnotationFileError
        An unknown symbol, a text that is too long, a time that goes back or is negative.
    """
    parts: list[bytes] = []
    if fs_hz is not None:
        parts.append(
            _encode(Annotation(sample=0, symbol='"', aux=f"{RESOLUTION}{fs_hz:.12g}"), _ZERO)
        )
    before = _ZERO
    for annotation in annotations:
        if annotation.sample < before.sample:
            raise AnnotationFileError(
                f"annotation {annotation.symbol!r} at sample {annotation.sample} comes after one "
                f"at {before.sample}; sort them"
            )
        parts.append(_encode(annotation, before))
        before = annotation
    return b"".join([*parts, bytes(_WORD)])


def _encode(annotation: Annotation, before: Annotation) -> bytes:
    code = code_of(annotation.symbol)
    aux = annotation.aux.encode("latin-1", "replace")
    interval = annotation.sample - before.sample
    is_sound = (
        annotation.subtype in _SIGNED and annotation.num in _SIGNED and annotation.chan in _UNSIGNED
    )
    if code is None or len(aux) > AUX_BYTES_MAX or interval > _SKIP_MAX or not is_sound:
        raise AnnotationFileError(
            f"annotation {annotation.symbol!r} at sample {annotation.sample}, {interval} behind "
            f"the one before, with {len(aux)} bytes of text, subtype {annotation.subtype}, "
            f"chan {annotation.chan} and num {annotation.num}: the format has the symbols "
            f"{''.join(CODES)}, texts up to {AUX_BYTES_MAX} bytes, intervals up to {_SKIP_MAX}, "
            "chan 0 to 255, the others -128 to 127"
        )
    parts: list[bytes] = []
    if interval > _INTERVAL_MAX:
        swapped = interval.to_bytes(2 * _WORD, "little")
        parts += [_word(_SKIP, 0), swapped[_WORD:] + swapped[:_WORD]]
        interval = 0
    parts.append(_word(code, interval))
    if annotation.subtype:
        parts.append(_word(_SUB, annotation.subtype & 0xFF))
    if annotation.chan != before.chan:
        parts.append(_word(_CHN, annotation.chan))
    if annotation.num != before.num:
        parts.append(_word(_NUM, annotation.num & 0xFF))
    if aux:
        parts += [_word(_AUX, len(aux)), aux, bytes(len(aux) % _WORD)]
    return b"".join(parts)


def _word(code: int, value: int) -> bytes:
    return (code << 10 | value).to_bytes(_WORD, "little")
