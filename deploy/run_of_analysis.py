"""The manifest of what ``chevet analyze`` has written."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary
from deploy.run_manifest import FileFact, Input, InputFacts, RunManifest, portable
from deploy.run_software import software
from ingest.frame import NS_PER_S


def manifest_of(
    folder: Path, options: AnalyzeOptions, facts: InputFacts, summary: Summary
) -> RunManifest:
    """Say what the files of a record in one folder are.

    Raises
    ------
    OSError
        One of them cannot be read.
    """
    here = folder.resolve()
    paths = (path for path in map(Path, summary.files) if path.parent.resolve() == here)
    settings = {
        "annotations": _is(options.annotations, here),
        "observations": _is(options.observations, here),
        "format": options.table_format,
        "channels": list(options.channels),
        "leads": list(options.leads),
        "device_model": options.device_model,
        "mapping": facts.mapping_name,
    }
    given = facts.seen_from(folder)
    mapping = None if options.mapping is None else portable(options.mapping, folder)
    return RunManifest(
        record=summary.record,
        command=_command(given, settings, mapping),
        settings=settings,
        input=given,
        digest=summary.digest,
        n_observations=summary.n_different,
        counts={"by_name": summary.n_observations, "events": summary.n_events},
        outputs=tuple(FileFact.of(path, path.name) for path in paths),
        software=software(),
    )


def _is(folder: Path | None, here: Path) -> bool:
    return folder is not None and folder.resolve() == here


def _command(given: Input, settings: dict[str, Any], mapping: str | None) -> tuple[str, ...]:
    words = ["chevet", "analyze", given.spec, *_chosen(given.source or {})]
    for name in ("annotations", "observations"):
        words += [f"--{name}", "."] if settings[name] else []
    words += ["--format", settings["format"]] if settings["observations"] else []
    for channel in settings["channels"]:
        words += ["--channel", str(channel)]
    words += ["--leads", ",".join(settings["leads"])] if settings["leads"] else []
    words += ["--device-model", settings["device_model"]] if settings["device_model"] else []
    words += ["--mapping", mapping] if mapping else []
    return tuple(words)


def _chosen(source: Mapping[str, Any]) -> Iterator[str]:
    """Give the options that choose subject and time of a source."""
    if "subject" in source:
        yield from ("--subject", source["subject"])
    for key in ("start", "end"):
        t_ns = source.get(f"{key}_ns")
        if t_ns is not None:
            moment = datetime.fromtimestamp(t_ns // NS_PER_S, UTC)
            yield from (f"--{key}", f"{moment:%FT%T}.{t_ns % NS_PER_S:09d}Z")
