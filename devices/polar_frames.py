"""The data frames of Polar's measurement data service (PMD), both directions.

A frame is a header (measurement type, device time of the last sample, frame type) and samples, raw
or delta-compressed. `devices.polar_layouts` says what each type's columns are.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, and
online_measurement.pdf v1.0 (2024-08).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.errors import (
    EncodeError,
    InvalidFieldError,
    TruncatedPayloadError,
    UnsupportedFrameError,
)
from devices.payload import PayloadReader, PayloadWriter
from devices.polar_delta import compress, decompress
from devices.polar_layouts import COUNT_BITS, LAYOUTS, Column, FrameLayout, find_layout
from devices.polar_pmd import PmdMeasurement

__all__ = [
    "LAYOUTS",
    "PMD_EPOCH_UNIX_NS",
    "Column",
    "FrameLayout",
    "PmdFrame",
    "PulseInterval",
    "decode_frame",
    "encode_frame",
    "find_layout",
    "pulse_interval_samples",
    "pulse_intervals",
]

PMD_EPOCH_UNIX_NS: Final = 946_684_800 * 10**9
"""Device time 0, 2000-01-01 00:00:00, as nanoseconds since 1970; the device knows no time zone."""

_MEASUREMENT_MASK: Final = 0x3F
_FRAME_TYPE_MASK: Final = 0x7F
_COMPRESSED: Final = 0x80

_BLOCKED: Final = 1
_CONTACT: Final = 2
_CONTACT_SUPPORTED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PmdFrame:
    """One notification of a PMD stream.

    Attributes
    ----------
    measurement
        What is measured.
    timestamp_ns
        Device time of the last sample: nanoseconds since 2000-01-01. PPI frames may send 0.
    frame_type
        Without the compression bit.
    compressed
        How it was sent.
    samples : shape (n_samples, n_channels), oldest first
        Counts, at least one sample; read-only. The sums of a compressed frame may go beyond the
        resolution of their stream: they are what the device sent.
    """

    measurement: PmdMeasurement
    timestamp_ns: int
    frame_type: int
    compressed: bool
    samples: NDArray[np.int32]

    @property
    def layout(self) -> FrameLayout:
        """What the columns are."""
        return find_layout(self.measurement, self.frame_type, compressed=self.compressed)

    def column(self, name: str) -> NDArray[np.int32]:
        """Give the counts of one column, shape (n_samples,).

        Raises
        ------
        InvalidFieldError
            The layout has no such column.
        """
        names = [column.name for column in self.layout.columns]
        if name not in names:
            raise InvalidFieldError(field="column", value=name, why=f"is not one of {names}")
        return self.samples[:, names.index(name)]

    def scale_factor(self, factor: float = 1.0) -> float:
        """Give what a catalogue row's scale is to be multiplied by for this frame.

        Parameters
        ----------
        factor
            From the answer to the start: see `devices.polar_pmd.decode_start_factor`.

        Raises
        ------
        UnsupportedFrameError
            The samples are bit patterns, not counts: see `scaled`.
        """
        layout = self.layout
        if layout.float_bits:
            raise UnsupportedFrameError(
                measurement=self.measurement,
                frame_type=self.frame_type,
                compressed=self.compressed,
            )
        return layout.scale * (factor if layout.has_factor else 1.0)

    def scaled(self, factor: float = 1.0) -> NDArray[np.float64]:
        """Give the samples in the layout's unit, shape (n_samples, n_channels).

        Columns that are not `measured` stay counts. Samples that are sent as IEEE 754 numbers may
        hold anything that those can.
        """
        layout = self.layout
        if layout.float_bits:
            # A signalling NaN is as good as a quiet one.
            with np.errstate(invalid="ignore"):
                numbers = self.samples.view(np.float32).astype(np.float64)
            return numbers * np.float64(factor) if layout.has_factor else numbers
        scale = self.scale_factor(factor)
        scales = np.array([scale if column.measured else 1.0 for column in layout.columns])
        scaled: NDArray[np.float64] = self.samples.astype(np.float64) * scales
        return scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseInterval:
    """One pulse-to-pulse interval of a PPI frame.

    Attributes
    ----------
    heart_rate_bpm
        The device's own estimate; 0 if it has none.
    interval_ms, error_ms
        The interval, and the device's estimate of its error.
    blocked
        The device says that the interval is not valid: movement.
    contact
        Whether the sensor touches the skin; None: it cannot tell.
    """

    heart_rate_bpm: int
    interval_ms: int
    error_ms: int
    blocked: bool
    contact: bool | None


def decode_frame(payload: bytes) -> PmdFrame:
    """Decode a data frame.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    measurement = reader.u8("measurement") & _MEASUREMENT_MASK
    timestamp_ns = reader.u64("timestamp")
    frame_type = reader.u8("frame_type")
    compressed = bool(frame_type & _COMPRESSED)
    frame_type &= _FRAME_TYPE_MASK
    layout = find_layout(measurement, frame_type, compressed=compressed)
    decode = _decode_compressed if compressed else _decode_raw
    samples = decode(reader.rest("samples"), layout)
    samples.flags.writeable = False
    return PmdFrame(
        measurement=PmdMeasurement(measurement),
        timestamp_ns=timestamp_ns,
        frame_type=frame_type,
        compressed=compressed,
        samples=samples,
    )


