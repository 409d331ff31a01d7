"""What computed a result: Chevet's own code, the packages that do the sums, and the processor."""

import hashlib
import importlib.util
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("devices", "ingest", "processors", "deploy")
"""Of Chevet, those on whose code a result depends."""

DISTRIBUTIONS: Final = ("numpy", "scipy", "numba", "llvmlite", "pyarrow", "wfdb")
"""Of others, those that read the signals, do the sums or write the files."""

ENVIRONMENT: Final = (
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_DISABLE_JIT",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
)
"""Variables by which numpy, scipy and numba choose other code for the same sum."""

_SUFFIXES: Final = frozenset({".py", ".avsc", ".json", ".toml"})
_GIT_S_MAX: Final = 10


@cache
def software() -> dict[str, Any]:
    """Describe what runs here; the same as long as nothing of it changes.

    Returns
    -------
    Values of JSON: version, commit (None: unknown) and a SHA-256 of the source files of each
    package of Chevet; versions of algorithms, Python and other packages (None: not installed);
    machine, processor with what its arithmetic can do, and variables that choose among it.
    """
    from processors.catalogue import ALGORITHMS

    return {
        "chevet": {
            "version": _version("chevet"),
            "commit": _commit(),
            "code_sha256": {name: _code_sha256(name) for name in PACKAGES},
        },
        "algorithms": {name: one.version for name, one in sorted(ALGORITHMS.items())},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in DISTRIBUTIONS},
        "platform": {"system": platform.system(), "machine": platform.machine(), **_processor()},
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name what differs between two descriptions, each with both values."""
    for name in sorted({*then, *now}):
        one, other = then.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}: {_shown(one)} then, {_shown(other)} now"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries"
    return "none" if value is None else str(value)[:40]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(spec.submodule_search_locations[0])


def _code_sha256(package: str) -> str:
    folder = _folder(package)
    total = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.suffix in _SUFFIXES):
        of_file = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {of_file}\n".encode())
    return total.hexdigest()


def _commit() -> str | None:
    """Tell which commit is installed or checked out; with ``+`` where its files have changed."""
    root = _folder("deploy").parent
    if (root / ".git").exists():
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        return f"{head}{'+' if changed else ''}" if head else None
    try:
        origin = metadata.distribution("chevet").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    commit = json.loads(origin).get("vcs_info", {}).get("commit_id") if origin else None
    return commit if isinstance(commit, str) else None


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_S_MAX,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _processor() -> dict[str, Any]:
    """Name the processor as LLVM knows it, and the instructions for which numpy has code."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    simd = found.get("SIMD Extensions", {}) if isinstance(found, dict) else {}
    return {
        "processor": _llvm_name(),
        "simd": sorted([*simd.get("baseline", []), *simd.get("found", [])]),
    }


def _llvm_name() -> str | None:
    try:
        from llvmlite import binding
    except ImportError:
        return None
    return str(binding.get_host_cpu_name())
