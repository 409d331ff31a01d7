"""A ward of virtual sensors in one process: what ``chevet sensors`` runs.

SensorsSettings ─► run_sensors ─► HCI over TCP on this machine, and a file of statistics
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.virtual.armband import MODEL as ARMBAND_MODEL
from edge.virtual.armband import Armband
from edge.virtual.cuff import MODEL as CUFF_MODEL
from edge.virtual.cuff import PERIOD_S_DEFAULT as CUFF_PERIOD_S_DEFAULT
from edge.virtual.cuff import Cuff
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.oximeter import MODEL as OXIMETER_MODEL
from edge.virtual.oximeter import Oximeter
from edge.virtual.peripheral import ADVERTISING_INTERVAL_MS_DEFAULT, Identity, Peripheral
from edge.virtual.player import Body, Clock, SteadyClock
from edge.virtual.radio import VirtualRadio
from edge.virtual.scale import MODEL as SCALE_MODEL
from edge.virtual.scale import PERIOD_S_DEFAULT as SCALE_PERIOD_S_DEFAULT
from edge.virtual.scale import Scale
from edge.virtual.strap import MODEL as STRAP_MODEL
from edge.virtual.strap import Strap
from edge.virtual.thermometer import MODEL as THERMOMETER_MODEL
from edge.virtual.thermometer import PERIOD_S_DEFAULT, Thermometer
from ingest.frame import NS_PER_S
from ingest.recording import Recording, open_recording

STATISTICS_PERIOD_S: Final = 0.5
STATISTICS_VERSION: Final = 1
PERSONS_MAX: Final = 9999

_MODELS: Final = (
    STRAP_MODEL,
    OXIMETER_MODEL,
    THERMOMETER_MODEL,
    CUFF_MODEL,
    SCALE_MODEL,
    ARMBAND_MODEL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSettings:
    """The sensors that one person wears; recordings as ``ingest.recording`` opens them."""

    strap: str | None = None
    """Recording that a strap plays; None: no strap."""
    oximeter: str | None = None
    """Recording that an oximeter plays; None: no oximeter."""
    thermometer: bool = False
    cuff: bool = False
    scale: bool = False
    armband: str | None = None
    """Recording that an optical armband plays; None: no armband."""
    starts_at_s: float = 0.0
    """Where in the recordings the sensors begin, seconds."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.starts_at_s < float("inf"):
            raise ValueError(f"recordings cannot begin at {self.starts_at_s} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorsSettings:
    """What to run."""

    persons: tuple[PersonSettings, ...]
    port: int = 0
    """TCP port on 127.0.0.1; 0 takes a free one."""
    statistics_path: Path | None = None
    loops: bool = True
    """Whether recordings begin again at their end."""
    speed: float = 1.0
    """Seconds of sensor time per second."""
    thermometer_period_s: float = PERIOD_S_DEFAULT
    cuff_period_s: int = CUFF_PERIOD_S_DEFAULT
    scale_period_s: float = SCALE_PERIOD_S_DEFAULT
    advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT
    ether: EtherSettings = field(default_factory=EtherSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.persons) <= PERSONS_MAX:
            raise ValueError(f"{len(self.persons)} persons; 1 to {PERSONS_MAX} are possible")


async def run_sensors(
    settings: SensorsSettings,
    stop: asyncio.Event,
    on_ready: Callable[[str], None] | None = None,
    clock: Clock | None = None,
) -> None:
    """Run sensors until ``stop`` is set.

    Parameters
    ----------
    settings
        What to run.
    stop
        Ends the run; the statistics are written once more.
    on_ready
        Called with the transport for ``bleak_bumble.backend`` once all sensors advertise.
    clock
        The sensors' time; by default this machine's, at ``settings.speed``.

    Raises
    ------
    RecordingError
        A recording cannot be read or played.
    OSError
        The port or the statistics file cannot be used.
    """
    ether = Ether(settings.ether)
    sensors = build_sensors(settings, ether, clock or SteadyClock(settings.speed))
    async with VirtualRadio(ether, settings.port) as radio:
        runs = {asyncio.create_task(one.run(), name=one.identity.name) for one in sensors}
        serve = asyncio.create_task(_serve(settings, stop, on_ready, radio, sensors), name="serve")
        try:
            ended, _ = await asyncio.wait({serve, *runs}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serve, *runs):
                task.cancel()
            await asyncio.gather(serve, *runs, return_exceptions=True)
        # Only now is it known what was still in the air.
        _write(settings.statistics_path, statistics(radio, sensors))
        for task in ended:
            task.result()


async def _serve(
    settings: SensorsSettings,
    stop: asyncio.Event,
    on_ready: Callable[[str], None] | None,
    radio: VirtualRadio,
    sensors: tuple[Peripheral, ...],
) -> None:
    for sensor in sensors:
        await sensor.started.wait()
    if on_ready is not None:
        on_ready(radio.transport_spec)
    while not stop.is_set():
        _write(settings.statistics_path, statistics(radio, sensors))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STATISTICS_PERIOD_S):
                await stop.wait()


