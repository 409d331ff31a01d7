"""How often somebody may fail, and how often a refusal is written down: pure, bounded."""

import ipaddress
from collections import OrderedDict, deque
from typing import Final

FAILURES_MAX: Final = 20
"""Failed sign-ins of one address within the window. Beyond, it is refused unheard."""
WINDOW_S: Final = 300.0
ADDRESSES_MAX: Final = 4_096
"""Addresses remembered. Beyond, the one that failed longest ago is forgotten."""


class FailedAttempts:
    """Counts failed sign-ins by address; of IPv6 by the /64, which one host has to itself."""

    def __init__(self, *, n_max: int = FAILURES_MAX, window_s: float = WINDOW_S) -> None:
        self._n_max = n_max
        self._window_s = window_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Tell how long this address must wait; 0: it need not."""
        times = self._failures.get(_who(address))
        if times is None or len(times) < self._n_max:
            return 0.0
        return max(0.0, times[0] + self._window_s - now_s)

    def add(self, address: str, now_s: float) -> None:
        """Take a failure."""
        key = _who(address)
        if key not in self._failures and len(self._failures) >= ADDRESSES_MAX:
            self._failures.popitem(last=False)
        self._failures.setdefault(key, deque(maxlen=self._n_max)).append(now_s)
        self._failures.move_to_end(key)


class Budget:
    """So many in a window; those beyond are counted, and told with the next that passes."""

    def __init__(self, *, n_max: int, window_s: float) -> None:
        self._n_max = n_max
        self._window_s = window_s
        self._begun_s = float("-inf")
        self._n_passed = 0
        self._n_left_out = 0

    def take(self, now_s: float) -> int | None:
        """Give how many were left out before this one; None where this one is left out too."""
        if now_s - self._begun_s >= self._window_s:
            self._begun_s, self._n_passed = now_s, 0
        if self._n_passed >= self._n_max:
            self._n_left_out += 1
            return None
        self._n_passed += 1
        n_left_out, self._n_left_out = self._n_left_out, 0
        return n_left_out


def _who(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
