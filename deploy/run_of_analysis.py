"""The manifest of what ``chevet analyze`` has written."""

from pathlib import Path
from typing import Any

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary
from deploy.run_inputs import InputFiles
from deploy.run_manifest import FileFact, RunManifest, portable
from deploy.run_software import software


def manifest_of(
    folder: Path, options: AnalyzeOptions, source: InputFiles, summary: Summary
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
        "mapping": source.mapping_name,
    }
    given = source.seen_from(folder)
    mapping = None if options.mapping is None else portable(options.mapping, folder)
    return RunManifest(
        record=summary.record,
        command=_command(given.spec, settings, mapping),
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


def _command(spec: str, settings: dict[str, Any], mapping: str | None) -> tuple[str, ...]:
    words = ["chevet", "analyze", spec]
    for name in ("annotations", "observations"):
        words += [f"--{name}", "."] if settings[name] else []
    words += ["--format", settings["format"]] if settings["observations"] else []
    for channel in settings["channels"]:
        words += ["--channel", str(channel)]
    words += ["--leads", ",".join(settings["leads"])] if settings["leads"] else []
    words += ["--device-model", settings["device_model"]] if settings["device_model"] else []
    words += ["--mapping", mapping] if mapping else []
    return tuple(words)
