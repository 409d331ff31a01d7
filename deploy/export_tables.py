"""A subject as tables of text: one of each channel's samples, and one of each kind of items."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from deploy.extracting import NO_NAME, Extract
from ingest.frame import WaveformBlock
from processors.exports.files import complete_file

_Samples = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]

SAMPLES_AT_ONCE: Final = 1 << 18
"""So many of a channel wait until they are written."""

_READING: Final = ("t_ns", "device_id", "mdc_code", "unit", "value", "reason")
_OBSERVATION: Final = (
    *("t_ns", "name", "value", "unit", "quality", "reason"),
    *("algorithm", "algorithm_version", "age_s", "channels"),
)
_GAP: Final = ("t0_ns", "device_id", "channel", "cause", "i_first", "n_samples")
_EVENT: Final = ("t_ns", "device_id", "kind", "detail")
_ANNOTATION: Final = (
    *("t_ns", "duration_ns", "annotator", "symbol", "subtype", "chan", "num", "text"),
    *("device_id", "channel", "author", "annotation_id", "version", "created_ns"),
)
_ALARM: Final = ("t_ns", "name", "priority", "active", "detail")
_SIGNAL: Final = ("file", "device_id", "channel", "mdc_code", "unit")


def write_tables(found: Extract, folder: Path) -> list[Path]:
    """Write the tables that have rows; each is there completely or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    written, signals = _write_channels(found, folder)
    of_kind: dict[str, tuple[Sequence[str], Iterable[object]]] = {
        "readings": (_READING, found.readings()),
        "gaps": (_GAP, found.gaps()),
        "events": (_EVENT, found.events()),
        "observations": (_OBSERVATION, found.observations()),
        "alarms": (_ALARM, found.alarms),
        "annotations": (_ANNOTATION, found.annotations),
    }
    for kind, (columns, items) in of_kind.items():
        rows = ([_cell(getattr(one, name)) for name in columns] for one in items)
        first = next(rows, None)
        if first is not None:
            name = f"{found.stem}_{kind}.csv"
            written.append(_write_rows(folder, name, columns, chain([first], rows)))
    name = f"{found.stem}_signals.csv"
    return [*written, _write_rows(folder, name, _SIGNAL, signals)]


def _cell(value: object) -> object:
    return " ".join(value) if isinstance(value, tuple) else value


def _write_rows(
    folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> Path:
    with complete_file(folder, name) as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return folder / name


def _write_channels(
    found: Extract, folder: Path
) -> tuple[list[Path], list[tuple[str, str, str, int, str]]]:
    """Write the samples; tell what of is in which file."""
    channels: dict[tuple[str, str], _Channel] = {}
    signals: list[tuple[str, str, str, int, str]] = []
    with ExitStack() as open_files:
        for block in found.blocks():
            key = block.device_id, block.channel
            if key not in channels:
                name = f"{found.stem}_{NO_NAME.sub('_', '_'.join(key))}.csv"
                if any(name == row[0] for row in signals):
                    name = f"{name.removesuffix('.csv')}_{len(signals)}.csv"
                signals.append((name, *key, block.mdc_code, block.unit))
                aside = open_files.enter_context(complete_file(folder, name))
                channels[key] = open_files.enter_context(_Channel(aside))
            channels[key].take(block)
    return [folder / row[0] for row in signals], signals


class _Channel:
    """Writes time, count and value of each sample of a channel, each once, in order of time."""

    _SCHEMA: Final = pa.schema(
        [("t_ns", pa.int64()), ("count", pa.int32()), ("value", pa.float64())]
    )

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[_Samples] = []
        self._n_waiting = 0

    def __enter__(self) -> Self:
        self._writer = pa_csv.CSVWriter(self._path, self._SCHEMA)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write(before_ns=None)
        self._writer.close()

    def take(self, block: WaveformBlock) -> None:
        """Take the next block; none that follows begins before it."""
        if self._n_waiting >= SAMPLES_AT_ONCE:
            self._write(before_ns=block.t0_ns)
        values = block.counts.astype(np.float64) * block.scale + block.offset
        self._waiting.append((block.times_ns(), block.counts, values))
        self._n_waiting += block.n_samples

    def _write(self, before_ns: int | None) -> None:
        """Write the samples before a time, and keep the others."""
        t_ns, counts, values = map(np.concatenate, zip(*self._waiting, strict=True))
        _, once = np.unique(t_ns, return_index=True)
        n_ready = once.size if before_ns is None else np.searchsorted(t_ns[once], before_ns)
        ready, rest = once[:n_ready], once[n_ready:]
        columns = [pa.array(t_ns[ready]), pa.array(counts[ready]), pa.array(values[ready])]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._SCHEMA))
        self._waiting = [(t_ns[rest], counts[rest], values[rest])]
        self._n_waiting = rest.size
