"""Between the callbacks of the radio and the intakes: payloads wait here, stamped. A shell."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from edge.clocks.clocks import Stamp, read_clocks
from edge.clocks.host_clock import HostClock, HostTime
from edge.faults import trace_of
from edge.intakes.intake import DeviceIntake

log = structlog.get_logger()

PAYLOADS_MAX: Final = 20_000
"""Payloads that wait for decoding: minutes of ten sensors. A newer one is dropped and counted."""

Door = Callable[[bytes, Stamp], None]
"""Takes a payload and when it came, in no time: a callback's."""


@dataclass(frozen=True, slots=True)
class _Payload:
    """A notification on its way from the callback to the intake."""

    intake: DeviceIntake
    characteristic: str
    payload: bytes
    arrival: Stamp


class Inbox:
    """The payloads of all devices, in the order in which they came.

    Parameters
    ----------
    host
        What makes UTC of the stamps.
    on_host_step
        Is told when the host's clock was set.
    """

    def __init__(self, host: HostClock, on_host_step: Callable[[HostTime], None]) -> None:
        self._host = host
        self._on_host_step = on_host_step
        self._queue: asyncio.Queue[_Payload] = asyncio.Queue(PAYLOADS_MAX)

    def door(self, intake: DeviceIntake, characteristic: str) -> Door:
        """Give what a characteristic's notifications are to be given to."""

        def put(payload: bytes, arrival: Stamp) -> None:
            self.put(intake, characteristic, payload, arrival)

        return put

    def put(
        self, intake: DeviceIntake, characteristic: str, payload: bytes, arrival: Stamp
    ) -> None:
        """Keep a payload until it is decoded; where there is no room, say so to its intake."""
        try:
            self._queue.put_nowait(_Payload(intake, characteristic, payload, arrival))
        except asyncio.QueueFull:
            intake.overflowed(characteristic)

    def decode(self) -> None:
        """Give every payload that waits to its intake.

        An error that an intake did not foresee is its own: its link is to be ended, and the
        payloads of the others go on.
        """
        while not self._queue.empty():
            one = self._queue.get_nowait()
            received_ns = self._tell(one.arrival)
            try:
                one.intake.take(one.characteristic, one.payload, received_ns)
            except Exception as error:  # noqa: BLE001 - one device's fault is no other's
                if one.intake.failed(one.characteristic):
                    log.error(
                        "device_fault",
                        device_id=one.intake.device_id,
                        characteristic=one.characteristic,
                        error=trace_of(error),
                    )

    def now_ns(self) -> int:
        """UTC now, as it is told: for an event that has no other time."""
        return self._tell(read_clocks())

    def _tell(self, moment: Stamp) -> int:
        told = self._host.read(moment.mono_ns, moment.wall_ns)
        if told.stepped_ns:
            self._on_host_step(told)
        return told.told_ns
