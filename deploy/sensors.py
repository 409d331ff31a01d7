"""``chevet sensors``: virtual Bluetooth LE sensors as a process of their own."""

from pathlib import Path

from deploy.process import run_until_signal
from edge.virtual.sensors import PersonSettings, SensorsSettings, run_sensors


def parse_person(text: str) -> PersonSettings:
    """Read ``strap=RECORD,oximeter=RECORD,thermometer``, each part where it is wanted.

    Raises
    ------
    ValueError
    """
    recordings: dict[str, str] = {}
    thermometer = False
    for part in text.split(","):
        kind, has_record, record = part.partition("=")
        if part == "thermometer":
            thermometer = True
        elif kind in {"strap", "oximeter"} and has_record and record and kind not in recordings:
            recordings[kind] = record
        else:
            raise ValueError(
                f"{part!r} in {text!r}: say strap=RECORD, oximeter=RECORD or thermometer, each once"
            )
    return PersonSettings(
        strap=recordings.get("strap"),
        oximeter=recordings.get("oximeter"),
        thermometer=thermometer,
    )


def run(persons: tuple[PersonSettings, ...], port: int, statistics: Path) -> None:
    """Run the sensors until SIGTERM; the transport for agents goes to standard output.

    Raises
    ------
    RecordingError, OSError
    """
    settings = SensorsSettings(persons=persons, port=port, statistics_path=statistics)
    run_until_signal(
        lambda stop: run_sensors(
            settings,
            stop,
            on_ready=lambda transport: print(transport, flush=True),  # noqa: T201
        )
    )
