"""Annotations: what is one, which version of it holds, and when."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.annotation import SubjectAnnotation, in_order, newest
from ingest.errors import MalformedRecordError
from ingest.frame import TIME_NS_MAX
from tests.ingest import records

T0_NS = records.T0_NS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"subject_id": ""}, "subject_id"),
        ({"annotation_id": ""}, "annotation_id"),
        ({"annotation_id": "a b"}, "annotation_id"),
        ({"annotation_id": "x" * 201}, "annotation_id"),
        ({"version": 0}, "version 0"),
        ({"version": 2**31}, "version"),
        ({"annotator": "../x"}, "annotator"),
        ({"annotator": "x" * 33}, "annotator"),
        ({"annotator": "DAT"}, "which other files end with"),
        ({"t_ns": -1}, "t_ns"),
        ({"duration_ns": -1}, "duration_ns -1"),
        ({"duration_ns": TIME_NS_MAX}, "duration_ns"),
        ({"symbol": "X"}, "symbol 'X'"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "[1]"}, "symbol"),
        ({"subtype": 128}, "subtype 128"),
        ({"chan": -1}, "chan -1"),
        ({"num": -129}, "num -129"),
        ({"author": "  "}, "author"),
        ({"author": "A\nB"}, "author"),
        ({"author": "x" * 201}, "author of 201"),
        ({"channel": "ecg/II"}, "without the device"),
        ({"created_ns": -1}, "created_ns"),
    ],
)
def test_what_is_no_annotation_is_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(MalformedRecordError, match=named):
        records.annotation(**changes)


def test_a_change_is_the_next_version_by_whoever_made_it() -> None:
    first = records.annotation(author="Ada", symbol="N", text="")

    second = first.changed(author="Bo", created_ns=T0_NS + 9, symbol="V")

    assert (second.version, second.author, second.symbol) == (2, "Bo", "V")
    assert second.annotation_id == first.annotation_id
    with pytest.raises(MalformedRecordError, match="subject_id"):
        first.changed(author="Bo", created_ns=None, subject_id="p-2")


def test_of_each_the_last_version_holds_unless_it_takes_back() -> None:
    first, other = records.annotation(), records.annotation(annotation_id="b", t_ns=T0_NS - 5)
    second = first.changed(author="Bo", created_ns=None, text="noise")
    third = second.changed(author="Bo", created_ns=None, retracted=True)

    assert newest([first, other]) == [other, first]
    assert newest([second, other, first]) == [other, second]
    assert newest([third, second, first, other]) == [other]


def test_of_one_version_the_one_that_came_later_holds() -> None:
    one, other = records.annotation(text="a"), records.annotation(text="b")

    assert newest([one, other]) == [other]
    assert newest([other, one]) == [one]


@pytest.mark.parametrize(
    ("duration_ns", "between", "expected"),
    [
        (0, (T0_NS, T0_NS + 1), True),
        (0, (T0_NS - 1, T0_NS), False),
        (0, (T0_NS + 1, None), False),
        (10, (T0_NS + 9, None), True),
        (10, (T0_NS + 10, None), False),
        (10, (None, T0_NS), False),
        (10, (None, T0_NS + 1), True),
        (10, (None, None), True),
    ],
)
def test_an_interval_begins_with_its_begin_and_does_not_hold_its_end(
    duration_ns: int, between: tuple[int | None, int | None], *, expected: bool
) -> None:
    assert records.annotation(duration_ns=duration_ns).meets(*between) is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "noise"}, "noise"),
        ({"text": ""}, '"'),
        ({"symbol": "+", "text": "(AFIB\0"}, "+ (AFIB"),
        ({"symbol": "V", "text": ""}, "V"),
    ],
)
def test_it_says_its_text_or_its_symbol(changes: dict[str, object], words: str) -> None:
    assert records.annotation(**changes).words == words


@given(st.lists(records.annotations, max_size=5), st.randoms(use_true_random=False))
def test_their_order_does_not_depend_on_how_they_came(
    given_ones: list[SubjectAnnotation], random: object
) -> None:
    shuffle: Callable[[list[SubjectAnnotation]], None] = random.shuffle  # type: ignore[attr-defined]
    shuffled = [*given_ones]
    shuffle(shuffled)
    key = [(one.t_ns, one.annotator, one.annotation_id, one.version) for one in in_order(shuffled)]

    assert key == sorted(key)
