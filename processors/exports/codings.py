"""What our names are in the code systems of others: the one table of the clinical exports.

Codes of LOINC and MDC stand in `devices.codes`; here is what FHIR and HL7 v2 ask beyond one code
each. What no system has a code for keeps ours: no code is made up in the name of another system.

Source: HL7 FHIR R4 4.0.1, Vital Signs Profile; LOINC 2.77; ISO/IEEE 11073-10101, dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from devices import codes
from devices.codes import Quantity
from devices.ghs_units import DIMENSIONS

NAMESPACE: Final = UUID("de2d8d07-0a6f-5082-811b-c2bddffd5d58")
"""Of the names that are made here; chosen once, never to be changed: resources would be doubled."""

CHEVET: Final = uuid5(NAMESPACE, "codes").urn
"""System of our own names. It is a UUID because nobody could answer at an address."""
LOINC: Final = "http://loinc.org"
MDC: Final = "urn:iso:std:iso:11073:10101"
UCUM: Final = "http://unitsofmeasure.org"
NO_UNIT: Final = "1"
"""In UCUM."""


class Coding(NamedTuple):
    """A code, the system that it is of, and what that system calls it; empty: not said."""

    system: str
    code: str
    display: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalSign:
    """What FHIR wants of a quantity that is one of its vital signs.

    Attributes
    ----------
    loinc
        The code by which every system finds it, whatever finer code stands beside it.
    profile
        Name of the profile; None for a part of the blood pressure, whose panel has it.
    ucum
        The unit that the profile asks for.
    factor
        From our unit to that.
    """

    loinc: str
    profile: str | None
    ucum: str
    factor: Decimal = Decimal(1)


_HEART_RATE: Final = VitalSign(loinc="8867-4", profile="heartrate", ucum="/min")

VITAL_SIGNS: Final[Mapping[str, VitalSign]] = MappingProxyType(
    {
        codes.HEART_RATE.name: _HEART_RATE,
        # A rate of the pulse is found as a heart rate; its own code says by what it was measured.
        codes.PULSE_RATE.name: _HEART_RATE,
        codes.CUFF_PULSE_RATE.name: _HEART_RATE,
        codes.RESPIRATORY_RATE.name: VitalSign(loinc="9279-1", profile="resprate", ucum="/min"),
        codes.SPO2.name: VitalSign(loinc="2708-6", profile="oxygensat", ucum="%"),
        codes.BODY_TEMPERATURE.name: VitalSign(loinc="8310-5", profile="bodytemp", ucum="Cel"),
        codes.SYSTOLIC_PRESSURE.name: VitalSign(loinc="8480-6", profile=None, ucum="mm[Hg]"),
        codes.DIASTOLIC_PRESSURE.name: VitalSign(loinc="8462-4", profile=None, ucum="mm[Hg]"),
        codes.MEAN_ARTERIAL_PRESSURE.name: VitalSign(loinc="8478-0", profile=None, ucum="mm[Hg]"),
        codes.BODY_MASS.name: VitalSign(loinc="29463-7", profile="bodyweight", ucum="kg"),
        codes.BODY_HEIGHT.name: VitalSign(
            loinc="8302-2", profile="bodyheight", ucum="cm", factor=Decimal(100)
        ),
        codes.BODY_MASS_INDEX.name: VitalSign(loinc="39156-5", profile="bmi", ucum="kg/m2"),
    }
)
"""By our name of the quantity."""

PRESSURE_PANEL: Final = (
    Coding(LOINC, "85354-9", "Blood pressure panel with all children optional"),
    Coding(MDC, "150020", "MDC_PRESS_BLD_NONINV"),
)
"""What one inflation of a cuff gives, as a whole."""
PRESSURES: Final = (
    codes.SYSTOLIC_PRESSURE.name,
    codes.DIASTOLIC_PRESSURE.name,
    codes.MEAN_ARTERIAL_PRESSURE.name,
)
"""Its parts; the first two must be there."""

_LOINC_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "2708-6": "Oxygen saturation in Arterial blood",
        "8302-2": "Body height",
        "8310-5": "Body temperature",
        "8462-4": "Diastolic blood pressure",
        "8478-0": "Mean blood pressure",
        "8480-6": "Systolic blood pressure",
        "8867-4": "Heart rate",
        "9279-1": "Respiratory rate",
        "29463-7": "Body weight",
        "39156-5": "Body mass index (BMI) [Ratio]",
        "59408-5": "Oxygen saturation in Arterial blood by Pulse oximetry",
    }
)
"""A display must be LOINC's own words: where these are not at hand, none is given."""


