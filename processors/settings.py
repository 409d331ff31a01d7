"""Settings of the worker, the sink and the live page."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ingest.settings import ProcessSettings


class WorkerSettings(ProcessSettings):
    """The Faust worker."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "chevet-worker"
    """Faust's application id and consumer group. Under a new name everything is processed anew."""
    data_dir: Path = Path("var/worker")
    checkpoint_interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """About so often each subject's state is stored; after a crash so much input comes again."""
    stall_s: Annotated[float, Field(ge=40, le=3600)] = 60.0
    """A worker that has something to do and does not move for so long ends, to be started again."""


class InfluxSettings(BaseModel):
    """How to reach InfluxDB."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    bucket: str = "chevet"
    """On 1.x: database, or database/retention policy."""
    org: str = "chevet"
    token: SecretStr = SecretStr("")
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0


class SinkSettings(ProcessSettings):
    """The sink: Frames, Observations and alarms into a store."""

    group: str = "chevet-sink"
    influx: InfluxSettings | None = None
    """None: line-protocol files in ``folder``."""
    folder: Path = Path("var/store")
    n_records_max: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Records in one write."""


class LiveSettings(ProcessSettings):
    """The live page."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free port; the address is printed."""
    names: tuple[str, ...] = ()
    """Host names by which browsers may call it, beside 127.0.0.1 and localhost."""
