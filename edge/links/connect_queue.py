"""Devices that wait for their turn to be connected; `connect_plan` decides. A shell.

It is asked whenever something changes, and an advertisement is a change: so what the plan allows
after a while happens soon after.
"""

import asyncio
import math
import time
from collections.abc import Callable

import structlog

from edge.links import link_metrics
from edge.links.connect_plan import Connect, ConnectPlan
from edge.links.importance import Importance

log = structlog.get_logger()


class ConnectQueue:
    """Gives each device its turn.

    Parameters
    ----------
    plan
        Knows the adapters.
    on_give_way
        Is told of a device whose link is to end, in good order, for another one.
    """

    def __init__(self, plan: ConnectPlan, on_give_way: Callable[[str], None]) -> None:
        self._plan = plan
        self._on_give_way = on_give_way
        self._turns: dict[str, asyncio.Future[Connect]] = {}

    async def turn(self, device: str, importance: Importance) -> Connect:
        """Wait until the device may be connected; then `failed` or `connected` must follow.

        Cancelled, it gives its turn back.
        """
        turn: asyncio.Future[Connect] = asyncio.get_running_loop().create_future()
        self._turns[device] = turn
        self._plan.wait(device, importance, time.monotonic())
        self.pump()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.failed(turn.result())
            raise
        finally:
            self._turns.pop(device, None)
            self._plan.leave(device)
            self._measure()

    def heard(self, device: str, adapter: str, rssi_dbm: int) -> None:
        """Note an advertisement."""
        self._plan.heard(device, adapter, rssi_dbm, time.monotonic())
        if self._turns:
            self.pump()

    def failed(self, connect: Connect, *, out_of_slots: bool = False) -> None:
        """Note that a connection did not come about."""
        now_s = time.monotonic()
        self._plan.failed(connect, now_s, out_of_slots=out_of_slots)
        if out_of_slots:
            slots = self._plan.slots(connect.adapter, now_s)
            n_slots = None if math.isinf(slots) else int(slots)
            log.warning("adapter_out_of_slots", adapter=connect.adapter, n_slots=n_slots)
        self.pump()

    def rank(self, connect: Connect, importance: Importance) -> None:
        """Note how important a connected device is: its model is known now."""
        self._plan.rank(connect, importance)
        self.pump()

    def connected(self, connect: Connect, importance: Importance) -> None:
        """Note that a connection was made."""
        self._plan.connected(connect, importance, time.monotonic())
        self._measure(connect.adapter)
        self.pump()

    def ended(self, connect: Connect) -> None:
        """Note that a link is over."""
        self._plan.ended(connect, time.monotonic())
        self._measure(connect.adapter)
        self.pump()

    def set_usable(self, adapter: str, *, usable: bool) -> None:
        """Note that an adapter has gone or is back."""
        self._plan.set_usable(adapter, usable=usable)
        link_metrics.ADAPTER_USABLE.labels(adapter).set(usable)

    def pump(self) -> None:
        """Give turns as far as the plan allows, and ask a link to give way if it says so."""
        now_s = time.monotonic()
        while connect := self._plan.next_connect(now_s):
            turn = self._turns.get(connect.device)
            if turn is None or turn.done():
                self._plan.failed(connect, now_s)
            else:
                turn.set_result(connect)
        if self._plan.waiting and (device := self._plan.give_way(now_s)):
            link_metrics.GAVE_WAY.inc()
            self._on_give_way(device)
        self._measure()

    def _measure(self, *adapters: str) -> None:
        link_metrics.WAITING.set(self._plan.n_on_air(time.monotonic()))
        for name in adapters:
            link_metrics.ADAPTER_LINKS.labels(name).set(self._plan.n_links(name))
