"""Signal files of every WFDB format, written by what the specification says and by nothing else.

Source: WFDB Applications Guide, signal(5); RFC 9639 (FLAC).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

N_BITS: Final[Mapping[str, int]] = {
    "8": 8,
    "16": 16,
    "24": 24,
    "32": 32,
    "61": 16,
    "80": 8,
    "160": 16,
    "212": 12,
    "310": 10,
    "311": 10,
    "508": 8,
    "516": 16,
    "524": 24,
}
"""Bits of a sample; of a difference in format 8."""

COMPRESSED: Final = frozenset({"508", "516", "524"})


def _whole_bytes(width: int, byteorder: str, bias: int = 0) -> Callable[[Sequence[int]], bytes]:
    def pack(samples: Sequence[int]) -> bytes:
        modulus = 1 << (8 * width)
        numbers = ((sample + bias) % modulus for sample in samples)
        return b"".join(number.to_bytes(width, byteorder) for number in numbers)  # type: ignore[arg-type]

    return pack


def _groups(samples: Sequence[int], n: int) -> Iterator[list[int]]:
    for i in range(0, len(samples), n):
        group = list(samples[i : i + n])
        yield group + [0] * (n - len(group))


def _pack_212(samples: Sequence[int]) -> bytes:
    """Two samples in three bytes: low, both high halves, low."""
    triplets = [
        bytes(
            [first & 0xFF, (first >> 8) & 0xF | (second >> 8 & 0xF) << 4, second & 0xFF],
        )
        for first, second in _groups(samples, 2)
    ]
    return b"".join(triplets)[: -(-len(samples) * 3 // 2)]


def _pack_310(samples: Sequence[int]) -> bytes:
    """Three samples in two pairs of bytes; the third one is in the upper five bits of both."""
    pairs = [
        (
            (first & 0x3FF) << 1 | (third & 0x1F) << 11,
            (second & 0x3FF) << 1 | (third >> 5 & 0x1F) << 11,
        )
        for first, second, third in _groups(samples, 3)
    ]
    stored = b"".join(struct.pack("<HH", *pair) for pair in pairs)
    return stored[: len(samples) // 3 * 4 + (0, 2, 4)[len(samples) % 3]]


def _pack_311(samples: Sequence[int]) -> bytes:
    """Three samples in thirty bits, the first one lowest."""
    words = (
        first & 0x3FF | (second & 0x3FF) << 10 | (third & 0x3FF) << 20
        for first, second, third in _groups(samples, 3)
    )
    stored = b"".join(struct.pack("<I", word) for word in words)
    return stored[: len(samples) // 3 * 4 + (0, 2, 3)[len(samples) % 3]]


_PACK: Final[Mapping[str, Callable[[Sequence[int]], bytes]]] = {
    "8": _whole_bytes(1, "little"),
    "16": _whole_bytes(2, "little"),
    "24": _whole_bytes(3, "little"),
    "32": _whole_bytes(4, "little"),
    "61": _whole_bytes(2, "big"),
    "80": _whole_bytes(1, "little", 1 << 7),
    "160": _whole_bytes(2, "little", 1 << 15),
    "212": _pack_212,
    "310": _pack_310,
    "311": _pack_311,
}


def _crc(data: bytes, n_bits: int, polynomial: int) -> int:
    crc, top = 0, 1 << (n_bits - 1)
    for byte in data:
        crc ^= byte << (n_bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & top else crc << 1) & (2 * top - 1)
    return crc


_FLAC_BLOCK: Final = 16
"""Samples of a channel in a block: the fewest that a block which is not the last may have."""


def _flac_frame(i_frame: int, channels: Sequence[Sequence[int]], n_bits: int) -> bytes:
    """Write a frame, its samples as they are."""
    n = len(channels[0])
    head = bytes([0xFF, 0xF8, 0x70, len(channels) - 1 << 4])
    head += chr(i_frame).encode() + struct.pack(">H", n - 1)
    head += bytes([_crc(head, 8, 0x07)])
    verbatim = b"\x02"
    pack = _whole_bytes(n_bits // 8, "big")
    frame = head + b"".join(verbatim + pack(channel) for channel in channels)
    return frame + struct.pack(">H", _crc(frame, 16, 0x8005))


def _flac(channels: Sequence[Sequence[int]], n_bits: int) -> bytes:
    n_samples, rate_hz = len(channels[0]), 250
    numbers = rate_hz << 44 | len(channels) - 1 << 41 | n_bits - 1 << 36 | n_samples
    blocks = struct.pack(">HH", _FLAC_BLOCK, _FLAC_BLOCK)
    information = blocks + bytes(6) + numbers.to_bytes(8, "big") + bytes(16)
    frames = (
        _flac_frame(i, [channel[at : at + _FLAC_BLOCK] for channel in channels], n_bits)
        for i, at in enumerate(range(0, n_samples, _FLAC_BLOCK))
    )
    return b"fLaC" + b"\x80\0\0\x22" + information + b"".join(frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A signal as it is to be stored."""

    samples: Sequence[int]
    per_frame: int = 1
    skew: int = 0
    name: str = "II"
    gain: str = "200/mV"
    checksum: int | None = None
    """As the header is to say it; None: the right one."""


def pack(signals: Sequence[Stored], fmt: str, n_before: int = 0) -> bytes:
    """Write a signal file: frame after frame, signal after signal.

    Parameters
    ----------
    n_before
        Bytes before the first sample; in a compressed format, samples of each channel.
    """
    if fmt in COMPRESSED:
        channels = [[0] * n_before + list(signal.samples) for signal in signals]
        return _flac(channels, N_BITS[fmt])
    stored = [_differences(one.samples) if fmt == "8" else one.samples for one in signals]
    n_frames = len(stored[0]) // signals[0].per_frame
    flat = [
        sample
        for i in range(n_frames)
        for signal, samples in zip(signals, stored, strict=True)
        for sample in samples[i * signal.per_frame : (i + 1) * signal.per_frame]
    ]
    return b"\x55" * n_before + _PACK[fmt](flat)


def _differences(samples: Sequence[int]) -> list[int]:
    return [after - before for before, after in zip([samples[0], *samples], samples, strict=False)]


def write(
    folder: Path,
    signals: Sequence[Stored],
    fmt: str = "16",
    *,
    name: str = "made",
    n_before: int = 0,
    record: str = "{name} {n_sig} 250 {n_frames}",
    comments: Iterable[str] = (),
) -> str:
    """Write a record of one signal file, and return its path without suffix."""
    (folder / f"{name}.dat").write_bytes(pack(signals, fmt, n_before))
    n_frames = len(signals[0].samples) // signals[0].per_frame
    lines = [record.format(name=name, n_sig=len(signals), n_frames=n_frames)]
    for signal in signals:
        layout = f"{fmt}x{signal.per_frame}:{signal.skew}+{n_before}"
        checksum = sum(signal.samples) % 65_536 if signal.checksum is None else signal.checksum
        numbers = f"{N_BITS[fmt]} 0 {signal.samples[0]} {checksum} 0"
        lines.append(f"{name}.dat {layout} {signal.gain} {numbers} {signal.name}")
    (folder / f"{name}.hea").write_text("\n".join([*lines, *comments, ""]))
    return str(folder / name)
