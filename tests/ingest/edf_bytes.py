"""EDF and BDF files, written by what the specification says and by nothing else.

Source: Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393 (1992); Kemp and Olivan,
Clin. Neurophysiol. 114:1755-1761 (2003).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A signal as it is to be stored."""

    samples: Sequence[int]
    n_per_record: int
    label: str = "ECG II"
    dimension: str = "uV"
    physical: tuple[str, str] = ("-1000", "1000")
    digital: tuple[str, str] = ("-2000", "2000")


def tal(onset: str, *texts: str, duration: str = "") -> bytes:
    """Write a time-stamped annotations list."""
    head = onset + (f"\x15{duration}" if duration else "")
    return (head + "\x14" + "".join(f"{text}\x14" for text in texts)).encode() + b"\0"


def edf(
    signals: Sequence[Stored],
    *,
    n_records: int | None = None,
    duration: str = "1",
    lists: Sequence[bytes] | None = None,
    reserved: str = "",
    width: int = 2,
    announced: int | None = None,
) -> bytes:
    """Write a file.

    Parameters
    ----------
    lists
        What the annotation signal holds in each data record; None: there is no such signal.
    width
        Bytes of a sample: 2 in EDF, 3 in BDF.
    announced
        Data records that the header states; None: as many as there are.
    """
    n = len(signals[0].samples) // signals[0].n_per_record if signals else len(lists or ())
    n_records = n if n_records is None else n_records
    n_signals = len(signals) + (lists is not None)
    family = "EDF" if width == 2 else "BDF"
    n_list_bytes = -(-max(map(len, lists)) // width) * width if lists else 0
    rows = [
        (one.label, "", one.dimension, *one.physical, *one.digital, "", str(one.n_per_record), "")
        for one in signals
    ]
    if lists is not None:
        n_samples = str(n_list_bytes // width)
        rows.append(
            (f"{family} Annotations", "", "", "-1", "1", "-32768", "32767", "", n_samples, "")
        )
    texts = [
        ("X X X X", 80),
        ("Startdate 01-JAN-2020 X X X", 80),
        ("01.01.20", 8),
        ("00.00.00", 8),
        (str(256 * (1 + n_signals)), 8),
        (reserved, 44),
        (str(n_records if announced is None else announced), 8),
        (duration, 8),
        (str(n_signals), 4),
    ]
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    texts += [(row[i], wide) for i, wide in enumerate(widths) for row in rows]
    version = b"0       " if width == 2 else b"\xffBIOSEMI"
    parts = [version, *(text.encode("latin-1").ljust(wide) for text, wide in texts)]
    for i_record in range(n_records):
        for one in signals:
            begin = i_record * one.n_per_record
            parts += [
                sample.to_bytes(width, "little", signed=True)
                for sample in one.samples[begin : begin + one.n_per_record]
            ]
        if lists is not None:
            parts.append(lists[i_record].ljust(n_list_bytes, b"\0"))
    return b"".join(parts)


def write(folder: Path, content: bytes, name: str = "made.edf") -> str:
    """Write a file and return its path."""
    (folder / name).write_bytes(content)
    return str(folder / name)
