"""An observation that exists is valid, however it was made, and cannot be changed."""

import copy
from typing import Any

import pytest

from ingest.errors import MalformedRecordError
from tests.ingest.records import observation


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", None),
        ("value", float("nan")),
        ("quality", 1.5),
        ("t_ns", -1),
        ("name", "n" * 10_000),
    ],
)
def test_replacing_a_field_is_looked_at_like_making_one(field: str, value: Any) -> None:
    with pytest.raises(MalformedRecordError):
        observation()._replace(**{field: value})


def test_a_copy_is_the_same() -> None:
    made = observation()

    assert copy.copy(made) == copy.deepcopy(made) == made


def test_no_field_can_be_set() -> None:
    with pytest.raises(AttributeError):
        observation().quality = 1.0  # type: ignore[misc]
