"""Between the callbacks of the radio and the intakes: payloads wait here, stamped. A shell."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.intake import DeviceIntake

PAYLOADS_MAX: Final = 20_000
"""Payloads that wait for decoding: minutes of ten sensors. A newer one is dropped and counted."""

Door = Callable[[bytes, int], None]
"""Takes a payload and the UTC of its arrival in nanoseconds, in no time: a callback's."""


@dataclass(frozen=True, slots=True)
class _Payload:
    """A notification on its way from the callback to the intake."""

    intake: DeviceIntake
    characteristic: str
    payload: bytes
    received_ns: int


class Inbox:
    """The payloads of all devices, in the order in which they came."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[_Payload] = asyncio.Queue(PAYLOADS_MAX)

    def door(self, intake: DeviceIntake, characteristic: str) -> Door:
        """Give what a characteristic's notifications are to be given to."""

        def put(payload: bytes, received_ns: int) -> None:
            self.put(intake, characteristic, payload, received_ns)

        return put

    def put(
        self, intake: DeviceIntake, characteristic: str, payload: bytes, received_ns: int
    ) -> None:
        """Keep a payload until it is decoded; where there is no room, say so to its intake."""
        try:
            self._queue.put_nowait(_Payload(intake, characteristic, payload, received_ns))
        except asyncio.QueueFull:
            intake.overflowed(characteristic)

    def decode(self) -> None:
        """Give every payload that waits to its intake."""
        while not self._queue.empty():
            one = self._queue.get_nowait()
            one.intake.take(one.characteristic, one.payload, one.received_ns)
