"""What ``chevet analyze`` is asked for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.observation_files import TableFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """What to read of each record, and what to write."""

    annotations: Path | None = None
    observations: Path | None = None
    table_format: TableFormat = "parquet"
    channels: tuple[int, ...] = ()
    """Numbers of the signals to use, in the order of the header from 0; empty: all."""
    leads: tuple[str, ...] = ()
    """Names of the ECG leads to use; other signals are kept. Empty: all."""
    device_model: str | None = None
    """What the recorder was; None: nobody knows, and what depends on it is not derived."""
    mapping: Path | None = None
    """Of CSV files: what their columns are. None: each has its own beside it."""


def check_model(model: str) -> None:
    """Refuse the name of a model of which nothing is known.

    Raises
    ------
    ValueError
        It has neither a calibration curve nor a mounting.
    """
    from processors.vitals.calibration import CURVES
    from processors.vitals.posture import MOUNTS

    known = sorted({*CURVES, *MOUNTS})
    if model not in known:
        raise ValueError(f"nothing is known of a device model {model!r}; known: {', '.join(known)}")


def check_names(names: Sequence[str]) -> None:
    """Refuse records that are called the same.

    Raises
    ------
    ValueError
        Two records would be written into the same files.
    """
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(
            f"records called {', '.join(twice)} are given more than once; their files would "
            "overwrite each other: analyze them one after the other into different folders"
        )
