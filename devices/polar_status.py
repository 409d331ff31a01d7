"""What PMD frames say beside their samples: how the light is measured, how good a compass is.

Frames of PPG whose layout is no waveform carry gains, an operation mode or a sport; a column of the
magnetometer says how well it is calibrated.

Source: polar-ble-sdk 5 and 6 (the published specification leaves these frame types out).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.errors import EncodeError, InvalidFieldError
from devices.polar_frames import PmdFrame
from devices.polar_layouts import find_layout
from devices.polar_pmd import PmdMeasurement

GAIN_MAX: Final = 7
_U32_MASK: Final = 0xFFFF_FFFF
_U64_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF
_INTEGRATIONS_MAX: Final = 0xFF
_OPERATION_MODE_TYPE: Final = 5
_SPORT_TYPE: Final = 6
_GAIN_TYPES: Final = {4: 12, 9: 12, 14: 1}
"""Time slots of each frame type."""


class MagnetometerCalibration(IntEnum):
    """How well a magnetometer is calibrated."""

    NOT_AVAILABLE = -1
    UNKNOWN = 0
    POOR = 1
    OK = 2
    GOOD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PpgGains:
    """How the light of each time slot is measured: PPG frame types 4, 9 and 14.

    Attributes
    ----------
    n_integrations
        Integrations, one number for each time slot: twelve of them, or one in type 14.
    channel_1_gains, channel_2_gains
        Gain setting of either photodiode, by time slot, 0 to 7.
    """

    n_integrations: tuple[int, ...]
    channel_1_gains: tuple[int, ...]
    channel_2_gains: tuple[int, ...]


def ppg_gains(frame: PmdFrame) -> tuple[PpgGains, ...]:
    """List the gains of a PPG frame of type 4, 9 or 14, oldest first.

    Raises
    ------
    InvalidFieldError
        The frame is of another type.
    """
    _check(frame, PmdMeasurement.PPG, *_GAIN_TYPES)
    n_slots = _GAIN_TYPES[frame.frame_type]
    return tuple(
        PpgGains(
            n_integrations=tuple(row[:n_slots]),
            channel_1_gains=tuple(row[n_slots::2]),
            channel_2_gains=tuple(row[n_slots + 1 :: 2]),
        )
        for row in frame.samples.tolist()
    )


def ppg_gain_samples(gains: PpgGains, *, frame_type: int) -> NDArray[np.int32]:
    """Lay gains out as the one sample of a PPG frame of type 4, 9 or 14, shape (1, n_columns).

    Raises
    ------
    EncodeError
    """
    n_slots = _GAIN_TYPES.get(frame_type)
    if n_slots is None:
        raise EncodeError(field="frame_type", value=frame_type, why="has no gains")
    lists = (gains.n_integrations, gains.channel_1_gains, gains.channel_2_gains)
    if {len(values) for values in lists} != {n_slots}:
        raise EncodeError(field="gains", value=gains, why=f"is not of {n_slots} time slots")
    for name, values, most in (
        ("n_integrations", gains.n_integrations, _INTEGRATIONS_MAX),
        ("gain", gains.channel_1_gains + gains.channel_2_gains, GAIN_MAX),
    ):
        if not all(0 <= value <= most for value in values):
            raise EncodeError(field=name, value=values, why=f"is not in 0..{most}")
    pairs = zip(gains.channel_1_gains, gains.channel_2_gains, strict=True)
    return np.array([[*gains.n_integrations, *(gain for pair in pairs for gain in pair)]], np.int32)


def ppg_operation_modes(frame: PmdFrame) -> tuple[int, ...]:
    """List the operation modes of a PPG frame of type 5, 32 bits each, oldest first.

    What the bits mean is not published.

    Raises
    ------
    InvalidFieldError
        The frame is of another type.
    """
    _check(frame, PmdMeasurement.PPG, _OPERATION_MODE_TYPE)
    return tuple(mode & _U32_MASK for (mode,) in frame.samples.tolist())


def ppg_operation_mode_samples(mode: int) -> NDArray[np.int32]:
    """Lay an operation mode out as the one sample of a PPG frame of type 5, shape (1, 1).

    Raises
    ------
    EncodeError
    """
    if not 0 <= mode <= _U32_MASK:
        raise EncodeError(field="operation_mode", value=mode, why="does not fit 32 bits")
    return np.array([[mode]], dtype=np.uint32).view(np.int32)


def ppg_sports(frame: PmdFrame) -> tuple[int, ...]:
    """List the sport identifiers of a PPG frame of type 6, 64 bits each, oldest first.

    Raises
    ------
    InvalidFieldError
        The frame is of another type.
    """
    _check(frame, PmdMeasurement.PPG, _SPORT_TYPE)
    return tuple(low & _U32_MASK | (high & _U32_MASK) << 32 for low, high in frame.samples.tolist())


def ppg_sport_samples(sport: int) -> NDArray[np.int32]:
    """Lay a sport identifier out as the one sample of a PPG frame of type 6, shape (1, 2).

    Raises
    ------
    EncodeError
    """
    if not 0 <= sport <= _U64_MAX:
        raise EncodeError(field="sport", value=sport, why="does not fit 64 bits")
    return np.array([[sport & _U32_MASK, sport >> 32]], dtype=np.uint32).view(np.int32)


def magnetometer_calibrations(frame: PmdFrame) -> tuple[int, ...]:
    """List how well the magnetometer was calibrated at each sample.

    Returns
    -------
    A `MagnetometerCalibration` where it is one; NOT_AVAILABLE in frames that do not say.

    Raises
    ------
    InvalidFieldError
        The frame is of another measurement.
    """
    _check(frame, PmdMeasurement.MAGNETOMETER, 0, 1)
    layout = find_layout(frame.measurement, frame.frame_type, compressed=frame.compressed)
    if all(column.name != "calibration" for column in layout.columns):
        return (MagnetometerCalibration.NOT_AVAILABLE,) * len(frame.samples)
    known = set(MagnetometerCalibration)
    codes = frame.column("calibration").tolist()
    return tuple(MagnetometerCalibration(code) if code in known else code for code in codes)


def _check(frame: PmdFrame, measurement: PmdMeasurement, *frame_types: int) -> None:
    if frame.measurement is not measurement:
        why = f"is not {measurement.name}"
        raise InvalidFieldError(field="measurement", value=int(frame.measurement), why=why)
    if frame.frame_type not in frame_types:
        why = f"is none of {', '.join(map(str, frame_types))}"
        raise InvalidFieldError(field="frame_type", value=frame.frame_type, why=why)
