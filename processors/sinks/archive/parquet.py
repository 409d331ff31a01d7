"""Rows to the bytes of a Parquet file and back: pure.

Integers are written as differences from one to the next (DELTA_BINARY_PACKED), which is what makes
waveforms small, texts once with their numbers, and all of it compressed with zstd: plain Parquet,
that any reader knows. A group of rows is of one channel only and of a million samples at most, so
that who wants one channel, or a moment of it, reads little else.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from processors.sinks.archive.layout import FORMAT, Kind
from processors.sinks.archive.rows import Part
from processors.sinks.archive.tables import TABLES, Table

GROUP_SAMPLES: Final = 1_000_000
"""A group of rows is closed before it has more samples, unless one row has."""

GROUP_ROWS: Final = 200_000
"""The same for tables without samples."""

ZSTD_LEVEL: Final = 3

_FORMAT_KEY: Final = b"chevet.archive"


def parquet_bytes(part: Part) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Write a part as a whole file; give an Arrow buffer."""
    table = TABLES[part.kind]
    written = pa.BufferOutputStream()
    schema = table.schema.with_metadata({_FORMAT_KEY: str(FORMAT).encode()})
    with parquet.ParquetWriter(written, schema, **_options(table)) as writer:
        for begin, end in _groups(part.kind, part.rows):
            writer.write_table(part.rows.slice(begin, end - begin), row_group_size=end - begin)
    return written.getvalue()


def read_rows(source: Any, kind: Kind) -> Any:  # noqa: ANN401
    """Read a whole file, as a path or its bytes; give an Arrow table."""
    with parquet.ParquetFile(source) as file:
        rows = file.read(columns=list(TABLES[kind].names))
    return rows.cast(TABLES[kind].schema)


def _options(table: Table) -> Mapping[str, Any]:
    lists = [one.name for one in table.columns if pa.types.is_list(one.type)]
    texts = [one.name for one in table.columns if one.is_text]
    encodings = {one.name: "DELTA_BINARY_PACKED" for one in table.columns if one.is_integer}
    if table.kind is Kind.WAVEFORMS:
        encodings["counts.list.element"] = "DELTA_BINARY_PACKED"
    else:
        texts += [f"{name}.list.element" for name in lists]
    doubles = [one.name for one in table.columns if pa.types.is_floating(one.type)]
    return {
        "use_dictionary": [*texts, *doubles],
        "column_encoding": encodings,
        "compression": "zstd",
        "compression_level": ZSTD_LEVEL,
        "write_statistics": list(dict.fromkeys((*table.order, table.time, *_ends(table)))),
        "store_schema": False,
    }


def _ends(table: Table) -> tuple[str, ...]:
    return ("t_last_ns",) if table.kind is Kind.WAVEFORMS else ()


def _groups(kind: Kind, rows: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401
    """Cut rows into groups: first row, and the one behind the last."""
    n_rows = len(rows)
    if kind is not Kind.WAVEFORMS:
        yield from ((i, min(i + GROUP_ROWS, n_rows)) for i in range(0, n_rows, GROUP_ROWS))
        return
    n_samples = rows["n_samples"].to_numpy()
    edges = [0, *(np.flatnonzero(_is_new_channel(rows)) + 1).tolist(), n_rows]
    for begin, end in pairwise(edges):
        yield from _within(n_samples, begin, end)


def _is_new_channel(rows: Any) -> NDArray[np.bool_]:  # noqa: ANN401
    """Tell of each row but the first whether it is of another channel than the one before."""
    differs = np.zeros(max(0, len(rows) - 1), dtype=np.bool_)
    for name in ("device_id", "channel"):
        codes = rows[name].combine_chunks().dictionary_encode()
        indices = codes.indices.to_numpy(zero_copy_only=False)
        differs |= indices[1:] != indices[:-1]
    return differs


def _within(n_samples: NDArray[np.int32], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of one channel by their samples."""
    behind = np.cumsum(n_samples[begin:end], dtype=np.int64)
    at, n_before = begin, 0
    while at < end:
        i_end = begin + int(np.searchsorted(behind, n_before + GROUP_SAMPLES, side="right"))
        i_end = max(i_end, at + 1)
        yield at, i_end
        n_before = int(behind[i_end - 1 - begin])
        at = i_end
