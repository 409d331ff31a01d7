"""The data frames of Polar's measurement data service (PMD), both directions.

A frame is a header (measurement type, device time of the last sample, frame type) and samples, raw
or delta-compressed. The table at the end says what each type's columns are.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, and
online_measurement.pdf v1.0 (2024-08).
"""

from collections.abc import Mapping
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
from devices.polar_pmd import PmdMeasurement

PMD_EPOCH_UNIX_NS: Final = 946_684_800 * 10**9
"""Device time 0, 2000-01-01 00:00:00, as nanoseconds since 1970; the device knows no time zone."""

_MEASUREMENT_MASK: Final = 0x3F
_FRAME_TYPE_MASK: Final = 0x7F
_COMPRESSED: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a frame's samples.

    Attributes
    ----------
    name
        What it holds.
    n_bytes
        Width of a value, or of the first value if compressed.
    signed
        Two's complement or not.
    """

    name: str
    n_bytes: int
    signed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLayout:
    """How the samples of a frame type are laid out.

    Attributes
    ----------
    columns
        In order.
    unit
        UCUM unit of a count times `scale`, and times the stream's factor if it `has_factor`.
    scale
        Unit per count.
    has_factor
        Counts are also to be multiplied by the factor that the answer to the start gave.
    float_bits
        Counts are the bit patterns of IEEE 754 numbers.
    """

    columns: tuple[Column, ...]
    unit: str
    scale: float = 1.0
    has_factor: bool = False
    float_bits: bool = False


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
        Counts, at least one sample; read-only.
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

        Samples that are sent as IEEE 754 numbers may hold anything that those can.
        """
        if self.layout.float_bits:
            return self.samples.view(np.float32).astype(np.float64)
        return self.samples.astype(np.float64) * np.float64(self.scale_factor(factor))


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


def find_layout(measurement: int, frame_type: int, *, compressed: bool) -> FrameLayout:
    """Find what the columns of a frame type are.

    Raises
    ------
    UnsupportedFrameError
    """
    layout = LAYOUTS.get((measurement, frame_type, compressed))
    if layout is None:
        raise UnsupportedFrameError(
            measurement=measurement, frame_type=frame_type, compressed=compressed
        )
    return layout


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
    samples = decode(reader.rest("samples"), layout.columns)
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
    columns = find_layout(measurement, frame_type, compressed=compressed).columns
    if samples.ndim != len(("sample", "channel")) or samples.shape[1] != len(columns):
        why = f"is not (n_samples, {len(columns)})"
        raise EncodeError(field="samples", value=samples.shape, why=why)
    if not len(samples):
        raise EncodeError(field="samples", value=samples.shape, why="holds no sample")
    encode = _encode_compressed if compressed else _encode_raw
    writer = PayloadWriter()
    writer.u8("measurement", measurement)
    writer.u64("timestamp", timestamp_ns)
    writer.u8("frame_type", frame_type | (_COMPRESSED if compressed else 0))
    writer.raw("samples", encode(samples, columns))
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


def _pulse_interval(row: list[int]) -> PulseInterval:
    heart_rate_bpm, interval_ms, error_ms, flags = row
    blocked, contact, contact_supported = (bool(flags & bit) for bit in (1, 2, 4))
    return PulseInterval(
        heart_rate_bpm=heart_rate_bpm,
        interval_ms=interval_ms,
        error_ms=error_ms,
        blocked=blocked,
        contact=contact if contact_supported else None,
    )


def _decode_compressed(content: bytes, columns: tuple[Column, ...]) -> NDArray[np.int32]:
    return decompress(content, n_channels=len(columns), resolution_bits=8 * columns[0].n_bytes)


def _encode_compressed(samples: NDArray[np.int32], columns: tuple[Column, ...]) -> bytes:
    return compress(samples, resolution_bits=8 * columns[0].n_bytes)


def _decode_raw(content: bytes, columns: tuple[Column, ...]) -> NDArray[np.int32]:
    row_bytes = sum(column.n_bytes for column in columns)
    n_left = len(content) % row_bytes
    if n_left:
        raise TruncatedPayloadError(field="sample", needed=row_bytes, available=n_left)
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, row_bytes)
    samples = np.empty((len(rows), len(columns)), dtype=np.int32)
    i_byte = 0
    for i_column, column in enumerate(columns):
        octets = rows[:, i_byte : i_byte + column.n_bytes]
        samples[:, i_column] = _widen(octets, signed=column.signed)
        i_byte += column.n_bytes
    return samples


