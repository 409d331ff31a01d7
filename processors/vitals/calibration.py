"""From the ratio of ratios to oxygen saturation: one curve for each model of sensor.

A curve holds for one pair of light sources, one detector and one geometry, and is found with
healthy volunteers who breathe less and less oxygen (ISO 80601-2-61, annex EE). The curves below are
what makers publish for evaluation; a device that is none of these has no curve, and no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PERCENT_MAX: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCurve:
    """Saturation as a polynomial of the ratio R."""

    model: str
    """Of the sensor: lower case, digits and underscores."""
    coefficients: tuple[float, ...]
    """Percent; of the highest power first."""
    spo2_percent_min: float
    """Below this the curve was not verified."""
    source: str

    def __post_init__(self) -> None:
        if not self.coefficients or not 0 <= self.spo2_percent_min < PERCENT_MAX:
            raise ValueError(f"{self.model}: {self.coefficients} from {self.spo2_percent_min} %")

    def spo2_percent(self, ratio: float) -> float | None:
        """Give the saturation, 100 at most; None: the curve does not reach so far."""
        value = 0.0
        for coefficient in self.coefficients:
            value = value * ratio + coefficient
        if value < self.spo2_percent_min or ratio <= 0:
            return None
        return min(value, PERCENT_MAX)


_CURVES: Final = (
    CalibrationCurve(
        model="max86141_evaluation",
        coefficients=(1.596, -34.66, 112.69),
        spo2_percent_min=70.0,
        source="Maxim Integrated, application note 6845: default coefficients, to be replaced by "
        "those of the finished product",
    ),
    CalibrationCurve(
        model="max30102_reference",
        coefficients=(-45.060, 30.354, 94.845),
        spo2_percent_min=70.0,
        source="Maxim Integrated, reference design 117, software",
    ),
    CalibrationCurve(
        model="textbook_linear",
        coefficients=(-25.0, 110.0),
        spo2_percent_min=70.0,
        source="Webster (editor), Design of Pulse Oximeters, 1997",
    ),
)

CURVES: Final[Mapping[str, CalibrationCurve]] = MappingProxyType({c.model: c for c in _CURVES})
"""By the model of the sensor."""
