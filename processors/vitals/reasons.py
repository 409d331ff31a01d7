"""Why there is no value: a closed list, because "no value" is an answer and not a failure."""

from enum import StrEnum


class NoValueReason(StrEnum):
    """What the clinician reads in the place of a number."""

    WARMING_UP = "warming_up"
    """The first seconds after the start or after a gap."""
    NO_SAMPLES = "no_samples"
    """A gap: the samples of this moment never came."""
    LEAD_OFF = "lead_off"
    """A flat line: no heart and no body gives it."""
    SATURATED = "saturated"
    """The amplifier is at its rail."""
    POOR_SIGNAL = "poor_signal"
    """Something is there, but beats and artefacts cannot be told apart."""
    TOO_FEW_BEATS = "too_few_beats"
    """Good signal, and not yet enough intervals for a rate."""
    ASYSTOLE_SUSPECTED = "asystole_suspected"
    """A connected lead and no beat for seconds. A hint, never an alarm."""
