"""The names of channels: legal, and never two subjects' own."""

import re
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devices import codes
from processors.sinks.grafana_live.channels import (
    CHANNEL_CHARS_MAX,
    EVENTS,
    NUMERALS,
    channel_address,
    measurement,
    numbered,
    signal_stem,
    subject_part,
)
from processors.sinks.grafana_live.limits import STREAM_CHARS_MAX
from tests.grafana_live.conftest import block

LEGAL: Final = re.compile(r"[A-Za-z0-9_-]+")
NAMES: Final = st.one_of(
    st.text(st.sampled_from("ab_-/. é1"), max_size=12), st.text(max_size=40), st.just("x" * 300)
)
SIGNALS: Final = st.builds(
    numbered,
    st.builds(lambda name: signal_stem(block(channel=name, quantity=codes.ACC_X)), NAMES),
    st.integers(0, 15),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(subject=NAMES, signal=SIGNALS)
@example(subject="é" * 1_024, signal=numbered("x" * 30, 15))
def test_every_name_is_legal(subject: str, signal: str) -> None:
    name = measurement(subject, signal)

    assert LEGAL.fullmatch(name)
    assert len(channel_address("s" * STREAM_CHARS_MAX, name)) <= CHANNEL_CHARS_MAX


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(one=st.tuples(NAMES, SIGNALS), other=st.tuples(NAMES, SIGNALS))
@example(one=("a", "b"), other=("a_b", "b"))
@example(one=("a/b", "ecg"), other=("a.b", "ecg"))
@example(one=("A", "ecg"), other=("a", "ecg"))
@example(one=("x" * 200, "ecg"), other=("x" * 201, "ecg"))
@example(one=("a/b", "ecg"), other=(subject_part("a/b"), "ecg"))
def test_two_subjects_never_share_a_channel(one: tuple[str, str], other: tuple[str, str]) -> None:
    if one != other:
        assert measurement(*one) != measurement(*other)


@pytest.mark.parametrize("subject", ["icu-1", "s_0123456789abcdef", "B", "x" * 80])
def test_a_plain_name_stays_so_that_a_board_can_write_it(subject: str) -> None:
    assert measurement(subject, "ecg") == f"{subject}_ecg"


def test_signals_have_their_kind_as_name_and_the_others_their_channels() -> None:
    assert signal_stem(block(channel="ecg/MLII")) == "ecg"
    assert signal_stem(block(channel="PLETH", quantity=codes.PLETH)) == "pleth"
    assert signal_stem(block(channel="x", quantity=codes.RESPIRATION_IMPEDANCE)) == "resp"
    assert signal_stem(block(channel="acc/x", quantity=codes.ACC_X)) == "acc-x"


@pytest.mark.parametrize("channel", [NUMERALS, EVENTS, "ecg", "resp"])
def test_no_signal_takes_the_name_of_another_channel_of_ours(channel: str) -> None:
    assert signal_stem(block(channel=f"/{channel}", quantity=codes.ACC_X)) == f"other-{channel}"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=NAMES, i_place=st.integers(0, 15))
def test_a_number_makes_no_name_another_ones(name: str, i_place: int) -> None:
    stem = signal_stem(block(channel=name, quantity=codes.ACC_X))

    assert "--" not in stem
    assert numbered(stem, i_place).partition("--")[0] == stem
