import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from deploy.local.embedded_broker import EmbeddedBroker
from ingest.codec import (
    RECORD_BYTES_MAX,
    decode_dead_letter,
    encode_alarm,
    encode_dead_letter,
    encode_frame,
    encode_observations,
)
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.frame import NS_PER_S
from ingest.kafka import ConsumedRecord, create_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS, Topic
from processors.sinks import lanes as lanes_module
from processors.sinks import lines as lines_module
from processors.sinks import runner as runner_module
from processors.sinks.envelope import Envelope
from processors.sinks.envelope_kernel import N_SLOT_COLUMNS, N_SLOTS
from processors.sinks.lanes import BACK_OFF_S_MAX, N_LINES_MAX, back_off_s
from processors.sinks.lines import LineEncoder
from processors.sinks.runner import Sink, run_sink
from processors.sinks.store import StoreRefusedError, StoreUnavailableError
from processors.sinks.watched import WaveformChoice
from tests.ingest import records
from tests.ingest.records import T0_NS
from tests.sinks.line_protocol import points
from tests.sinks.memory_store import MemoryStore
from tests.waiting import WAIT_S

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

GROUP = "sink"
SOON_S = BACK_OFF_S_MAX - 5.0
"""Less than the back-off that a sink does not wait for, with room for a slow machine."""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """A broker of the test's own: the topics' names are fixed."""
    with EmbeddedBroker() as broker:
        yield broker


def settings_of(broker: EmbeddedBroker) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers,
        n_partitions=2,
        request_timeout_s=5.0,
        session_timeout_s=1.0,
    )


@pytest.fixture
async def kafka(broker: EmbeddedBroker) -> KafkaSettings:
    settings = settings_of(broker)
    await create_topics(settings)
    return settings


async def send(kafka: KafkaSettings, topic: Topic, *payloads: bytes, key: str = "p-1") -> None:
    async with open_producer(kafka) as producer:
        await producer.send(topic, [(key, payload) for payload in payloads])


def frame(sequence: int, **changes: object) -> bytes:
    """A second of one sample: it is over when the next one begins."""
    block = records.block(
        [sequence], i_first=sequence, t0_ns=T0_NS + sequence * NS_PER_S, channel="ecg"
    )
    return encode_frame(records.frame(block, sequence=sequence, **changes))


def stored(store: MemoryStore) -> list[int]:
    """The counts of the samples in the order in which they were stored."""
    samples = (line for line in store.lines if line.startswith(b"waveform,"))
    return [int(line.split(b" v=")[1].split(b"i ")[0]) for line in samples]


@asynccontextmanager
async def running(
    kafka: KafkaSettings, store: MemoryStore, *, n_records_max: int = 500
) -> AsyncIterator[asyncio.Event]:
    """Run the sink for a while; it must stop soon after it is told."""
    stop = asyncio.Event()
    sink = asyncio.create_task(
        run_sink(kafka, store, group=GROUP, n_records_max=n_records_max, stop=stop)
    )
    try:
        yield stop
        stop.set()
        async with asyncio.timeout(SOON_S):
            await sink
    finally:
        sink.cancel()
        await asyncio.wait([sink])


async def dead_letters(kafka: KafkaSettings, n_letters: int) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    async with (
        asyncio.timeout(WAIT_S),
        open_consumer(kafka, [DEAD_LETTERS], group=None) as consumer,
    ):
        while len(letters) < n_letters:
            found = await consumer.poll(timeout_s=0.5, n_records_max=100)
            letters += [decode_dead_letter(record.payload) for record in found]
    return letters


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


# With a broker


async def test_frames_observations_and_alarms_are_stored_and_what_is_over_is_not_read_again(
    kafka: KafkaSettings,
) -> None:
    await send(kafka, FRAMES, frame(0), frame(1))
    await send(kafka, OBSERVATIONS, encode_observations([records.observation()]))
    await send(kafka, ALARMS, encode_alarm(records.alarm()))
    store, again = MemoryStore(), MemoryStore()

    async with running(kafka, store):
        await store.until(lambda: len(store.points) == 7)
    await send(kafka, FRAMES, frame(2))
    async with running(kafka, again):
        await again.until(lambda: 2 in stored(again))

    encoder = LineEncoder()
    slots = np.zeros((N_SLOTS, N_SLOT_COLUMNS), dtype=np.int64)
    slots[0, 0] = 1
    envelope = Envelope(("p-1", "strap-1", "ecg"), T0_NS, 0, 0, 0.0, 1, slots.tobytes())
    expected = [
        *encoder.frame(records.frame(records.block([0], channel="ecg"))),
        *encoder.envelopes([envelope]),
        *encoder.observation(records.observation()),
        *encoder.alarm(records.alarm()),
    ]
    assert {line for piece in expected for line in piece.split(b"\n")} <= set(store.lines)
    assert stored(store) == [0, 1]
    # The second of Frame 1 was not over, nor the minute of the observation.
    assert stored(again) == [1, 2]
    assert not any(line.startswith(b"alarm") for line in again.lines)


