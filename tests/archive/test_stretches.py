"""An archive that is read piece by piece: the same as at once, however the pieces fall."""

from pathlib import Path

import pytest

from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks.archive import SubjectArchive, frames, open_archive, stretches
from processors.sinks.archive.layout import day_of
from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import PERIOD, N, frame, rows_of
from tests.ingest import records
from tests.ingest.records import T0_NS

DAY_NS = 86_400 * NS_PER_S
N_FRAMES = 60
LATE = 7
"""This Frame came last, with the reading of a day before."""


def observation(second: int) -> Observation:
    return records.observation(t_ns=T0_NS + second * NS_PER_S, value=float(second))


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> SubjectArchive:
    folder = tmp_path_factory.mktemp("archive")
    given = [frame(i) for i in range(N_FRAMES) if i != LATE]
    late = records.frame(
        *frame(LATE).waveforms,
        *frame(N_FRAMES).waveforms,
        sequence=LATE,
        readings=(records.reading(t_ns=T0_NS - DAY_NS, value=97.0),),
    )
    with ArchiveWriter(folder) as writer:
        for some in (given[:25], given[20:], [late]):
            rows = rows_of(writer.number, *some)
            rows.add_observations([observation(second) for second in (3, 1, 2, -1)])
            writer.commit(rows.parts())
    return open_archive(folder).subject("p-1")


@pytest.mark.parametrize("n_at_once", [1, 7, 1_000])
def test_frames_are_the_same_however_many_are_made_at_once(
    subject: SubjectArchive, monkeypatch: pytest.MonkeyPatch, n_at_once: int
) -> None:
    monkeypatch.setattr(frames, "FRAMES_AT_ONCE", n_at_once)

    found = list(subject.frames())

    assert [one.sequence for one in found] == [
        *(i for i in range(N_FRAMES) if i != LATE),
        LATE,
    ]
    assert found[3] == frame(3)
    assert found[-1].readings[0].value == 97.0


@pytest.mark.parametrize("n_at_once", [1, 7, 1_000])
@pytest.mark.parametrize("length_ns", [NS_PER_S // 2, NS_PER_S, DAY_NS])
def test_blocks_come_once_and_in_order_of_time_however_late_they_came(
    subject: SubjectArchive, monkeypatch: pytest.MonkeyPatch, n_at_once: int, length_ns: int
) -> None:
    monkeypatch.setattr(stretches, "ROWS_AT_ONCE", n_at_once)
    monkeypatch.setattr(stretches, "BLOCKS_NS", length_ns)

    found = list(stretches.each_block(subject))

    assert [one.i_first for one in found] == [i * N for i in range(N_FRAMES + 1)]
    assert found[LATE] == frame(LATE).waveforms[0]


def test_blocks_of_a_time_are_those_with_a_sample_of_it(
    subject: SubjectArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "BLOCKS_NS", NS_PER_S)
    begin_ns = T0_NS + PERIOD.offset_ns(10 * N + 1)
    end_ns = T0_NS + PERIOD.offset_ns(30 * N + 1)

    found = list(stretches.each_block(subject, begin_ns, end_ns))

    assert [one.i_first // N for one in found] == list(range(10, 31))


@pytest.mark.parametrize("length_ns", [NS_PER_S, DAY_NS])
def test_observations_come_once_and_in_order_of_time(
    subject: SubjectArchive, monkeypatch: pytest.MonkeyPatch, length_ns: int
) -> None:
    monkeypatch.setattr(stretches, "OBSERVATIONS_NS", length_ns)

    assert [one.value for one in stretches.each_observation(subject)] == [-1.0, 1.0, 2.0, 3.0]
    some = stretches.each_observation(subject, T0_NS + NS_PER_S, T0_NS + 3 * NS_PER_S)
    assert [one.value for one in some] == [1.0, 2.0]


def test_only_the_days_of_a_time_are_read_and_what_came_later_is_found(tmp_path: Path) -> None:
    later = [
        records.frame(
            sequence=n,
            readings=(records.reading(t_ns=T0_NS + n * DAY_NS, value=96.0),),
        )
        for n in range(3)
    ]
    # The last one brings a sample of the third day, and a reading of the first.
    late = records.frame(
        records.block([1, 2], t0_ns=T0_NS + 2 * DAY_NS),
        sequence=3,
        readings=(records.reading(t_ns=T0_NS + NS_PER_S, value=95.0),),
    )
    with ArchiveWriter(tmp_path) as writer:
        writer.commit(rows_of(writer.number, *later, late).parts())
    subject = open_archive(tmp_path).subject("p-1")
    middle = tmp_path / "readings" / f"date={day_of(T0_NS + DAY_NS)}"
    for path in middle.rglob("*.parquet"):
        path.write_bytes(b"nobody reads this")

    found = list(subject.frames_about(T0_NS, T0_NS + 2 * NS_PER_S))

    assert [one.sequence for one in found] == [0, 2, 3]
