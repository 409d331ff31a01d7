"""Packages that are installed only where recordings are read, and what to do without them."""

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import RecordingError


def package_file(package: str, name: str) -> Path:
    """Find a data file of a package without importing the package.

    Raises
    ------
    RecordingError
    """
    spec = importlib.util.find_spec(package)
    folders = None if spec is None else spec.submodule_search_locations
    if not folders:
        raise _missing_package(package, "virtual")
    path = Path(folders[0]) / name
    if not path.is_file():
        raise RecordingError(f"the package {package} has no file {name}; reinstall it")
    return path


def import_package(package: str, extra: str) -> Any:  # noqa: ANN401 - packages without types
    """Import a package that may be missing.

    Raises
    ------
    RecordingError
        With the extra of chevet that has it.
    """
    try:
        with third_party_warnings_off():
            return importlib.import_module(package)
    except ImportError as error:
        raise _missing_package(package, extra) from error


@contextlib.contextmanager
def third_party_warnings_off() -> Iterator[None]:
    """Keep quiet about wfdb 4.3, which uses what pandas 3 has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _missing_package(package: str, extra: str) -> RecordingError:
    return RecordingError(
        f"reading this recording needs the package {package}: pip install 'chevet[{extra}]'"
    )
