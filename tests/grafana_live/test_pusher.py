"""What is pushed: in order, once, without holes of our own, and bounded."""

from collections.abc import Callable
from typing import Final

import pytest

from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority
from processors.sinks.grafana_live.events import EVENTS_MAX
from processors.sinks.grafana_live.pusher import BODY_BYTES_MAX, LivePusher
from processors.sinks.grafana_live.subject import CHANNELS_MAX
from processors.sinks.grafana_live.trace import SAMPLES_MAX
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
from tests.sinks.line_protocol import Point

FLUSH_NS: Final = 250 * MS

MakePanel = Callable[..., Panel]


def quarter(i: int, **more: object) -> WaveformBlock:
    """The i-th quarter of a second at 100 Hz."""
    period = SamplePeriod(ns_numerator=10 * MS, ns_denominator=1)
    return block(25 * i, period=period, **more)  # type: ignore[arg-type]


def play(panel: Panel, n_quarters: int, *, left_out: frozenset[int] = frozenset()) -> None:
    """Feed quarters of a second as they would come, and take ten times a second."""
    for now_ns in range(T0_NS, T0_NS + (n_quarters + 6) * FLUSH_NS, 50 * MS):
        i, rest = divmod(now_ns - T0_NS, FLUSH_NS)
        if rest == 0 and 0 < i <= n_quarters and i - 1 not in left_out:
            panel.pusher.add_frame(frame(quarter(i - 1)), now_ns)
        if (now_ns - T0_NS) % (100 * MS) == 0:
            panel.take(now_ns)


def test_every_sample_comes_once_in_order_scaled_and_at_its_exact_time(
    make_panel: MakePanel,
) -> None:
    panel = make_panel()

    play(panel, 12)

    first, *rows = panel.rows["icu-1_ecg"]
    assert first.fields == {"v": NAN}
    assert values(rows) == pytest.approx([0.01 * i for i in range(300)])
    assert [row.t_ns for row in rows] == [T0_NS + i * 10 * MS for i in range(300)]
    assert panel.pusher.counts.samples_pushed == 300


def test_four_blocks_a_second_become_ten_pushes_a_second(make_panel: MakePanel) -> None:
    panel = make_panel()
    sizes: list[int] = []
    taken = panel.take

    def take(now_ns: int, *, arrived: bool = True) -> dict[str, list[Point]]:
        got = taken(now_ns, arrived=arrived)
        sizes.append(len(got.get("icu-1_ecg", ())))
        return got

    panel.take = take  # type: ignore[method-assign]
    play(panel, 40)

    while_it_lasts = sizes[5:98]
    assert set(while_it_lasts) == {10}


def test_late_blocks_do_not_make_the_trace_late_for_ever(make_panel: MakePanel) -> None:
    panel = make_panel()
    now_ns = T0_NS
    for i in range(120):
        # One block comes 400 ms late; those after it are as before.
        now_ns = max(now_ns, T0_NS + (i + 1) * FLUSH_NS + (400 * MS if i == 3 else 0))
        panel.pusher.add_frame(frame(quarter(i)), now_ns)
        panel.run(now_ns, T0_NS + (i + 2) * FLUSH_NS)

    behind_ns = now_ns - panel.rows["icu-1_ecg"][-1].t_ns
    assert behind_ns <= FLUSH_NS + 150 * MS


def test_a_hole_breaks_the_trace_and_nothing_else_does(make_panel: MakePanel) -> None:
    panel = make_panel()

    play(panel, 12, left_out=frozenset({4, 5, 9}))

    rows = panel.rows["icu-1_ecg"]
    breaks = [i for i, row in enumerate(rows) if row.fields["v"] == NAN]
    assert [rows[i + 1].t_ns - T0_NS for i in breaks] == [0, 6 * FLUSH_NS, 10 * FLUSH_NS]
    assert len(values(rows)) == 9 * 25


