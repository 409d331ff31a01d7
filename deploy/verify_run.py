"""``chevet verify``: is all as a run's manifest says, and made again, does it come out the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary
from deploy.analyze_many import Failure, Shown, Task, attempt
from deploy.analyze_tasks import ARCHIVE_STATE
from deploy.observation_difference import first_difference
from deploy.observation_files import ObservationFileError
from deploy.record_jobs import OnShare, ProcessEnded, run_jobs
from deploy.run_inputs import folder_of
from deploy.run_manifest import (
    SUFFIX,
    FileFact,
    ManifestError,
    RunManifest,
    located,
    read_manifest,
    text_of,
)
from deploy.run_software import differences, software
from ingest.errors import RecordingError
from ingest.recording import BUILT_IN_FILES

Outcome = Literal[
    "same", "different", "output changed", "input changed", "missing", "failed", "unreadable"
]

_TABLES: Final = frozenset({".parquet", ".csv"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about one record."""

    record: str
    outcome: Outcome
    findings: tuple[str, ...] = ()
    """The first says why; each is a sentence."""
    software: tuple[str, ...] = ()
    """What computes it now and did not then: no fault by itself."""

    def as_json(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return {
            "record": self.record,
            "outcome": self.outcome,
            "findings": list(self.findings),
            "software": list(self.software),
        }


def manifests_of(run: Path) -> list[Path]:
    """Name the manifests of a run: the file itself, or all in the folder.

    Raises
    ------
    ManifestError
        There is none.
    """
    if not run.is_dir():
        return [run]
    found = sorted(run.glob(f"*{SUFFIX}"))
    if not found:
        raise ManifestError(
            f"{run} has no manifest of a run (*{SUFFIX}): chevet analyze writes one for each record"
        )
    return found


def verify(
    manifests: Sequence[Path], inputs: Sequence[Path], n_processes: int, shown: Shown
) -> list[Verdict]:
    """Check files against their checksums, make all observations again, and compare.

    Parameters
    ----------
    inputs
        Folders in which recordings are looked for by their name; empty: where they were.
    """
    names = [path.name.removesuffix(SUFFIX) for path in manifests]
    with TemporaryDirectory(prefix="chevet-verify-") as scratch:
        jobs = [
            partial(verify_record, path, tuple(inputs), Path(scratch, str(i)))
            for i, path in enumerate(manifests)
        ]
        with shown(names, _what_of) as listener:
            done = run_jobs(jobs, n_processes, listener)
    return [
        Verdict(record=name, outcome="failed", findings=(str(one),))
        if isinstance(one, ProcessEnded)
        else one
        for name, one in zip(names, done, strict=True)
    ]


def _what_of(result: object) -> str:
    return result.outcome if isinstance(result, Verdict) else "failed"


def verify_record(path: Path, inputs: Sequence[Path], scratch: Path, on_share: OnShare) -> Verdict:
    """Verify one manifest; what is made again is written into a folder of its own."""
    name = path.name.removesuffix(SUFFIX)
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        return Verdict(record=name, outcome="unreadable", findings=(str(error),))
    changed = tuple(differences(manifest.software, software()))
    try:
        outcome, findings = _found(manifest, path.parent, inputs, scratch, on_share)
    except ManifestError as error:
        outcome, findings = "unreadable", [f"{path}: {error}"]
    return Verdict(record=name, outcome=outcome, findings=tuple(findings), software=changed)


Found = tuple[Outcome, list[str]]


def _found(
    manifest: RunManifest,
    folder: Path,
    inputs: Sequence[Path],
    scratch: Path,
    on_share: OnShare,
) -> Found:
    if manifest.input.source is not None:
        return _from_source(manifest, folder, inputs, scratch, on_share)
    try:
        spec = _spec(manifest, folder, inputs)
        files = _located(manifest, spec)
    except RecordingError as error:
        return "missing", [str(error)]
    absent, differing = _compared(manifest.input.files, files)
    if absent:
        return "missing", [f"input {one} is not there" for one in absent]
    if differing:
        return "input changed", [f"input {one} is another than it was" for one in differing]
    return _again(manifest, folder, spec, files, scratch, on_share)


def _from_source(
    manifest: RunManifest,
    folder: Path,
    inputs: Sequence[Path],
    scratch: Path,
    on_share: OnShare,
) -> Found:
    """Make it again of an archive; what a server has had it may have no more."""
    source = manifest.input.source or {}
    if source.get("kind") != "archive":
        return "failed", [
            f"Frames of {source.get('kind')} are not read again, for a server does not keep them: "
            "record them into an archive (chevet record) and analyze that"
        ]
    was = located(manifest.input.spec, folder)
    candidates = [one for each in inputs for one in (each / was.name, each)] or [was]
    archive = next((one for one in candidates if (one / ARCHIVE_STATE).is_file()), None)
    if archive is None:
        return "missing", [f"there is no archive {' or '.join(map(str, candidates))}"]
    from deploy.analyze_source import SubjectOf

    try:
        subject = SubjectOf(
            spec=str(archive),
            subject_id=text_of(source["subject"]),
            start_ns=None if source["start_ns"] is None else int(source["start_ns"]),
            end_ns=None if source["end_ns"] is None else int(source["end_ns"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"its source cannot be used: {error!r}") from error
    return _again(manifest, folder, subject, {}, scratch, on_share)


def _again(
    manifest: RunManifest,
    folder: Path,
    task: Task,
    files: Mapping[str, Path],
    scratch: Path,
    on_share: OnShare,
) -> Found:
    """Make it all again, then look at the files that there are."""
    try:
        options = _options(manifest.settings, files, scratch)
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"its settings cannot be used: {error!r}") from error
    made = attempt(task, options, on_share)
    if isinstance(made, Failure):
        return "failed", [made.message]
    if made.frames_sha256 != manifest.input.frames_sha256:
        return "input changed", ["the Frames are others than they were"]
    outputs = {one.path: folder / one.path for one in manifest.outputs}
    absent, differing = _compared(manifest.outputs, outputs)
    findings = [f"output {one} is not there" for one in absent]
    findings += [f"output {one} is another than it was" for one in differing]
    findings += _unlike(manifest, made, folder, scratch)
    if absent:
        return "missing", findings
    if differing:
        return "output changed", findings
    return ("different" if findings else "same"), findings


def _unlike(manifest: RunManifest, made: Summary, folder: Path, scratch: Path) -> list[str]:
    """Say what was made otherwise than the manifest says."""
    findings: list[str] = []
    if (made.digest, made.n_different) != (manifest.digest, manifest.n_observations):
        findings.append(
            f"{made.n_different} observations with the digest {made.digest[:12]}, not "
            f"{manifest.n_observations} with {manifest.digest[:12]}"
        )
    for fact in manifest.outputs:
        now = scratch / fact.path
        is_table = now.suffix in _TABLES
        if not now.is_file():
            findings.append(f"{fact.path} is not among what is made now")
        elif is_table and (folder / fact.path).is_file():
            findings += _first(folder / fact.path, now)
        elif not is_table and FileFact.of(now, fact.path) != fact:
            findings.append(f"{fact.path} becomes another")
    return findings


def _first(then: Path, now: Path) -> list[str]:
    # Rows, not bytes: another version of a package writes the same rows otherwise.
    try:
        difference = first_difference(then, now)
    except ObservationFileError as error:
        return [str(error)]
    return [] if difference is None else [f"{then.name} differs first in {difference}"]


def _spec(manifest: RunManifest, folder: Path, inputs: Sequence[Path]) -> str:
    """Find the recording.

    Raises
    ------
    RecordingError
    """
    given = manifest.input.spec
    if given in BUILT_IN_FILES:
        return given
    was = located(given, folder)
    if not inputs:
        return str(was)
    first = manifest.input.files[0].path if manifest.input.files else ""
    for candidate in inputs:
        if (candidate / first).is_file():
            return str(candidate / was.name)
    raise RecordingError(
        f"no recording {was.name} in {', '.join(map(str, inputs))}: there is no file {first}"
    )


def _located(manifest: RunManifest, spec: str) -> dict[str, Path]:
    """Find every file of the recording by the name that the manifest has for it."""
    base = folder_of(spec)
    found: dict[str, Path] = {}
    for fact in manifest.input.files:
        path = located(fact.path, base)
        # What lay elsewhere, as the mapping of a table may, is looked for beside the recording too.
        beside = base / path.name
        found[fact.path] = beside if beside.is_file() and not path.is_file() else path
    return found


def _compared(facts: Iterable[FileFact], files: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Name the files that are not there, and those that are others."""
    absent: list[str] = []
    differing: list[str] = []
    for fact in facts:
        path = files[fact.path]
        try:
            # A pipe or a device could be read for ever.
            if not path.is_file():
                absent.append(fact.path)
            elif FileFact.of(path, fact.path) != fact:
                differing.append(fact.path)
        except OSError:
            absent.append(fact.path)
    return absent, differing


def _options(
    settings: Mapping[str, Any], files: Mapping[str, Path], scratch: Path
) -> AnalyzeOptions:
    mapping, model = settings["mapping"], settings["device_model"]
    if not isinstance(model, str | None):
        raise TypeError(f"{model!r} is no name of a model")
    return AnalyzeOptions(
        annotations=scratch if settings["annotations"] else None,
        observations=scratch if settings["observations"] else None,
        table_format="csv" if settings["format"] == "csv" else "parquet",
        channels=tuple(map(int, settings["channels"])),
        leads=tuple(map(str, settings["leads"])),
        device_model=model,
        mapping=None if mapping is None else files[mapping],
    )