async def test_nothing_is_lost_and_order_is_kept_while_the_store_is_away(
    kafka: KafkaSettings,
) -> None:
    store = MemoryStore(
        StoreUnavailableError("away, and it does not say for how long"),
        *[StoreUnavailableError("away", retry_after_s=0.01) for _ in range(5)],
    )
    retries = metric("chevet_processors_store_retries_total", store="memory")
    await send(kafka, FRAMES, *map(frame, range(100)))

    async with running(kafka, store, n_records_max=30):
        await store.until(lambda: len(stored(store)) == 100)

    assert stored(store) == list(range(100))
    assert metric("chevet_processors_store_retries_total", store="memory") == retries + 6


async def test_a_sink_that_is_stopped_while_the_store_is_away_stops_and_commits_nothing(
    kafka: KafkaSettings,
) -> None:
    away = MemoryStore(*[StoreUnavailableError("away", retry_after_s=29.0)] * 9)
    store = MemoryStore()
    await send(kafka, FRAMES, *map(frame, range(10)))

    async with running(kafka, away) as stop:
        await away.until(lambda: away.n_tries == 1)
        stop.set()
    async with running(kafka, store):
        await store.until(lambda: len(stored(store)) == 10)

    assert away.n_tries == 1
    assert stored(away) == []
    assert stored(store) == list(range(10))


async def test_a_sink_that_is_stopped_while_a_write_hangs_gives_it_up_and_commits_nothing(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "STOP_S_MAX", 0.2)
    hanging, store = MemoryStore(), MemoryStore()
    hanging.answers.clear()
    await send(kafka, FRAMES, *map(frame, range(10)))

    async with running(kafka, hanging) as stop:
        await hanging.until(lambda: hanging.n_tries == 1)
        stop.set()
    async with running(kafka, store):
        await store.until(lambda: len(stored(store)) == 10)

    assert stored(hanging) == []


async def test_a_write_that_is_under_way_at_the_stop_is_finished_and_committed(
    kafka: KafkaSettings,
) -> None:
    slow, again = MemoryStore(), MemoryStore()
    slow.answers.clear()
    await send(kafka, FRAMES, *map(frame, range(10)))

    async with running(kafka, slow) as stop:
        await slow.until(lambda: slow.n_tries == 1)
        stop.set()
        await asyncio.sleep(0)
        slow.answers.set()
    await send(kafka, FRAMES, frame(10))
    async with running(kafka, again):
        await again.until(lambda: 10 in stored(again))

    assert stored(slow) == list(range(10))
    assert stored(again) == [9, 10]


async def test_a_sink_that_is_cancelled_leaves_nothing_running(kafka: KafkaSettings) -> None:
    store = MemoryStore()
    store.answers.clear()
    await send(kafka, FRAMES, frame(0))
    sink = asyncio.create_task(
        run_sink(kafka, store, group=GROUP, n_records_max=1, stop=asyncio.Event())
    )
    await store.until(lambda: store.n_tries == 1)

    sink.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sink


class KilledError(Exception):
    """What a kill between a write and its commit is to the sink."""


async def test_what_was_stored_but_not_committed_comes_again_and_is_stored_once(
    kafka: KafkaSettings,
) -> None:
    store = MemoryStore()

    def kill() -> None:
        raise KilledError

    store.after_write = kill
    await send(kafka, FRAMES, *map(frame, range(10)))

    with pytest.raises(KilledError):
        async with asyncio.timeout(WAIT_S):
            await run_sink(kafka, store, group=GROUP, n_records_max=500, stop=asyncio.Event())
    n_before = len(store.points)
    store.after_write = lambda: None
    async with running(kafka, store):
        await store.until(lambda: len(store.writes) >= 2)

    # Samples, what they mean, and the envelopes of what is over.
    assert n_before == 10 + 1 + 9 + 9
    assert len(store.points) == n_before
    assert stored(store)[:10] == stored(store)[10:] == list(range(10))


