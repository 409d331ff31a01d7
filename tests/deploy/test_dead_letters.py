"""Which dead letters match, the newest of them, and how many there are of each kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dead_letter_requeue import key_of, why_not
from deploy.dead_letters import (
    N_KINDS_MAX,
    OTHER,
    UNREADABLE,
    Newest,
    Place,
    Stored,
    Summary,
    Wanted,
    stored,
    utc,
)
from ingest.codec import encode_alarm, encode_dead_letter, encode_frame, encode_observations
from ingest.dead_letter import LetterContent
from ingest.kafka import ConsumedRecord
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from tests.ingest import records


def one(offset: int = 0, t_ms: int = 0, partition: int = 0, **fields: object) -> Stored:
    return Stored(Place(partition, offset), t_ms, records.dead_letter(**fields))


def record(payload: bytes) -> ConsumedRecord:
    return ConsumedRecord(
        topic=DEAD_LETTERS.name, partition=3, offset=17, payload=payload, timestamp_ms=9
    )


@given(st.integers(0, 999_999_999), st.integers(0, 10**18 - 1))
def test_a_place_is_read_as_it_is_written(partition: int, offset: int) -> None:
    assert Place.parse(str(Place(partition, offset))) == (partition, offset)


@pytest.mark.parametrize("text", ["", "3", "3:", ":17", "3:x", "-1:2", "3:17:1", "3:1٣", " 3:17"])
def test_what_is_no_place_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match="such as 3:17"):
        Place.parse(text)


@given(
    times=st.lists(st.integers(0, 5), max_size=60),
    n_max=st.integers(1, 10),
)
def test_the_newest_are_the_same_as_of_all_sorted(times: list[int], n_max: int) -> None:
    newest = Newest(n_max)
    for offset, t_ms in enumerate(times):
        newest.add(one(offset, t_ms))

    expected = sorted(((t_ms, offset) for offset, t_ms in enumerate(times)), reverse=True)
    assert [(row.t_ms, row.place.offset) for row in newest.rows()] == expected[:n_max]
    assert newest.n_added == len(times)


def test_a_summary_counts_by_reason_and_leaves_the_numbers_out() -> None:
    summary = Summary()
    for offset, (t_ms, reason) in enumerate(
        [
            (5, "ecg: n_samples says 3, counts hold 2"),
            (9, "ecg: n_samples says 40, counts hold 41"),
            (1, "ecg: n_samples says 1, counts hold 2"),
            (2, "no Avro single-object header in 6a756e6b"),
        ]
    ):
        summary.add(one(offset, t_ms, reason=reason))

    (first, count), (second, _) = summary.kinds()
    assert first.reason == "ecg: n_samples says #, counts hold #"
    assert (count.n, count.first_ms, count.last_ms, count.newest) == (3, 1, 9, (0, 1))
    assert second.reason == "no Avro single-object header in #"


def test_kinds_beyond_the_bound_are_counted_together() -> None:
    summary = Summary()
    names = ["".join(chr(ord("g") + int(c)) for c in str(n)) for n in range(N_KINDS_MAX + 30)]
    for offset, name in enumerate(names):
        summary.add(one(offset, reason=name))

    found = summary.kinds()
    assert len(found) == N_KINDS_MAX + 1
    assert [(kind, count.n) for kind, count in found if kind == OTHER] == [(OTHER, 30)]
    assert sum(count.n for _, count in found) == summary.n_added == N_KINDS_MAX + 30


LETTER = one(0, 100, source="worker", topic=FRAMES.name, reason="no Avro header")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(source="worker"),
        Wanted(topic=FRAMES.name),
        Wanted(reason="AVRO"),
        Wanted(since_ms=100),
    ],
    ids=str,
)
def test_a_letter_is_meant_where_everything_matches(wanted: Wanted) -> None:
    assert LETTER in wanted


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(source="work"),
        Wanted(topic="frames"),
        Wanted(reason="lines"),
        Wanted(since_ms=101),
        Wanted(source="worker", since_ms=101),
    ],
    ids=str,
)
def test_a_letter_is_not_meant_where_anything_differs(wanted: Wanted) -> None:
    assert LETTER not in wanted


def test_what_is_no_dead_letter_is_shown_as_one_that_says_so() -> None:
    letter = records.dead_letter()

    assert stored(record(encode_dead_letter(letter))) == Stored(Place(3, 17), 9, letter)
    junk = stored(record(b"junk"))
    assert junk.letter.source == UNREADABLE
    assert "no dead letter: no Avro single-object header" in junk.letter.reason
    assert junk.letter.payload == b"junk"
    assert "is not from" in (why_not(junk.letter) or "")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"topic": OBSERVATIONS.name}, None),
        ({"topic": ALARMS.name}, None),
        ({"content": LetterContent.LINES}, "lines that the store rejected"),
        ({"n_bytes_cut": 1}, "only a part"),
        ({"topic": DEAD_LETTERS.name}, "is not from"),
        ({"topic": "somebody.elses"}, "is not from"),
    ],
)
def test_only_whole_records_of_our_topics_can_be_sent_again(
    fields: dict[str, object], why: str | None
) -> None:
    found = why_not(records.dead_letter(**fields))

    assert (found is None) if why is None else (why in (found or ""))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (FRAMES, encode_frame(records.frame(subject_id="p-9"))),
        (OBSERVATIONS, encode_observations([records.observation(subject_id="p-9")])),
        (ALARMS, encode_alarm(records.alarm(subject_id="p-9"))),
    ],
)
def test_a_letter_without_a_key_takes_the_subject_of_the_record(
    topic: object, payload: bytes
) -> None:
    name = getattr(topic, "name", "")

    assert key_of(records.dead_letter(topic=name, key=None, payload=payload)) == b"p-9"
    assert key_of(records.dead_letter(topic=name, key=b"k", payload=payload)) == b"k"
    assert key_of(records.dead_letter(topic=name, key=None, payload=payload[:-1])) is None


def test_a_time_that_no_calendar_has_is_shown_as_a_number() -> None:
    assert utc(0) == "1970-01-01T00:00:00Z"
    assert utc(2**62) == f"{2**62} ms"
