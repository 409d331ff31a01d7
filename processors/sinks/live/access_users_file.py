"""The file of users on disk: read again when it changes, and rewritten as a whole."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from processors.sinks.live.access import Identity
from processors.sinks.live.access_users import (
    TokenUser,
    UsersError,
    find_user,
    format_users,
    parse_users,
    patterns_of_user,
)
from processors.sinks.live.file_mark import mark_of

FILE_BYTES_MAX: Final = 16 << 20
LOOK_S: Final = 1.0
"""So often, at most, it is looked at."""
UNREADABLE_S_MAX: Final = 300.0
"""While the file cannot be read, what it said last holds for so long; then nobody is a user."""

log = structlog.get_logger()


def read_users(path: Path) -> tuple[TokenUser, ...]:
    """Read the file.

    Raises
    ------
    UsersError
        Naming the file, and what to do.
    """
    try:
        return parse_users(_read(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise UsersError(f"no users at {path}; make one: chevet live token add") from error
    except (OSError, UnicodeDecodeError, UsersError) as error:
        raise UsersError(f"users at {path}: {error}") from error


def change_users(
    path: Path, change: Callable[[tuple[TokenUser, ...]], tuple[TokenUser, ...]]
) -> None:
    """Rewrite the file, whole or not at all; who comes at the same time waits.

    Raises
    ------
    UsersError, OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.lock")):
        users = read_users(path) if path.exists() else ()
        _replace(path, format_users(change(users)))


class UsersFile:
    """Knows who is a user, as the file says it now.

    Parameters
    ----------
    clock_s
        A clock that nobody sets, seconds.

    Raises
    ------
    UsersError
        It cannot be read at the start.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._clock_s = clock_s
        self._clock_ns = clock_ns
        self._mark = mark_of(path)
        self._users = _by_name(read_users(path))
        self._looked_s = self._readable_s = clock_s()

    def find(self, token: str) -> Identity | None:
        """Find whose token this is."""
        return find_user(self._now().values(), token, self._time())

    def patterns_of(self, identity: Identity) -> tuple[str, ...]:
        """Give whom a user may watch now."""
        return patterns_of_user(self._now().get(identity.user), identity, self._time())

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._clock_ns() / 1e9, UTC)

    def _now(self) -> Mapping[str, TokenUser]:
        now_s = self._clock_s()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look(now_s)
        return self._users

    def _look(self, now_s: float) -> None:
        mark = mark_of(self._path)
        if mark is not None and mark == self._mark:
            self._readable_s = now_s
            return
        try:
            self._users = _by_name(read_users(self._path))
        except UsersError as error:
            if now_s - self._readable_s >= UNREADABLE_S_MAX:
                self._users = {}
            log.error("users_unreadable", error=str(error), n_users=len(self._users))
            return
        # The mark from before the reading: a change in between is seen the next time.
        self._mark, self._readable_s = mark, now_s
        log.info("users_read", n_users=len(self._users))


def _by_name(users: Iterable[TokenUser]) -> dict[str, TokenUser]:
    return {user.name: user for user in users}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise UsersError(f"more than {FILE_BYTES_MAX} bytes")
    return content


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of the old one; who may read the old one may read it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    written = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if path.exists():
                found = path.stat()
                os.fchmod(handle, found.st_mode & 0o777)
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, found.st_uid, found.st_gid)
            file.write(text)
            file.flush()
            os.fsync(handle)
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
