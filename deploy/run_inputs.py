"""The files of a recording as a manifest notes them, and where they are found again."""

from pathlib import Path

from deploy.run_manifest import FileFact, Input, portable
from ingest.errors import RecordingError
from ingest.recording import BUILT_IN_FILES
from ingest.recording_files import files_of

Stat = tuple[int, int, int] | None


class InputFiles:
    """Notes what a recording is read from: made before it is read, asked behind.

    Raises
    ------
    RecordingError
        There is no such recording.
    """

    frames_sha256: str | None = None

    def __init__(self, spec: str, mapping: Path | None) -> None:
        self.spec = spec
        self.mapping = mapping
        self._files = files_of(spec, mapping)
        self._before = list(map(_stat, self._files))

    def noted(self) -> "InputFiles":
        """Read all files for their checksums.

        Raises
        ------
        RecordingError
            One was changed while the recording was read: what was read of it nobody knows.
        OSError
        """
        folder = folder_of(self.spec)
        self.facts = tuple(FileFact.of(path, portable(path, folder)) for path in self._files)
        for path, before in zip(self._files, self._before, strict=True):
            if _stat(path) != before:
                raise RecordingError(f"{path} was changed while it was read; try again")
        return self

    @property
    def mapping_name(self) -> str | None:
        """How the files name the mapping; None where none was given."""
        return None if self.mapping is None else portable(self.mapping, folder_of(self.spec))

    def seen_from(self, folder: Path) -> Input:
        """Give what a manifest in this folder says."""
        if self.spec in BUILT_IN_FILES:
            return Input(spec=self.spec, files=self.facts)
        record = Path(self.spec.removesuffix(".hea")).expanduser()
        return Input(spec=portable(record, folder), files=self.facts)


def _stat(path: Path) -> Stat:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def folder_of(spec: str) -> Path:
    """Give the folder from which the files of a recording are named."""
    if spec not in BUILT_IN_FILES:
        return Path(spec).expanduser().parent
    # The one that has the package: its name stays in the files' names.
    path = BUILT_IN_FILES[spec]()
    return next(one.parent for one in path.parents if one.name == spec)
