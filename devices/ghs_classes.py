"""The classes of a Generic Health Sensor's observations: what kind of value each has.

Source: as in `devices.ghs_values`.
"""

from enum import IntEnum


class ObservationClass(IntEnum):
    """What kind of value an observation has."""

    NUMERIC = 1
    SIMPLE_DISCRETE = 2
    STRING = 3
    SAMPLE_ARRAY = 4
    COMPOUND_DISCRETE_EVENT = 5
    COMPOUND_STATE_EVENT = 6
    COMPOUND = 7
    TLV = 8
    BUNDLE = 255
