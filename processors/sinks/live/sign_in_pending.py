"""Sign-ins that have gone to the provider and have not come back: pure, bounded, each good once."""

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

PENDING_MAX: Final = 1_024
"""Beyond, the oldest is forgotten: that person begins again."""
PENDING_S: Final = 600.0
"""So long somebody may take at the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What was sent along, to be compared with what comes back."""

    state: str
    nonce: str
    verifier: str
    """Of PKCE: only who has it can use the code."""
    browser: str
    """Secret cookie of the browser in which it began."""
    wanted: str
    begun_s: float

    @property
    def challenge(self) -> str:
        """What PKCE shows of the verifier (S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class PendingSignIns:
    """Remembers the sign-ins that are under way."""

    def __init__(self, *, n_max: int = PENDING_MAX) -> None:
        self.n_crowded_out = 0
        """Sign-ins that were forgotten because there were too many."""
        self._n_max = n_max
        self._pending: OrderedDict[str, Pending] = OrderedDict()

    def begin(self, *, browser: str, wanted: str, now_s: float) -> Pending:
        """Begin one."""
        while self._pending and self._is_over(next(iter(self._pending.values())), now_s):
            self._pending.popitem(last=False)
        if len(self._pending) >= self._n_max:
            self._pending.popitem(last=False)
            self.n_crowded_out += 1
        pending = Pending(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            browser=browser,
            wanted=wanted,
            begun_s=now_s,
        )
        self._pending[pending.state] = pending
        return pending

    def take(self, *, state: str, browser: str, now_s: float) -> Pending | None:
        """Take the one that comes back; None if it was not begun here, in this browser, lately."""
        pending = self._pending.pop(state, None)
        if pending is None or self._is_over(pending, now_s):
            return None
        is_same = hmac.compare_digest(pending.browser.encode(), browser.encode("utf-8", "replace"))
        return pending if is_same else None

    def _is_over(self, pending: Pending, now_s: float) -> bool:
        return now_s - pending.begun_s >= PENDING_S