def test_a_push_that_was_lost_breaks_the_trace_and_is_not_repeated(make_panel: MakePanel) -> None:
    panel = make_panel()
    for i in range(2):
        panel.pusher.add_frame(frame(quarter(i)), T0_NS + (i + 1) * FLUSH_NS)
    panel.take(T0_NS + 300 * MS)

    lost = panel.take(T0_NS + 400 * MS, arrived=False)
    panel.run(T0_NS + 500 * MS, T0_NS + 1_000 * MS)

    rows = panel.rows["icu-1_ecg"]
    assert [row.fields["v"] for row in rows].count(NAN) == 2
    assert not {row.t_ns for row in lost["icu-1_ecg"]} & {row.t_ns for row in rows}
    assert panel.pusher.counts.samples_lost == 10
    check_order(panel)


def test_where_there_is_no_room_for_a_break_it_takes_a_samples_place(
    make_panel: MakePanel,
) -> None:
    panel = make_panel()
    fast = block(n_samples=500, period=SamplePeriod(ns_numerator=MS, ns_denominator=1))
    panel.pusher.add_frame(frame(fast), end_ns(fast))

    panel.take(end_ns(fast) + 100 * MS, arrived=False)
    panel.run(end_ns(fast) + 200 * MS, end_ns(fast) + NS_PER_S)

    first, *rest = panel.rows["icu-1_ecg"]
    assert first.fields["v"] == NAN
    assert len(values(rest)) == len(rest) == 500 - 101 - 1
    assert rest[0].t_ns - first.t_ns == MS
    assert panel.pusher.counts.samples_thinned == 1
    check_sums(panel)


def test_another_source_is_not_joined_to_the_one_before(make_panel: MakePanel) -> None:
    panel = make_panel()
    slow = SamplePeriod(ns_numerator=12 * NS_PER_S, ns_denominator=1)
    for i, device in enumerate(("old", "new")):
        one = block(i, 1, device=device, period=slow)
        panel.pusher.add_frame(frame(one), one.t0_ns)
        panel.run(one.t0_ns, one.t0_ns + NS_PER_S)

    assert [row.fields["v"] for row in panel.rows["icu-1_ecg"]] == [NAN, 0.0, NAN, 0.01]


def test_samples_that_wait_for_too_long_are_dropped_and_the_trace_is_broken(
    make_panel: MakePanel,
) -> None:
    panel = make_panel()
    for i in range(40):
        panel.pusher.add_frame(frame(quarter(i)), T0_NS + (i + 1) * FLUSH_NS)

    panel.take(T0_NS + 41 * FLUSH_NS)

    rows = panel.rows["icu-1_ecg"]
    assert rows[0].fields["v"] == NAN
    assert T0_NS + 41 * FLUSH_NS - rows[0].t_ns < 4 * NS_PER_S
    assert panel.pusher.counts.samples_expired > 500
    check_sums(panel)


def test_of_a_fast_signal_one_sample_a_millisecond_is_pushed(make_panel: MakePanel) -> None:
    panel = make_panel()
    fast = block(n_samples=1_000, period=SamplePeriod(ns_numerator=500_000, ns_denominator=2))

    panel.pusher.add_frame(frame(fast), end_ns(fast))
    panel.run(end_ns(fast), end_ns(fast) + NS_PER_S)

    assert panel.pusher.counts.samples_pushed == 250
    assert panel.pusher.counts.samples_thinned == 750
    check_order(panel)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1e-3), ("V", 1e3), ("1", 1.0)])
def test_an_ecg_is_in_millivolt(make_panel: MakePanel, unit: str, factor: float) -> None:
    panel = make_panel()
    one = block(unit=unit, scale=2.0)

    panel.pusher.add_frame(frame(one), end_ns(one))
    panel.run(end_ns(one), end_ns(one) + NS_PER_S)

    assert values(panel.rows["icu-1_ecg"])[3] == pytest.approx(6 * factor)


