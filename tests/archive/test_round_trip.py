"""What went into the archive comes out of it, whatever it was."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.analyze import EPOCH_NS
from deploy.record_commands import import_recording
from ingest.frame import INDEX_MAX, NS_PER_S, TIME_NS_MAX, Frame, SamplePeriod
from ingest.observation import AlarmEvent, Observation
from ingest.recording import Recording, Signal, open_recording
from ingest.replay import _known_channels
from processors.sinks.archive import open_archive
from processors.sinks.archive.frames import alarm_of, frames_of_rows, observation_of
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.parquet import parquet_bytes, read_rows
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.signal import times_of
from processors.sinks.archive.writer import ArchiveWriter
from tests.ingest import records

Tables = dict[tuple[str, str], dict[Kind, Any]]


def written(rows: Rows) -> Tables:
    """Everything as Parquet bytes, and read again: by subject and day."""
    tables: Tables = defaultdict(dict)
    for part in rows.parts():
        read = read_rows(pa.BufferReader(parquet_bytes(part)), part.kind)
        tables[part.subject_id, part.day][part.kind] = read
    return tables


def rows_of(frames: Iterable[Frame]) -> Rows:
    rows = Rows(commit=7)
    for frame in frames:
        rows.add_frame(frame, partition=3, offset=2**40)
    return rows


@settings(max_examples=30)
@given(st.lists(records.frames, max_size=3))
def test_any_frames_come_out_as_they_went_in(frames: list[Frame]) -> None:
    tables = written(rows_of(frames))

    found = [frame for one in tables.values() for frame in frames_of_rows(one)]

    assert len(found) == len(frames)
    assert all(frame in found for frame in frames)


def test_frames_of_one_day_come_out_in_the_order_in_which_they_came() -> None:
    frames = [
        dataclasses.replace(records.FULL_FRAME, sequence=sequence, agent_id=agent_id)
        for sequence, agent_id in ((5, "a"), (4, "a"), (4, "b"), (5, "a"), (6, "b"))
    ]
    (tables,) = written(rows_of(frames)).values()

    assert list(frames_of_rows(tables)) == frames


def test_a_frame_without_anything_is_kept_where_its_neighbours_are() -> None:
    frames = [records.FULL_FRAME, records.frame(sequence=42)]

    (tables,) = written(rows_of(frames)).values()

    assert list(frames_of_rows(tables)) == frames


@settings(max_examples=40)
@given(st.lists(records.observations, max_size=6), st.lists(records.alarms, max_size=4))
def test_any_observations_and_alarms_come_out_as_they_went_in(
    observations: list[Observation], alarms: list[AlarmEvent]
) -> None:
    rows = Rows(commit=1)
    rows.add_observations(observations)
    for alarm in alarms:
        rows.add_alarm(alarm)
    tables = written(rows).values()

    found = [
        observation_of(row)
        for one in tables
        if Kind.OBSERVATIONS in one
        for row in one[Kind.OBSERVATIONS].to_pylist()
    ]
    ended = [
        alarm_of(row)
        for one in tables
        if Kind.ALARMS in one
        for row in one[Kind.ALARMS].to_pylist()
    ]

    assert Counter(map(repr, found)) == Counter(map(repr, observations))
    assert Counter(map(repr, ended)) == Counter(map(repr, alarms))


@settings(max_examples=60)
@given(st.lists(records.blocks, min_size=1, max_size=4), st.data())
def test_the_time_of_every_sample_is_the_one_of_its_block(
    blocks: Sequence[Any], data: st.DataObject
) -> None:
    # Cut, so that rows follow one another on one grid.
    cuts = [data.draw(st.integers(0, block.n_samples)) for block in blocks]
    cut = [
        dataclasses.replace(
            block,
            i_first=block.i_first + begin,
            t0_ns=block.time_ns(block.i_first + begin),
            counts=block.counts[begin:end],
        )
        for block, at in zip(blocks, cuts, strict=True)
        for begin, end in ((0, at), (at, block.n_samples))
        if begin < end
        and block.i_first + begin <= INDEX_MAX
        and block.time_ns(block.i_first + begin) <= TIME_NS_MAX
    ]
    rows = rows_of([dataclasses.replace(records.frame(*cut), sequence=n) for n in range(1)])
    (part,) = [one for one in rows.parts() if one.kind is Kind.WAVEFORMS]

    expected: Counter[int] = Counter()
    for block in cut:
        expected.update(block.times_ns().tolist())
    assert Counter(times_of(part.rows).tolist()) == expected


def test_the_times_of_a_long_stream_with_an_awkward_period_are_exact() -> None:
    period = SamplePeriod(ns_numerator=10**12 - 1, ns_denominator=10**12 - 11)
    blocks = [
        records.block(
            np.zeros(900_000),
            period=period,
            i_first=n * 900_000,
            t0_ns=records.T0_NS + period.offset_ns(n * 900_000),
        )
        for n in range(3)
    ]
    rows = Rows(commit=1)
    for block in blocks:
        rows.add_frame(records.frame(block))
    (part,) = [one for one in rows.parts() if one.kind is Kind.WAVEFORMS]

    times = times_of(part.rows)

    assert np.array_equal(times, np.concatenate([block.times_ns() for block in blocks]))


def test_a_subject_may_have_any_name(tmp_path: Path) -> None:
    names = ["icu-7", "a/b", "..", "ø 心", "%2F", "~", "x" * 900, "=", " "]
    with ArchiveWriter(tmp_path) as writer:
        writer.commit(
            rows_of([records.frame(records.block(), subject_id=n) for n in names]).parts()
        )

    archive = open_archive(tmp_path)

    assert archive.subjects() == sorted(names)
    for name in names:
        assert [one.subject_id for one in archive.subject(name).frames()] == [name]


def channels_of(recording: Recording) -> Iterator[tuple[str, Signal]]:
    """The signals that have a code and a value, by the names of their channels."""
    for channel in _known_channels(recording):
        if channel.signal.n_missing < channel.signal.n_samples:
            yield channel.name, channel.signal


def recordings_of(data: Path) -> list[Path]:
    found = sorted([*(data / "mitdb").glob("*.hea"), *(data / "bidmc").glob("*.hea")])
    return [one.with_suffix("") for one in found if not one.stem.endswith("n")]


def test_every_integer_of_a_recording_is_in_the_archive_at_its_exact_time(
    chevet_data: Path, tmp_path: Path
) -> None:
    paths = recordings_of(chevet_data)
    n_samples = 0
    for path in paths:
        done = import_recording(str(path), tmp_path, subject=None, start=None, duration_s=None)
        n_samples += done["samples"]
    archive = open_archive(tmp_path)
    n_found = 0
    for path in paths:
        recording = open_recording(str(path), beats=False)
        subject = archive.subject(recording.name)
        for name, signal in channels_of(recording):
            found = subject.signal(name)
            there = np.concatenate([np.arange(*one) for one in signal.present(0, signal.n_samples)])
            period = NS_PER_S / signal.sampling_rate
            times = EPOCH_NS + there * period.numerator // period.denominator
            assert np.array_equal(found.counts, signal.counts[there]), (path, name)
            assert np.array_equal(found.t_ns, times), (path, name)
            n_found += found.n_samples
    print(f"{len(paths)} recordings, {n_found} of {n_samples} samples identical")
    assert n_found == n_samples
    assert len(paths) > 2


@pytest.mark.parametrize("channel", ["ecg/MLII", "acc/x"])
def test_the_full_frame_gives_its_signals(tmp_path: Path, channel: str) -> None:
    with ArchiveWriter(tmp_path) as writer:
        writer.commit(rows_of([records.FULL_FRAME]).parts())
    (block,) = (one for one in records.FULL_FRAME.waveforms if one.channel == channel)

    found = open_archive(tmp_path).subject("p-1").signal(channel)

    assert found.counts.tolist() == block.counts.tolist()
    assert found.t_ns.tolist() == block.times_ns().tolist()
    assert found.values.tolist() == block.physical().tolist()
    assert (found.unit, found.device_id) == (block.unit, block.device_id)
    expected = [one for one in records.FULL_FRAME.gaps if one.channel == channel]
    assert sorted(found.gaps, key=str) == sorted(expected, key=str)
