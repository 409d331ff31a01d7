"""Start, watch and stop a child server: the only place of this project that does.

    ServerError
    ├── ServerMissingError   not installed on this machine: its text says how to get it
    └── ServerFailedError    installed, but it did not start: its text quotes the log

Linux only: processes are held by pidfd and known by pid *and* start time, so that a signal never
reaches a stranger that was given an old pid.
"""

import contextlib
import fcntl
import functools
import os
import queue
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

LOCALHOST: Final = "127.0.0.1"
"""No server that this package starts listens anywhere else."""

PORT_RANGE: Final = range(20_000, 32_000)
"""Below Linux's ephemeral range (32768 up): a client that keeps calling a dead server on an
ephemeral port can be given that very port as its own, and then the server cannot come back."""

LOG_TAIL_LINES: Final = 20
POLL_INTERVAL_S: Final = 0.03
STOP_S_MAX: Final = 15.0
KILL_S_MAX: Final = 10.0
ADMIN_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps nginx; not on an ordinary user's PATH."""

_ENDED_STATES: Final = ("Z", "X")
_LAUNCHER: Final = Path(__file__).with_name("launch.py")


class ServerError(RuntimeError):
    """A local server cannot be used."""


class ServerMissingError(ServerError):
    """A program or file that the server needs is not on this machine."""

    def __init__(self, what: str, how_to_get_it: str) -> None:
        super().__init__(f"{what} is not on this machine; to get it: {how_to_get_it}")
        self.what = what
        self.how_to_get_it = how_to_get_it


class ServerFailedError(ServerError):
    """The server ended, or did not say in time that it is ready."""

    def __init__(self, name: str, reason: str, log: str | None = None) -> None:
        quoted = f"the last lines of its log:\n{log}" if log else "its log is empty"
        super().__init__(f"{name} {reason}" if log is None else f"{name} {reason}; {quoted}")
        self.name = name
        self.reason = reason
        self.log = log


