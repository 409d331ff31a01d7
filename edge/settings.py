"""Settings of the edge agent."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from ingest.settings import ProcessSettings

_Pseudonym = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class DeviceSettings(BaseModel):
    """One device that belongs to this subject. A device not listed is left alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(max_length=64)] = ""
    """The name that it advertises, whole; empty: it is known by its serial number."""
    serial: Annotated[str, Field(max_length=64)] = ""
    """The serial number that it states; empty: any. A device that states another is refused."""
    user_index: Annotated[int, Field(ge=0, le=254)] | None = None
    """The subject's number among the device's users, as a scale or a cuff counts them: what it
    measures of another or an unknown user is left out and counted; unless told everything is
    taken."""

    @model_validator(mode="after")
    def _identified(self) -> "DeviceSettings":
        if not (self.name or self.serial):
            raise ValueError("a device needs a name or a serial number")
        return self


class AgentSettings(ProcessSettings):
    """An edge agent, whoever it is for."""

    agent_id: _Pseudonym = "agent-1"
    """Names this agent in every Frame: unique among all agents of a subject."""
    time_zone: Annotated[str, Field(max_length=64)] | None = None
    """Where the devices are, such as ``Europe/Paris``: their clocks show local time; unless told
    as this computer is set."""
    spool_path: Path = Path("var/edge/spool.sqlite")
    """Where Frames wait until Kafka has them; the keys and the socket are beside it."""
    spool_bytes_max: Annotated[ByteSize, Field(ge=100_000)] = ByteSize(2_000_000_000)
    """When the spool holds more, the oldest Frames give way and are accounted for. A number of
    bytes, or one with a unit: ``"2 GB"``, ``"500 MiB"``."""
    spool_age_s_max: Annotated[float, Field(ge=60)] = 7 * 86_400.0
    """A Frame that an agent has kept for longer gives way and is accounted for. Counted is the time
    that the agent has run: the host's clock may leap."""
    spool_key: SecretStr | None = None
    """What waiting Frames are encrypted with: 64 hexadecimal digits; from the environment, never
    from the TOML file. To change it, give the new one and behind it, after a space, the old one,
    for as long as Frames of the old one wait."""
    spool_key_file: Path | None = None
    """The same from a file, one key a line, the newest first."""
    flush_interval_s: Annotated[float, Field(ge=0.05, le=60)] = 0.25
    """One Frame, and one commit to disk, in so long. Shorter is nearer to live; longer writes less,
    and risks more with a loss of power."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """How long a stopping agent goes on delivering; what is left stays in the spool."""
    connect_timeout_s: Annotated[float, Field(ge=1, le=120)] = 20.0
    """How long making a link may take."""
    reconnect_s_max: Annotated[float, Field(ge=0.1, le=3600)] = 30.0
    """Longest pause between two attempts to connect."""
    stream_silence_s: Annotated[float, Field(ge=2, le=3600)] = 20.0
    """A stream from which nothing has come for so long counts as silent, whatever its period."""
    stream_silence_periods: Annotated[float, Field(ge=2, le=1000)] = 8.0
    """A stream of which so many payloads in a row are missing counts as silent, after 2 s at the
    earliest: it is subscribed to anew, then restarted, then the device is reconnected."""
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 6
    """After so many failures in a row a device is left alone for a while."""
    breaker_open_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    """How long it is left alone the first time; each probe that fails doubles it, up to ten times
    this."""
    adapters: tuple[Annotated[str, Field(pattern=r"^hci[0-9]+$")], ...] = ()
    """The system's Bluetooth adapters to use, such as ``hci0``; none named: all that there are,
    those that come later included."""
    adapter_slots: Annotated[int, Field(ge=1, le=64)] | None = None
    """Links that an adapter can hold; unless told it is learnt from the adapter's errors."""
    scan_silence_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """An adapter that hears nothing for so long, though a device is missing, is restarted."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of /healthz, /readyz, /status and /metrics on 127.0.0.1; 0: on the socket only."""
    radio_backend: str | None = None
    """Dotted path of a bleak backend, ``module:function``; unless told the system's Bluetooth."""
    radio_transport: str = ""
    """What the backend is opened with, such as ``tcp-client:127.0.0.1:9999``; several, with commas
    between them, are several adapters."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{name} is no time zone of this computer") from error
        return name

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone; None: as this computer is set."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)

    @property
    def key_path(self) -> Path:
        """Where the agent's secret key is: beside the spool."""
        return self.spool_path.with_name("agent.key")

    @property
    def socket_path(self) -> Path:
        """Where a running agent answers: beside the spool."""
        return self.spool_path.with_name(f"{self.spool_path.stem}.sock")


class EdgeSettings(AgentSettings):
    """The edge agent: one subject, one or several devices."""

    subject_id: _Pseudonym
    """The subject's pseudonym; never a name."""
    devices: tuple[DeviceSettings, ...]

    @model_validator(mode="after")
    def _distinct(self) -> "EdgeSettings":
        names = [device.name or device.serial for device in self.devices]
        if not names:
            raise ValueError("no devices: list at least one under [[devices]], with its name")
        if len(set(names)) < len(names):
            raise ValueError(f"a device is listed twice: {', '.join(sorted(names))}")
        if self.spool_key is not None and self.spool_key_file is not None:
            raise ValueError("spool_key and spool_key_file: one of them, not both")
        return self
