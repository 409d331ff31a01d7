"""The numbers of the boards: when each is too old, whose figure it is, and its colours."""

from dataclasses import dataclass
from typing import Final

from deploy.grafana.model import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Step,
)
from devices import codes
from devices.codes import Quantity
from devices.readings import NoValueReason as ReadingReason
from ingest.observation import AlarmPriority
from processors.sinks.live.staleness import STALE_S
from processors.vitals.fusion import ALGORITHM as HEART_RATE_FUSION
from processors.vitals.readings import DEVICE_RECORD
from processors.vitals.reasons import NoValueReason
from processors.vitals.respiration_fusion import ALGORITHM as RESPIRATION_FUSION

BELIEVED_MIN: Final = 0.5
"""A value of lower quality is not shown, as on the live page."""

QUALITY_MIN: Final = 0.85
"""Below this an ECG in noise gives no heart rate: ``processors.vitals.ecg_quality.QUALITY_MIN``."""

BATTERY_STALE_S: Final = STALE_S[codes.BATTERY_LEVEL.name]

COLOURS_FROM: Final = (
    "Colours: the bands of the National Early Warning Score 2 for adults (Royal College of "
    "Physicians, 2017), blue 0, yellow 1, orange 2, red 3. They help the eye and are no alarm "
    "limits."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """A number of the boards.

    Attributes
    ----------
    short
        Its name where there is little room.
    steps
        Colours for the eye, for an adult. Not alarm limits: nothing is announced.
    algorithm
        Whose figure is shown where several derive one; empty: whichever is newest.
    """

    quantity: Quantity
    short: str
    unit: str
    decimals: int
    steps: tuple[Step, ...]
    algorithm: str = ""

    @property
    def stale_s(self) -> int:
        """After so many seconds without an observation there is no number: the live page's rule."""
        return STALE_S[self.quantity.name]

    @property
    def condition(self) -> str:
        """What picks its observations; what a device had stored is never current."""
        whose = (
            f"\"algorithm\" = '{self.algorithm}'"
            if self.algorithm
            else f"\"algorithm\" != '{DEVICE_RECORD.name}'"
        )
        return f"(\"name\" = '{self.quantity.name}' AND {whose})"

    @property
    def far_outside(self) -> str:
        """What is true of a value in the red bands."""
        limits = [value for value, _ in self.steps]
        parts = []
        for (_, colour), low, high in zip(self.steps, limits, [*limits[1:], None], strict=True):
            if colour == VERMILLION:
                bounds = [f'"value" >= {low}'] if low is not None else []
                bounds += [f'"value" < {high}'] if high is not None else []
                parts.append(" AND ".join(bounds))
        return " OR ".join(f"({part})" for part in parts)


# Half a unit below the first whole number of a band: colours change with the number that is shown.
_RATE_STEPS: Final[tuple[Step, ...]] = (
    (None, VERMILLION),
    (40.5, YELLOW),
    (50.5, SKY),
    (90.5, YELLOW),
    (110.5, ORANGE),
    (130.5, VERMILLION),
)

HEART_RATE: Final = Numeral(
    quantity=codes.HEART_RATE,
    short="HR",
    unit="suffix: /min",
    decimals=0,
    steps=_RATE_STEPS,
    algorithm=HEART_RATE_FUSION.name,
)
SPO2: Final = Numeral(
    quantity=codes.SPO2,
    short="SpO₂",
    unit="percent",
    decimals=0,
    steps=((None, VERMILLION), (91.5, ORANGE), (93.5, YELLOW), (95.5, SKY)),
)
PULSE_RATE: Final = Numeral(
    quantity=codes.PULSE_RATE,
    short="Pulse",
    unit="suffix: /min",
    decimals=0,
    steps=_RATE_STEPS,
)
RESPIRATORY_RATE: Final = Numeral(
    quantity=codes.RESPIRATORY_RATE,
    short="Resp",
    unit="suffix: /min",
    decimals=0,
    steps=(
        (None, VERMILLION),
        (8.5, YELLOW),
        (11.5, SKY),
        (20.5, ORANGE),
        (24.5, VERMILLION),
    ),
    algorithm=RESPIRATION_FUSION.name,
)
BODY_TEMPERATURE: Final = Numeral(
    quantity=codes.BODY_TEMPERATURE,
    short="Temp",
    unit="celsius",
    decimals=1,
    steps=(
        (None, VERMILLION),
        (35.05, YELLOW),
        (36.05, SKY),
        (38.05, YELLOW),
        (39.05, ORANGE),
    ),
)
NUMERALS: Final = (HEART_RATE, SPO2, PULSE_RATE, RESPIRATORY_RATE, BODY_TEMPERATURE)

REASONS: Final[dict[str, tuple[str, str]]] = {
    NoValueReason.WARMING_UP: ("warming up", BLUE),
    NoValueReason.NO_SAMPLES: ("samples missing", PURPLE),
    NoValueReason.LEAD_OFF: ("sensor or electrode off", VERMILLION),
    NoValueReason.SATURATED: ("signal overloaded", ORANGE),
    NoValueReason.POOR_SIGNAL: ("signal too disturbed", ORANGE),
    NoValueReason.TOO_FEW_BEATS: ("counting beats", BLUE),
    NoValueReason.ASYSTOLE_SUSPECTED: ("no beats found: check the patient", VERMILLION),
    NoValueReason.FIRST_BEAT: ("first beat", BLUE),
    NoValueReason.MOVING: ("moving", ORANGE),
    NoValueReason.LOW_PERFUSION: ("pulse wave too weak", ORANGE),
    NoValueReason.PULSE_DEFICIT_SUSPECTED: ("every second pulse may be missing", ORANGE),
    NoValueReason.NOT_CALIBRATED: ("device model not calibrated", GREY),
    NoValueReason.IRREGULAR: ("rhythm too irregular", ORANGE),
    NoValueReason.ECTOPY: ("too many ectopic beats", ORANGE),
    NoValueReason.APNOEA_SUSPECTED: ("no breaths found: check the patient", VERMILLION),
    NoValueReason.SOURCES_DISAGREE: ("sources disagree", ORANGE),
    NoValueReason.OUT_OF_RANGE: ("out of range", ORANGE),
    ReadingReason.NO_CONTACT: ("no contact", VERMILLION),
    ReadingReason.INADEQUATE_SIGNAL: ("signal too disturbed", ORANGE),
    ReadingReason.SENSOR_UNAVAILABLE: ("sensor unavailable", VERMILLION),
    ReadingReason.DEMONSTRATION_DATA: ("demonstration, not measured", GREY),
    ReadingReason.TEST_DATA: ("test, not measured", GREY),
    ReadingReason.CALIBRATING: ("calibrating", BLUE),
    ReadingReason.INVALID: ("called invalid by the device", ORANGE),
    ReadingReason.NOT_A_NUMBER: ("not a number", GREY),
    ReadingReason.NOT_AT_THIS_RESOLUTION: ("not at this resolution", GREY),
    ReadingReason.ABOVE_RANGE: ("above range", ORANGE),
    ReadingReason.BELOW_RANGE: ("below range", ORANGE),
    ReadingReason.RESERVED_VALUE: ("reserved value", GREY),
}
"""Words and colour of each reason; one that is not here is shown as it came."""

PRIORITIES: Final[dict[str, tuple[str, str]]] = {
    AlarmPriority.LOW: ("low", SKY),
    AlarmPriority.MEDIUM: ("medium", YELLOW),
    AlarmPriority.HIGH: ("high", VERMILLION),
}
ACTIVE: Final = {"true": ("present", VERMILLION), "false": ("ended", GREY)}
SUSPECTED: Final = {"0": ("", GREY), "1": ("suspected", VERMILLION)}