def test_a_value_that_is_too_great_spoils_no_request(make_panel: MakePanel) -> None:
    panel = make_panel()
    one = block(unit="V", scale=1e298)

    panel.pusher.add_frame(frame(one), end_ns(one))
    panel.run(end_ns(one), end_ns(one) + NS_PER_S)

    assert all(isinstance(value, float) for value in values(panel.rows.get("icu-1_ecg", [])))
    check_sums(panel)


def test_two_leads_of_a_kind_have_channels_of_their_own(make_panel: MakePanel) -> None:
    panel = make_panel()
    leads = (block(channel="ecg/I"), block(channel="ecg/V5"), block(device="other"))

    panel.pusher.add_frame(frame(*leads), end_ns(leads[0]))
    panel.run(end_ns(leads[0]), end_ns(leads[0]) + NS_PER_S)

    assert set(panel.rows) == {"icu-1_ecg", "icu-1_ecg--2", "icu-1_ecg--3", "icu-1_events"}


def test_a_new_strap_takes_the_place_of_the_silent_one(make_panel: MakePanel) -> None:
    panel = make_panel()
    old, new = block(device="old"), block(5_000, device="new")

    panel.pusher.add_frame(frame(old), end_ns(old))
    panel.run(end_ns(old), end_ns(old) + NS_PER_S)
    panel.pusher.add_frame(frame(new), end_ns(new))
    panel.run(end_ns(new), end_ns(new) + NS_PER_S)

    assert set(panel.rows) == {"icu-1_ecg", "icu-1_events"}
    assert [row.fields["v"] for row in panel.rows["icu-1_ecg"]].count(NAN) == 2
    said = [row.fields["detail"] for row in panel.rows["icu-1_events"]]
    assert said == ["old ecg", "new ecg"]
    check_order(panel)


def test_one_sample_far_ahead_does_not_keep_out_those_that_follow(make_panel: MakePanel) -> None:
    panel = make_panel()
    ahead = block(t0_ns=T0_NS + 3_600 * NS_PER_S)
    now = block(25)

    panel.pusher.add_frame(frame(ahead), T0_NS)
    panel.pusher.add_frame(frame(now), end_ns(now))
    panel.run(end_ns(now), end_ns(now) + NS_PER_S)

    assert panel.pusher.counts.samples_ahead == 25
    assert panel.pusher.counts.samples_pushed == 25


def test_what_comes_from_a_spool_is_left_out(make_panel: MakePanel) -> None:
    panel = make_panel(LivePusher(lambda _: True, late_s=5))
    old = block()

    panel.pusher.add_frame(frame(old), T0_NS + 60 * NS_PER_S)

    assert panel.pusher.counts.samples_late == 25
    assert set(panel.take(T0_NS + 61 * NS_PER_S)) == {"icu-1_numerals"}


def test_of_subjects_that_nobody_watches_nothing_is_kept(make_panel: MakePanel) -> None:
    panel = make_panel(LivePusher(lambda subject: subject == "icu-1"))
    one = block()

    panel.pusher.add_frame(frame(one, subject="icu-2"), end_ns(one))
    panel.pusher.add_frame(frame(one, subject="icu-1"), end_ns(one))

    assert panel.pusher.n_subjects == 1
    assert panel.pusher.counts.samples_came == 25


def test_subjects_beyond_the_limit_are_refused_until_one_has_long_been_silent(
    make_panel: MakePanel,
) -> None:
    panel = make_panel(LivePusher(lambda _: True, n_subjects_max=2))
    one, later = block(), block(t0_ns=T0_NS + 70 * NS_PER_S)
    for subject in ("a", "b", "c"):
        panel.pusher.add_frame(frame(one, subject=subject), end_ns(one))
    assert panel.pusher.counts.subjects_refused == 1

    panel.pusher.add_frame(frame(later, subject="c"), end_ns(later))

    assert panel.pusher.n_subjects == 2
    assert panel.pusher.counts.subjects_refused == 1
    check_sums(panel)