def encode_frame(
    *,
    measurement: PmdMeasurement,
    timestamp_ns: int,
    samples: NDArray[np.int32],
    frame_type: int = 0,
    compressed: bool = False,
) -> bytes:
    """Encode a data frame.

    Parameters
    ----------
    measurement, frame_type, compressed
        Choose the layout.
    timestamp_ns
        Device time of the last sample: nanoseconds since 2000-01-01.
    samples : shape (n_samples, n_channels), oldest first
        Counts; at least one sample, at most what fits a payload.

    Raises
    ------
    UnsupportedFrameError
        There is no such layout.
    EncodeError
        The samples do not fit it.
    """
    layout = find_layout(measurement, frame_type, compressed=compressed)
    if samples.ndim != len(("sample", "channel")) or samples.shape[1] != len(layout.columns):
        why = f"is not (n_samples, {len(layout.columns)})"
        raise EncodeError(field="samples", value=samples.shape, why=why)
    if not len(samples):
        raise EncodeError(field="samples", value=samples.shape, why="holds no sample")
    for i_column, column in enumerate(layout.columns):
        _check_fit(samples[:, i_column], column)
    encode = _encode_compressed if compressed else _encode_raw
    writer = PayloadWriter()
    writer.u8("measurement", measurement)
    writer.u64("timestamp", timestamp_ns)
    writer.u8("frame_type", frame_type | (_COMPRESSED if compressed else 0))
    writer.raw("samples", encode(samples, layout))
    return writer.finish()


def pulse_intervals(frame: PmdFrame) -> tuple[PulseInterval, ...]:
    """List the intervals of a PPI frame, oldest first.

    Raises
    ------
    InvalidFieldError
        The frame is of another measurement.
    """
    if frame.measurement is not PmdMeasurement.PPI:
        raise InvalidFieldError(field="measurement", value=int(frame.measurement), why="is not PPI")
    return tuple(_pulse_interval(row) for row in frame.samples.tolist())


def pulse_interval_samples(intervals: Iterable[PulseInterval]) -> NDArray[np.int32]:
    """Lay intervals out as the samples of a PPI frame, shape (n_intervals, 4), oldest first."""
    rows = [
        (row.heart_rate_bpm, row.interval_ms, row.error_ms, _pulse_flags(row)) for row in intervals
    ]
    return np.array(rows, dtype=np.int32).reshape(-1, 4)


def _pulse_flags(row: PulseInterval) -> int:
    contact = 0 if row.contact is None else _CONTACT_SUPPORTED | (_CONTACT if row.contact else 0)
    return contact | (_BLOCKED if row.blocked else 0)


def _pulse_interval(row: list[int]) -> PulseInterval:
    heart_rate_bpm, interval_ms, error_ms, flags = row
    return PulseInterval(
        heart_rate_bpm=heart_rate_bpm,
        interval_ms=interval_ms,
        error_ms=error_ms,
        blocked=bool(flags & _BLOCKED),
        # The specification words the third bit the other way round; the SDK reads it like this.
        contact=bool(flags & _CONTACT) if flags & _CONTACT_SUPPORTED else None,
    )


def _decode_compressed(content: bytes, layout: FrameLayout) -> NDArray[np.int32]:
    samples = decompress(
        content, n_channels=len(layout.columns), resolution_bits=layout.resolution_bits
    )
    for i_column, column in _unsigned(layout):
        samples[:, i_column] &= column.count_max
    return samples


def _encode_compressed(samples: NDArray[np.int32], layout: FrameLayout) -> bytes:
    patterns = samples.astype(np.int64)
    for i_column, column in _unsigned(layout):
        # The first value is written as a signed one of the same bits.
        above = patterns[:, i_column] > column.count_max >> 1
        patterns[above, i_column] -= column.count_max + 1
    return compress(patterns.astype(np.int32), resolution_bits=layout.resolution_bits)


def _unsigned(layout: FrameLayout) -> list[tuple[int, Column]]:
    return [(i, column) for i, column in enumerate(layout.columns) if column.count_min == 0]


def _decode_raw(content: bytes, layout: FrameLayout) -> NDArray[np.int32]:
    n_left = len(content) % layout.row_bytes
    if n_left:
        raise TruncatedPayloadError(field="sample", needed=layout.row_bytes, available=n_left)
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, layout.row_bytes)
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    samples = np.empty((len(rows), len(layout.columns)), dtype=np.int32)
    i_bit = 0
    for i_column, column in enumerate(layout.columns):
        samples[:, i_column] = _widen(bits[:, i_bit : i_bit + column.n_bits], signed=column.signed)
        i_bit += column.n_bits + column.pad_bits
    return samples


def _widen(bits: NDArray[np.uint8], *, signed: bool) -> NDArray[np.int32]:
    """Join the bits of each row, shape (n_samples, n_bits), least significant first."""
    n_samples, n_bits = bits.shape
    whole = np.zeros((n_samples, COUNT_BITS), dtype=np.uint8)
    whole[:, :n_bits] = bits
    if signed:
        whole[:, n_bits:] = bits[:, -1:]
    return np.packbits(whole, axis=1, bitorder="little").view("<i4").reshape(n_samples)


def _encode_raw(samples: NDArray[np.int32], layout: FrameLayout) -> bytes:
    parts: list[NDArray[np.uint8]] = []
    for i_column, column in enumerate(layout.columns):
        octets = np.ascontiguousarray(samples[:, i_column], dtype="<i4").view(np.uint8)
        bits = np.unpackbits(octets.reshape(-1, 4), axis=1, bitorder="little")
        parts.append(bits[:, : column.n_bits])
        parts.append(np.zeros((len(samples), column.pad_bits), dtype=np.uint8))
    return np.packbits(np.hstack(parts), axis=1, bitorder="little").tobytes()


def _check_fit(counts: NDArray[np.int32], column: Column) -> None:
    for count in (int(counts.min()), int(counts.max())):
        if not column.count_min <= count <= column.count_max:
            why = f"does not fit {column.n_bits} bits"
            raise EncodeError(field=column.name, value=count, why=why)
