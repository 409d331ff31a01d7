"""What the columns of each frame type of Polar's measurement data service (PMD) are.

Most frame types carry samples of a waveform; some of PPG say how the others are taken (gains,
operation mode, sport) and are no waveform: see `devices.polar_status`.

Source: Polar Electro, online_measurement.pdf v1.0 (2024-08); the layouts that it leaves out (ECG 1
to 3, PPG 4 to 14, magnetometer, temperature, pressure) as polar-ble-sdk 5 and 6 read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devices.errors import UnsupportedFrameError
from devices.polar_pmd import PmdMeasurement

COUNT_BITS: Final = 32
"""Bits of a decoded count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a frame's samples.

    Attributes
    ----------
    name
        What it holds.
    n_bits
        Width of a value in a raw frame, 1 to 32; a compressed frame's first value takes the whole
        bytes of it.
    signed
        Two's complement or not; a count of 32 bits is a pattern either way.
    measured
        It holds the layout's quantity. If not, it is a status, a tag or another quantity, and is
        never scaled.
    pad_bits
        Reserved bits that follow it in a raw frame: masked.
    """

    name: str
    n_bits: int
    signed: bool = True
    measured: bool = True
    pad_bits: int = 0

    @property
    def n_bytes(self) -> int:
        """Whole bytes of a value."""
        return -(-self.n_bits // 8)

    @property
    def count_min(self) -> int:
        """The least count that fits."""
        return -1 << self.n_bits - 1 if self.signed or self.n_bits == COUNT_BITS else 0

    @property
    def count_max(self) -> int:
        """The greatest count that fits."""
        return self.count_min + (1 << self.n_bits) - 1


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
    waveform
        False: the frame says how samples are taken, and holds none.
    """

    columns: tuple[Column, ...]
    unit: str
    scale: float = 1.0
    has_factor: bool = False
    float_bits: bool = False
    waveform: bool = True

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample in a raw frame."""
        return sum(column.n_bits + column.pad_bits for column in self.columns) // 8

    @property
    def resolution_bits(self) -> int:
        """Width of each column in a compressed frame: there all are alike."""
        return self.columns[0].n_bits


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


def _code(name: str, n_bits: int, *, pad_bits: int = 0) -> Column:
    """Give a column that holds a code or bits of status."""
    return Column(name=name, n_bits=n_bits, signed=False, measured=False, pad_bits=pad_bits)


def _number(name: str, unit: str, *, has_factor: bool = False) -> FrameLayout:
    """Give a layout of one column of IEEE 754 numbers."""
    column = Column(name=name, n_bits=32)
    return FrameLayout(columns=(column,), unit=unit, has_factor=has_factor, float_bits=True)


def _axes(n_bits: int) -> tuple[Column, ...]:
    return tuple(Column(name=axis, n_bits=n_bits) for axis in "xyz")


def _light(*names: str, has_factor: bool = True) -> FrameLayout:
    """Give a layout of photodiodes of 24 bits, and of status bits where one is so called."""
    columns = (_code(n, 24) if n == "status" else Column(name=n, n_bits=24) for n in names)
    return FrameLayout(columns=tuple(columns), unit="1", has_factor=has_factor)


def _numbered(name: str, n_columns: int) -> tuple[str, ...]:
    return tuple(f"{name}{i}" for i in range(n_columns))


def _gains(n_time_slots: int) -> FrameLayout:
    """Give a layout of integrations per time slot, then of both channels' gains by time slot."""
    integrations = (_code(f"integrations{i}", 8) for i in range(n_time_slots))
    gains = (
        _code(f"channel{channel}_gain{i}", 3, pad_bits=5)
        for i in range(n_time_slots)
        for channel in (1, 2)
    )
    return FrameLayout(columns=(*integrations, *gains), unit="1", waveform=False)


