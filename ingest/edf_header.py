"""Headers of EDF, EDF+, BDF and BDF+ files: bytes to what they say, nothing believed unchecked.

The numbers of a header are decimals of at most eight characters, and are kept exactly.

Source: Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393 (1992); Kemp and Olivan,
Clin. Neurophysiol. 114:1755-1761 (2003); BioSemi, the BDF file format.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ingest.errors import RecordingError
from ingest.fractions_near import simplest_within

FIXED_BYTES: Final = 256
"""The part of the header that every file has; each signal adds as many."""

BDF_VERSION: Final = b"\xffBIOSEMI"

_FIXED_FIELDS: Final = (
    ("version", 8),
    ("patient", 80),
    ("recording", 80),
    ("start date", 8),
    ("start time", 8),
    ("number of bytes in the header", 8),
    ("reserved", 44),
    ("number of data records", 8),
    ("duration of a data record", 8),
    ("number of signals", 4),
)
_SIGNAL_FIELDS: Final = (
    ("label", 16),
    ("transducer", 80),
    ("physical dimension", 8),
    ("physical minimum", 8),
    ("physical maximum", 8),
    ("digital minimum", 8),
    ("digital maximum", 8),
    ("prefiltering", 80),
    ("number of samples in a data record", 8),
    ("reserved", 32),
)

_INTEGER: Final = re.compile(r"[+-]?\d{1,8}")
_DECIMAL: Final = re.compile(
    r"[+-]?(\d+\.?(?P<decimals>\d*)|\.(?P<only>\d+))(?P<power>[eE][+-]?\d{1,2})?"
)
_FIELD_CHARS: Final = 8
_UNKNOWN: Final = -1
"""The number of data records while a file is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfSignalHeader:
    """How the samples of one signal are stored."""

    label: str
    dimension: str
    """The unit as the file writes it; empty where it has none."""
    scale: Fraction
    """Units per count, exact; 0 in an annotation signal, which has no samples."""
    offset: Fraction
    n_per_record: int
    """Samples in a data record."""
    begin_byte: int
    """Where its samples begin within a data record."""
    is_annotations: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfHeader:
    """What the header of a file says."""

    sample_bytes: int
    """2 in EDF, 3 in BDF."""
    is_plus: bool
    """Its data records say when they begin, and there may be annotations."""
    is_discontinuous: bool
    """There may be time between two data records."""
    header_bytes: int
    n_records: int | None
    """Data records; None: the file was not closed, and does not say."""
    record_s: Fraction
    """Duration of a data record in seconds, as the header writes it."""
    record_s_rounding: Fraction
    """By how much it may have been rounded: 0 where the field had room for more digits."""
    signals: tuple[EdfSignalHeader, ...]

    @property
    def record_bytes(self) -> int:
        """Bytes of a data record."""
        return self.sample_bytes * sum(signal.n_per_record for signal in self.signals)

    def sampling_rate(self, signal: EdfSignalHeader) -> Fraction:
        """Give the samples per second: of all that the rounded duration may mean, the simplest.

        360 Hz in records of 13,000 samples last 36.11111 s by the header; taken at its word that
        would be 360.00001 Hz.
        """
        n, at_most = signal.n_per_record, self.record_s + self.record_s_rounding
        return simplest_within(n / at_most, n / (self.record_s - self.record_s_rounding))


def n_signals_of(fixed: bytes) -> int:
    """Tell how many signals follow the fixed part of a header.

    Raises
    ------
    RecordingError
    """
    if len(fixed) < FIXED_BYTES:
        raise RecordingError(
            f"the file ends at byte {len(fixed)}, within its header, which has {FIXED_BYTES} bytes "
            "at least: it is cut off, or it is no EDF"
        )
    return _integer(fixed[252:256].decode("latin-1"), "number of signals", minimum=1)


def decode_header(content: bytes) -> EdfHeader:
    """Read a whole header.

    Parameters
    ----------
    content
        256 bytes, and 256 for each signal.

    Raises
    ------
    RecordingError
        With the field, what it says, and where it stands.
    """
    n_signals = n_signals_of(content)
    needed = FIXED_BYTES * (1 + n_signals)
    if len(content) < needed:
        raise RecordingError(
            f"the file ends at byte {len(content)}, within its header, which has {needed} bytes "
            f"for {n_signals} signals: it is cut off"
        )
    fixed = _fixed(content)
    is_bdf = content.startswith(BDF_VERSION)
    if not is_bdf and fixed["version"] != "0":
        raise RecordingError(
            f"the file begins with {content[:8]!r}: an EDF begins with '0', a BDF with byte 255 "
            "and 'BIOSEMI'"
        )
    header_bytes = _integer(fixed["number of bytes in the header"], "number of bytes in the header")
    if header_bytes != needed:
        raise RecordingError(
            f"the header says that it has {header_bytes} bytes (at byte 184), but {n_signals} "
            f"signals (at byte 252) make {needed}"
        )
    family = "BDF" if is_bdf else "EDF"
    is_plus = fixed["reserved"].startswith((f"{family}+C", f"{family}+D"))
    n_records = _integer(
        fixed["number of data records"], "number of data records", minimum=_UNKNOWN
    )
    record_s, rounding = _duration(fixed["duration of a data record"])
    return EdfHeader(
        sample_bytes=3 if is_bdf else 2,
        is_plus=is_plus,
        is_discontinuous=fixed["reserved"].startswith(f"{family}+D"),
        header_bytes=needed,
        n_records=None if n_records == _UNKNOWN else n_records,
        record_s=record_s,
        record_s_rounding=rounding,
        signals=_signals(content, n_signals, f"{family} Annotations" if is_plus else None),
    )


