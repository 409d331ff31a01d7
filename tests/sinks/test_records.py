from dataclasses import replace

import pytest

from ingest.codec import encode_alarm, encode_frame, encode_observations, encode_role_status
from ingest.errors import RecordError
from ingest.frame import NS_PER_S
from ingest.kafka import ConsumedRecord
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS, STATUS, Topic
from processors.sinks import records as records_module
from processors.sinks.records import RecordEncoder, load_kernels
from tests.ingest import records
from tests.ingest.records import HZ_360, T0_NS

QUARTER = 90


def quarter(
    i: int, partition: int = 3, *, subject_id: str = "p-1", offset: int | None = None
) -> ConsumedRecord:
    """A quarter of a second, of the quarter's number."""
    block = records.block(
        [i] * QUARTER, i_first=i * QUARTER, t0_ns=T0_NS + HZ_360.offset_ns(i * QUARTER)
    )
    payload = encode_frame(replace(records.frame(block, sequence=i), subject_id=subject_id))
    return ConsumedRecord(
        topic=FRAMES.name,
        partition=partition,
        offset=i if offset is None else offset,
        payload=payload,
    )


def envelopes(encoder: RecordEncoder, record: ConsumedRecord) -> list[bytes]:
    return [piece for piece in encoder.encode(record).pieces if piece.startswith(b"envelope,")]


def test_what_must_come_again_begins_with_the_second_that_is_not_over() -> None:
    encoder = RecordEncoder()

    needed = []
    for i in range(6):
        envelopes(encoder, quarter(i))
        needed.append(encoder.first_needed()[FRAMES.name, 3])

    assert needed == [0, 0, 0, 0, 4, 4]


@pytest.mark.parametrize("resumed_at", [0, 2, 6])
def test_a_partition_that_was_elsewhere_begins_anew(resumed_at: int) -> None:
    """Else what is remembered of it would be written over what another sink has stored."""
    encoder = RecordEncoder()
    for i in range(3):
        assert envelopes(encoder, quarter(i)) == []

    found = [line for i in range(resumed_at, 8) for line in envelopes(encoder, quarter(i))]

    assert len(found) == {0: 2, 2: 1, 6: 0}[resumed_at]
    assert all(b"n_samples=360i" in line for line in found)


def test_the_parts_of_a_second_are_written_of_those_whose_samples_are() -> None:
    encoder = RecordEncoder(lambda subject_id: subject_id == "watched")

    written = [
        line
        for offset in range(10)
        for piece in encoder.encode(
            quarter(offset // 2, subject_id=("watched", "other")[offset % 2], offset=offset)
        ).pieces
        for line in piece.split(b"\n")
    ]

    of_each = {
        name: [line.split(b",")[0] for line in written if b"subject=%s" % name in line]
        for name in (b"watched", b"other")
    }
    assert of_each[b"watched"].count(b"envelope_25hz") == 25
    assert of_each[b"watched"].count(b"waveform") > 0
    assert set(of_each[b"other"]) == {b"envelope", b"waveform_meta"}
    assert [names.count(b"envelope") for names in of_each.values()] == [1, 1]


def test_another_partition_is_no_reason_to_begin_anew() -> None:
    encoder = RecordEncoder()

    found = []
    for i in range(4):
        found += envelopes(encoder, quarter(i))
        envelopes(encoder, quarter(7 - i, partition=1))

    assert len(found) == 1


def test_a_record_that_nobody_can_use_is_skipped_and_its_second_given_up() -> None:
    encoder = RecordEncoder()
    found = []
    for i in range(8):
        record = quarter(i)
        if i == 1:
            junk = ConsumedRecord(topic=FRAMES.name, partition=3, offset=1, payload=b"junk")
            with pytest.raises(RecordError):
                encoder.encode(junk)
        else:
            found += envelopes(encoder, record)

    (line,) = found
    assert b"min=4i,max=7i,mean=5.5,n_samples=360i" in line


def test_what_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "FORGET_EVERY_RECORDS", 4)
    monkeypatch.setattr("processors.sinks.envelope.HELD_RECORDS_MAX", 2)
    encoder = RecordEncoder()

    envelopes(encoder, quarter(0))
    for offset in range(1, 9):
        payload = encode_frame(records.frame(subject_id="p-2", sequence=offset))
        envelopes(
            encoder, ConsumedRecord(topic=FRAMES.name, partition=3, offset=offset, payload=payload)
        )

    remembered = encoder._partitions[FRAMES.name, 3].envelopes
    assert remembered._channels == {}
    assert list(remembered._senders) == [("p-2", "agent-1")]


