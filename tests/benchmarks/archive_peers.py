"""Recordings in the forms that the archive is measured beside."""

import importlib
import os
import sys
import warnings
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import wfdb
from pyarrow import parquet

from deploy.analyze import EPOCH_NS
from ingest.frame import NS_PER_S
from ingest.recording import Recording

HZ: Final = 360
"""Of the recordings."""
DAY_NS: Final = 86_400 * NS_PER_S
ATRIUMDB: Final = os.environ.get("CHEVET_ATRIUMDB")
"""Folder that AtriumDB is installed into."""


def atriumdb_name() -> str:
    """Name AtriumDB with its version."""
    (found,) = (one.version for one in distributions(name="atriumdb", path=[str(ATRIUMDB)]))
    return f"AtriumDB {found}, a segment per recording"


def write_plain(recordings: list[Recording], folder: Path, *, times: bool) -> None:
    """Write a row for each sample, a file for each channel."""
    for one in recordings:
        for i, signal in enumerate(one.signals):
            columns: dict[str, object] = {"count": signal.counts}
            if times:
                columns["t_ns"] = EPOCH_NS + np.arange(signal.n_samples) * NS_PER_S // HZ
            parquet.write_table(pa.table(columns), folder / f"{one.name}-{i}.parquet")


def write_flac(one: Recording, folder: Path) -> None:
    """Write a recording as WFDB with FLAC."""
    counts = np.stack([signal.counts for signal in one.signals], axis=1).astype(np.int64)
    wfdb.wrsamp(
        f"r{one.name}",
        fs=HZ,
        units=["mV"] * len(one.signals),
        sig_name=[f"s{i}" for i in range(len(one.signals))],
        d_signal=counts,
        fmt=["516"] * len(one.signals),
        adc_gain=[200.0] * len(one.signals),
        baseline=[0] * len(one.signals),
        write_dir=str(folder),
    )


class Atrium:
    """AtriumDB as it is kindest to it: a recording's channel is one segment of an even rate."""

    def __init__(self, folder: Path) -> None:
        # Behind all others: it comes with a numpy of its own.
        sys.path.append(str(ATRIUMDB))
        with warnings.catch_warnings():
            # Of what it calls in the standard library.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: Any = importlib.import_module("atriumdb")
        self._sdk = module.AtriumSDK.create_dataset(str(folder), database_type="sqlite")
        self._measures: dict[int, int] = {}

    def write(self, recordings: list[Recording]) -> None:
        for one in recordings:
            device = self._sdk.insert_device(device_tag=one.name)
            for i, signal in enumerate(one.signals):
                measure = self._measures.setdefault(
                    i,
                    self._sdk.insert_measure(measure_tag=f"s{i}", freq=HZ, freq_units="Hz"),
                )
                self._sdk.write_segments(
                    measure,
                    device,
                    [signal.counts.astype(np.int64)],
                    [EPOCH_NS],
                    freq=HZ,
                    freq_units="Hz",
                    time_units="ns",
                )

    def read(self, recordings: list[Recording]) -> int:
        """Read counts and times; give how many."""
        n = 0
        for one in recordings:
            device = self._sdk.get_device_id(one.name)
            for i, signal in enumerate(one.signals):
                _, times, counts = self._sdk.get_data(
                    self._measures[i],
                    EPOCH_NS,
                    EPOCH_NS + DAY_NS,
                    device_id=device,
                    analog=False,
                )
                assert np.array_equal(counts, signal.counts)
                n += min(len(times), len(counts))
        return n
