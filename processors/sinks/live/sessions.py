"""Sessions of those who have signed in: pure, in memory, and never more than fit.

The browser holds a random name of 256 bits; here only its hash is kept. Time is given, in seconds
of a clock that nobody sets.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from processors.sinks.live.access import Identity

SESSIONS_MAX: Final = 1_024
"""Beyond, the session that was unused longest ends."""
SESSIONS_OF_USER_MAX: Final = 64
"""Beyond, the one of this user that was unused longest ends: nobody can crowd out the others."""
_SECRET_BYTES: Final = 32
_NAME_CHARS: Final = 12


@dataclass(slots=True, kw_only=True)
class Session:
    """One sign-in of one browser."""

    name: str
    """For the access log: the beginning of the hash."""
    identity: Identity
    begun_s: float
    used_s: float


class Sessions:
    """Remembers who has signed in.

    Parameters
    ----------
    idle_s
        A session that was not used for so long ends. An open page uses it.
    session_s
        A session ends after so long, used or not.
    """

    def __init__(self, *, idle_s: float, session_s: float, n_max: int = SESSIONS_MAX) -> None:
        self.n_crowded_out = 0
        """Sessions that ended because there were too many."""
        self._idle_s = idle_s
        self._session_s = session_s
        self._n_max = n_max
        # In the order of their last use, the latest last.
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, identity: Identity, now_s: float) -> str:
        """Begin a session; give the secret that opens it."""
        self._drop_ended(now_s)
        own = [key for key, kept in self._sessions.items() if kept.identity.user == identity.user]
        if len(own) >= SESSIONS_OF_USER_MAX:
            self._crowd_out(own[0])
        if len(self._sessions) >= self._n_max:
            self._crowd_out(next(iter(self._sessions)))
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = _key(secret)
        self._sessions[key] = Session(
            name=key[:_NAME_CHARS], identity=identity, begun_s=now_s, used_s=now_s
        )
        return secret

    def find(self, secret: str, now_s: float) -> Session | None:
        """Find the session that this secret opens, and use it; None where it opens none."""
        key = _key(secret)
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._has_ended(session, now_s):
            del self._sessions[key]
            return None
        session.used_s = now_s
        self._sessions.move_to_end(key)
        return session

    def end(self, secret: str) -> Session | None:
        """End a session; give it if there was one."""
        return self._sessions.pop(_key(secret), None)

    def _has_ended(self, session: Session, now_s: float) -> bool:
        is_idle = now_s - session.used_s >= self._idle_s
        return is_idle or now_s - session.begun_s >= self._session_s

    def _drop_ended(self, now_s: float) -> None:
        ended = [key for key, kept in self._sessions.items() if self._has_ended(kept, now_s)]
        for key in ended:
            del self._sessions[key]

    def _crowd_out(self, key: str) -> None:
        del self._sessions[key]
        self.n_crowded_out += 1


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
