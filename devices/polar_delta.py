"""Delta compression of PMD sample frames.

The first sample stands as it is, little-endian and signed. Then come blocks: the width of a delta
in bits, how many samples follow, and their deltas channel by channel, least significant bit first,
padded to a whole byte. Every sum wraps at 32 bits: streams of floats send the sums of their bit
patterns.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, "Delta frame";
online_measurement.pdf v1.0 (2024-08).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.errors import EncodeError, InvalidFieldError
from devices.payload import PayloadReader, PayloadWriter

WIDTH_BITS_MAX: Final = 32
BLOCK_SAMPLES_MAX: Final = 255


def decompress(content: bytes, *, n_channels: int, resolution_bits: int) -> NDArray[np.int32]:
    """Decode the content of a compressed frame.

    A delta takes at least one bit, so the samples of a payload are bounded by its length.

    Parameters
    ----------
    content
        What follows the frame's header.
    n_channels, resolution_bits
        Of the frame's layout; a channel's first value takes the whole bytes of the resolution.

    Returns
    -------
    shape (n_samples, n_channels), oldest first
        Counts; at least the first sample.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(content)
    n_bytes = _n_whole_bytes(resolution_bits)
    first = [reader.signed("reference_sample", n_bytes) for _ in range(n_channels)]
    rows = [np.array([first], dtype=np.int32).view(np.uint32)]
    while reader.n_left:
        rows.append(_read_block(reader, n_channels))
    return np.cumsum(np.concatenate(rows), axis=0, dtype=np.uint32).view(np.int32)


def compress(samples: NDArray[np.int32], *, resolution_bits: int, block_samples: int = 32) -> bytes:
    """Encode samples as the content of a compressed frame.

    Parameters
    ----------
    samples : shape (n_samples, n_channels), oldest first
        Counts; at least one sample.
    resolution_bits
        Of the frame's layout.
    block_samples
        Samples to a block, 1 to 255: each block takes the width of its largest delta.

    Raises
    ------
    EncodeError
    """
    if not 1 <= block_samples <= BLOCK_SAMPLES_MAX:
        raise EncodeError(field="block_samples", value=block_samples, why="is not in 1..255")
    if not samples.size:
        raise EncodeError(field="samples", value=samples.shape, why="holds no sample")
    writer = PayloadWriter()
    n_bytes = _n_whole_bytes(resolution_bits)
    for count in samples[0].tolist():
        writer.signed("reference_sample", count, n_bytes)
    deltas = np.diff(samples.astype(np.int32).view(np.uint32), axis=0).view(np.int32)
    for i_first in range(0, len(deltas), block_samples):
        _write_block(writer, deltas[i_first : i_first + block_samples])
    return writer.finish()


def _n_whole_bytes(n_bits: int) -> int:
    return -(-n_bits // 8)


def _read_block(reader: PayloadReader, n_channels: int) -> NDArray[np.uint32]:
    """Read one block's deltas, shape (n_samples, n_channels), in two's complement."""
    width_bits = reader.u8("delta_width")
    if not 1 <= width_bits <= WIDTH_BITS_MAX:
        raise InvalidFieldError(field="delta_width", value=width_bits, why="is not in 1..32")
    n_values = reader.u8("delta_count") * n_channels
    packed = reader.raw("deltas", _n_whole_bytes(n_values * width_bits))
    return _unpack(packed, width_bits, n_values).reshape(-1, n_channels)


def _write_block(writer: PayloadWriter, deltas: NDArray[np.int32]) -> None:
    magnitude = int(np.where(deltas < 0, ~deltas, deltas).max())
    width_bits = magnitude.bit_length() + 1
    writer.u8("delta_width", width_bits)
    writer.u8("delta_count", len(deltas))
    writer.raw("deltas", _pack(deltas, width_bits))


def _unpack(packed: bytes, width_bits: int, n_values: int) -> NDArray[np.uint32]:
    """Spread packed values to 32 bits each, the sign repeated upward; shape (n_values,)."""
    octets = np.frombuffer(packed, dtype=np.uint8)
    stream = np.unpackbits(octets, count=n_values * width_bits, bitorder="little")
    bits = stream.reshape(n_values, width_bits)
    sign = np.repeat(bits[:, -1:], WIDTH_BITS_MAX - width_bits, axis=1)
    whole = np.packbits(np.hstack((bits, sign)), axis=1, bitorder="little")
    return whole.view("<u4").reshape(n_values).astype(np.uint32)


def _pack(values: NDArray[np.int32], width_bits: int) -> bytes:
    """Pack the lowest bits of each value, in C order."""
    octets = np.ascontiguousarray(values, dtype="<i4").view(np.uint8).reshape(-1, 4)
    bits = np.unpackbits(octets, axis=1, count=width_bits, bitorder="little")
    return np.packbits(bits, bitorder="little").tobytes()
