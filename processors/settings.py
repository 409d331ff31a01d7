"""Settings of the worker, the sinks and the live page."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from ingest.frame import NAME_CHARS_MAX
from ingest.settings import ProcessSettings
from processors.access_settings import AccessSettings, PageUrl, TlsSettings, listening_fault
from processors.sinks.grafana_live.limits import LATE_S, STREAM_CHARS_MAX, SUBJECTS_MAX
from processors.sinks.measurements import KEPT, Bucket
from processors.sinks.watched import Waveforms

_Pattern = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]


class RoleSettings(ProcessSettings):
    """A process that is none of the agents."""

    instance: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """Tells the processes of a role apart on ``chevet.status``, and should be the same after a
    restart; unless told the computer's name."""


class WorkerSettings(RoleSettings):
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
    """Of what is kept for long; on 1.x the database, or database/retention policy. Waveforms and
    envelopes are beside it: BUCKET/waveforms and BUCKET/envelopes."""
    org: str = "chevet"
    token: SecretStr = SecretStr("")
    token_file: Path | None = None
    """Holds the token, in the place of ``token``."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    n_parallel: Annotated[int, Field(ge=1, le=32)] = 4
    """Writes at once; each subject's go one after the other."""
    gzip_level: Annotated[int, Field(ge=0, le=9)] = 0
    """0: none. 1 where the way to the server is slow; more costs time and gains little."""

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token_file is not None and self.token.get_secret_value():
            raise ValueError("token and token_file are both given: one of them is enough")
        return self

    def read_token(self) -> str:
        """Give the token, wherever it is.

        Raises
        ------
        OSError, UnicodeDecodeError
            The file cannot be read.
        """
        if self.token_file is None:
            return self.token.get_secret_value()
        return self.token_file.read_text("utf-8").strip()


_WAVEFORMS = KEPT[Bucket.WAVEFORMS]
_ENVELOPES = KEPT[Bucket.ENVELOPES]
_LONG = KEPT[Bucket.LONG]


class InfluxSetupSettings(InfluxSettings):
    """What `chevet influx setup` makes, and the token that may make it."""

    url: str = "http://127.0.0.1:8086"
    waveforms_retention_h: Annotated[
        int, Field(ge=_WAVEFORMS.retention_h_min, le=_WAVEFORMS.retention_h_max)
    ] = _WAVEFORMS.retention_h
    envelopes_retention_h: Annotated[
        int, Field(ge=_ENVELOPES.retention_h_min, le=_ENVELOPES.retention_h_max)
    ] = _ENVELOPES.retention_h
    long_retention_h: (
        Annotated[int, Field(ge=_LONG.retention_h_min, le=_LONG.retention_h_max)] | None
    ) = None
    """None: for ever."""


class SetupSettings(ProcessSettings):
    """`chevet influx setup`."""

    influx: InfluxSetupSettings = InfluxSetupSettings()


class SinkSettings(RoleSettings):
    """The sink: Frames, Observations and alarms into a store."""

    group: str = "chevet-sink"
    influx: InfluxSettings | None = None
    """None: line-protocol files in ``folder``."""
    folder: Path = Path("var/store")
    n_records_max: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Records that are read at once."""
    waveforms: Waveforms = "all"
    """Whose raw waveforms and envelopes of 40 ms are stored: those of "all" subjects, of those that
    are "watched", or "none". Envelopes of a second, observations, readings, gaps and events are
    stored of all."""
    watched: Annotated[tuple[_Pattern, ...], Field(max_length=1_000)] = ()
    """Subjects, or patterns of them with ``*``, ``?`` and ``[...]``."""

    @model_validator(mode="after")
    def _chosen(self) -> "SinkSettings":
        if (self.waveforms == "watched") != bool(self.watched):
            raise ValueError(
                f'waveforms = "{self.waveforms}" and {len(self.watched)} in watched: name the '
                'subjects in watched if waveforms is "watched", and only then'
            )
        return self


class RecorderSettings(RoleSettings):
    """The recorder: Frames, Observations and alarms into an archive of Parquet files."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "chevet-recorder"
    """Is told how far the archive is. Where to go on is what the archive itself says."""
    archive: Path = Path("var/archive")
    """Folder of the archive; one process writes it."""
    commit_s: Annotated[float, Field(ge=0.1, le=3600)] = 300.0
    """So long may pass until what was read is written. Short means many small files, which have to
    be merged; until it is written it waits in Kafka, too."""
    buffer_mb: Annotated[float, Field(ge=1, le=4_000)] = 256.0
    """What was read is written before it takes more memory than this."""
    merge: bool = True
    """Merge small files of a day and subject; `chevet archive compact` does it otherwise."""


class GrafanaSettings(BaseModel):
    """How to reach Grafana Live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")]
    """``https://grafana.example``; with a path where Grafana is served under one."""
    token_file: Path
    """File with the token of a service account; read again when Grafana refuses it."""
    stream: Annotated[str, Field(pattern=rf"^[A-Za-z0-9_-]{{1,{STREAM_CHARS_MAX}}}$")] = "chevet"
    """The boards' channels begin with ``stream/chevet/``."""
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    """A request that takes longer is lost: what waits behind it would not be live any more."""
    ssl_ca_file: Path | None = None
    """PEM file with the authorities to trust; unless told the system's."""


class GrafanaLiveSettings(RoleSettings):
    """The Grafana Live sink: the last seconds of watched subjects to Grafana's panels."""

    grafana: GrafanaSettings | None = None
    """Needed; there is no Grafana by default."""
    watched: Annotated[tuple[_Pattern, ...], Field(max_length=1_000)] = ()
    """Subjects that somebody may watch, or patterns with ``*``, ``?`` and ``[...]``; of others
    nothing is pushed, and by default of nobody."""
    n_subjects_max: Annotated[int, Field(ge=1, le=1_000)] = SUBJECTS_MAX
    """Subjects at once; those beyond are counted and left out."""
    interval_s: Annotated[float, Field(ge=0.02, le=2)] = 0.1
    """Time between two pushes."""
    late_s: Annotated[float, Field(ge=1, le=600)] = LATE_S
    """What is older when it comes is not live, and left out."""


class LiveSettings(RoleSettings):
    """The live page."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free port; the address is printed."""
    names: tuple[str, ...] = ()
    """Host names by which browsers may call it, beside 127.0.0.1, localhost and that of ``url``."""
    url: PageUrl | None = None
    """How browsers call it: ``https://chevet.hospital.example/``. A provider sends users back
    there."""
    access: AccessSettings = AccessSettings()
    tls: TlsSettings = TlsSettings()

    @model_validator(mode="after")
    def _guarded(self) -> "LiveSettings":
        fault = listening_fault(self.host, self.access.mode, is_secure=self.tls.is_secure)
        if fault is not None:
            raise ValueError(fault)
        if self.access.mode == "open" and self.tls.terminated_by_proxy:
            raise ValueError(
                'access.mode = "open" behind a proxy: whoever reaches the proxy would see every '
                'patient. Set access.mode to "tokens" or "oidc"'
            )
        if self.access.mode == "oidc" and self.url is None:
            raise ValueError('access.mode = "oidc" needs url: the provider sends users back there')
        return self

    @property
    def known_names(self) -> frozenset[str]:
        """Host names by which browsers may call it."""
        own = () if self.url is None else (urlsplit(self.url).hostname or "",)
        return frozenset((*self.names, *own))
