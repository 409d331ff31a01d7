"""What every local server has in common: a folder, ports, start, stop, kill and restart."""

import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from deploy.local.process import ServerFailedError, ServerProcess, port_is_free


class LocalServer(ABC):
    """A server on 127.0.0.1, started and stopped from here; also a context manager.

    Ports and data stay the same from one start to the next. Without a ``data_dir`` the data are in
    a private temporary folder, which goes with the object (or at the end of the ``with`` block).

    Parameters
    ----------
    data_dir
        Where the server keeps data, settings and logs; made if need be, never removed.
    outlives_parent
        Leave the server running when this Python process ends, however it ends.
    """

    title: ClassVar[str]
    """The server's name in messages and folder names."""

    def __init__(self, *, data_dir: Path | None = None, outlives_parent: bool = False) -> None:
        self._outlives_parent = outlives_parent
        self._processes: list[ServerProcess] = []
        self._remove_data: Callable[[], object] = lambda: None
        if data_dir is None:
            data_dir = Path(tempfile.mkdtemp(prefix=f"chevet-{self.title}-"))
            self._remove_data = weakref.finalize(self, shutil.rmtree, data_dir, ignore_errors=True)
        self.data_dir: Final = data_dir.absolute()

    @abstractmethod
    def _start_programs(self) -> None:
        """Write the settings, then `_run` each program in order."""

    @property
    @abstractmethod
    def ports(self) -> tuple[int, ...]:
        """The ports of 127.0.0.1 on which this server listens."""

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """The programs that were started, in this order."""
        return tuple(self._processes)

    def start(self) -> Self:
        """Start the server and return once it answers; nothing happens if it runs already.

        Raises
        ------
        ServerMissingError, ServerFailedError
        """
        if self.is_running():
            return self
        self.stop()
        # Else the readiness check could take another server's answer for ours.
        for port in self.ports:
            if not port_is_free(port):
                raise ServerFailedError(self.title, f"cannot start: port {port} is in use")
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._start_programs()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server in good order and return once its processes are gone."""
        while self._processes:
            self._processes[-1].stop()
            self._processes.pop()

    def kill(self) -> None:
        """Kill the server at once (SIGKILL), as a crash would; the data stay as they are."""
        while self._processes:
            self._processes[-1].kill()
            self._processes.pop()

    def restart(self) -> Self:
        """Start again on the same ports and data, after a stop in good order if it runs."""
        self.stop()
        return self.start()

    def is_running(self) -> bool:
        """Tell whether every program of the server runs."""
        return bool(self._processes) and all(each.is_running() for each in self._processes)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._remove_data()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._remove_data()

    def _run(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[], bool],
        *,
        start_s_max: float = 30.0,
    ) -> None:
        """Start one more program of this server and wait until it is ready."""
        process = ServerProcess(
            name=name,
            command=command,
            folder=self.data_dir,
            ready=ready,
            start_s_max=start_s_max,
            outlives_parent=self._outlives_parent,
        )
        process.start()
        self._processes.append(process)
