"""A clock that shows times that were had was set back; nothing else looks like it."""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clocks.recent_stamps import STAMPS_MAX, RecentStamps
from ingest.frame import NS_PER_S, SamplePeriod

PERIOD = SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=130)
DEVICE_0_NS = 600_000_000 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Payload:
    device_ns: int
    n_samples: int


@st.composite
def sent(draw: st.DrawFn) -> list[Payload]:
    """Payloads of any length, of a device whose rate is up to twice or half of what it says."""
    factor = draw(st.sampled_from([0.5, 0.75, 0.98, 1.0, 1.0002, 1.02, 1.5, 2.0]))
    lengths = draw(st.lists(st.integers(1, 80), min_size=1, max_size=200))
    device_ns, payloads = DEVICE_0_NS, []
    for n_samples in lengths:
        device_ns += round(PERIOD.offset_ns(n_samples) / factor)
        payloads.append(Payload(device_ns, n_samples))
    return payloads


def fed(recent: RecentStamps, payloads: list[Payload]) -> list[bool]:
    contradictions, newest_ns = [], 0
    for one in payloads:
        contradictions.append(recent.contradict(one.device_ns, one.n_samples))
        if one.device_ns > newest_ns:  # others come again, or too late
            newest_ns = one.device_ns
            recent.add(newest_ns, one.n_samples, 0)
    return contradictions


@given(sent(), st.randoms(use_true_random=False))
def test_loss_and_repetition_are_no_contradiction(payloads: list[Payload], rng: Random) -> None:
    arrived: list[Payload] = []
    for one in payloads:
        if rng.random() < 0.8:
            arrived.append(one)
        if arrived and rng.random() < 0.1:
            arrived.append(rng.choice(arrived[-STAMPS_MAX // 2 :]))

    assert not any(fed(RecentStamps(PERIOD), arrived))


@given(st.lists(st.integers(1, 80), min_size=2, max_size=100), st.data())
def test_payloads_that_overtake_one_another_are_no_contradiction(
    lengths: list[int], data: st.DataObject
) -> None:
    device_ns, payloads = DEVICE_0_NS, []
    for n_samples in lengths:
        device_ns += PERIOD.offset_ns(n_samples)
        payloads.append(Payload(device_ns, n_samples))
    i = data.draw(st.integers(0, len(payloads) - 2))
    payloads[i], payloads[i + 1] = payloads[i + 1], payloads[i]

    assert not any(fed(RecentStamps(PERIOD), payloads))


@pytest.mark.parametrize("back_s", [0.57, 1.0, 1.7, 10.0, 31.9])
def test_a_clock_set_back_is_seen_with_the_first_payload(back_s: float) -> None:
    recent = RecentStamps(PERIOD)
    stamps = [DEVICE_0_NS + PERIOD.offset_ns(73 * n) for n in range(100)]
    for device_ns in stamps:
        recent.add(device_ns, 73, 0)

    device_ns = stamps[-1] + PERIOD.offset_ns(73) - round(back_s * NS_PER_S)

    assert recent.contradict(device_ns, 73)


def test_another_segment_has_shown_no_times_yet() -> None:
    recent = RecentStamps(PERIOD)
    recent.add(DEVICE_0_NS, 73, 0)
    recent.add(DEVICE_0_NS - NS_PER_S, 73, 1)

    assert not recent.contradict(DEVICE_0_NS - NS_PER_S // 10, 73)
