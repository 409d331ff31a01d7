"""``chevet sensors``: virtual Bluetooth LE sensors as a process of their own."""

from pathlib import Path
from typing import Final

from deploy.process import run_until_signal
from edge.virtual.sensors import PersonSettings, SensorsSettings, run_sensors

_SIMULATED: Final = frozenset({"thermometer", "cuff", "scale"})


def parse_person(text: str) -> PersonSettings:
    """Read what one person wears, as in ``strap=RECORD,thermometer,from=SECOND``.

    A strap, an oximeter and an armband play a recording; a thermometer, a cuff and a scale do not.

    Raises
    ------
    ValueError
    """
    given: dict[str, str] = {}
    simulated: set[str] = set()
    for part in text.split(","):
        kind, has_record, record = part.partition("=")
        if part in _SIMULATED and part not in simulated:
            simulated.add(part)
        elif (
            kind in {"strap", "oximeter", "armband", "from"}
            and has_record
            and record
            and kind not in given
        ):
            given[kind] = record
        else:
            raise ValueError(
                f"{part!r} in {text!r}: say strap=RECORD, oximeter=RECORD, armband=RECORD, "
                "thermometer, cuff, scale or from=SECOND, each once"
            )
    return PersonSettings(
        strap=given.get("strap"),
        oximeter=given.get("oximeter"),
        armband=given.get("armband"),
        thermometer="thermometer" in simulated,
        cuff="cuff" in simulated,
        scale="scale" in simulated,
        starts_at_s=float(given.get("from", "0")),
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
