"""What a Movesense sensor's data mean: ECG, IMU, heart rate and temperature.

A waveform begins with the sensor's time in milliseconds since it started, of the first sample (so
the vendor's example client takes it; the specification's excerpt does not say). An IMU sends all
vectors of one kind, then all of the next. The temperature is the sensor's own, not the wearer's.

Source: Movesense device library, API definitions meas/ecg, acc, imu, hr and temp; the order of the
fields as in packets captured from a sensor beside its own decoded log (sensein/movesense-py, test
fixtures). Raw ECG is not among the captures: its layout is that of the vendor's example client.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.errors import EncodeError, InvalidFieldError, TruncatedPayloadError
from devices.medfloat import MedFloat, Special
from devices.payload import PAYLOAD_BYTES_MAX, PayloadReader, PayloadWriter

ECG_RATES_HZ: Final = (125, 128, 200, 250, 256, 500, 512)
IMU_RATES_HZ: Final = (13, 26, 52, 104, 208)
"""Faster ones, 416 to 1666, are offered too; their wholes were never seen."""
HEART_RATE_PATH: Final = "/Meas/HR"
TEMPERATURE_PATH: Final = "/Meas/Temp"

_TIME_BYTES: Final = 4
_N_ECG_SAMPLES: Final = 16
_IMU_PACKETS_HZ: Final = 13
"""Packets each second, at every rate: seen at 13 and 52 Hz, and by clients at 104 Hz."""
_MV_PER_COUNT: Final = 0.000381469726563
_MV_PER_UV: Final = 1e-3
_STANDARD_GRAVITY: Final = 9.80665
"""One g in m/s2."""


class GspKind(StrEnum):
    """Which waveform."""

    ECG = "ecg"
    ECG_MV = "ecg_mv"
    ACC = "acc"
    IMU6 = "imu6"
    IMU9 = "imu9"


@dataclass(frozen=True, slots=True, kw_only=True)
class GspLayout:
    """How the samples of a waveform are sent.

    Attributes
    ----------
    path
        Of the resource, with a place for the rate.
    dtype
        Of a value.
    columns
        Names of a sample's columns, in order.
    units
        UCUM unit of each column after scaling.
    scales
        Unit per value sent.
    """

    path: str
    dtype: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    scales: tuple[float, ...]

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample of all columns."""
        return np.dtype(self.dtype).itemsize * len(self.columns)

    @property
    def n_vectors(self) -> int:
        """Arrays that follow each other."""
        return max(1, len(self.columns) // len("xyz"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GspFrame:
    """One packet of a waveform.

    Attributes
    ----------
    kind
        Which waveform.
    timestamp_ms
        Sensor time of the first sample: milliseconds since the sensor started, 32 bits.
    samples : shape (n_samples, n_columns), oldest first
        As sent, finite, at least one sample; read-only. Raw ECG in counts of 0.381 uV, ECG_MV in
        microvolts, acceleration in m/s2, angular velocity in deg/s, magnetic field in uT.
    """

    kind: GspKind
    timestamp_ms: int
    samples: NDArray[np.int32] | NDArray[np.float32]

    @property
    def layout(self) -> GspLayout:
        """What the columns are."""
        return LAYOUTS[self.kind]

    def scaled(self) -> NDArray[np.float64]:
        """Give the samples in the layout's units, shape (n_samples, n_columns)."""
        scales = np.array(self.layout.scales, dtype=np.float64)
        scaled: NDArray[np.float64] = self.samples.astype(np.float64) * scales
        return scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class GspHeartRate:
    """One heart-rate event; it has no time of its own.

    Attributes
    ----------
    average_bpm
        Mean heart rate, or why there is none.
    rr_intervals_ms
        Oldest first; sensors have been seen to send one.
    """

    average_bpm: MedFloat
    rr_intervals_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GspTemperature:
    """The temperature inside the sensor.

    Attributes
    ----------
    temperature_kelvin
        In kelvins, or why there is none.
    timestamp_ms
        Milliseconds since the sensor started, 32 bits.
    """

    temperature_kelvin: MedFloat
    timestamp_ms: int


def gsp_path(kind: GspKind, fs_hz: int) -> str:
    """Write the path to subscribe to.

    Raises
    ------
    ValueError
        The sensor does not offer this rate, or it is not served here.
    """
    _check_rate(kind, fs_hz)
    return LAYOUTS[kind].path.format(fs_hz)


def gsp_packet_samples(kind: GspKind, fs_hz: int) -> int:
    """Tell how many samples a packet holds: always the same number.

    Raises
    ------
    ValueError
        The sensor does not offer this rate, or it is not served here.
    """
    _check_rate(kind, fs_hz)
    return _N_ECG_SAMPLES if kind in _ECG_KINDS else fs_hz // _IMU_PACKETS_HZ


def gsp_whole_bytes(kind: GspKind, fs_hz: int) -> int:
    """Tell how long the whole body of a packet is: what `GspAssembler` has to know.

    Raises
    ------
    ValueError
        The sensor does not offer this rate, or a whole would be longer than 512 bytes.
    """
    n_bytes = _TIME_BYTES + gsp_packet_samples(kind, fs_hz) * LAYOUTS[kind].sample_bytes
    if n_bytes > PAYLOAD_BYTES_MAX:
        raise ValueError(f"{kind} at {fs_hz} Hz: packets of {n_bytes} bytes are not served")
    return n_bytes


def decode_gsp_ecg(payload: bytes) -> GspFrame:
    """Decode the body of raw ECG data.

    Raises
    ------
    DecodeError
    """
    return _decode_frame(GspKind.ECG, payload)


def decode_gsp_ecg_mv(payload: bytes) -> GspFrame:
    """Decode the body of ECG data of a path that ends in mV: whole microvolts of 16 bits.

    Raises
    ------
    DecodeError
    """
    return _decode_frame(GspKind.ECG_MV, payload)


def decode_gsp_acc(payload: bytes) -> GspFrame:
    """Decode the body of acceleration data.

    Raises
    ------
    DecodeError
    """
    return _decode_frame(GspKind.ACC, payload)


def decode_gsp_imu6(payload: bytes) -> GspFrame:
    """Decode the body of acceleration and angular velocity.

    Raises
    ------
    DecodeError
    """
    return _decode_frame(GspKind.IMU6, payload)


def decode_gsp_imu9(payload: bytes) -> GspFrame:
    """Decode the body of acceleration, angular velocity and magnetic field.

    Raises
    ------
    DecodeError
    """
    return _decode_frame(GspKind.IMU9, payload)


def encode_gsp_frame(frame: GspFrame) -> bytes:
    """Encode the body of a waveform's data.

    Raises
    ------
    EncodeError
    """
    layout = frame.layout
    samples = frame.samples
    if samples.ndim != len(("sample", "column")) or samples.shape[1] != len(layout.columns):
        why = f"is not (n_samples, {len(layout.columns)})"
        raise EncodeError(field="samples", value=samples.shape, why=why)
    if not len(samples):
        raise EncodeError(field="samples", value=samples.shape, why="holds no sample")
    sent = samples.astype(layout.dtype)
    if not np.array_equal(sent, samples) or not np.isfinite(sent).all():
        raise EncodeError(field="samples", value=layout.dtype, why="cannot hold every value")
    writer = PayloadWriter()
    writer.u32("timestamp", frame.timestamp_ms)
    for vector in np.split(sent, layout.n_vectors, axis=1):
        writer.raw("samples", vector.tobytes())
    return writer.finish()


def decode_gsp_heart_rate(payload: bytes) -> GspHeartRate:
    """Decode the body of a heart-rate event.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    average_bpm = _read_number(reader, "average")
    intervals: list[int] = []
    while reader.n_left:
        intervals.append(reader.u16("rr_interval"))
    return GspHeartRate(average_bpm=average_bpm, rr_intervals_ms=tuple(intervals))


def encode_gsp_heart_rate(heart_rate: GspHeartRate) -> bytes:
    """Encode the body of a heart-rate event.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    _write_number(writer, "average", heart_rate.average_bpm)
    for interval_ms in heart_rate.rr_intervals_ms:
        writer.u16("rr_interval", interval_ms)
    return writer.finish()


def decode_gsp_temperature(payload: bytes) -> GspTemperature:
    """Decode the body of temperature data.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    kelvin = _read_number(reader, "temperature")
    timestamp_ms = reader.u32("timestamp")
    reader.finish()
    return GspTemperature(temperature_kelvin=kelvin, timestamp_ms=timestamp_ms)


def encode_gsp_temperature(temperature: GspTemperature) -> bytes:
    """Encode the body of temperature data.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    _write_number(writer, "temperature", temperature.temperature_kelvin)
    writer.u32("timestamp", temperature.timestamp_ms)
    return writer.finish()


def _check_rate(kind: GspKind, fs_hz: int) -> None:
    if fs_hz not in (ECG_RATES_HZ if kind in _ECG_KINDS else IMU_RATES_HZ):
        raise ValueError(f"{kind} is not served at {fs_hz} Hz")


def _decode_frame(kind: GspKind, payload: bytes) -> GspFrame:
    layout = LAYOUTS[kind]
    reader = PayloadReader(payload)
    timestamp_ms = reader.u32("timestamp")
    content = reader.rest("samples")
    n_left = len(content) % layout.sample_bytes
    if n_left:
        raise TruncatedPayloadError(field="sample", needed=layout.sample_bytes, available=n_left)
    values = np.frombuffer(content, dtype=layout.dtype)
    if not np.isfinite(values).all():
        raise InvalidFieldError(field="samples", value=content, why="are not all finite")
    vectors = values.reshape(layout.n_vectors, -1, len(layout.columns) // layout.n_vectors)
    sent = np.concatenate(vectors, axis=1)
    samples = sent.astype(np.float32) if layout.dtype == _FLOAT else sent.astype(np.int32)
    samples.flags.writeable = False
    return GspFrame(kind=kind, timestamp_ms=timestamp_ms, samples=samples)


def _read_number(reader: PayloadReader, field: str) -> MedFloat:
    number = reader.binary32(field)
    if np.isfinite(number):
        return number
    if np.isnan(number):
        return Special.NAN
    return Special.POSITIVE_INFINITY if number > 0 else Special.NEGATIVE_INFINITY


def _write_number(writer: PayloadWriter, field: str, number: MedFloat) -> None:
    if isinstance(number, Special):
        if number not in _NOT_FINITE:
            raise EncodeError(field=field, value=number, why="has no IEEE 754 number")
        number = _NOT_FINITE[number]
    writer.binary32(field, number)


_NOT_FINITE: Final[Mapping[Special, float]] = {
    Special.NAN: float("nan"),
    Special.POSITIVE_INFINITY: float("inf"),
    Special.NEGATIVE_INFINITY: float("-inf"),
}
_FLOAT: Final = "<f4"
_ECG_KINDS: Final = frozenset({GspKind.ECG, GspKind.ECG_MV})


def _vectors(path: str, *kinds: tuple[str, str, float]) -> GspLayout:
    return GspLayout(
        path=path,
        dtype=_FLOAT,
        columns=tuple(f"{name}/{axis}" for name, _, _ in kinds for axis in "xyz"),
        units=tuple(unit for _, unit, _ in kinds for _ in "xyz"),
        scales=tuple(scale for _, _, scale in kinds for _ in "xyz"),
    )


_ACC: Final = ("acc", "[g]", 1 / _STANDARD_GRAVITY)
_GYRO: Final = ("gyro", "deg/s", 1.0)
_MAGN: Final = ("magn", "uT", 1.0)

LAYOUTS: Final[Mapping[GspKind, GspLayout]] = {
    GspKind.ECG: GspLayout(
        path="/Meas/ECG/{}",
        dtype="<i4",
        columns=("ecg",),
        units=("mV",),
        scales=(_MV_PER_COUNT,),
    ),
    GspKind.ECG_MV: GspLayout(
        path="/Meas/ECG/{}/mV",
        dtype="<i2",
        columns=("ecg",),
        units=("mV",),
        scales=(_MV_PER_UV,),
    ),
    GspKind.ACC: _vectors("/Meas/Acc/{}", _ACC),
    GspKind.IMU6: _vectors("/Meas/IMU6/{}", _ACC, _GYRO),
    GspKind.IMU9: _vectors("/Meas/IMU9/{}", _ACC, _GYRO, _MAGN),
}
"""Layouts by kind."""

FRAME_DECODERS: Final[Mapping[GspKind, Callable[[bytes], GspFrame]]] = {
    GspKind.ECG: decode_gsp_ecg,
    GspKind.ECG_MV: decode_gsp_ecg_mv,
    GspKind.ACC: decode_gsp_acc,
    GspKind.IMU6: decode_gsp_imu6,
    GspKind.IMU9: decode_gsp_imu9,
}
"""Decoders by kind."""
