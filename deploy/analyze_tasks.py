"""What ``chevet analyze`` is to do: each recording, and each subject of any other source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.analyze_many import Task
from ingest.errors import RecordingError
from ingest.recording_files import expand_folders

SERVERS = frozenset({"kafka", "influx", "influx+http", "influx+https"})
"""Schemes of sources that are servers (`deploy.sources`)."""

ARCHIVE_STATE = "_state.json"
"""What every archive has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of sources that are no recordings: whom, from when to when, and how servers are reached."""

    subjects: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    config: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.subjects or self.start or self.end)


def tasks_of(specs: Sequence[str], asked: Asked) -> list[Task]:
    """Put the recordings of a folder, and the subjects of a source, in its place.

    Raises
    ------
    IngestError
        A source cannot be read, or has nothing.
    ValueError
        Subjects or times are asked for, and no source has any.
    SettingsError
    """
    if asked and not any(map(is_source, specs)):
        raise ValueError("--subject, --start and --end are for archives and servers")
    return [task for spec in specs for task in _tasks(spec, asked)]


def is_source(spec: str) -> bool:
    """Tell whether something is a server or an archive, not a recording or a folder of them."""
    if spec.partition(":")[0] in SERVERS:
        return True
    try:
        return (Path(spec).expanduser() / ARCHIVE_STATE).is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _tasks(spec: str, asked: Asked) -> Iterator[Task]:
    if not is_source(spec):
        yield from expand_folders([spec])
        return
    try:
        from deploy.analyze_source import SubjectOf, source_errors, subjects_of
    except ImportError as error:
        raise RecordingError(f"{spec} needs the extras archive and processors: {error}") from error
    from deploy.source_settings import SourceSettings
    from ingest.settings import load_settings
    from processors.sinks.archive.reader import ns_of

    with source_errors():
        whole = SubjectOf(
            spec=spec,
            subject_id="",
            start_ns=ns_of(asked.start),
            end_ns=ns_of(asked.end),
            settings=load_settings(SourceSettings, asked.config),
        )
    yield from subjects_of(whole, asked.subjects)
