"""Whatever comes, in whatever order: what a panel can rely on."""

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, SamplePeriod
from processors.sinks.grafana_live.pusher import LivePusher
from tests.grafana_live.conftest import (
    MS,
    NAN,
    T0_NS,
    Panel,
    block,
    check_order,
    check_sums,
    end_ns,
    frame,
    values,
)

PERIODS: Final = (
    SamplePeriod(ns_numerator=4 * MS, ns_denominator=1),
    SamplePeriod(ns_numerator=25_000_000, ns_denominator=9),
    SamplePeriod(ns_numerator=MS, ns_denominator=1),
    SamplePeriod(ns_numerator=1_000_000, ns_denominator=3),
    SamplePeriod(ns_numerator=50_000_000, ns_denominator=1),
)
COMINGS: Final = st.lists(
    st.tuples(
        st.integers(0, 60),  # which block
        st.integers(1, 3),  # how many blocks long
        st.integers(0, 1),  # of which device
        st.integers(-3_000, 40_000),  # milliseconds between its end and its coming
        st.integers(0, 400),  # milliseconds to the next
        st.sampled_from(("take", "lose", "wait")),
    ),
    max_size=40,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(comings=COMINGS, period=st.sampled_from(PERIODS), n_samples=st.integers(1, 60))
def test_whatever_comes_times_rise_fields_stay_holes_break_and_the_sums_hold(
    comings: list[tuple[int, int, int, int, int, str]], period: SamplePeriod, n_samples: int
) -> None:
    panel = Panel(LivePusher(lambda _: True))
    now_ns = T0_NS
    for i, n_blocks, device, behind_ms, pause_ms, then in comings:
        one = block(i * n_samples, n_blocks * n_samples, device=f"d{device}", period=period)
        now_ns = max(now_ns + pause_ms * MS, end_ns(one) + behind_ms * MS)
        panel.pusher.add_frame(frame(one), now_ns)
        if then != "wait":
            panel.take(now_ns, arrived=then == "take")
    for _ in range(20):
        now_ns += 100 * MS
        panel.take(now_ns)

    check_order(panel)
    check_sums(panel)
    slack_ns = MS if period.rate_hz > 1_000 else 0
    step_ns_max = 1.5 * period.ns_numerator / period.ns_denominator + slack_ns
    for name, rows in panel.rows.items():
        if name == "icu-1_events":
            continue
        assert {tuple(row.fields) for row in rows} == {("v",)}
        for one_row, next_row in pairwise(rows):
            if NAN not in {one_row.fields["v"], next_row.fields["v"]}:
                assert next_row.t_ns - one_row.t_ns <= step_ns_max


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=20),
    jitters_ms=st.lists(st.integers(0, 300), min_size=20, max_size=20),
    period=st.sampled_from(PERIODS[:3]),
)
def test_in_order_nothing_is_left_out_and_nothing_is_broken(
    sizes: list[int], jitters_ms: list[int], period: SamplePeriod
) -> None:
    panel = Panel(LivePusher(lambda _: True))
    i_first, now_ns = 0, T0_NS
    for n_samples, jitter_ms in zip(sizes, jitters_ms, strict=False):
        one = block(i_first, n_samples, period=period)
        i_first += n_samples
        came_ns = max(now_ns, end_ns(one) + jitter_ms * MS)
        while now_ns + 100 * MS < came_ns:
            now_ns += 100 * MS
            panel.take(now_ns)
        panel.pusher.add_frame(frame(one), came_ns)
        now_ns = came_ns
    panel.run(now_ns, now_ns + 6 * NS_PER_S)

    first, *rows = panel.rows["icu-1_ecg"]
    assert first.fields == {"v": NAN}
    assert values(rows) == pytest.approx([0.01 * i for i in range(sum(sizes))])
    assert len(rows) == sum(sizes)
