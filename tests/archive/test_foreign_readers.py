"""Tools that know nothing of Chevet read the archive, as docs/archive.md says."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import PERIOD, N, frames, rows_of
from tests.ingest import records

PAGE: Final = Path("docs/archive.md")
N_FRAMES: Final = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("archive")
    with ArchiveWriter(made) as writer:
        for first in range(0, N_FRAMES, 2):
            rows = rows_of(writer.number, *frames(first, first + 2), *frames(0, 1, "p-2"))
            rows.add_observations([records.observation(t_ns=records.T0_NS + first)])
            rows.add_frame(
                records.frame(
                    records.block(
                        np.arange(5) + 5 * first,
                        channel="ecg/360",
                        i_first=7 + 5 * first,
                        t0_ns=records.T0_NS + records.HZ_360.offset_ns(7 + 5 * first),
                    ),
                    sequence=100 + first,
                )
            )
            writer.commit(rows.parts())
    return made


def code_of(name: str, folder: Path) -> str:
    """The example of the page, with this archive in the place of its."""
    (block,) = re.findall(
        rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert "study" in block
    return str(block).replace("study", str(folder)).replace("icu-7", "p-1")


def run(name: str, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(code_of(name, folder), found)  # noqa: S102
    return found


def expected() -> tuple[list[int], list[float]]:
    times = [records.T0_NS + PERIOD.offset_ns(i) for i in range(N * N_FRAMES)]
    return times, [5.0 * i - 10.0 for i in range(N * N_FRAMES)]


def test_pandas_reads_every_sample_with_its_time(folder: Path) -> None:
    samples = run("pandas", folder)["samples"].sort_values("t_ns")

    assert (samples["t_ns"].tolist(), samples["value"].tolist()) == expected()


def test_polars_reads_every_sample_with_its_time(folder: Path) -> None:
    samples = run("polars", folder)["samples"].sort("t_ns")

    assert (samples["t_ns"].to_list(), samples["value"].to_list()) == expected()


def test_duckdb_reads_every_sample_with_its_time(folder: Path) -> None:
    samples = sorted(run("duckdb", folder)["samples"])

    assert ([one[0] for one in samples], [one[1] for one in samples]) == expected()


def test_the_exact_time_in_sql_is_exact(folder: Path) -> None:
    import duckdb

    text = code_of("exact", folder).replace("ecg/II", "ecg/360")
    relation = duckdb.sql(text)
    assert relation is not None
    found = sorted(relation.fetchall())

    i = [7 + 5 * first + k for first in range(0, N_FRAMES, 2) for k in range(5)]
    assert [one[0] for one in found] == [records.T0_NS + records.HZ_360.offset_ns(n) for n in i]


def test_our_own_reader_does_as_the_page_says(folder: Path) -> None:
    found = run("chevet", folder)

    assert (found["ecg"].t_ns.tolist(), found["ecg"].values.tolist()) == expected()
    assert len(found["rates"]) == N_FRAMES // 2