def _widen(octets: NDArray[np.uint8], *, signed: bool) -> NDArray[np.int32]:
    """Join the bytes of each row, shape (n_samples, n_bytes), least significant first."""
    n_bytes = octets.shape[1]
    weights = np.array([1 << 8 * i_byte for i_byte in range(n_bytes)], dtype=np.int32)
    counts: NDArray[np.int32] = octets.astype(np.int32) @ weights
    if not signed:
        return counts
    sign = np.int32(1 << 8 * n_bytes - 1)
    return (counts ^ sign) - sign


def _encode_raw(samples: NDArray[np.int32], columns: tuple[Column, ...]) -> bytes:
    octets = np.ascontiguousarray(samples, dtype="<i4").view(np.uint8).reshape(*samples.shape, 4)
    parts: list[NDArray[np.uint8]] = []
    for i_column, column in enumerate(columns):
        _check_fit(samples[:, i_column], column)
        parts.append(octets[:, i_column, : column.n_bytes])
    return np.hstack(parts).tobytes()


def _check_fit(counts: NDArray[np.int32], column: Column) -> None:
    n_bits = 8 * column.n_bytes
    lowest, above = (-1 << n_bits - 1, 1 << n_bits - 1) if column.signed else (0, 1 << n_bits)
    for count in (int(counts.min()), int(counts.max())):
        if not lowest <= count < above:
            raise EncodeError(field=column.name, value=count, why=f"does not fit {n_bits} bits")


def _axes(n_bytes: int) -> tuple[Column, ...]:
    return tuple(Column(name=axis, n_bytes=n_bytes) for axis in "xyz")


def _light(n_photodiodes: int, *others: str) -> tuple[Column, ...]:
    names = (*(f"ppg{i}" for i in range(n_photodiodes)), *others)
    return tuple(Column(name=name, n_bytes=3) for name in names)


_PPI_COLUMNS: Final = (
    Column(name="heart_rate", n_bytes=1, signed=False),
    Column(name="interval", n_bytes=2, signed=False),
    Column(name="error", n_bytes=2, signed=False),
    Column(name="flags", n_bytes=1, signed=False),
)
_ACC_CT0: Final = FrameLayout(columns=_axes(2), unit="m[g]", scale=1000.0, has_factor=True)
_ACC_CT1: Final = FrameLayout(columns=_axes(2), unit="m[g]", has_factor=True)
_GYRO_CT0: Final = FrameLayout(columns=_axes(2), unit="deg/s", has_factor=True)
_GYRO_CT1: Final = FrameLayout(columns=_axes(4), unit="deg/s", float_bits=True)

LAYOUTS: Final[Mapping[tuple[int, int, bool], FrameLayout]] = {
    (PmdMeasurement.ECG, 0, False): FrameLayout(
        columns=(Column(name="ecg", n_bytes=3),), unit="uV"
    ),
    (PmdMeasurement.PPG, 0, False): FrameLayout(columns=_light(3, "ambient"), unit="1"),
    (PmdMeasurement.PPG, 0, True): FrameLayout(columns=_light(3, "ambient"), unit="1"),
    (PmdMeasurement.PPG, 7, True): FrameLayout(columns=_light(16, "status"), unit="1"),
    (PmdMeasurement.PPG, 8, True): FrameLayout(columns=_light(24, "status"), unit="1"),
    (PmdMeasurement.PPG, 10, True): FrameLayout(columns=_light(20, "status"), unit="1"),
    (PmdMeasurement.PPG, 13, True): FrameLayout(columns=_light(2, "status"), unit="1"),
    (PmdMeasurement.ACC, 0, False): FrameLayout(columns=_axes(1), unit="m[g]"),
    (PmdMeasurement.ACC, 1, False): FrameLayout(columns=_axes(2), unit="m[g]"),
    (PmdMeasurement.ACC, 2, False): FrameLayout(columns=_axes(3), unit="m[g]"),
    (PmdMeasurement.ACC, 0, True): _ACC_CT0,
    (PmdMeasurement.ACC, 1, True): _ACC_CT1,
    (PmdMeasurement.PPI, 0, False): FrameLayout(columns=_PPI_COLUMNS, unit="1"),
    (PmdMeasurement.GYRO, 0, True): _GYRO_CT0,
    (PmdMeasurement.GYRO, 1, True): _GYRO_CT1,
}
"""Layouts by measurement, frame type and compression."""