def codings_of(name: str, mdc_code: int) -> tuple[Coding, ...]:
    """Give the codes of a quantity, the most widely known first.

    Parameters
    ----------
    name
        Ours, as in an Observation.
    mdc_code
        32 bits, as in an Observation or a WaveformBlock.

    Returns
    -------
    LOINC where there is one, MDC, and our own name; never empty.
    """
    quantity = codes.QUANTITIES.get(name)
    found = [Coding(LOINC, code, _LOINC_NAMES.get(code, "")) for code in _loinc(name, quantity)]
    # A name that is not in the table came with a code that is not, either.
    display = "" if quantity is None else quantity.mdc_reference_id
    label = name if quantity is None else quantity.label
    return (*found, Coding(MDC, str(mdc_code), display), Coding(CHEVET, name, label))


def _loinc(name: str, quantity: Quantity | None) -> list[str]:
    vital_sign = VITAL_SIGNS.get(name)
    found = [] if vital_sign is None else [vital_sign.loinc]
    if quantity is not None and quantity.loinc is not None and quantity.loinc not in found:
        found.append(quantity.loinc)
    return found


def label_of(name: str) -> str:
    """Call a quantity as people do."""
    quantity = codes.QUANTITIES.get(name)
    return name if quantity is None else quantity.label


def _unit(term: int, reference_id: str) -> Coding:
    return Coding(MDC, str(DIMENSIONS | term), reference_id)


_MDC_UNITS: Final[Mapping[str, Coding]] = MappingProxyType(
    {
        "1": _unit(512, "MDC_DIM_DIMLESS"),
        "%": _unit(544, "MDC_DIM_PERCENT"),
        "/min": _unit(2528, "MDC_DIM_PER_MIN"),
        "Cel": _unit(6048, "MDC_DIM_DEGC"),
        "kg": _unit(1731, "MDC_DIM_KILO_G"),
        "kJ": _unit(3971, "MDC_DIM_KILO_JOULES"),
        "m": _unit(1280, "MDC_DIM_M"),
        "m/s": _unit(2816, "MDC_DIM_M_PER_SEC"),
        "mg/dL": _unit(2130, "MDC_DIM_MILLI_G_PER_DL"),
        "mm[Hg]": _unit(3872, "MDC_DIM_MMHG"),
        "ms": _unit(2194, "MDC_DIM_MILLI_SEC"),
        "mV": _unit(4274, "MDC_DIM_MILLI_VOLT"),
        "Ohm": _unit(4288, "MDC_DIM_OHM"),
        "s": _unit(2176, "MDC_DIM_SEC"),
        "uV": _unit(4275, "MDC_DIM_MICRO_VOLT"),
        "V": _unit(4256, "MDC_DIM_VOLT"),
    }
)
_BEATS: Final = _unit(2720, "MDC_DIM_BEAT_PER_MIN")
_BREATHS: Final = _unit(2784, "MDC_DIM_RESP_PER_MIN")
_RATES: Final[Mapping[str, Coding]] = MappingProxyType(
    {
        codes.HEART_RATE.name: _BEATS,
        codes.PULSE_RATE.name: _BEATS,
        codes.CUFF_PULSE_RATE.name: _BEATS,
        codes.RESPIRATORY_RATE.name: _BREATHS,
    }
)
"""The nomenclature says what is counted, UCUM does not."""


def mdc_unit(name: str, ucum: str) -> Coding | None:
    """Give a quantity's unit in the nomenclature; None where only UCUM has it."""
    return _RATES.get(name) or _MDC_UNITS.get(ucum)
