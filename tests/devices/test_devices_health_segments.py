"""Segments are put together, or accounted for: nothing made up, nothing lost without a count."""

from dataclasses import astuple, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices.errors import DecodeError, TruncatedPayloadError
from devices.ghs_segments import (
    SEGMENT_COUNTERS,
    Segment,
    SegmentAssembler,
    SegmentCounts,
    cut_into_segments,
    decode_segment,
    encode_segment,
)

segments = st.builds(
    Segment,
    first=st.booleans(),
    last=st.booleans(),
    counter=st.integers(0, 63),
    content=st.binary(max_size=19),
)
# Each is different from all others, so that a misplaced piece shows.
messages = st.lists(st.integers(1, 90), min_size=1, max_size=12).map(
    lambda lengths: [
        b"".join(bytes([i, n & 0xFF]) for n in range(length)) for i, length in enumerate(lengths)
    ]
)
FIRST, LAST = 1, 2


def sent(
    observations: list[bytes], *, counter: int = 0, payload_bytes_max: int = 20
) -> list[bytes]:
    payloads: list[bytes] = []
    for observation in observations:
        payloads += cut_into_segments(
            observation,
            counter=(counter + len(payloads)) % SEGMENT_COUNTERS,
            payload_bytes_max=payload_bytes_max,
        )
    return payloads


def received(assembler: SegmentAssembler, payloads: list[bytes]) -> list[bytes]:
    wholes = [assembler.process(payload) for payload in payloads]
    return [whole for whole in wholes if whole is not None]


def check_sum(counts: SegmentCounts) -> None:
    assert counts.received == (
        counts.delivered
        + counts.discarded
        + counts.duplicated
        + counts.late
        + counts.malformed
        + counts.pending
    )
    assert min(astuple(counts)) >= 0


def segment(counter: int, flags: int, content: bytes = b"x") -> bytes:
    return bytes([counter << 2 | flags]) + content


@given(one=segments)
def test_segment(one: Segment) -> None:
    assert decode_segment(encode_segment(one)) == one


@given(observations=messages, counter=st.integers(0, 63), payload_bytes_max=st.integers(2, 200))
def test_what_is_cut_is_put_together(
    observations: list[bytes], counter: int, payload_bytes_max: int
) -> None:
    payloads = sent(observations, counter=counter, payload_bytes_max=payload_bytes_max)
    assembler = SegmentAssembler()

    assert max(map(len, payloads)) <= payload_bytes_max
    assert received(assembler, payloads) == observations
    assert assembler.counts == SegmentCounts(
        received=len(payloads), delivered=len(payloads), observations=len(observations)
    )


@given(observations=messages, counter=st.integers(0, 63), data=st.data())
def test_of_lost_segments_every_one_is_counted_and_what_is_whole_is_delivered(
    observations: list[bytes], counter: int, data: st.DataObject
) -> None:
    by_observation: list[list[bytes]] = []
    for observation in observations:
        n_before = sum(map(len, by_observation))
        by_observation.append(sent([observation], counter=(counter + n_before) % 64))
    arrives = st.sampled_from([True] * 7 + [False])
    keeps = [[data.draw(arrives) for _ in one] for one in by_observation]
    # What is lost before the first and after the last cannot be told.
    keeps[0][0] = keeps[-1][-1] = True
    runs = "".join("x" if keep else "." for one in keeps for keep in one)
    assume("." * 55 not in runs)
    air = [
        payload
        for one, keep in zip(by_observation, keeps, strict=True)
        for payload, kept in zip(one, keep, strict=True)
        if kept
    ]
    assembler = SegmentAssembler()

    delivered = received(assembler, air)

    whole = [all(keep) for keep in keeps]
    assert delivered == [one for one, is_whole in zip(observations, whole, strict=True) if is_whole]
    counts = assembler.end()
    assert counts.lost == runs.count(".")
    assert counts.pending == 0
    assert counts.observations == sum(whole)
    check_sum(counts)