def test_channels_beyond_the_limit_are_refused_until_one_has_long_been_silent(
    make_panel: MakePanel,
) -> None:
    panel = make_panel()
    many = [
        block(channel=f"x{i}", quantity=codes.ACC_X, n_samples=5) for i in range(CHANNELS_MAX + 2)
    ]
    panel.pusher.add_frame(frame(*many), end_ns(many[0]))
    assert panel.pusher.counts.samples_refused == 10

    late = block(channel="new", quantity=codes.ACC_X, t0_ns=T0_NS + 70 * NS_PER_S)
    panel.pusher.add_frame(frame(late), end_ns(late))
    panel.run(end_ns(late), end_ns(late) + NS_PER_S)

    assert "icu-1_new" in panel.rows
    check_sums(panel)


def test_what_waits_is_bounded_whatever_comes(make_panel: MakePanel) -> None:
    panel = make_panel()
    long = block(
        n_samples=30_000, period=SamplePeriod(ns_numerator=MS, ns_denominator=1), scale=1e-3
    )

    panel.pusher.add_frame(frame(long), end_ns(long))

    assert panel.pusher.n_waiting <= SAMPLES_MAX
    check_sums(panel)


def test_bodies_are_bounded_and_no_channel_is_in_two(make_panel: MakePanel) -> None:
    panel = make_panel(LivePusher(lambda _: True, n_subjects_max=1_000))
    fast = SamplePeriod(ns_numerator=MS, ns_denominator=1)
    one = block(n_samples=1_000, period=fast)
    for i in range(40):
        panel.pusher.add_frame(frame(one, subject=f"s{i}"), end_ns(one))

    bodies = panel.pusher.take(end_ns(one) + 2 * NS_PER_S)

    assert len(bodies) > 1
    assert all(len(body.payload) <= BODY_BYTES_MAX for body in bodies)
    names = [
        name for body in bodies for name in {row.split()[0] for row in body.payload.splitlines()}
    ]
    assert len(names) == len(set(names)) == 3 * 40


def test_events_and_alarms_have_every_field_and_rise_in_time(make_panel: MakePanel) -> None:
    panel = make_panel()
    events = tuple(
        DeviceEvent(device_id="strap", kind=DeviceEventKind.CONNECTED, t_ns=T0_NS, detail=detail)
        for detail in ('a "b"\n', "NaN")
    )
    alarm = AlarmEvent(
        subject_id="icu-1",
        t_ns=T0_NS - NS_PER_S,
        name="no_heart_rate",
        priority=AlarmPriority.MEDIUM,
        active=True,
        detail="NaN",
    )

    for _ in range(2):
        panel.pusher.add_frame(
            Frame(subject_id="icu-1", agent_id="a", sequence=0, events=events), T0_NS
        )
        panel.pusher.add_alarm(alarm, T0_NS)
    panel.take(T0_NS)

    rows = panel.rows["icu-1_events"]
    assert [row.fields["name"] for row in rows] == ["connected", "no_heart_rate"]
    assert {tuple(row.fields) for row in rows} == {
        ("active", "at_ms", "detail", "kind", "name", "priority")
    }
    assert rows[1].fields["detail"] == "nan"
    assert rows[1].fields["at_ms"] == (T0_NS - NS_PER_S) // MS
    check_order(panel)


def test_events_are_bounded(make_panel: MakePanel) -> None:
    panel = make_panel()
    for i in range(EVENTS_MAX + 5):
        one = DeviceEvent(device_id=f"d{i}", kind=DeviceEventKind.LINK_LOST, t_ns=T0_NS)
        panel.pusher.add_frame(
            Frame(subject_id="icu-1", agent_id="a", sequence=i, events=(one,)), T0_NS
        )
    old = DeviceEvent(device_id="d", kind=DeviceEventKind.LINK_LOST, t_ns=T0_NS - 3_600 * NS_PER_S)
    panel.pusher.add_frame(
        Frame(subject_id="icu-1", agent_id="a", sequence=99, events=(old,)), T0_NS
    )
    panel.take(T0_NS)

    assert len(panel.rows["icu-1_events"]) == EVENTS_MAX
    assert panel.pusher.counts.events_dropped == 6
