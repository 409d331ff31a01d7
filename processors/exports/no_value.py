"""Why there is no value, in the words of FHIR and of HL7 v2.

Both know fewer reasons than we do. The nearest is given as code; ours stands beside it as text.

Source: HL7 FHIR R4 4.0.1, code system data-absent-reason; IHE PCD Technical Framework, null flavors
in OBX-8; HL7 v2.6 table 0078.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from devices import readings
from processors.vitals.reasons import NoValueReason


class NoValue(NamedTuple):
    """A reason as others say it."""

    absent: str
    """FHIR's code."""
    flag: str
    """HL7 v2's abnormal flag, OBX-8."""


_LATER: Final = NoValue("temp-unknown", "NAV")
"""It may be known soon."""
_NOT_MEASURED: Final = NoValue("not-performed", "NAV")
"""Nothing was measured that could give a value."""
_FAILED: Final = NoValue("error", "INV")
"""It was measured, and what came is not to be believed."""
_NONE_EXISTS: Final = NoValue("not-applicable", "NA")
"""What was found has no such value: a heart that does not beat has no rate."""
_CANNOT: Final = NoValue("unsupported", "NI")
"""The device or the method cannot give it."""
_UNKNOWN: Final = NoValue("unknown", "NI")

_DERIVED: Final[Mapping[NoValueReason, NoValue]] = MappingProxyType(
    {
        NoValueReason.WARMING_UP: _LATER,
        NoValueReason.TOO_FEW_BEATS: _LATER,
        NoValueReason.FIRST_BEAT: _LATER,
        NoValueReason.NO_SAMPLES: _NOT_MEASURED,
        NoValueReason.LEAD_OFF: _NOT_MEASURED,
        NoValueReason.SATURATED: _FAILED,
        NoValueReason.POOR_SIGNAL: _FAILED,
        NoValueReason.MOVING: _FAILED,
        NoValueReason.LOW_PERFUSION: _FAILED,
        NoValueReason.PULSE_DEFICIT_SUSPECTED: _FAILED,
        NoValueReason.SOURCES_DISAGREE: _FAILED,
        NoValueReason.OUT_OF_RANGE: _FAILED,
        NoValueReason.ASYSTOLE_SUSPECTED: _NONE_EXISTS,
        NoValueReason.APNOEA_SUSPECTED: _NONE_EXISTS,
        NoValueReason.IRREGULAR: _NONE_EXISTS,
        NoValueReason.ECTOPY: _NONE_EXISTS,
        NoValueReason.NOT_CALIBRATED: _CANNOT,
    }
)
_SAID_BY_DEVICES: Final[Mapping[readings.NoValueReason, NoValue]] = MappingProxyType(
    {
        readings.NoValueReason.NO_CONTACT: _NOT_MEASURED,
        readings.NoValueReason.SENSOR_UNAVAILABLE: _NOT_MEASURED,
        readings.NoValueReason.INADEQUATE_SIGNAL: _FAILED,
        readings.NoValueReason.INVALID: _FAILED,
        readings.NoValueReason.OUT_OF_RANGE: _FAILED,
        readings.NoValueReason.RESERVED_VALUE: _FAILED,
        readings.NoValueReason.CALIBRATING: _LATER,
        readings.NoValueReason.DEMONSTRATION_DATA: NoValue("not-performed", "DEMO"),
        readings.NoValueReason.TEST_DATA: NoValue("not-performed", "TEST"),
        readings.NoValueReason.NOT_A_NUMBER: NoValue("not-a-number", "NAN"),
        readings.NoValueReason.NOT_AT_THIS_RESOLUTION: _CANNOT,
        readings.NoValueReason.ABOVE_RANGE: NoValue("positive-infinity", "PINF"),
        readings.NoValueReason.BELOW_RANGE: NoValue("negative-infinity", "NINF"),
    }
)

REASONS: Final[Mapping[str, NoValue]] = MappingProxyType(
    {
        **{str(reason): said for reason, said in _DERIVED.items()},
        **{str(reason): said for reason, said in _SAID_BY_DEVICES.items()},
        "not_recorded": _NOT_MEASURED,
    }
)
"""By our reason."""


def no_value(reason: str) -> NoValue:
    """Say a reason as others do; one that is not in the table is simply unknown to them."""
    return REASONS.get(reason, _UNKNOWN)
