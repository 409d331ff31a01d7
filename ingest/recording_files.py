"""Which files a recording is read from, and which recordings a folder has."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ingest import csv_recording, edf_recording
from ingest.csv_mapping import mapping_beside
from ingest.errors import RecordingError
from ingest.recorded_numerics import table_beside
from ingest.recording import BUILT_IN_FILES, expanded
from ingest.wfdb_header import errors_of, header_file, read_header
from ingest.wfdb_record import NO_SEGMENT, numerics_record_beside, record_and_header

RECORDS: Final = "RECORDS"
"""The file in which PhysioNet names the records of a folder."""

_N_RECORDS_MAX: Final = 100_000


def files_of(spec: str, mapping: Path | None = None) -> tuple[Path, ...]:
    """Name every file that ``open_recording`` reads for it, annotations left out; each once.

    Parameters
    ----------
    spec, mapping
        As ``open_recording`` takes them.

    Raises
    ------
    RecordingError
        There is no such recording, or its header cannot be read.
    """
    if spec in BUILT_IN_FILES:
        return (BUILT_IN_FILES[spec](),)
    path = expanded(spec)
    suffix = path.suffix.lower()
    if suffix in edf_recording.SUFFIXES:
        return (path,)
    if suffix in csv_recording.SUFFIXES:
        return path, mapping or mapping_beside(path)
    return tuple(dict.fromkeys(_of_wfdb(record_and_header(path)[0])))


def _of_wfdb(path: Path) -> Iterator[Path]:
    yield from _of_record(path)
    table = table_beside(path)
    if table is not None:
        yield table
    numerics = numerics_record_beside(path)
    if numerics is not None:
        # Their header is read in any case, their samples where they are there.
        yield from (one for one in _of_record(numerics) if one.is_file())


def _of_record(path: Path) -> Iterator[Path]:
    header = read_header(path)
    yield header_file(path)
    if not hasattr(header, "seg_name"):
        yield from _signal_files(path, header)
        return
    for name, n_frames in zip(header.seg_name, header.seg_len, strict=True):
        if name == NO_SEGMENT:
            continue
        segment = path.with_name(name)
        yield header_file(segment)
        if n_frames:
            yield from _signal_files(segment, read_header(segment))


def _signal_files(path: Path, header: Any) -> Iterator[Path]:  # noqa: ANN401 - wfdb has no types
    with errors_of(header_file(path)):
        yield from (path.parent / name for name in getattr(header, "file_name", None) or ())


def recordings_in(folder: Path) -> tuple[str, ...]:
    """Name the recordings of a folder, not of those below it, as ``open_recording`` takes them.

    Those that its file ``RECORDS`` names; without one, every WFDB record that is neither a segment
    of another nor its numerics, every EDF and BDF file, and every CSV file that has its mapping.

    Raises
    ------
    RecordingError
        It cannot be read, or there is none.
    """
    try:
        listed = folder / RECORDS
        names = _listed(listed) if listed.is_file() else sorted(_found(folder))
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{folder} cannot be read: {error}") from error
    if not names or len(names) > _N_RECORDS_MAX:
        raise RecordingError(
            f"{str(folder)!r} is a folder with {len(names)} recordings; needed is at least one, "
            f"at most {_N_RECORDS_MAX}: WFDB headers, files .edf or .bdf, or .csv with a mapping"
        )
    return tuple(str(folder / name) for name in names)


def expand_folders(specs: Sequence[str]) -> list[str]:
    """Put the recordings of a folder in its place.

    Raises
    ------
    RecordingError
        A folder has none.
    """
    expanded_specs: list[str] = []
    for spec in specs:
        path = expanded(spec)
        is_record = spec in BUILT_IN_FILES or header_file(path).is_file()
        expanded_specs += [spec] if is_record or not path.is_dir() else recordings_in(path)
    return expanded_specs


def _listed(file: Path) -> list[str]:
    lines = (line.strip() for line in file.read_text("utf-8").splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _found(folder: Path) -> Iterator[str]:
    headers = {path.stem: path for path in folder.glob("*.hea")}
    segments = {name for path in headers.values() for name in _segments_of(path)}
    for name in headers:
        is_numerics = name.endswith("n") and name[:-1] in headers
        if name not in segments and not is_numerics:
            yield name
    for path in folder.iterdir():
        suffix = path.suffix.lower()
        has_mapping = suffix in csv_recording.SUFFIXES and mapping_beside(path).is_file()
        if suffix in edf_recording.SUFFIXES or has_mapping:
            yield path.name


def _segments_of(header: Path) -> Iterator[str]:
    """Name the segments that a header lists; a header that cannot be read is for who opens it."""
    lines = header.read_text("latin-1").splitlines()
    rows = [words for words in map(str.split, lines) if words and not words[0].startswith("#")]
    if rows and "/" in rows[0][0]:
        yield from (words[0] for words in rows[1:])