@pytest.mark.parametrize(
    ("topic", "payload", "n_derived"),
    [
        (OBSERVATIONS, encode_observations([records.observation()] * 3), 3),
        (ALARMS, encode_alarm(records.alarm()), 1),
        (FRAMES, encode_frame(records.frame()), 0),
    ],
    ids=["observations", "alarm", "frame"],
)
def test_a_record_of_each_topic_has_its_subject(
    topic: Topic, payload: bytes, n_derived: int
) -> None:
    record = ConsumedRecord(topic=topic.name, partition=0, offset=5, payload=payload)

    lines = RecordEncoder().encode(record)

    assert (lines.subject_id, lines.n_derived) == ("p-1", n_derived)
    assert b"\n".join(lines.pieces).count(b"subject=p-1 ") == n_derived


def test_a_role_status_is_written_in_the_order_of_its_process() -> None:
    payload = encode_role_status(records.role_status())
    record = ConsumedRecord(topic=STATUS.name, partition=0, offset=5, payload=payload)

    lines = RecordEncoder().encode(record)

    assert lines.subject_id == "worker/ward-2-worker"
    assert b"".join(lines.pieces).startswith(b"role_status,instance=ward-2-worker,role=worker ")


def test_kernels_can_be_loaded_beforehand() -> None:
    load_kernels()


def second(i: int, subject_id: str = "p-1") -> ConsumedRecord:
    """What follows from a second: its number as the heart rate."""
    one = records.observation(t_ns=T0_NS + i * NS_PER_S, value=float(i), subject_id=subject_id)
    payload = encode_observations([one])
    return ConsumedRecord(topic=OBSERVATIONS.name, partition=3, offset=i, payload=payload)


def trends(encoder: RecordEncoder, record: ConsumedRecord) -> list[bytes]:
    return [piece for piece in encoder.encode(record).pieces if piece.startswith(b"trend,")]


def test_a_minute_is_written_when_it_is_over_and_what_it_needs_comes_again() -> None:
    encoder = RecordEncoder()

    found = {i: lines for i in range(300) if (lines := trends(encoder, second(i)))}
    needed = encoder.first_needed()[OBSERVATIONS.name, 3]

    assert list(found) == [150, 210, 270]
    assert b"mean=89.5,min=60.0,max=119.0,n_values=60i,n_missing=0i," in found[150][0]
    # The minute of 240 s is not over; it was seen from its beginning by who has read from here.
    assert needed == 180
    again = RecordEncoder()
    assert [trends(again, second(i)) for i in range(needed, 331)][-1] == trends(
        encoder, second(300)
    ) + [line for i in range(301, 331) for line in trends(encoder, second(i))]


def test_a_silent_subjects_last_minutes_are_written_with_somebody_elses_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records_module, "FORGET_EVERY_RECORDS", 100)
    monkeypatch.setattr("processors.sinks.trend.SILENT_RECORDS", 150)
    encoder = RecordEncoder()

    found = [line for i in range(100) for line in trends(encoder, second(i))]
    assert found == []
    found = [line for i in range(100, 200) for line in trends(encoder, second(i, "p-2"))]

    (line,) = [one for one in found if b"subject=p-1 " in one]
    assert b"n_values=40i" in line
