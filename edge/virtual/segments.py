"""Notifications of a virtual Generic Health Sensor: observations cut into segments, and counted."""

from typing import Final

from bumble.gatt import Characteristic

from devices.ghs_segments import SEGMENT_COUNTERS, cut_into_segments
from edge.virtual.peripheral import Counters, Counts, Peripheral

SEGMENT_BYTES_DEFAULT: Final = 60
"""Small, so that observations take several notifications."""
_ATT_HEADER_BYTES: Final = 3
_ATT_MTU_MIN: Final = 23


class SegmentSender:
    """Sends the observations of one characteristic, with its own rolling counter.

    Parameters
    ----------
    peripheral
        Whose characteristic it is.
    characteristic
        That notifies.
    counters
        Of its segments.
    segment_bytes_max
        The longest notification, 2 or more; the link may allow less.
    """

    def __init__(
        self,
        peripheral: Peripheral,
        characteristic: "Characteristic[bytes]",
        counters: Counters,
        segment_bytes_max: int = SEGMENT_BYTES_DEFAULT,
    ) -> None:
        self._peripheral = peripheral
        self._characteristic = characteristic
        self._counters = counters
        self._segment_bytes_max = segment_bytes_max
        self._i_connection = 0
        self._segment_counter = 0

    async def send(self, encoded: bytes, counts: Counts) -> None:
        """Send an observation; what it holds is sent if each of its segments is."""
        counts = tuple(counts)
        payloads = self._cut(encoded)
        n_unsent = self._counters.unsent
        for payload in payloads[:-1]:
            await self._notify(payload)
        if self._counters.unsent == n_unsent:
            await self._notify(payloads[-1], counts)
            return
        await self._notify(payloads[-1])
        for counters, n_values in counts:
            counters.produced += n_values
            counters.unsent += n_values

    async def _notify(self, payload: bytes, counts: Counts = ()) -> None:
        await self._peripheral.notify(self._characteristic, payload, [(self._counters, 1), *counts])

    def _cut(self, encoded: bytes) -> list[bytes]:
        connection = self._peripheral.connection
        mtu = _ATT_MTU_MIN if connection is None else connection.att_mtu
        if self._i_connection != self._peripheral.n_connections:
            self._i_connection = self._peripheral.n_connections
            self._segment_counter = 0
        payloads = list(
            cut_into_segments(
                encoded,
                counter=self._segment_counter,
                payload_bytes_max=min(self._segment_bytes_max, mtu - _ATT_HEADER_BYTES),
            )
        )
        self._segment_counter = (self._segment_counter + len(payloads)) % SEGMENT_COUNTERS
        return payloads
