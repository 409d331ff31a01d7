"""Everything that may stand on a topic, between the good Frames of two subjects, on real Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError

from deploy.local.kafka import KafkaBroker
from devices import codes
from ingest import codec
from ingest.codec import (
    RECORD_BYTES_MAX,
    decode_frame,
    decode_observations,
    encode_frame,
    fingerprint,
)
from ingest.dead_letter import DeadLetter
from ingest.errors import OversizedRecordError
from ingest.frame import NS_PER_S, TIME_NS_MAX, Frame, SamplePeriod, WaveformBlock
from ingest.frame_limits import FRAME_LIMITS, N_BLOCKS_MAX, N_SAMPLES_MAX
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.observation import N_OBSERVATIONS_MAX, Observation
from ingest.settings import KafkaSettings
from ingest.topics import DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors.pipeline import SubjectPipeline
from tests.ingest import records
from tests.pipeline import bedside
from tests.stored import letter_of
from tests.worker.test_worker import worker

WAIT_S = 120.0
ECG_S = 1_950
"""Half an hour in one Frame: more follows from it than one record of observations may hold."""

LONG_BYTES = 10_000_000
YEAR_2100_NS = 4_102_444_800 * NS_PER_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Bad = list[tuple[str, bytes | None]]
Places = list[tuple[int, int]]


def raw_frame(**fields: Any) -> bytes:  # noqa: ANN401
    """Write what no Frame can be made of."""
    said: dict[str, Any] = {"subject_id": "p", "agent_id": "a", "sequence": 0}
    return codec._encode("frame.2", {**said, **dict.fromkeys(FRAME_LIMITS, ()), **fields})


def bad_records() -> Bad:
    """Give what must be refused, each with what the reason says of it."""
    good = encode_frame(records.FULL_FRAME)
    reading = codec._fields(records.reading())
    return [
        ("no Avro single-object header in no bytes", None),
        ("no Avro single-object header in no bytes", b""),
        ("no Avro single-object header in 6a756e6b", b"junk"),
        ("no Avro single-object header in c3", b"\xc3"),
        ("unknown schema 0000000000000000", b"\xc3\x01" + bytes(8)),
        ("unknown schema ffffffffffffffff", b"\xc3\x01" + b"\xff" * 8 + good[10:]),
        (f"unknown schema {fingerprint('alarm.1').hex()}", codec.encode_alarm(records.alarm())),
        ("not a frame.2: ", good[: codec.HEADER_BYTES]),
        ("not a frame.2: ", good[: len(good) // 2]),
        ("not a frame.2: ", good[:-3]),
        ("3 bytes after the end of a frame.2", good + b"xyz"),
        ("t_ns -1 is not within", raw_frame(readings=[{**reading, "t_ns": -1}])),
        (
            f"t_ns {TIME_NS_MAX + 1} is not within",
            raw_frame(readings=[{**reading, "t_ns": TIME_NS_MAX + 1}]),
        ),
        (f"{LONG_BYTES} bytes; at most {RECORD_BYTES_MAX} are allowed", bytes(LONG_BYTES)),
    ]


def ecg_block(device_id: str, n_samples: int) -> WaveformBlock:
    noise = np.random.default_rng(1).integers(-1_000, 1_000, n_samples)
    return WaveformBlock(
        device_id=device_id,
        channel="ecg",
        mdc_code=codes.ECG_II.mdc,
        unit="uV",
        scale=1.0,
        offset=0.0,
        i_first=0,
        t0_ns=bedside.START_NS,
        period=SamplePeriod(ns_numerator=4_000_000, ns_denominator=1),
        counts=noise.astype(np.int32),
    )


def frame_at_all_limits() -> Frame:
    n_ecg = ECG_S * 250
    n_rest, n_others = N_SAMPLES_MAX - n_ecg, N_BLOCKS_MAX - 1
    sizes = [n_rest // n_others + (i < n_rest % n_others) for i in range(n_others)]
    others = (ecg_block(f"d-{i}", size) for i, size in enumerate(sizes))
    one_of_each: dict[str, Callable[[], Any]] = {
        "readings": records.reading,
        "clocks": records.clock,
        "gaps": records.gap,
        "events": records.event,
        "ledger": records.totals,
        "losses": records.loss,
    }
    fields: dict[str, Any] = {
        name: (make(),) * FRAME_LIMITS[name] for name, make in one_of_each.items()
    }
    return replace(records.frame(), waveforms=(ecg_block("strap-1", n_ecg), *others), **fields)


def at(frame: Frame, t_ns: int) -> Frame:
    """Move a Frame to another time."""
    by_ns = t_ns - bedside.START_NS
    return replace(
        frame,
        waveforms=tuple(replace(one, t0_ns=one.t0_ns + by_ns) for one in frame.waveforms),
        readings=tuple(replace(one, t_ns=one.t_ns + by_ns) for one in frame.readings),
        events=tuple(replace(one, t_ns=one.t_ns + by_ns) for one in frame.events),
    )


def good_frames(name: str) -> list[Frame]:
    """Two subjects at the bedside, in turns, and in between those that nobody has seen before."""
    frames = bedside.frames(Fraction(1), seconds=20.0)
    never_seen = [
        replace(at(frames[0], 0), subject_id=f"{name}-1970"),
        replace(at(frames[0], YEAR_2100_NS), subject_id=f"{name}-2100"),
        replace(frame_at_all_limits(), subject_id=f"{name}-limits"),
    ]
    found: list[Frame] = []
    for n, frame in enumerate(frames):
        found += [replace(frame, subject_id=f"{name}-{subject}") for subject in ("a", "b")]
        if n % 5 == 4 and never_seen:
            found.append(never_seen.pop())
    return found


def in_process(frames: list[Frame]) -> dict[str, list[Observation]]:
    """Give what follows from the Frames, by subject, without a broker."""
    pipelines: dict[str, SubjectPipeline] = {}
    found: dict[str, list[Observation]] = defaultdict(list)
    for frame in frames:
        name = frame.subject_id
        pipeline = pipelines.setdefault(name, SubjectPipeline(name))
        outputs = pipeline.process(decode_frame(encode_frame(frame)))
        found[name] += [one for one in outputs if isinstance(one, Observation)]
    return {name: observations for name, observations in found.items() if observations}


async def send(settings: KafkaSettings, frames: list[Frame], bad: Bad) -> tuple[Places, Places]:
    """Send Frames, and before each, with its key, something bad as long as there is any.

    Give partition and offset of what is bad, and of everything.
    """
    left = [value for _, value in bad]
    bad_places: Places = []
    places: Places = []
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        max_request_size=2 * LONG_BYTES,
        compression_type="gzip",
    ) as producer:
        for frame in frames:
            for value in (*left[:1], encode_frame(frame)):
                sent = await producer.send_and_wait(
                    FRAMES.name, value, key=frame.subject_id.encode()
                )
                places.append((sent.partition, sent.offset))
            if left:
                bad_places.append(places[-2])
                del left[0]
    assert not left
    return bad_places, places


async def observed(
    settings: KafkaSettings, expected: dict[str, list[Observation]]
) -> dict[str, list[Observation]]:
    """Read until there are as many as expected."""
    found: dict[str, list[Observation]] = {name: [] for name in expected}
    async with open_consumer(settings, (OBSERVATIONS,), group=None) as reader:
        while any(len(found[name]) < len(expected[name]) for name in expected):
            for record in await reader.poll(timeout_s=1.0, n_records_max=100):
                observations = decode_observations(record.payload)
                if observations[0].subject_id in found:
                    found[observations[0].subject_id] += observations
    return found


async def letters_of(settings: KafkaSettings, name: str, n_letters: int) -> list[DeadLetter]:
    """Read until there are so many letters with keys of this test."""
    found: list[DeadLetter] = []
    async with open_consumer(settings, (DEAD_LETTERS,), group=None) as reader:
        while len(found) < n_letters:
            for record in await reader.poll(timeout_s=1.0, n_records_max=10):
                letter = letter_of(record)
                if letter and letter.key is not None and letter.key.startswith(name.encode()):
                    found.append(letter)
    return found


async def committed(settings: KafkaSettings, group: str, places: Places) -> None:
    """Wait until the group has committed all of it."""
    # The highest offset of a partition comes last.
    ends = {TopicPartition(FRAMES.name, partition): offset + 1 for partition, offset in places}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        while True:
            offsets = await admin.list_consumer_group_offsets(group)
            if all(place in offsets and offsets[place].offset >= ends[place] for place in ends):
                return
            await asyncio.sleep(0.2)
    finally:
        await admin.close()


async def test_nothing_on_the_topic_stalls_the_worker_or_changes_what_others_get(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    frames, bad = good_frames(unique_name), bad_records()
    expected = in_process(frames)
    assert max(map(len, expected.values())) > N_OBSERVATIONS_MAX

    bad_places, places = await send(settings, frames, bad)
    with worker(settings, tmp_path, unique_name) as process:
        async with asyncio.timeout(WAIT_S):
            found = await observed(settings, expected)
            letters = await letters_of(settings, unique_name, len(bad))
            await committed(settings, unique_name, places)
        assert process.poll() is None

    assert found == expected
    by_place = {(letter.partition, letter.offset): letter for letter in letters}
    assert len(by_place) == len(letters) == len(bad)
    for place, (reason, value) in zip(bad_places, bad, strict=True):
        letter = by_place[place]
        assert reason in letter.reason
        assert letter.payload == (value or b"")[:RECORD_BYTES_MAX]
        assert letter.n_bytes_cut == max(0, len(value or b"") - RECORD_BYTES_MAX)
        assert letter.timestamp_ms


async def test_what_is_too_long_and_cannot_be_compressed_never_reaches_the_topic(
    kafka_broker: KafkaBroker,
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    noise = np.random.default_rng(1).bytes(LONG_BYTES)

    async with open_producer(settings) as ours:
        with pytest.raises(OversizedRecordError):
            await ours.send(FRAMES, [("p", noise)])
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_request_size=2 * LONG_BYTES
    ) as theirs:
        with pytest.raises(MessageSizeTooLargeError):
            await theirs.send_and_wait(FRAMES.name, noise, key=b"p")


async def test_a_record_stamped_in_2100_is_refused_by_the_broker(kafka_broker: KafkaBroker) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)

    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        with pytest.raises(InvalidTimestampError):
            await producer.send_and_wait(
                FRAMES.name, b"", key=b"p", timestamp_ms=YEAR_2100_NS // 1_000_000
            )
