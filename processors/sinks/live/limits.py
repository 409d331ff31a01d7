"""From where on a value is shown in another colour: the one table of it.

The aggregate score is not computed, nothing sounds, and nobody may rely on a colour: it shows where
to look. For adults; of a child or a patient with a chronic lung disease other limits hold. The page
gets the table with its ``hello``.

Source: National Early Warning Score 2, Royal College of Physicians, 2017, chart 1; saturation by
its scale 1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from devices import codes

Band = tuple[float | None, int]
"""From where on (None: from the bottom), and the score there: 0 usual to 3 far outside."""

_RATE: Final[tuple[Band, ...]] = (
    (None, 3),
    (40.5, 1),
    (50.5, 0),
    (90.5, 1),
    (110.5, 2),
    (130.5, 3),
)

LIMITS: Final[Mapping[str, tuple[Band, ...]]] = MappingProxyType(
    {
        codes.HEART_RATE.name: _RATE,
        codes.PULSE_RATE.name: _RATE,
        codes.SPO2.name: ((None, 3), (91.5, 2), (93.5, 1), (95.5, 0)),
        codes.RESPIRATORY_RATE.name: ((None, 3), (8.5, 1), (11.5, 0), (20.5, 2), (24.5, 3)),
        codes.BODY_TEMPERATURE.name: ((None, 3), (35.05, 1), (36.05, 0), (38.05, 1), (39.05, 2)),
    }
)
"""By quantity, rising. Between two numbers that are shown, so that the colour changes with them."""


def score(name: str, value: float) -> int:
    """Give the score of a value in the quantity's UCUM unit; 0 where there are no limits."""
    bands = LIMITS.get(name, ())
    reached = [one for edge, one in bands if edge is None or value >= edge]
    return reached[-1] if reached else 0