async def test_junk_becomes_dead_letters_and_the_rest_is_stored(kafka: KafkaSettings) -> None:
    store = MemoryStore()
    longest = bytes(RECORD_BYTES_MAX)
    await send(kafka, FRAMES, frame(0), b"junk", frame(1), frame(2)[:-1], longest, frame(3))
    await send(kafka, OBSERVATIONS, frame(9), encode_observations([records.observation()]))
    await send(kafka, ALARMS, b"")

    async with running(kafka, store):
        letters = await dead_letters(kafka, 5)
        await store.until(lambda: len(stored(store)) == 3)

    by_payload = {letter.payload: letter for letter in letters}
    assert stored(store) == [0, 1, 3]
    assert set(by_payload) == {b"junk", frame(2)[:-1], longest, frame(9), b""}
    assert by_payload[b"junk"].offset == 1
    assert by_payload[frame(2)[:-1]].offset == 3
    assert by_payload[b"junk"].reason.startswith("no Avro single-object header in 6a756e6b")
    assert by_payload[frame(9)].reason.startswith("unknown schema")
    assert by_payload[frame(9)].topic == OBSERVATIONS.name
    assert by_payload[b""].topic == ALARMS.name
    assert {letter.source for letter in letters} == {"sink-memory"}
    assert {(letter.key, letter.content) for letter in letters} == {(b"p-1", LetterContent.RECORD)}
    assert all(letter.timestamp_ms for letter in letters)


async def test_lines_that_the_store_rejects_become_dead_letters_of_their_record(
    kafka: KafkaSettings,
) -> None:
    store = MemoryStore(rejects=lambda line: b" v=7i" in line or b" v=8i" in line)
    await send(kafka, FRAMES, *map(frame, range(10)))

    async with running(kafka, store):
        letters = await dead_letters(kafka, 2)

    assert [(letter.topic, letter.offset) for letter in letters] == [
        (FRAMES.name, 7),
        (FRAMES.name, 8),
    ]
    assert all(letter.reason == "rejected as told" for letter in letters)
    assert {(letter.key, letter.content) for letter in letters} == {(b"p-1", LetterContent.LINES)}
    assert all(letter.timestamp_ms for letter in letters)
    for i, letter in zip((7, 8), letters, strict=True):
        assert letter.payload.startswith(b"waveform,")
        assert b" v=%di " % i in letter.payload
    assert stored(store) == [0, 1, 2, 3, 4, 5, 6, 9]


async def test_a_store_that_refuses_ends_the_sink_and_nothing_is_committed(
    kafka: KafkaSettings,
) -> None:
    await send(kafka, FRAMES, *map(frame, range(10)))
    store = MemoryStore()

    with pytest.raises(StoreRefusedError):
        async with asyncio.timeout(WAIT_S):
            await run_sink(
                kafka,
                MemoryStore(StoreRefusedError("no")),
                group=GROUP,
                n_records_max=500,
                stop=asyncio.Event(),
            )
    async with running(kafka, store):
        await store.until(lambda: len(stored(store)) == 10)

    assert metric("chevet_processors_ready", role="sink-memory") == 0.0


async def test_a_sink_without_work_stops_soon(kafka: KafkaSettings) -> None:
    store = MemoryStore()
    await send(kafka, FRAMES, frame(0))

    async with running(kafka, store) as stop:
        await store.until(lambda: stored(store) == [0])
        assert metric("chevet_processors_ready", role="sink-memory") == 1.0
        stop.set()

    assert metric("chevet_processors_ready", role="sink-memory") == 0.0


# Without a broker


async def test_a_sink_without_a_broker_goes_on_trying_and_stores_when_it_is_there() -> None:
    broker, store = EmbeddedBroker(), MemoryStore()
    kafka = settings_of(broker)

    try:
        async with running(kafka, store):
            await asyncio.to_thread(broker.start)
            await create_topics(kafka)
            await send(kafka, FRAMES, frame(0))
            await store.until(lambda: stored(store) == [0])
    finally:
        await asyncio.to_thread(broker.kill)

    assert stored(store) == [0]


async def test_a_sink_that_is_stopped_while_the_broker_is_away_stops_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka, tried = settings_of(EmbeddedBroker()), asyncio.Event()

    def long_back_off(_n_tries: int) -> float:
        tried.set()
        return BACK_OFF_S_MAX

    monkeypatch.setattr(runner_module, "back_off_s", long_back_off)

    async with running(kafka, MemoryStore()):
        async with asyncio.timeout(WAIT_S):
            await tried.wait()


# The sink alone


def consumed(*payloads: bytes, topic: Topic = FRAMES) -> list[ConsumedRecord]:
    return [
        ConsumedRecord(topic=topic.name, partition=1, offset=i, payload=payload)
        for i, payload in enumerate(payloads)
    ]


async def store_all(store: MemoryStore, records: list[ConsumedRecord]) -> list[DeadLetter]:
    sink = Sink(store, asyncio.Event())
    async with asyncio.timeout(60), sink.opened():
        await sink.take(records)
        settled, offsets = await sink.settle(everything=True)
    assert set(offsets) == {(records[0].topic, 1)}
    return [letter for batch in settled for letter in batch.letters]