_ECG_0: Final = FrameLayout(columns=(Column(name="ecg", n_bits=24),), unit="uV")
# The SDK reads the voltages of types 1 and 2 without a sign, and its tests expect so.
_ECG_1: Final = FrameLayout(
    columns=(
        Column(name="ecg", n_bits=14, signed=False, pad_bits=2),
        _code("over_sampling", 1),
        _code("skin_contact", 2),
        _code("contact_impedance", 2, pad_bits=3),
    ),
    unit="uV",
)
_ECG_2: Final = FrameLayout(
    columns=(
        Column(name="ecg", n_bits=18, signed=False),
        _code("ecg_tag", 3),
        _code("pace_tag", 3),
    ),
    unit="uV",
)
_ECG_3: Final = FrameLayout(
    columns=(
        Column(name="ecg", n_bits=24),
        Column(name="bioimpedance", n_bits=24, measured=False),
        _code("status", 8),
    ),
    unit="uV",
)
_PPI: Final = FrameLayout(
    columns=(
        Column(name="heart_rate", n_bits=8, signed=False),
        Column(name="interval", n_bits=16, signed=False),
        Column(name="error", n_bits=16, signed=False),
        _code("flags", 8),
    ),
    unit="1",
)
_MAGNETOMETER_1: Final = FrameLayout(
    columns=(*_axes(16), Column(name="calibration", n_bits=16, measured=False)),
    unit="G",
    scale=1e-3,
    has_factor=True,
)
_OPERATION_MODE: Final = FrameLayout(
    columns=(_code("operation_mode", 32),), unit="1", waveform=False
)
_SPORT: Final = FrameLayout(
    columns=(_code("sport_low", 32), _code("sport_high", 32)), unit="1", waveform=False
)
_PPG_0: Final = (*_numbered("ppg", 3), "ambient")
_PPG_10: Final = (*_numbered("green", 8), *_numbered("red", 6), *_numbered("infrared", 6))

LAYOUTS: Final[Mapping[tuple[int, int, bool], FrameLayout]] = {
    (PmdMeasurement.ECG, 0, False): _ECG_0,
    (PmdMeasurement.ECG, 1, False): _ECG_1,
    (PmdMeasurement.ECG, 2, False): _ECG_2,
    (PmdMeasurement.ECG, 3, False): _ECG_3,
    (PmdMeasurement.PPG, 0, False): _light(*_PPG_0, has_factor=False),
    (PmdMeasurement.PPG, 0, True): _light(*_PPG_0),
    (PmdMeasurement.PPG, 4, False): _gains(12),
    (PmdMeasurement.PPG, 5, False): _OPERATION_MODE,
    (PmdMeasurement.PPG, 6, False): _SPORT,
    (PmdMeasurement.PPG, 7, True): _light(*_numbered("ppg", 16), "status"),
    (PmdMeasurement.PPG, 8, True): _light(*_numbered("ppg", 24), "status"),
    (PmdMeasurement.PPG, 9, False): _gains(12),
    (PmdMeasurement.PPG, 10, True): _light(*_PPG_10, "status"),
    (PmdMeasurement.PPG, 13, True): _light(*_numbered("ppg", 2), "status"),
    (PmdMeasurement.PPG, 14, False): _gains(1),
    (PmdMeasurement.ACC, 0, False): FrameLayout(columns=_axes(8), unit="m[g]"),
    (PmdMeasurement.ACC, 1, False): FrameLayout(columns=_axes(16), unit="m[g]"),
    (PmdMeasurement.ACC, 2, False): FrameLayout(columns=_axes(24), unit="m[g]"),
    (PmdMeasurement.ACC, 0, True): FrameLayout(
        columns=_axes(16), unit="m[g]", scale=1000.0, has_factor=True
    ),
    (PmdMeasurement.ACC, 1, True): FrameLayout(columns=_axes(16), unit="m[g]", has_factor=True),
    (PmdMeasurement.PPI, 0, False): _PPI,
    (PmdMeasurement.GYRO, 0, True): FrameLayout(columns=_axes(16), unit="deg/s", has_factor=True),
    (PmdMeasurement.GYRO, 1, True): FrameLayout(
        columns=_axes(32), unit="deg/s", has_factor=True, float_bits=True
    ),
    (PmdMeasurement.MAGNETOMETER, 0, True): FrameLayout(
        columns=_axes(16), unit="G", has_factor=True
    ),
    (PmdMeasurement.MAGNETOMETER, 1, True): _MAGNETOMETER_1,
    (PmdMeasurement.SKIN_TEMPERATURE, 0, False): _number("temperature", "Cel"),
    (PmdMeasurement.SKIN_TEMPERATURE, 0, True): _number("temperature", "Cel", has_factor=True),
    # The SDK calls the unit bar, but the values of its tests, 1004.6 and 1028.2, are millibars.
    (PmdMeasurement.PRESSURE, 0, False): _number("pressure", "mbar"),
    (PmdMeasurement.PRESSURE, 0, True): _number("pressure", "mbar", has_factor=True),
    (PmdMeasurement.TEMPERATURE, 0, False): _number("temperature", "Cel"),
    (PmdMeasurement.TEMPERATURE, 0, True): _number("temperature", "Cel", has_factor=True),
}
"""Layouts by measurement, frame type and compression."""