def _fixed(content: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    at = 0
    for name, width in _FIXED_FIELDS:
        fields[name] = _text(content[at : at + width])
        at += width
    return fields


def _signals(
    content: bytes, n_signals: int, annotations_label: str | None
) -> tuple[EdfSignalHeader, ...]:
    columns: dict[str, list[str]] = {}
    at = FIXED_BYTES
    for name, width in _SIGNAL_FIELDS:
        ends = range(at + width, at + width * n_signals + 1, width)
        columns[name] = [_text(content[end - width : end]) for end in ends]
        at += width * n_signals
    sample_bytes = 3 if content.startswith(BDF_VERSION) else 2
    signals: list[EdfSignalHeader] = []
    begin_byte = 0
    for i in range(n_signals):
        fields = {name: column[i] for name, column in columns.items()}
        signal = _signal(fields, i, begin_byte, annotations_label)
        signals.append(signal)
        begin_byte += signal.n_per_record * sample_bytes
    return tuple(signals)


def _signal(
    fields: dict[str, str], i_signal: int, begin_byte: int, annotations_label: str | None
) -> EdfSignalHeader:
    label = fields["label"]
    of_signal = f"of signal {i_signal} ({label})"
    n_per_record = _integer(
        fields["number of samples in a data record"],
        f"number of samples in a data record {of_signal}",
        minimum=1,
    )
    is_annotations = label == annotations_label
    scale = offset = Fraction(0)
    if not is_annotations:
        scale, offset = _scale(fields, of_signal)
    return EdfSignalHeader(
        label=label,
        dimension=fields["physical dimension"],
        scale=scale,
        offset=offset,
        n_per_record=n_per_record,
        begin_byte=begin_byte,
        is_annotations=is_annotations,
    )


def _scale(fields: dict[str, str], of_signal: str) -> tuple[Fraction, Fraction]:
    low, high = (
        _decimal(fields[name], f"{name} {of_signal}")[0]
        for name in ("physical minimum", "physical maximum")
    )
    lowest, highest = (
        _integer(fields[name], f"{name} {of_signal}")
        for name in ("digital minimum", "digital maximum")
    )
    if low == high or lowest >= highest:
        raise RecordingError(
            f"the counts {lowest} to {highest} {of_signal} are {float(low):g} to {float(high):g} "
            "in its unit: no value can be made of them; take the signal out of the file, or mend "
            "its digital and physical minimum and maximum"
        )
    scale = (high - low) / (highest - lowest)
    return scale, low - lowest * scale


def _duration(text: str) -> tuple[Fraction, Fraction]:
    seconds, n_decimals = _decimal(text, "duration of a data record (at byte 244)")
    if seconds <= 0:
        raise RecordingError(
            f"a data record lasts {text} s (at byte 244): only a file without signals may say so"
        )
    is_full = n_decimals > 0 and len(text) == _FIELD_CHARS
    # Some round and some cut off.
    rounding = Fraction(1, 10**n_decimals) if is_full else Fraction(0)
    return seconds, min(rounding, seconds / 2)


def _text(field: bytes) -> str:
    return field.decode("latin-1").strip(" \0")


def _integer(text: str, what: str, *, minimum: int | None = None) -> int:
    text = text.strip()
    if not _INTEGER.fullmatch(text) or (minimum is not None and int(text) < minimum):
        least = "" if minimum is None else f" of {minimum} at least"
        raise RecordingError(f"the {what} is {text!r}: it must be a whole number{least}")
    return int(text)


def _decimal(text: str, what: str) -> tuple[Fraction, int]:
    """Read a decimal, and how many digits it has behind the point; 0 where it has an exponent."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise RecordingError(
            f"the {what} is {text!r}: it must be a decimal number with a point, such as -512.5"
        )
    decimals: Sequence[str] = found["decimals"] or found["only"] or ""
    return Fraction(text), 0 if found["power"] else len(decimals)
