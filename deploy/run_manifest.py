"""What is known of a result: ``101.run.json`` beside the files of record 101.

It says which files they are, of which input they were made, by what code and with which settings,
so that ``chevet verify`` can make them again. The same run writes the same bytes: no clock, no
duration and no path of a person's home is in it. docs/runs.md describes every key.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from deploy.wfdb_files import aside_of

SCHEMA: Final = 1
SUFFIX: Final = ".run.json"

_N_BYTES_MAX: Final = 10_000_000
"""A manifest is a few kilobytes, and of a record of ten thousand segments a few hundred."""
_CHUNK_BYTES: Final = 1 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ManifestError(Exception):
    """A file is no manifest of a run, or one that this version does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """A file as it was."""

    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str) -> Self:
        """Read a file and note it under a name.

        Raises
        ------
        OSError
        """
        total, n_bytes = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                total.update(chunk)
                n_bytes += len(chunk)
        return cls(path=name, bytes=n_bytes, sha256=total.hexdigest())

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """Read what a manifest says of a file.

        Raises
        ------
        KeyError, TypeError, ValueError
        """
        fact = cls(path=fields["path"], bytes=fields["bytes"], sha256=fields["sha256"])
        if not isinstance(fact.path, str) or not isinstance(fact.bytes, int) or "\0" in fact.path:
            raise TypeError("a file has a path and a number of bytes")
        if not _SHA256.fullmatch(fact.sha256):
            raise ValueError(f"{fact.sha256!r} is no SHA-256")
        return fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What was read."""

    spec: str
    """The recording, as from the folder of the manifest; or the name of one in a package."""
    files: tuple[FileFact, ...]
    """Named as from the folder of the recording, in the order in which they are read."""
    source: Mapping[str, Any] | None = None
    """What it is if it is no recording: kind, subject and time, and where on a server it is."""
    frames_sha256: str | None = None
    """Of what came as Frames: each in its encoding, with its length in eight bytes before."""

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        fields: dict[str, Any] = {"spec": self.spec, "files": [asdict(one) for one in self.files]}
        if self.source is not None:
            fields |= {"source": dict(self.source), "frames_sha256": self.frames_sha256}
        return fields

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """Read what ``as_json`` has given.

        Raises
        ------
        KeyError, TypeError, ValueError
        """
        source = fields.get("source")
        return cls(
            spec=text_of(fields["spec"]),
            files=tuple(map(FileFact.read, fields["files"])),
            source=None if source is None else dict(source),
            frames_sha256=None if source is None else text_of(fields["frames_sha256"]),
        )


class InputFacts(Protocol):
    """What is known of the input when it has been read."""

    mapping: Path | None
    """Of a CSV file, if one was given."""

    @property
    def mapping_name(self) -> str | None:
        """How the input's files name it."""
        ...

    @property
    def frames_sha256(self) -> str | None:
        """As in `Input`."""
        ...

    def seen_from(self, folder: Path) -> Input:
        """Give what a manifest in this folder says."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """All that is said of one record's files in one folder."""

    record: str
    command: tuple[str, ...]
    """Makes them again, in the folder of the manifest."""
    settings: Mapping[str, Any]
    input: Input
    digest: str
    """Of the observations: ``ingest.observation_digest``."""
    n_observations: int
    """Different ones."""
    counts: Mapping[str, Any]
    """Observations and events by name."""
    outputs: tuple[FileFact, ...]
    """In the folder of the manifest."""
    software: Mapping[str, Any]

    def encode(self) -> bytes:
        """Write it as JSON, keys in order."""
        fields = {
            "schema": f"chevet-run/{SCHEMA}",
            "record": self.record,
            "command": list(self.command),
            "settings": dict(self.settings),
            "input": self.input.as_json(),
            "observations": {
                "digest": self.digest,
                "n_different": self.n_observations,
                **self.counts,
            },
            "outputs": [asdict(one) for one in self.outputs],
            "software": dict(self.software),
        }
        return (json.dumps(fields, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read what ``encode`` has written.

        Raises
        ------
        ManifestError
        """
        try:
            fields = json.loads(content)
            if fields["schema"] != f"chevet-run/{SCHEMA}":
                raise ManifestError(
                    f"its schema is {fields['schema']!r}, and chevet-run/{SCHEMA} is the one that "
                    "this version of Chevet knows"
                )
            found = dict(fields["observations"])
            return cls(
                record=text_of(fields["record"]),
                command=tuple(map(text_of, fields["command"])),
                settings=dict(fields["settings"]),
                input=Input.read(fields["input"]),
                digest=text_of(found.pop("digest")),
                n_observations=int(found.pop("n_different")),
                counts=found,
                outputs=tuple(_beside(FileFact.read(one)) for one in fields["outputs"]),
                software=dict(fields["software"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ManifestError(f"it is no manifest of a run ({error!r})") from error


def text_of(value: object) -> str:
    """Take a text from JSON.

    Raises
    ------
    TypeError
        It is none, or no program could take it for a name.
    """
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{value!r} is no text")
    return value


def _beside(fact: FileFact) -> FileFact:
    if Path(fact.path).name != fact.path or fact.path in {"", ".", ".."}:
        raise ValueError(f"an output is beside the manifest, not {fact.path!r}")
    return fact


def manifest_path(folder: Path, record: str) -> Path:
    """Name the manifest of a record's files in a folder."""
    return folder / f"{record}{SUFFIX}"


def read_manifest(path: Path) -> RunManifest:
    """Read a manifest.

    Raises
    ------
    ManifestError
        The message names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_N_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    if len(content) > _N_BYTES_MAX:
        raise ManifestError(f"{path}: it has more than {_N_BYTES_MAX} bytes")
    try:
        return RunManifest.decode(content)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


def write_manifest(folder: Path, manifest: RunManifest) -> Path:
    """Write a manifest: all of it or nothing. The files that it names are there before.

    Raises
    ------
    OSError
    """
    path = manifest_path(folder, manifest.record)
    aside = aside_of(path)
    try:
        aside.write_bytes(manifest.encode())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def retract(folders: Iterable[Path], record: str) -> None:
    """Remove what is said of files that are about to be replaced.

    Whatever happens between, no manifest claims what is not so.

    Raises
    ------
    OSError
    """
    for folder in folders:
        manifest_path(folder, record).unlink(missing_ok=True)


def portable(path: Path, folder: Path) -> str:
    """Write a path so that it leads there from a folder, without saying whose computer it is.

    Relative where the two have a folder in common; else from the home folder; else as it is.
    """
    # Links to folders are followed, for ``..`` follows them too; a link to a file keeps its name.
    path, folder = path.parent.resolve() / path.name, folder.resolve()
    if len(Path(os.path.commonpath([path, folder])).parts) > 1:
        return Path(os.path.relpath(path, folder)).as_posix()
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def located(name: str, folder: Path) -> Path:
    """Follow from a folder what `portable` has written.

    Raises
    ------
    ManifestError
        It begins with the home of nobody here.
    """
    try:
        return folder / Path(name).expanduser()
    except RuntimeError as error:
        raise ManifestError(f"{name!r} leads nowhere here: {error}") from error
