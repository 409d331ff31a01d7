"""How much a device matters when there are more devices than a radio can hold. Pure."""

from enum import IntEnum
from typing import Final

from devices import uuids
from devices.catalogue import DeviceModel


class Importance(IntEnum):
    """What is lost while a device is not connected, from the least."""

    WEIGHT = 0
    """A weight: it can be taken again."""
    RESULTS = 1
    """Results one by one, which most such devices keep until they are fetched."""
    READINGS = 2
    """A vital sign every second or every few: each is lost that is not heard."""
    STREAM = 3
    """A waveform: every sample is lost that is not heard. Its link is never ended for another."""


_RESULTS: Final = frozenset(
    {uuids.BLOOD_PRESSURE_MEASUREMENT, uuids.GLUCOSE_MEASUREMENT, uuids.PLX_SPOT_CHECK}
)
_WEIGHTS: Final = frozenset({uuids.WEIGHT_MEASUREMENT, uuids.BODY_COMPOSITION_MEASUREMENT})
_BESIDE: Final = frozenset({uuids.BATTERY_LEVEL, uuids.INTERMEDIATE_CUFF_PRESSURE})


def importance_of(model: DeviceModel | None) -> Importance:
    """Rank a device by its row; one that is not known yet may give readings."""
    if model is None:
        return Importance.READINGS
    if model.pmd_streams or model.gsp_streams:
        return Importance.STREAM
    measured = set(model.characteristics) - _BESIDE
    if measured and measured <= _WEIGHTS:
        return Importance.WEIGHT
    if measured and measured <= _RESULTS | _WEIGHTS:
        return Importance.RESULTS
    return Importance.READINGS