def find_program(*names: str, how_to_get_it: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Find the first of these programs on PATH, or in the administrator's folders.

    Raises
    ------
    ServerMissingError
    """
    path = os.pathsep.join([environ.get("PATH", os.defpath), *ADMIN_FOLDERS])
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    raise ServerMissingError(names[0], how_to_get_it)


def run_tool(name: str, command: Sequence[str | Path], *, folder: Path, timeout_s: float) -> str:
    """Run a program to its end and return what it printed.

    Raises
    ------
    ServerFailedError
        It ended with another exit code than 0, or not in time.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"did not end within {timeout_s:g} s"
        raise ServerFailedError(name, reason, _last_lines(error.output or b"")) from error
    if done.returncode:
        reason = f"ended with exit code {done.returncode}"
        raise ServerFailedError(name, reason, _last_lines(done.stdout))
    return done.stdout.decode(errors="replace")


def free_ports(n_ports: int) -> list[int]:
    """Pick this many ports of 127.0.0.1 on which nothing listens now, never one twice.

    Until this process ends no other process of this user is given them: between the picking and the
    server that listens there may be seconds.
    """
    ports: list[int] = []
    for _ in range(len(PORT_RANGE)):
        if len(ports) == n_ports:
            return ports
        port = secrets.choice(PORT_RANGE)
        if port not in _ports_given and _reserve(port) and port_is_free(port):
            _ports_given.add(port)
            ports.append(port)
    raise ServerFailedError("port search", f"found {len(ports)} of {n_ports} free ports")


def port_or_free(preferred: int) -> int:
    """Return this port if nothing listens on it now, else another free one."""
    return preferred if port_is_free(preferred) else free_ports(1)[0]


_ports_given: set[int] = set()


def _reserve(port: int) -> bool:
    """Keep a port from the other processes that ask here; False: one of them has it."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


@functools.cache
def _reservations() -> int:
    """Open the file of which each byte is a port; whoever has locked the byte has the port."""
    path = Path(tempfile.gettempdir()) / f"chevet-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def port_is_free(port: int) -> bool:
    """Tell whether nothing listens on this port of 127.0.0.1 now."""
    with socket.socket() as candidate:
        # Connections of an earlier server that are still winding down are no obstacle to a server.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOCALHOST, port))
        except OSError:
            return False
    return True


def log_tail(log_file: Path, n_lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log, or nothing if there is none."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 200 * n_lines))
            return _last_lines(log.read(), n_lines)
    except FileNotFoundError:
        return ""


def _last_lines(output: bytes, n_lines: int = LOG_TAIL_LINES) -> str:
    return "\n".join(output.decode(errors="replace").splitlines()[-n_lines:])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process, never mistaken for a later one with the same pid."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Take the identity of a process that exists; ProcessLookupError if it does not."""
        return cls(pid=pid, start_ticks=_read_stat(pid)[1], boot_id=_boot_id())

    def is_running(self) -> bool:
        """Tell whether it still runs (one that ended but was not waited for does not)."""
        try:
            state, start_ticks = _read_stat(self.pid)
        except ProcessLookupError:
            return False
        same = start_ticks == self.start_ticks and self.boot_id == _boot_id()
        return same and state not in _ENDED_STATES

    @contextlib.contextmanager
    def open(self) -> Iterator[int | None]:
        """Hold the process by a pidfd; None if it no longer runs."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield pidfd if self.is_running() else None  # looked at only once the pid is held
        finally:
            os.close(pidfd)


def stop_process(identity: ProcessIdentity, *, grace_s: float = STOP_S_MAX) -> None:
    """Ask the process to end, and after the grace kill it; return once it is gone."""
    with identity.open() as pidfd:
        if pidfd is not None:
            _send(pidfd, signal.SIGTERM)
            _wait_for_end(pidfd, grace_s)
    kill_process(identity)


def kill_process(identity: ProcessIdentity) -> None:
    """Kill the process with SIGKILL and nothing before it; return once it is gone."""
    with identity.open() as pidfd:
        if pidfd is not None:
            _send(pidfd, signal.SIGKILL)
            _wait_for_end(pidfd, KILL_S_MAX)
    _reap(identity.pid)


def _send(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        signal.pidfd_send_signal(pidfd, number)


def _wait_for_end(pidfd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000.0))


def _reap(pid: int) -> int | None:
    """Collect the exit status of an ended child: negative for a signal, None if there is none."""
    with contextlib.suppress(ChildProcessError):
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            return os.waitstatus_to_exitcode(status)
    return None


def _read_stat(pid: int) -> tuple[str, int]:
    """Read a process's state letter and when it started, in clock ticks since boot: proc(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    # The name, in parentheses, may itself hold spaces and parentheses; these are fields 3 and 22.
    state, *fields = stat.rpartition(")")[2].split()
    return state, int(fields[18])


@functools.cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """One program of a server: how it is started, where it logs, and how it says that it is ready.

    ``ready`` is asked again and again until it returns True; OSError means *not yet*. The program
    gets an environment of ours alone, since several servers take settings from theirs.
    """

    name: str
    command: Sequence[str]
    folder: Path
    ready: Callable[[], bool]
    start_s_max: float = 30.0
    stop_s_max: float = STOP_S_MAX
    outlives_parent: bool = False
    identity: ProcessIdentity | None = field(default=None, init=False)

    @property
    def log_file(self) -> Path:
        """Where the program's output goes; appended to at each start."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start the program and wait until it is ready.

        Raises
        ------
        ServerFailedError
        """
        pid = _spawn(self.command, self.folder, self.log_file, outlives_parent=self.outlives_parent)
        self.identity = ProcessIdentity.of(pid)
        try:
            self._wait_until_ready(self.identity)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask the program to end, and kill it if it does not."""
        if self.identity is not None:
            stop_process(self.identity, grace_s=self.stop_s_max)
            self.identity = None

    def kill(self) -> None:
        """Kill the program at once, as a crash would."""
        if self.identity is not None:
            kill_process(self.identity)
            self.identity = None

    def is_running(self) -> bool:
        """Tell whether the program runs."""
        return self.identity is not None and self.identity.is_running()

    def _wait_until_ready(self, identity: ProcessIdentity) -> None:
        deadline_s = time.monotonic() + self.start_s_max
        last_word = "no answer"
        with identity.open() as pidfd:
            while time.monotonic() < deadline_s:
                if pidfd is None or _wait_for_end(pidfd, POLL_INTERVAL_S):
                    raise self._failure(f"ended at once ({_describe_exit(identity.pid)})")
                try:
                    if self.ready():
                        return
                except OSError as error:
                    last_word = str(error)
        raise self._failure(f"was not ready after {self.start_s_max:g} s ({last_word})")

    def _failure(self, reason: str) -> ServerFailedError:
        return ServerFailedError(self.name, reason, log_tail(self.log_file))


def _describe_exit(pid: int) -> str:
    code = _reap(pid)
    if code is None:
        return "exit code unknown"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _spawn(command: Sequence[str], folder: Path, log_file: Path, *, outlives_parent: bool) -> int:
    parent_pid = "0" if outlives_parent else str(os.getpid())
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), parent_pid, str(folder)]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    spawn = functools.partial(
        os.posix_spawn,
        sys.executable,
        [*launcher, *command],
        _environment(folder),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_file), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # Ctrl-C in our terminal is ours to handle, not the server's
    )
    return _spawner(os.getpid()).run(spawn)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}


class _Spawner:
    """A thread that starts every program and lasts as long as this process.

    Linux ends a child with the *thread* that started it (prctl(2), PR_SET_PDEATHSIG): a server
    started from a worker thread would die as soon as that thread had nothing left to do.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], int], Future[int]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="server-spawner", daemon=True).start()

    def run(self, job: Callable[[], int]) -> int:
        pid: Future[int] = Future()
        self._jobs.put((job, pid))
        return pid.result()

    def _work(self) -> None:
        while True:
            job, pid = self._jobs.get()
            try:
                pid.set_result(job())
            except OSError as error:
                pid.set_exception(error)


@functools.cache
def _spawner(_process_id: int) -> _Spawner:
    """Return this process's spawner; a fork gets its own, since it does not inherit the thread."""
    return _Spawner()
