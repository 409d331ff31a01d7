"""The users who sign in with a token: pure. Their file holds the hash of each token, not the token.

    {"version": 1, "users": [{"name": "anna", "token_sha256": "…", "subjects": ["icu-*"],
     "created": "2027-01-01T08:00:00+00:00", "expires": null}]}

A token is 256 random bits made here, so its plain SHA-256 tells nothing that could be guessed.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from processors.sinks.live.access import Identity

USERS_MAX: Final = 10_000
PATTERNS_MAX: Final = 1_000
NAME_CHARS_MAX: Final = 128
TOKEN_CHARS_MAX: Final = 256
TOKEN_PREFIX: Final = "chevet_"  # noqa: S105 - what every token begins with, so that it is known
_TOKEN_BYTES: Final = 32
_VERSION: Final = 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = {"name", "token_sha256", "subjects", "created", "expires"}


class UsersError(Exception):
    """A file of users that cannot be used; the message names the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUser:
    """One user: the hash of their token, and the subjects that they may watch."""

    name: str
    token_sha256: str
    subjects: tuple[str, ...]
    created: datetime
    expires: datetime | None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= NAME_CHARS_MAX or not self.name.isprintable():
            raise UsersError(f"a name has 1 to {NAME_CHARS_MAX} characters, not {self.name!r}")
        if _SHA256.fullmatch(self.token_sha256) is None:
            raise UsersError(f"{self.name}: token_sha256 is not 64 digits of a SHA-256")
        if not 0 < len(self.subjects) <= PATTERNS_MAX or not all(self.subjects):
            raise UsersError(f"{self.name}: subjects are 1 to {PATTERNS_MAX} names or patterns")

    def has_expired(self, now: datetime) -> bool:
        """Say whether the token counts no more."""
        return self.expires is not None and now >= self.expires


def new_token() -> str:
    """Make a token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def sha256_of(token: str) -> str:
    """Give what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def find_user(users: Iterable[TokenUser], token: str, now: datetime) -> Identity | None:
    """Find whose token this is; None where it is nobody's, or has expired.

    All users are compared, each in constant time: how long it takes tells nothing.
    """
    shown = sha256_of(token)
    found = None
    for user in users:
        if hmac.compare_digest(user.token_sha256, shown) and not user.has_expired(now):
            found = Identity(user=user.name, token_sha256=user.token_sha256)
    return found


def patterns_of_user(user: TokenUser | None, identity: Identity, now: datetime) -> tuple[str, ...]:
    """Give the patterns of a user who signed in; none if the token is not theirs any more."""
    if user is None or user.token_sha256 != identity.token_sha256 or user.has_expired(now):
        return ()
    return user.subjects


def parse_users(text: str) -> tuple[TokenUser, ...]:
    """Read a file of users.

    Raises
    ------
    UsersError
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsersError(f"not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise UsersError(f'not an object with "version": {_VERSION}')
    rows = document.get("users")
    if not isinstance(rows, list) or len(rows) > USERS_MAX:
        raise UsersError(f'"users" is not a list of at most {USERS_MAX}')
    users = tuple(_parse_user(row, i) for i, row in enumerate(rows))
    counts = Counter(user.name for user in users)
    if twice := sorted(name for name, n in counts.items() if n > 1):
        raise UsersError(f"named twice: {', '.join(twice)}")
    return users


def format_users(users: Iterable[TokenUser]) -> str:
    """Write a file of users."""
    rows = [
        {
            "name": user.name,
            "token_sha256": user.token_sha256,
            "subjects": list(user.subjects),
            "created": user.created.isoformat(),
            "expires": None if user.expires is None else user.expires.isoformat(),
        }
        for user in users
    ]
    return json.dumps({"version": _VERSION, "users": rows}, indent=2, ensure_ascii=False) + "\n"


def _parse_user(row: object, i: int) -> TokenUser:
    if not isinstance(row, dict) or set(row) != _KEYS:
        raise UsersError(f"user {i}: has not exactly {', '.join(sorted(_KEYS))}")
    subjects = row["subjects"]
    texts = [row["name"], row["token_sha256"]]
    if not isinstance(subjects, list) or not all(isinstance(x, str) for x in [*texts, *subjects]):
        raise UsersError(f"user {i}: name, token_sha256 and subjects are texts")
    created = _parse_time(row["created"], i)
    if created is None:
        raise UsersError(f"user {i}: created is missing")
    return TokenUser(
        name=row["name"],
        token_sha256=row["token_sha256"],
        subjects=tuple(subjects),
        created=created,
        expires=_parse_time(row["expires"], i),
    )


def _parse_time(value: object, i: int) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsersError(f"user {i}: {value!r} is not a time with its zone")
    return found.astimezone(UTC)
