"""What a recorded signal is, from what its header calls it; and its unit in UCUM."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from ingest.recorded import SignalKind

_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "mV": ("uV", 1e3),
    "uV": ("uV", 1.0),
    "\N{MICRO SIGN}V": ("uV", 1.0),
    "\N{GREEK SMALL LETTER MU}V": ("uV", 1.0),
    "V": ("uV", 1e6),
    "mmHg": ("mm[Hg]", 1.0),
    "g": ("[g]", 1.0),
    "G": ("[g]", 1.0),
    "mg": ("[g]", 1e-3),
    "m/s2": ("m/s2", 1.0),
    "m/s^2": ("m/s2", 1.0),
    "bpm": ("/min", 1.0),
    "%": ("%", 1.0),
    "NU": ("1", 1.0),
    "nd": ("1", 1.0),
    "degC": ("Cel", 1.0),
    "degreeC": ("Cel", 1.0),
    "Ohm": ("Ohm", 1.0),
}
"""WFDB's unit, its UCUM code, and how many of the latter it is."""

_VOLT: Final = "uV"
ACCELERATIONS: Final = frozenset({"[g]", "m/s2"})
"""UCUM units of an acceleration."""

WAVEFORM_HZ_MIN: Final = 2.0
"""What is sampled more slowly is a monitor's figure: a RESP at one per second is a rate."""

_WAVELENGTH: Final = r"(.*[^a-z])?(red|infrared|ir|green|ambient)([^a-z]|$)"
_RAW_LIGHT: Final = re.compile(rf"{_WAVELENGTH}|.*raw")
_LIGHT: Final = re.compile(_WAVELENGTH)

_KINDS: Final[Mapping[SignalKind, re.Pattern[str]]] = {
    "resp": re.compile(r"resp"),
    "pleth": re.compile(rf".*(pleth|ppg)|{_WAVELENGTH}"),
    "pressure": re.compile(r"abp|art|bp|cvp|pap"),
    "acc": re.compile(r"acc"),
    "other": re.compile(r"eeg|eog|emg"),
}
"""Of the name in lower case, from its beginning; the first that fits."""

_TYPED: Final = re.compile(r"(ecg|ekg)(\d*|[ :_-]+(?P<name>.+))", re.IGNORECASE)
"""A label of EDF with the type in front, as its standard texts have it: ``ECG II``."""
_LEAD: Final = re.compile(r"m?l?i{1,3}|av[rlf]|m?v\d*r?|mcl\d", re.IGNORECASE)
"""How the leads of electrocardiograms are called."""

_AXIS: Final = re.compile(r"acc(?:el(?:eration|erometer)?)?[^a-z]*([xyz])(?![a-z])")


def ucum_of(unit: str) -> tuple[str, float]:
    """Give the UCUM code of a header's unit, and how many of it the unit is."""
    return _UNITS.get(unit, (f"{{{unit}}}", 1.0))


def ucum_exactly(unit: str) -> tuple[str, Fraction]:
    """Give the UCUM code of a unit of an EDF file, and exactly how many of it the unit is.

    There a unit that is not said is none.
    """
    if not unit:
        return "1", Fraction(1)
    code, factor = ucum_of(unit)
    return code, Fraction(str(factor))


def labelled(label: str, unit: str, rate_hz: float) -> tuple[str, SignalKind]:
    """Take a label of EDF apart: the signal's name without ``ECG``, and what it is.

    A voltage of which the label does not say that it is of the heart is none of it: most of them
    are of the brain, in files of sleep laboratories without a word about it (``Fpz-Cz``).
    """
    typed = _TYPED.fullmatch(label)
    name = (typed["name"] if typed else None) or label or "signal"
    kind = kind_of(name, unit, rate_hz)
    is_of_heart = typed is not None or _LEAD.fullmatch(label) is not None
    if kind == "ecg" and not is_of_heart:
        kind = "other"
    return name, kind


def kind_of(name: str, unit: str, rate_hz: float) -> SignalKind:
    """Tell what a signal is.

    Parameters
    ----------
    name, unit
        As in the header.
    """
    if rate_hz < WAVEFORM_HZ_MIN:
        return "other"
    for kind, pattern in _KINDS.items():
        if pattern.match(name.lower()):
            return kind
    return "ecg" if ucum_of(unit)[0] == _VOLT else "other"


def axis_of(name: str) -> str | None:
    """Tell which axis of an accelerometer a signal is: x, y, z, or None."""
    found = _AXIS.match(name.lower())
    return None if found is None else found[1]


def is_raw_light(name: str) -> bool:
    """Tell whether a pulse wave is what a photodiode sees, rather than what a monitor makes of it.

    Only then perfusion and saturation can be derived from it: its steady part is light. A monitor
    filters and scales what it shows, and so does many a sensor whose signal is just called PPG:
    raw is what is named by its wavelength, or as raw.
    """
    return _RAW_LIGHT.match(name.lower()) is not None


def light_of(name: str) -> str | None:
    """Tell which light a raw pulse wave is of: red, infrared, green, ambient, or None."""
    found = _LIGHT.match(name.lower())
    if found is None:
        return None
    return "infrared" if found[2] == "ir" else found[2]
