"""What the tests of the archive share."""

import pytest

from tests.ingest.conftest import no_task_left_behind

__all__ = ["no_task_left_behind"]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here pulls the plug of the machine; a recorder of its own process waits as ever."""
    monkeypatch.setattr("processors.sinks.archive.disk.os.fsync", lambda _descriptor: None)
