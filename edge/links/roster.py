"""Which device of the settings an advertisement comes from. Pure: no clock, no radio.

A device is known by its name, or by its serial number: in the name, as many sensors have it, or
read from the device itself, because some advertise no name and change their addresses.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from devices.catalogue import CATALOGUE

STRANGER_S: Final = 3600.0
"""A nameless device that was asked for its serial number is not asked again for so long."""
STRANGERS_MAX: Final = 1024
"""Addresses remembered of them; the oldest is forgotten first, and may be asked again."""

_SERVICES: Final = frozenset(service for model in CATALOGUE for service in model.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A device of the settings.

    Attributes
    ----------
    label
        What logs and metrics know it by.
    name
        The name that it advertises, whole; empty: not known.
    serial
        The serial number that it states; empty: any.
    """

    label: str
    name: str = ""
    serial: str = ""


class Roster:
    """The devices of the settings, and the strangers that are none of them."""

    def __init__(self, wanted: Collection[Wanted]) -> None:
        self._by_name = {one.name: one for one in wanted if one.name}
        self._by_serial = [one for one in wanted if not one.name]
        self._strangers: dict[str, float] = {}
        self._addresses: dict[str, Wanted] = {}

    def candidates(
        self, name: str | None, address: str, service_uuids: Collection[str], now_s: float
    ) -> list[Wanted]:
        """Give the devices that an advertisement may come from.

        Those that are known by name or by address are certain. A nameless device that offers a
        service of the catalogue may be any of those that are known by serial number only, until it
        was asked: the first of them asks.
        """
        if name and (known := self._by_name.get(name)):
            return [known]
        if known := self._addresses.get(address):
            return [known]
        if name:
            return [one for one in self._by_serial if name.endswith(one.serial)]
        asked_s = self._strangers.get(address)
        if asked_s is not None and now_s - asked_s < STRANGER_S:
            return []
        if not _SERVICES & set(service_uuids):
            return []
        placed = set(self._addresses.values())
        return [one for one in self._by_serial if one not in placed][:1]

    def recognised(self, wanted: Wanted, address: str) -> None:
        """Note whose address this is now; the one before it is nobody's any more."""
        self._addresses = {a: one for a, one in self._addresses.items() if one != wanted}
        self._addresses[address] = wanted

    def forget_address(self, wanted: Wanted) -> None:
        """Note that a device is not known by its address any more: it may have changed."""
        self._addresses = {a: one for a, one in self._addresses.items() if one != wanted}

    def asked(self, address: str, serial: str | None, now_s: float) -> None:
        """Note what a nameless device has answered: it may be another one of ours, or none."""
        for one in self._by_serial:
            if one.serial == serial:
                self.recognised(one, address)
                return
        self._strangers.pop(address, None)
        self._strangers[address] = now_s
        while len(self._strangers) > STRANGERS_MAX:
            self._strangers.pop(next(iter(self._strangers)))
