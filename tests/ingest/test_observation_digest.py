"""The digest of observations: any order, any repeats, every bit."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ingest.observation import Observation
from ingest.observation_digest import ObservationDigest


def _observation(t_ns: int, value: float | None, channel: str = "strap/ecg") -> Observation:
    return Observation(
        subject_id="icu-7",
        t_ns=t_ns,
        name="heart_rate",
        mdc_code=147842,
        unit="/min",
        value=value,
        reason=None if value is not None else "no_samples",
        quality=0.9,
        age_s=0.1,
        channels=(channel,),
        algorithm="ecg_rate",
        algorithm_version=3,
    )


def _digest(observations: Iterable[Observation]) -> str:
    digest = ObservationDigest()
    for one in observations:
        digest.add(one)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Said:
    t_ns: int
    value: float | None


_SAID = st.lists(
    st.builds(
        _Said,
        t_ns=st.integers(0, 2**62),
        value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ),
    min_size=1,
    max_size=20,
)


@given(said=_SAID, data=st.data())
def test_order_and_repeats_do_not_matter(said: list[_Said], data: st.DataObject) -> None:
    observations = [_observation(one.t_ns, one.value) for one in said]
    again = data.draw(st.lists(st.sampled_from(observations)))
    shuffled = data.draw(st.permutations([*observations, *again]))
    assert _digest(shuffled) == _digest(observations)


def test_what_is_different_has_another_digest() -> None:
    one = _observation(10, 60.0)
    others: tuple[list[Observation], ...] = (
        [_observation(11, 60.0)],
        [_observation(10, math.nextafter(60.0, 61.0))],
        [_observation(10, None)],
        [_observation(10, 60.0, "patch/ecg")],
        [one, _observation(11, 60.0)],
        [],
    )
    digests = {_digest([one]), *map(_digest, others)}
    assert len(digests) == 1 + len(others)


def test_the_subjects_name_does_not_count() -> None:
    one = _observation(10, 60.0)
    assert _digest([one._replace(subject_id="icu-8")]) == _digest([one])
