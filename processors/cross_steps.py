"""Which of the things that streams say go into which step across streams."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from devices import codes
from processors.sources import Item
from processors.vitals import ecg
from processors.vitals.derived import Beat, Derived
from processors.vitals.fusion import HeartRateFusion, RateKind
from processors.vitals.readings import DEVICE_READING

_RATE_KINDS: Final[Mapping[tuple[str, str], RateKind]] = MappingProxyType(
    {
        (codes.HEART_RATE.name, ecg.HEART_RATE.name): RateKind.ECG,
        (codes.HEART_RATE.name, DEVICE_READING.name): RateKind.DEVICE_ECG,
        (codes.PULSE_RATE.name, DEVICE_READING.name): RateKind.DEVICE_PULSE,
    }
)


class FusedHeartRate:
    """One heart rate from ECG, pulse wave and the devices' own figures."""

    def __init__(self, fusion: HeartRateFusion | None = None) -> None:
        self._fusion = fusion or HeartRateFusion()

    def add(self, source: str, item: Item) -> None:
        """Take what a stream said; only rates count."""
        if isinstance(item, Beat):
            return
        kind = _RATE_KINDS.get((item.quantity.name, item.algorithm.name))
        if kind is not None:
            self._fusion.add(source, kind, item)

    def at(self, t_ns: int) -> list[Derived]:
        """Give the fused rate on a whole second."""
        return self._fusion.at(t_ns)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._fusion.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FusedHeartRate:
        """Continue where ``to_bytes`` stood; raises StateError."""
        return cls(HeartRateFusion.from_bytes(state))