@given(
    payloads=st.lists(segments.map(encode_segment) | st.binary(max_size=3), max_size=80),
)
def test_whatever_comes_the_sum_is_right_and_nothing_is_made_up(payloads: list[bytes]) -> None:
    assembler = SegmentAssembler(n_bytes_max=100)
    pieces = {payload[1:] for payload in payloads if payload}

    for payload in payloads:
        try:
            whole = assembler.process(payload)
        except DecodeError:
            assert not payload
        else:
            assert whole is None or len(whole) <= 100
            assert not whole or any(whole.startswith(piece) for piece in pieces)
        check_sum(assembler.counts)

    check_sum(assembler.end())


@given(observations=messages, data=st.data())
def test_duplicates_and_neighbours_that_change_places_are_told_apart(
    observations: list[bytes], data: st.DataObject
) -> None:
    payloads = sent(observations)
    air: list[bytes] = []
    n_duplicated = 0
    for payload in payloads:
        n_times = data.draw(st.sampled_from([1, 1, 1, 2, 3]))
        air += [payload] * n_times
        n_duplicated += n_times - 1
    assembler = SegmentAssembler()

    assert received(assembler, air) == observations
    assert assembler.counts.duplicated == n_duplicated
    assert assembler.counts.lost == 0
    check_sum(assembler.counts)


def test_a_segment_that_is_overtaken_is_late_and_not_lost() -> None:
    assembler = SegmentAssembler()

    air = [segment(0, FIRST), segment(2, LAST), segment(1, 0), segment(3, FIRST | LAST, b"y")]

    assert received(assembler, air) == [b"y"]
    assert assembler.counts == SegmentCounts(
        received=4, delivered=1, discarded=2, late=1, observations=1, observations_broken=1
    )


def test_an_older_duplicate_leaves_what_is_pending_as_it_is() -> None:
    assembler = SegmentAssembler()

    air = [segment(0, FIRST, b"a"), segment(1, 0, b"b"), segment(2, 0, b"c"), segment(1, 0, b"b")]

    assert received(assembler, [*air, segment(3, LAST, b"d")]) == [b"abcd"]
    assert assembler.counts.duplicated == 1


def test_an_observation_that_begins_before_the_last_one_ends_breaks_it_off() -> None:
    assembler = SegmentAssembler()

    assert received(assembler, [segment(0, FIRST), segment(1, FIRST | LAST, b"y")]) == [b"y"]
    assert assembler.counts.observations_broken == 1
    assert assembler.counts.lost == 0


def test_the_middle_of_an_observation_is_none() -> None:
    assembler = SegmentAssembler()

    assert received(assembler, [segment(7, 0), segment(8, LAST)]) == []
    assert assembler.counts.discarded == 2


def test_a_counter_that_begins_anew_with_each_observation_delivers_all() -> None:
    assembler = SegmentAssembler()
    one = [segment(0, FIRST, b"a"), segment(1, 0, b"b"), segment(2, LAST, b"c")]
    two = [segment(0, FIRST, b"d"), segment(1, 0, b"e"), segment(2, LAST, b"f")]

    assert received(assembler, one + two) == [b"abc", b"def"]


def test_an_observation_that_is_too_long_is_discarded_and_the_next_is_not() -> None:
    assembler = SegmentAssembler(n_bytes_max=3)

    air = [segment(0, FIRST, b"ab"), segment(1, 0, b"cd"), segment(2, LAST, b"e")]

    assert received(assembler, [*air, segment(3, FIRST | LAST, b"fgh")]) == [b"fgh"]
    assert assembler.counts == SegmentCounts(
        received=4, delivered=1, discarded=3, observations=1, observations_broken=1
    )


def test_a_new_connection_begins_with_any_counter() -> None:
    assembler = SegmentAssembler()
    received(assembler, [segment(5, FIRST)])

    at_the_end = assembler.end()

    assert at_the_end == SegmentCounts(received=1, discarded=1, observations_broken=1)
    assert received(assembler, [segment(40, FIRST | LAST)]) == [b"x"]
    assert assembler.counts == replace(at_the_end, received=2, delivered=1, observations=1)


def test_no_header_is_an_error_and_leaves_what_is_pending() -> None:
    assembler = SegmentAssembler()
    assembler.process(segment(0, FIRST, b"a"))

    with pytest.raises(TruncatedPayloadError):
        assembler.process(b"")

    assert assembler.counts.malformed == 1
    assert assembler.process(segment(1, LAST, b"b")) == b"ab"
