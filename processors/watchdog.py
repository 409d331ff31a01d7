"""Ends a worker that hangs, so that its supervisor starts it anew.

Stream frameworks have died silently after days; a worker that has input and does not move says so
and goes. It runs in a thread of its own: the loop that hangs could not.

==== =============================================================
75   there was input, a broker answered, and nothing was processed
76   the event loop did not come round
==== =============================================================
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog

log = structlog.get_logger()

EXIT_STALLED: Final = 75
EXIT_LOOP_STUCK: Final = 76
WATCH_S: Final = 1.0
CONNECT_S_MAX: Final = 2.0

_NOWHERE: Final[Mapping[int, int]] = MappingProxyType({})
_NEVER: Final = (-2, 0.0)


class Watchdog:
    """Watches over one event loop and what it should be doing.

    Parameters
    ----------
    stall_s
        So long may either take.
    servers
        ``host:port``, with commas: while none of them answers, waiting is right.
    end
        Ends the process at once, with an exit code.
    """

    def __init__(
        self,
        stall_s: float,
        servers: str,
        *,
        end: Callable[[int], object] = os._exit,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stall_s = stall_s
        self._servers = servers
        self._end = end
        self._now_s = now_s
        self._turned_s = self._moved_s = now_s()
        self._excused_s = self._moved_s
        self._is_waiting = False
        self._places: dict[int, tuple[int, float]] = {}
        """Of each partition that has input: how far it is, and since when."""
        self._is_stopped = threading.Event()

    def turned(self, *, has_input: bool, places: Mapping[int, int] = _NOWHERE) -> None:
        """Note that the loop has come round, and what there is to do.

        Parameters
        ----------
        has_input
            Whether there is anything.
        places
            Of each partition that has input, how far it is. All others may move: one that does not
            is a stall, too.
        """
        self._turned_s = now_s = self._now_s()
        if not has_input:
            self._moved_s = now_s
        self._is_waiting = has_input
        known = self._places
        self._places = {
            number: known[number] if known.get(number, _NEVER)[0] == place else (place, now_s)
            for number, place in places.items()
        }

    def moved(self) -> None:
        """Note that something was done."""
        self._moved_s = self._now_s()

    def excused(self) -> None:
        """Note that there is a known reason why nothing is done."""
        self._moved_s = self._excused_s = self._now_s()

    def is_turning(self) -> bool:
        """Tell whether the loop comes round."""
        return self._now_s() - self._turned_s < self._stall_s

    def look(self) -> None:
        """End the process if it hangs."""
        if not self.is_turning():
            log.error("loop_stuck", seconds=round(self._now_s() - self._turned_s, 1))
            self._end(EXIT_LOOP_STUCK)
            return
        still = [number for number, (_, since_s) in self._places.items() if self._is_long(since_s)]
        if still or (self._is_waiting and self._is_long(self._moved_s)):
            if not self._a_broker_answers():
                self.excused()
                return
            log.error("worker_stalled", partitions=still, seconds=self._stall_s)
            self._end(EXIT_STALLED)

    def _is_long(self, since_s: float) -> bool:
        return self._now_s() - max(since_s, self._excused_s) >= self._stall_s

    def start(self) -> None:
        """Look every second from now on."""
        self._turned_s = self._moved_s = self._excused_s = self._now_s()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped.set()

    def _run(self) -> None:
        while not self._is_stopped.wait(WATCH_S):
            self.look()

    def _a_broker_answers(self) -> bool:
        for address in self._servers.split(","):
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), CONNECT_S_MAX).close()
            except OSError:
                continue
            return True
        return False