def build_sensors(settings: SensorsSettings, ether: Ether, clock: Clock) -> tuple[Peripheral, ...]:
    """Build the peripherals of all persons; they have yet to be run.

    Raises
    ------
    RecordingError
    """
    opened: dict[str, Recording] = {}
    start_ns = clock.now_ns()

    def body(spec: str, person: PersonSettings) -> Body:
        if spec not in opened:
            opened[spec] = open_recording(spec)
        # A recording that is joined in the middle began that much earlier.
        began_ns = start_ns - round(person.starts_at_s * NS_PER_S)
        return Body(recording=opened[spec], start_ns=began_ns, loops=settings.loops)

    def sensors_of(number: int, person: PersonSettings) -> Iterator[Peripheral]:
        interval_ms = settings.advertising_interval_ms
        seed = settings.seed + number
        if person.strap is not None:
            yield Strap(
                ether,
                identity(STRAP_MODEL, number),
                clock,
                body(person.strap, person),
                seed=seed,
                advertising_interval_ms=interval_ms,
            )
        if person.oximeter is not None:
            yield Oximeter(
                ether,
                identity(OXIMETER_MODEL, number),
                clock,
                body(person.oximeter, person),
                advertising_interval_ms=interval_ms,
            )
        if person.armband is not None:
            yield Armband(
                ether,
                identity(ARMBAND_MODEL, number),
                clock,
                body(person.armband, person),
                seed=seed,
                advertising_interval_ms=interval_ms,
            )
        yield from _simulated(settings, ether, clock, number, person)

    return tuple(
        sensor
        for number, person in enumerate(settings.persons, start=1)
        for sensor in sensors_of(number, person)
    )


def _simulated(
    settings: SensorsSettings, ether: Ether, clock: Clock, number: int, person: PersonSettings
) -> Iterator[Peripheral]:
    """Build the sensors of a person that play no recording."""
    interval_ms = settings.advertising_interval_ms
    seed = settings.seed + number
    if person.thermometer:
        yield Thermometer(
            ether,
            identity(THERMOMETER_MODEL, number),
            clock,
            period_s=settings.thermometer_period_s,
            seed=seed,
            advertising_interval_ms=interval_ms,
        )
    if person.cuff:
        yield Cuff(
            ether,
            identity(CUFF_MODEL, number),
            clock,
            period_s=settings.cuff_period_s,
            seed=seed,
            advertising_interval_ms=interval_ms,
        )
    if person.scale:
        yield Scale(
            ether,
            identity(SCALE_MODEL, number),
            clock,
            period_s=settings.scale_period_s,
            seed=seed,
            advertising_interval_ms=interval_ms,
        )


def identity(model: str, number: int) -> Identity:
    """Name the sensor of a kind that person ``number`` wears."""
    kind = _MODELS.index(model) + 1
    return Identity(
        model=model,
        serial=f"{number:04d}",
        address=f"C4:E7:{kind:02X}:00:{number >> 8:02X}:{number & 0xFF:02X}",
    )


def statistics(radio: VirtualRadio, sensors: tuple[Peripheral, ...]) -> dict[str, Any]:
    """Return what became of every sample, for ``json``.

    ``devices`` has a row for each sensor: ``address``, ``name``, ``serial``, ``model``,
    ``record``, ``recording_start_utc_ns`` (when sample 0 of the recording was taken),
    ``connected``, ``n_connections``; ``channels``, the waveforms by their names in the catalogue,
    with the fields of ``ChannelCounters``; and ``readings``, the single values, with those of
    ``Counters``.
    """
    return {
        "version": STATISTICS_VERSION,
        "transport": radio.transport_spec,
        "n_agents": radio.n_sessions,
        "devices": [_row(sensor) for sensor in sensors],
    }


def _row(sensor: Peripheral) -> dict[str, Any]:
    return {
        "address": sensor.identity.address,
        "name": sensor.identity.name,
        "serial": sensor.identity.serial,
        "model": sensor.identity.model,
        "record": sensor.record_name,
        "recording_start_utc_ns": sensor.recording_start_ns,
        "now_utc_ns": sensor.clock.now_ns(),
        "connected": sensor.connected,
        "n_connections": sensor.n_connections,
        "channels": {name: asdict(counters) for name, counters in sensor.channels.items()},
        "readings": {name: asdict(counters) for name, counters in sensor.readings.items()},
    }


def _write(path: Path | None, content: dict[str, Any]) -> None:
    """Replace the file in one step: a reader sees the old or the new one, never half of one."""
    if path is None:
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)
