"""An entrance for tests: users with tokens, an access log in a folder, clocks that can be set."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from processors.sinks.live.access import Access
from processors.sinks.live.access_clients import Clients
from processors.sinks.live.access_gate import Gate
from processors.sinks.live.access_log import AccessLog
from processors.sinks.live.access_setup import Entrance
from processors.sinks.live.access_users import TokenUser, new_token, sha256_of
from processors.sinks.live.access_users_file import UsersFile, change_users
from processors.sinks.live.sessions import Sessions
from processors.sinks.live.sign_in import TokenSignIn

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path


@dataclass(slots=True)
class House:
    """A folder with users and an access log, and whoever may come in."""

    folder: Path
    now_s: float = 1_000.0
    """Of the clock that nobody sets."""
    ahead_s: float = 0.0
    """By so much the wall clock here is before the true one."""
    annotators: set[str] = field(default_factory=set)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def users_file(self) -> Path:
        return self.folder / "users.json"

    @property
    def log_file(self) -> Path:
        return self.folder / "access.jsonl"

    def add(self, name: str, *subjects: str, expires: datetime | None = None) -> str:
        """Make a user; give the token."""
        token = self.tokens[name] = new_token()
        made = TokenUser(
            name=name,
            token_sha256=sha256_of(token),
            subjects=subjects,
            created=datetime.now(UTC),
            expires=expires,
        )
        change_users(self.users_file, lambda users: (*users, made))
        return token

    def revoke(self, name: str) -> None:
        change_users(
            self.users_file, lambda users: tuple(user for user in users if user.name != name)
        )

    def entrance(
        self, *, proxies: tuple[IPv4Network | IPv6Network, ...] = (), is_secure: bool = False
    ) -> Entrance:
        """Build the entrance, with the clock of this house."""
        users = UsersFile(self.users_file, clock_s=self.clock_s, clock_ns=self.clock_ns)
        gate = Gate(
            Access(users.patterns_of, lambda user: user.user in self.annotators),
            Sessions(idle_s=600, session_s=3_600),
            AccessLog(self.log_file, clock_s=self.clock_s),
            Clients(proxies),
            is_secure=is_secure,
            clock_s=self.clock_s,
        )
        return Entrance(gate=gate, sign_in=TokenSignIn(gate, users.find), is_secure=is_secure)

    def clock_s(self) -> float:
        return self.now_s

    def clock_ns(self) -> int:
        return time.time_ns() + int(self.ahead_s * 1e9)

    def logged(self, event: str | None = None) -> list[dict[str, Any]]:
        """Read the access log."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines()]
        return [line for line in lines if event in {None, line["event"]}]
