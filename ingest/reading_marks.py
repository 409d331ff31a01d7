"""What an agent adds to a reading's status bits, above those of the device (bits 0 to 47)."""

from typing import Final

TIME_UNCHECKED: Final = 1 << 48
"""The time is by the device's own clock, taken as local time at the agent; nobody could read the
clock to see whether it is right."""
TIME_OF_ARRIVAL: Final = 1 << 49
"""It was measured earlier: the time is that of its arrival, because the device states none that can
be."""
