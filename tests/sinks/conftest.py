"""What the tests of the sinks share."""

from tests.ingest.conftest import no_task_left_behind

__all__ = ["no_task_left_behind"]
