"""The lines of the numerals' channel: pure.

One line a second with a field for every numeral that the bedside board has, whether or not it has
a value: a field that came and went would stop the panels ("push message mismatch"). Where there is
no value to believe, the field is a null. A panel has to show the last row (``last``, and never
``lastNotNull``, which would bring an old number back).
"""

from dataclasses import dataclass
from typing import Final

from devices import codes
from devices.codes import Quantity
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks.grafana_live.trace import NS_PER_MS, NULL
from processors.sinks.live.staleness import STALE_S
from processors.vitals.fusion import ALGORITHM as HEART_RATE_FUSION
from processors.vitals.readings import DEVICE_RECORD
from processors.vitals.respiration_fusion import ALGORITHM as RESPIRATION_FUSION

BELIEVED_MIN: Final = 0.5
"""A value of lower quality is not shown, as on the board and the live page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """A quantity with a field of its own.

    Attributes
    ----------
    algorithm
        Whose figure is shown where several derive one; empty: whoever's is the newest.
    """

    quantity: Quantity
    algorithm: str = ""

    @property
    def stale_s(self) -> int:
        """An observation that is older is none: the live page's rule."""
        return STALE_S[self.quantity.name]


NUMERALS: Final = (
    Numeral(quantity=codes.BODY_TEMPERATURE),
    Numeral(quantity=codes.HEART_RATE, algorithm=HEART_RATE_FUSION.name),
    Numeral(quantity=codes.PERFUSION_INDEX),
    Numeral(quantity=codes.PULSE_RATE),
    Numeral(quantity=codes.RESPIRATORY_RATE, algorithm=RESPIRATION_FUSION.name),
    Numeral(quantity=codes.SPO2),
)

_BY_NAME: Final = {numeral.quantity.name: numeral for numeral in NUMERALS}


class NumeralBoard:
    """The newest observation of each numeral of one subject."""

    def __init__(self, measurement: str) -> None:
        self._name = measurement
        self._newest: dict[str, Observation] = {}
        self._written_ms = -1
        self.is_blank = True
        """Whether no number was in the last row."""

    def add(self, observation: Observation) -> bool:
        """Take an observation; tell whether it is a numeral's, and no older than what is known."""
        numeral = _BY_NAME.get(observation.name)
        if (
            numeral is None
            or observation.algorithm == DEVICE_RECORD.name
            or (numeral.algorithm and observation.algorithm != numeral.algorithm)
        ):
            return False
        known = self._newest.get(observation.name)
        if known is not None and known.t_ns > observation.t_ns:
            return False
        self._newest[observation.name] = observation
        return True

    def forget(self) -> None:
        """Forget every observation."""
        self._newest.clear()

    def line(self, t_ns: int) -> str:
        """Write what is true at ``t_ns``."""
        values = {name: self._value(name, numeral, t_ns) for name, numeral in _BY_NAME.items()}
        self.is_blank = all(value is None for value in values.values())
        fields = ",".join(
            f"{name}={NULL if value is None else format(value, '.7g')}"
            for name, value in values.items()
        )
        self._written_ms = max(self._written_ms + 1, t_ns // NS_PER_MS)
        return f"{self._name} {fields} {self._written_ms * NS_PER_MS}"

    def _value(self, name: str, numeral: Numeral, t_ns: int) -> float | None:
        newest = self._newest.get(name)
        if newest is None or newest.quality < BELIEVED_MIN:
            return None
        is_stale = t_ns - newest.t_ns > numeral.stale_s * NS_PER_S
        return None if is_stale else newest.value
