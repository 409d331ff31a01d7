"""Where a request comes from: the address of the browser, through the proxies that are trusted."""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from aiohttp import web

HOPS_MAX: Final = 16
"""Addresses of ``X-Forwarded-For`` that are looked at, from the last on."""


class Clients:
    """Tells the address of whoever asks.

    Parameters
    ----------
    proxies
        Where the proxy is; empty: there is none, and what it would say is not believed.
    """

    def __init__(self, proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._proxies = tuple(proxies)

    def came_by_proxy(self, request: web.Request) -> bool:
        """Say whether a request came as it must: through the proxy, if there is one."""
        return not self._proxies or self._is_proxy(_address(request.remote or ""))

    def address(self, request: web.Request) -> str:
        """Give the address of the browser: the last one that is not a proxy of ours."""
        peer = _address(request.remote or "")
        if not self._is_proxy(peer):
            return str(peer or request.remote or "unknown")
        told = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        for text in reversed(told[-HOPS_MAX:]):
            hop = _address(text.strip())
            if hop is None:
                break
            peer = hop
            if not self._is_proxy(hop):
                break
        return str(peer)

    def _is_proxy(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket that listens to both names an IPv4 peer in this way.
    return getattr(found, "ipv4_mapped", None) or found
