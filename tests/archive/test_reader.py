"""What is asked of an archive: signals, readings, events, observations, windows."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest.frame import NS_PER_S, DeviceEventKind, Frame, GapCause
from ingest.observation import Observation
from processors.sinks.archive import ArchiveError, Label, SubjectArchive, open_archive
from processors.sinks.archive.reader import ns_of
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import PERIOD, N, frame, frames, stored
from tests.ingest import records
from tests.ingest.records import T0_NS

N_FRAMES = 40
"""Eight seconds."""
LOST = range(20, 23)
"""Frames that did not come; a gap says so."""


def observation(second: int, value: float, name: str = "heart_rate") -> Observation:
    return records.observation(t_ns=T0_NS + second * NS_PER_S, value=value, name=name)


def stream() -> Iterator[Frame]:
    for one in frames(0, N_FRAMES):
        if one.sequence not in LOST:
            yield one
    first = frame(LOST.start).waveforms[0]
    yield records.frame(
        sequence=N_FRAMES,
        gaps=(
            records.gap(
                channel="ecg",
                cause=GapCause.RADIO_LOSS,
                i_first=first.i_first,
                n_samples=N * len(LOST),
                t0_ns=first.t0_ns,
            ),
        ),
        readings=(
            records.reading(t_ns=T0_NS + 2 * NS_PER_S, value=96.0),
            records.reading(t_ns=T0_NS, value=97.0),
        ),
        events=(
            records.event(t_ns=T0_NS + 1),
            records.event(t_ns=T0_NS, kind=DeviceEventKind.STREAM_STARTED),
        ),
    )


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> SubjectArchive:
    folder = tmp_path_factory.mktemp("archive")
    given = list(stream())
    with ArchiveWriter(folder) as writer:
        # The second commit repeats a part of the first, and comes in another order.
        for some in (given[:15], [*given[30:], *given[10:30]]):
            rows = Rows(writer.number)
            for one in some:
                rows.add_frame(one)
            rows.add_observations([observation(s, 60.0 + s) for s in (3, 1, 2)])
            rows.add_observations([observation(1, 97.0, "spo2")])
            rows.add_alarm(records.alarm(t_ns=T0_NS, active=True))
            rows.add_alarm(records.alarm(t_ns=T0_NS + 5, active=False))
            writer.commit(rows.parts())
    return open_archive(folder).subject("p-1")


def there() -> list[int]:
    return [i for one in range(N_FRAMES) if one not in LOST for i in range(one * N, (one + 1) * N)]


def test_a_signal_is_whole_in_order_and_each_sample_once(subject: SubjectArchive) -> None:
    assert len(stored(subject)) > len(there())

    found = subject.signal("ecg")

    assert found.counts.tolist() == there()
    assert found.t_ns.tolist() == [T0_NS + PERIOD.offset_ns(i) for i in there()]
    assert (found.unit, found.rate_hz, found.n_samples) == ("uV", 250.0, len(there()))
    assert np.array_equal(found.values, found.counts * 5.0 - 10.0)
    (gap,) = found.gaps
    assert (gap.i_first, gap.n_samples, gap.cause) == (LOST.start * N, 3 * N, GapCause.RADIO_LOSS)


def test_a_signal_is_given_from_a_time_on_and_before_another(subject: SubjectArchive) -> None:
    begin, end = T0_NS + NS_PER_S, T0_NS + 2 * NS_PER_S

    found = subject.signal("ecg", begin, end)

    assert found.counts.tolist() == list(range(250, 500))
    assert found.gaps == ()
    assert subject.signal("ecg", end + 1, end + 2).n_samples == 0
    as_text = f"{datetime.fromtimestamp(begin // NS_PER_S, UTC).isoformat()}"
    assert subject.signal("ecg", as_text, end).counts.tolist() == found.counts.tolist()


def test_the_times_of_a_question_are_read_exactly() -> None:
    assert ns_of("1970-01-02T00:00:00.000001Z") == 86_400 * NS_PER_S + 1_000
    assert ns_of("1970-01-01T01:00:00+01:00") == 0
    assert ns_of(datetime(1970, 1, 1)) == 0  # noqa: DTZ001
    assert ns_of(None) is None
    with pytest.raises(ArchiveError, match="'noon' is no time"):
        ns_of("noon")


def test_what_is_not_there_is_named(subject: SubjectArchive) -> None:
    with pytest.raises(ArchiveError, match="has no signal 'ecg/II'; it has strap-1/ecg"):
        subject.signal("ecg/II")
    with pytest.raises(ArchiveError, match="has no signal 'ecg' of other"):
        subject.signal("ecg", device_id="other")
    with pytest.raises(ArchiveError, match="no table 'wave'"):
        subject.rows("wave")


def test_signals_are_named_with_what_there_is_of_them(subject: SubjectArchive) -> None:
    (one,) = subject.signals()

    assert (str(one), one.unit, one.n_samples) == ("strap-1/ecg", "uV", len(there()))
    assert (one.first_ns, one.last_ns) == (T0_NS, T0_NS + PERIOD.offset_ns(N * N_FRAMES - 1))


def test_a_channel_of_two_devices_has_to_be_told_apart(tmp_path: Path) -> None:
    other = dataclasses.replace(frame(0).waveforms[0], device_id="patch-2", scale=2.0)
    with ArchiveWriter(tmp_path) as writer:
        rows = Rows(1)
        rows.add_frame(records.frame(frame(0).waveforms[0], other))
        writer.commit(rows.parts())
    found = open_archive(tmp_path).subject("p-1")

    with pytest.raises(ArchiveError, match="one of patch-2, strap-1 as device_id"):
        found.signal("ecg")
    assert found.signal("ecg", device_id="patch-2").scales.tolist() == [2.0]


def test_a_scale_that_changes_is_that_of_each_sample(tmp_path: Path) -> None:
    blocks = [
        dataclasses.replace(frame(n).waveforms[0], scale=scale)
        for n, scale in enumerate((1.0, 3.0))
    ]
    with ArchiveWriter(tmp_path) as writer:
        rows = Rows(1)
        rows.add_frame(records.frame(*blocks))
        writer.commit(rows.parts())

    found = open_archive(tmp_path).subject("p-1").signal("ecg")

    assert found.values.tolist() == [*blocks[0].physical(), *blocks[1].physical()]


def test_readings_events_observations_and_alarms_are_in_order_and_once(
    subject: SubjectArchive,
) -> None:
    assert [one.value for one in subject.readings()] == [97.0, 96.0]
    assert [one.value for one in subject.readings("spo2", T0_NS + 1)] == [96.0]
    assert subject.readings("pulse_rate") == []
    assert [one.kind for one in subject.events()] == [
        DeviceEventKind.STREAM_STARTED,
        DeviceEventKind.CONNECTED,
    ]
    assert [one.value for one in subject.observations("heart_rate")] == [61.0, 62.0, 63.0]
    assert len(subject.observations()) == 4
    assert subject.observations("heart_rate", T0_NS, T0_NS + NS_PER_S) == []
    assert [one.active for one in subject.alarms()] == [True, False]
    assert len(subject.gaps()) == 1
    assert subject.days() == ["2027-01-15"]


def test_a_frame_that_came_again_is_given_once(subject: SubjectArchive) -> None:
    found = list(subject.frames())

    assert sorted(one.sequence for one in found) == [
        n for n in range(N_FRAMES + 1) if n not in LOST
    ]
    assert all(one == expected for one, expected in zip(
        sorted(found, key=lambda one: one.sequence),
        sorted(stream(), key=lambda one: one.sequence),
        strict=True,
    ))  # fmt: skip


def test_windows_are_whole_and_have_their_labels(subject: SubjectArchive) -> None:
    # Of eight seconds 4.0 to 4.6 are missing.
    labels = [
        Label("walks", T0_NS, T0_NS + 2 * NS_PER_S),
        Label("falls", T0_NS + 2 * NS_PER_S, T0_NS + 2 * NS_PER_S),
    ]

    found = list(subject.windows(["ecg"], seconds=1, labels=labels))

    seconds = [(one.begin_ns - T0_NS) / NS_PER_S for one in found]
    assert seconds == [0, 1, 2, 3, 5, 6, 7]
    assert [[label.text for label in one.labels] for one in found[:4]] == [
        ["walks"],
        ["walks"],
        ["falls"],
        [],
    ]
    for one in found:
        first = round((one.begin_ns - T0_NS) / 4e6)
        assert one.values["ecg"].tolist() == [5.0 * i - 10.0 for i in range(first, first + 250)]
    overlapping = subject.windows(["ecg"], seconds=2, step=0.5)
    assert [(one.begin_ns - T0_NS) / NS_PER_S for one in overlapping] == [
        *(0, 0.5, 1, 1.5, 2),
        *(5, 5.5, 6),
    ]


def test_windows_of_nothing_are_refused(subject: SubjectArchive) -> None:
    with pytest.raises(ArchiveError, match="both must be positive"):
        list(subject.windows(["ecg"], seconds=0))
    with pytest.raises(ArchiveError, match="name at least one"):
        list(subject.windows([], seconds=1))
