"""An observation that exists is valid, however it was made, and cannot be changed."""

import copy
from collections.abc import Callable

import pytest

from ingest.errors import MalformedRecordError
from ingest.observation import Observation
from tests.ingest.records import observation


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made._replace(value=None),
        lambda made: made._replace(value=float("nan")),
        lambda made: made._replace(quality=1.5),
        lambda made: made._replace(t_ns=-1),
        lambda made: made._replace(name="n" * 10_000),
    ],
)
def test_replacing_a_field_is_looked_at_like_making_one(
    change: Callable[[Observation], Observation],
) -> None:
    with pytest.raises(MalformedRecordError):
        change(observation())


def test_a_copy_is_the_same() -> None:
    made = observation()

    assert copy.copy(made) == copy.deepcopy(made) == made


def test_no_field_can_be_set() -> None:
    with pytest.raises(AttributeError):
        observation().quality = 1.0  # type: ignore[misc]