async def test_one_frame_is_written_in_pieces_if_it_is_long() -> None:
    store = MemoryStore(rejects=lambda line: b" v=99999i " in line)
    counts = np.arange(120_000, dtype=np.int32)
    payload = encode_frame(records.frame(records.block(counts)))
    accepted = metric("chevet_processors_lines_stored_total", store="memory")

    letters = await store_all(store, consumed(frame(0), payload))

    assert [letter.offset for letter in letters] == [1]
    assert max(store.writes) <= N_LINES_MAX
    samples = [line for line in store.lines if b"MLII" in line and line.startswith(b"waveform,")]
    values = [int(line.split(b" v=")[1].split(b"i ")[0]) for line in samples]
    assert values == [i for i in range(120_000) if i != 99_999]
    n_accepted = metric("chevet_processors_lines_stored_total", store="memory") - accepted
    assert n_accepted == len(store.lines)


async def test_long_lines_are_written_in_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "LINES_BYTES_MAX", 100_000)
    monkeypatch.setattr(lines_module, "PIECE_BYTES_MAX", 10_000)
    store = MemoryStore()
    block = records.block(range(1_000), channel="x" * 1_000)

    await store_all(store, consumed(encode_frame(records.frame(block))))

    assert max(store.writes) < 110
    assert stored(store) == list(range(1_000))


async def test_a_record_longer_than_any_may_be_has_a_dead_letter_that_can_be_sent() -> None:
    oversize = bytes(RECORD_BYTES_MAX + 1)

    (letter,) = await store_all(MemoryStore(), consumed(oversize))

    assert letter.reason.startswith("8000001 bytes; at most 8000000")
    assert len(decode_dead_letter(encode_dead_letter(letter)).payload) == RECORD_BYTES_MAX


async def test_nothing_is_written_where_nothing_can_be_used() -> None:
    store = MemoryStore()

    letters = await store_all(store, consumed(b"1", b"2", topic=ALARMS))

    assert len(letters) == 2
    assert store.n_tries == 0


async def test_the_time_from_radio_to_store_is_measured_once_for_each_block() -> None:
    name = "chevet_processors_radio_to_stored_seconds_count"
    before = metric(name)
    block = records.block(received_ns=time.time_ns())
    payload = encode_frame(records.frame(block, records.block(channel="v5")))
    store = MemoryStore(StoreUnavailableError("away", retry_after_s=0.001))

    await store_all(store, consumed(payload, payload))

    assert metric(name) - before == 2


async def test_only_the_waveforms_of_those_who_are_watched_are_stored() -> None:
    store = MemoryStore()
    sink = Sink(store, asyncio.Event(), WaveformChoice("watched", ["icu-*", "p-7"]))
    subjects = ["p-7", "p-70", "icu-3", "ward-icu-3"]
    seconds = [
        encode_frame(records.frame(records.block([5] * 360), subject_id=subject))
        for subject in subjects
    ]

    async with asyncio.timeout(60), sink.opened():
        await sink.take(consumed(*seconds))
        await sink.settle(everything=True)

    by_measurement: dict[str, set[str]] = {}
    for point in points(store.lines):
        by_measurement.setdefault(point.measurement, set()).add(point.tags["subject"])
    assert by_measurement == {
        "waveform": {"p-7", "icu-3"},
        "waveform_meta": set(subjects),
        "envelope": set(subjects),
        "envelope_25hz": {"p-7", "icu-3"},
    }


@given(st.integers(1, 10_000))
def test_a_back_off_grows_to_a_bound(n_tries: int) -> None:
    assert 0.37 < back_off_s(n_tries) < BACK_OFF_S_MAX * 1.25
    assert back_off_s(1) < 0.63 < back_off_s(2)


@pytest.mark.parametrize(("bound", "n_batches"), [("BATCHES_MAX", 5), ("LETTERS_BYTES_MAX", 3)])
async def test_no_more_is_read_than_may_wait_even_if_it_is_junk(
    bound: str, n_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, bound, 5)
    store = MemoryStore()
    store.answers.clear()
    sink = Sink(store, asyncio.Event())
    n_taken, reached = 0, asyncio.Event()

    async def read() -> list[DeadLetter]:
        nonlocal n_taken
        letters: list[DeadLetter] = []
        for record in consumed(frame(0), *[b"junk"] * 8):
            await sink.take([record])
            n_taken += 1
            if n_taken == n_batches:
                reached.set()
            settled, _ = await sink.settle()
            letters += [letter for batch in settled for letter in batch.letters]
        return letters

    async with asyncio.timeout(20), sink.opened():
        reading = asyncio.create_task(read())
        await reached.wait()
        await store.until(lambda: store.n_tries == 1)
        assert n_taken == n_batches
        store.answers.set()

        assert len(await reading) == 8
