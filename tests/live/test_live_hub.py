"""The hub: what a page is told, what it remembers, and that neither grows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority
from processors.sinks import live
from processors.sinks.live import LiveHub
from processors.sinks.live.hub import TooManyPagesError
from processors.sinks.live.protocol import Samples, decode_samples
from processors.sinks.live.subject import (
    CHANNELS_MAX,
    DEVICES_MAX,
    GAPS_MAX,
    NUMERALS_MAX,
    SHOWN,
    SubjectState,
)
from processors.sinks.live.subscription import SAMPLE_BYTES_MAX, TEXTS_MAX, Subscription
from processors.sinks.live.trail import BLOCKS_MAX, SAMPLES_MAX, TRAIL_S, WaveformTrail
from processors.vitals.readings import DEVICE_RECORD
from tests.live.frames import PERIOD, T0_NS, block, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest.observation import Observation
    from tests.live.conftest import Person

QUALITIES = {"signal_quality", "pulse_quality", "respiration_quality"}
"""Drawn on the traces that they are of."""


def event(kind: DeviceEventKind, t_ns: int = T0_NS, device_id: str = "strap") -> DeviceEvent:
    return DeviceEvent(device_id=device_id, kind=kind, t_ns=t_ns)


def battery(value: float, t_ns: int = T0_NS) -> Reading:
    return Reading(
        device_id="strap", mdc_code=codes.BATTERY_LEVEL.mdc, unit="%", value=value, t_ns=t_ns
    )


def gap(i_first: int, n_samples: int) -> Gap:
    return Gap(
        device_id="strap",
        channel="ecg",
        cause=GapCause.RADIO_LOSS,
        i_first=i_first,
        n_samples=n_samples,
        t0_ns=T0_NS + PERIOD.offset_ns(i_first),
    )


def open_page(hub: LiveHub, subject_id: str = "s1", now_ns: int = T0_NS) -> Subscription:
    return hub.subscribe(subject_id, lambda: None, now_ns)


def take(page: Subscription) -> tuple[list[dict[str, Any]], list[Samples]]:
    texts, payloads = page.take()
    return [json.loads(text) for text in texts], [decode_samples(payload) for payload in payloads]


def of_type(texts: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [text for text in texts if text["type"] == name]


def test_a_page_gets_the_channel_and_then_its_samples(hub: LiveHub) -> None:
    page = open_page(hub)

    hub.add_frame(frame(waveforms=(block(received_ns=T0_NS + 7),)), T0_NS)

    texts, samples = take(page)
    [channel] = of_type(texts, "channel")
    assert (channel["label"], channel["kind"], channel["unit"]) == ("ECG II", "ecg", "mV")
    assert (channel["quantity"], channel["period_ns"]) == ("ecg_ii", [4_000_000, 1])
    [sent] = samples
    assert (sent.channel_id, sent.history, sent.received_ns) == (channel["id"], False, T0_NS + 7)
    np.testing.assert_array_equal(sent.counts, np.arange(50))


def test_the_first_message_is_hello_even_for_an_unknown_subject(hub: LiveHub) -> None:
    texts, samples = take(open_page(hub, "nobody"))

    assert [text["type"] for text in texts] == ["hello"]
    assert (texts[0]["protocol"], texts[0]["heard_ms"]) == (1, None)
    assert samples == []


def test_a_frame_that_comes_twice_says_nothing_new(hub: LiveHub) -> None:
    page = open_page(hub)
    once = frame(waveforms=(block(),), readings=(battery(50),), gaps=(gap(0, 5),))
    hub.add_frame(once, T0_NS)
    take(page)

    hub.add_frame(once, T0_NS)

    assert take(page) == ([], [])
    assert hub.counts.n_frames_repeated == 1


def test_an_agent_that_counts_from_zero_again_is_heard(hub: LiveHub) -> None:
    hub.add_frame(frame(0, waveforms=(block(0),)), T0_NS)
    page = open_page(hub)
    take(page)

    hub.add_frame(frame(0, waveforms=(block(0, t0_ns=T0_NS + NS_PER_S),)), T0_NS)

    assert len(take(page)[1]) == 1


@given(order=st.lists(st.integers(0, 19), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_the_order_no_sample_is_sent_twice_and_none_goes_back(order: list[int]) -> None:
    hub = LiveHub()
    page = open_page(hub)
    for i in order:
        hub.add_frame(frame(i, waveforms=(block(50 * i),)), T0_NS)

    _, samples = take(page)

    sent = np.concatenate([part.counts for part in samples])
    assert np.all(np.diff(sent) > 0)
    assert sent[-1] == 50 * max(order) + 49


def test_of_an_overlapping_block_only_the_rest_is_sent(hub: LiveHub) -> None:
    page = open_page(hub)
    hub.add_frame(frame(0, waveforms=(block(0, 50),)), T0_NS)

    hub.add_frame(frame(1, waveforms=(block(30, 50),)), T0_NS)

    _, [first, rest] = take(page)
    assert (first.i_first, rest.i_first, rest.counts[0], rest.counts.size) == (0, 50, 50, 30)
    assert rest.t0_ns == T0_NS + PERIOD.offset_ns(50)


def test_a_clock_that_was_set_back_starts_a_new_trail() -> None:
    trail = WaveformTrail()
    trail.process(block(1_000))

    fresh = trail.process(block(0, t0_ns=T0_NS - 3_600 * NS_PER_S))

    assert fresh is not None
    assert trail.n_samples == 50


def test_a_late_page_sees_the_last_seconds_at_once(
    hub: LiveHub, person: Person, frames: Iterator[Frame]
) -> None:
    now_ns = person.t0_ns
    for _ in range(200):
        now_ns += NS_PER_S // 4
        hub.add_frame(next(frames), now_ns)
        for found in person.observations(now_ns):
            hub.add_observation(found)

    texts, samples = take(open_page(hub, person.subject_id, now_ns))

    assert {text["label"] for text in of_type(texts, "channel")} >= {"ECG II", "Pleth", "ACC x"}
    assert {text["name"] for text in of_type(texts, "numeral")} >= {"heart_rate", "battery_level"}
    assert {text["device"] for text in of_type(texts, "device")} == {"chest-strap", "oximeter"}
    assert len(samples) == len(person.signals)
    assert all(part.history for part in samples)
    seconds = {part.counts.size / 360 for part in samples} & {14.75, 15.0}
    assert seconds, "the ECG's last 15 s"


def test_history_that_is_old_is_not_drawn_as_if_it_were_new(hub: LiveHub) -> None:
    hub.add_frame(frame(waveforms=(block(),)), T0_NS)

    texts, samples = take(open_page(hub, now_ns=T0_NS + (TRAIL_S + 1) * NS_PER_S))

    assert samples == []
    assert len(of_type(texts, "channel")) == 1
    assert texts[0]["heard_ms"] == T0_NS / 1e6


def test_history_is_parted_where_samples_are_missing(hub: LiveHub) -> None:
    for i, first in enumerate((0, 50, 200)):
        hub.add_frame(frame(i, waveforms=(block(first),)), T0_NS)

    _, samples = take(open_page(hub))

    assert [(part.i_first, part.counts.size) for part in samples] == [(0, 100), (200, 50)]


def test_pages_of_other_subjects_hear_nothing(hub: LiveHub) -> None:
    page = open_page(hub, "s2")
    take(page)

    hub.add_frame(frame(waveforms=(block(),)), T0_NS)

    assert page.n_waiting == 0


def test_other_metadata_are_another_channel_id(hub: LiveHub) -> None:
    page = open_page(hub)
    hub.add_frame(frame(0, waveforms=(block(0),)), T0_NS)

    hub.add_frame(frame(1, waveforms=(block(50, scale=0.01),)), T0_NS)

    texts, samples = take(page)
    first, second = of_type(texts, "channel")
    assert [part.channel_id for part in samples] == [first["id"], second["id"]]
    assert (first["scale"], second["scale"]) == (0.005, 0.01)


def slower(i_first: int, ppm: float) -> WaveformBlock:
    """A second of samples with a longer period; the samples before had ``PERIOD``."""
    period = SamplePeriod(ns_numerator=round(4_000_000_000 * (1 + ppm / 1e6)), ns_denominator=1_000)
    behind = period.offset_ns(i_first - 250) + PERIOD.offset_ns(250)
    return block(i_first, 250, period=period, t0_ns=T0_NS + behind)


def test_a_rate_that_was_measured_anew_goes_on_in_the_same_channel(hub: LiveHub) -> None:
    """A new channel begins with an empty sweep."""
    page = open_page(hub)
    hub.add_frame(frame(0, waveforms=(block(0, 250),)), T0_NS)

    hub.add_frame(frame(1, waveforms=(slower(250, 5_000),)), T0_NS)
    hub.add_frame(frame(2, waveforms=(slower(500, 30_000),)), T0_NS)

    texts, samples = take(page)
    first, other_rate = of_type(texts, "channel")
    assert [part.channel_id for part in samples] == [first["id"]] * 2 + [other_rate["id"]]


def test_a_page_that_opens_draws_samples_of_another_rate_where_they_belong(hub: LiveHub) -> None:
    hub.add_frame(frame(0, waveforms=(block(0, 250),)), T0_NS)
    blocks = [slower(i, 5_000) for i in range(250, 3_000, 250)]
    for n, one in enumerate(blocks):
        hub.add_frame(frame(n + 1, waveforms=(one,)), T0_NS)

    texts, samples = take(open_page(hub))

    [channel] = of_type(texts, "channel")
    period_ns = channel["period_ns"][0] / channel["period_ns"][1]
    drawn = {
        part.i_first + k: part.t0_ns + k * period_ns
        for part in samples
        for k in range(part.counts.size)
    }
    assert sorted(drawn) == list(range(3_000))
    for one in blocks:
        for i in (one.i_first, one.i_end - 1):
            assert drawn[i] == pytest.approx(one.time_ns(i), rel=0, abs=15_000_000)
    assert len(samples) < len(blocks)


def test_a_gap_is_told_with_its_cause_and_its_length(hub: LiveHub) -> None:
    page = open_page(hub)
    hub.add_frame(frame(0, waveforms=(block(0),)), T0_NS)

    hub.add_frame(frame(1, waveforms=(block(300),), gaps=(gap(50, 250),)), T0_NS)

    [mark] = of_type(take(page)[0], "gap")
    assert (mark["cause"], mark["n_samples"]) == ("radio_loss", 250)
    assert mark["t1_ms"] - mark["t0_ms"] == pytest.approx(1_000)


def test_the_newest_numeral_wins_and_an_older_one_is_not_shown(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)
    for seconds, value in ((2, 80.0), (1, 60.0)):
        t_ns = T0_NS + seconds * NS_PER_S
        hub.add_observation(make_observation(codes.HEART_RATE, value, t_ns, subject_id="s1"))

    assert [text["value"] for text in of_type(take(page)[0], "numeral")] == [80.0]
    assert [text["value"] for text in of_type(take(open_page(hub))[0], "numeral")] == [80.0]


@pytest.mark.parametrize("late_s", [1, 61, 3600, 80_000])
def test_a_value_that_is_late_never_replaces_a_newer_one(
    hub: LiveHub, make_observation: Callable[..., Observation], late_s: int
) -> None:
    def saturation(value: float, late_s: int) -> Observation:
        t_ns = T0_NS - late_s * NS_PER_S
        return make_observation(codes.SPO2, value, t_ns, subject_id="s1")

    page = open_page(hub)
    hub.add_observation(saturation(97.0, 0))
    hub.add_observation(saturation(81.0, late_s))
    hub.add_frame(frame(0, readings=(battery(70.0),)), T0_NS)
    hub.add_frame(frame(1, readings=(battery(99.0, T0_NS - late_s * NS_PER_S),)), T0_NS)

    for one in (page, open_page(hub)):
        assert [text["value"] for text in of_type(take(one)[0], "numeral")] == [97.0, 70.0]


def test_a_back_filled_value_is_not_shown_as_a_current_one(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)
    late = make_observation(codes.SPO2, 88.0, T0_NS, subject_id="s1")

    hub.add_observation(late._replace(algorithm=DEVICE_RECORD.name))

    assert of_type(take(page)[0], "numeral") == []


def test_a_value_of_the_far_future_does_not_stay(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)
    for value, t_ns in ((97.0, T0_NS + 10**18), (96.0, T0_NS)):
        hub.add_observation(make_observation(codes.SPO2, value, t_ns, subject_id="s1"))

    assert [text["value"] for text in of_type(take(page)[0], "numeral")] == [97.0, 96.0]


def test_a_frame_that_is_an_hour_late_clears_no_sweep(hub: LiveHub) -> None:
    page = open_page(hub)
    n_hour = 3600 * 250
    hub.add_frame(frame(1, waveforms=(block(n_hour),)), T0_NS)

    hub.add_frame(frame(0, waveforms=(block(0),)), T0_NS)

    _, samples = take(page)
    assert [one.i_first for one in samples] == [n_hour]
    assert len(take(open_page(hub))[1]) == 1


def test_no_value_comes_with_its_reason(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)

    hub.add_observation(
        make_observation(codes.SPO2, None, T0_NS, reason="lead_off", subject_id="s1")
    )

    [numeral] = of_type(take(page)[0], "numeral")
    assert (numeral["value"], numeral["reason"]) == (None, "lead_off")


def test_each_beat_is_told_once(hub: LiveHub, make_observation: Callable[..., Observation]) -> None:
    page = open_page(hub)
    beat = make_observation(codes.RR_INTERVAL, 833.0, T0_NS, subject_id="s1")

    for _ in range(3):
        hub.add_observation(beat)

    assert [text["rr_interval"] for text in of_type(take(page)[0], "beat")] == [833.0]
    assert of_type(take(open_page(hub))[0], "beat") == []


def test_a_class_is_told_of_the_beat_at_its_time(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)
    where: dict[str, Any] = {"subject_id": "s1", "channels": ("strap/ecg",)}

    hub.add_observation(make_observation(codes.RR_INTERVAL, 833.0, T0_NS, **where))
    hub.add_observation(make_observation(codes.BEAT_CLASS, 5.0, T0_NS, **where))
    hub.add_observation(make_observation(codes.BEAT_CLASS, None, T0_NS, reason="off", **where))

    texts, _ = take(page)
    [beat], [said] = of_type(texts, "beat"), of_type(texts, "beat_class")
    assert (beat["channels"], said["channels"]) == (["strap/ecg"], ["strap/ecg"])
    assert (said["t_ms"], said["beat_class"]) == (beat["t_ms"], 5)


@pytest.mark.parametrize(
    ("kinds", "connected", "contact"),
    [
        ([DeviceEventKind.CONNECTED], True, None),
        ([DeviceEventKind.CONNECTED, DeviceEventKind.CONTACT_LOST], True, False),
        ([DeviceEventKind.CONTACT_FOUND], None, True),
        ([DeviceEventKind.CONTACT_FOUND, DeviceEventKind.LINK_LOST], False, None),
        ([DeviceEventKind.CLOCK_JUMPED], None, None),
        ([DeviceEventKind.HOST_CLOCK_STEPPED], None, None),
    ],
)
def test_events_are_the_state_of_the_device(
    hub: LiveHub, *, kinds: list[DeviceEventKind], connected: bool | None, contact: bool | None
) -> None:
    hub.add_frame(frame(events=tuple(event(kind) for kind in kinds)), T0_NS)

    [device] = of_type(take(open_page(hub))[0], "device")

    assert (device["connected"], device["contact"]) == (connected, contact)


def test_a_device_that_sends_again_is_connected_again(hub: LiveHub) -> None:
    hub.add_frame(frame(0, events=(event(DeviceEventKind.LINK_LOST, T0_NS + 1),)), T0_NS)
    page = open_page(hub)
    take(page)

    hub.add_frame(frame(1, waveforms=(block(),)), T0_NS)

    assert [text["connected"] for text in of_type(take(page)[0], "device")] == [True]


def test_the_battery_is_a_numeral_and_a_state(hub: LiveHub) -> None:
    hub.add_frame(frame(readings=(battery(81.0),)), T0_NS)

    texts, _ = take(open_page(hub))

    assert [text["battery_percent"] for text in of_type(texts, "device")] == [81.0]
    [numeral] = of_type(texts, "numeral")
    assert (numeral["name"], numeral["source"], numeral["value"]) == ("battery_level", "strap", 81)


def test_an_alarm_stays_until_it_ends_and_a_repetition_does_not_raise_it(hub: LiveHub) -> None:
    begun = AlarmEvent(
        subject_id="s1",
        t_ns=T0_NS,
        name="lead_off",
        priority=AlarmPriority.MEDIUM,
        active=True,
        detail="",
    )
    hub.add_alarm(begun)
    assert len(of_type(take(open_page(hub))[0], "alarm")) == 1

    hub.add_alarm(replace(begun, t_ns=T0_NS + NS_PER_S, active=False))
    hub.add_alarm(begun)

    assert of_type(take(open_page(hub))[0], "alarm") == []


def test_a_slow_page_loses_its_oldest_samples_and_is_told(hub: LiveHub) -> None:
    slow, quick = open_page(hub), open_page(hub)
    take(slow)
    take(quick)
    n_blocks = 200
    n_quick = 0
    for i in range(n_blocks):
        part = block(i * 10_000, 10_000, period=SamplePeriod(ns_numerator=1_000, ns_denominator=1))
        part = replace(part, t0_ns=T0_NS + part.period.offset_ns(part.i_first))
        hub.add_frame(frame(i, waveforms=(part,)), T0_NS)
        n_quick += len(take(quick)[1])

    texts, samples = take(slow)

    [dropped] = of_type(texts, "dropped")
    assert n_quick == n_blocks
    assert dropped["n_messages"] == n_blocks - len(samples) == hub.counts.n_samples_dropped
    assert sum(part.counts.size for part in samples) * 4 < SAMPLE_BYTES_MAX
    assert samples[-1].i_first == (n_blocks - 1) * 10_000
    assert of_type(texts, "channel"), "the channel's name is never lost"


def test_samples_that_waited_too_long_are_dropped(hub: LiveHub) -> None:
    page = open_page(hub)
    hub.add_frame(frame(0, waveforms=(block(0),)), T0_NS)

    hub.add_frame(frame(1, waveforms=(block(50),)), T0_NS + 60 * NS_PER_S)

    assert [part.i_first for part in take(page)[1]] == [50]


def test_a_page_that_takes_no_texts_is_given_up(
    hub: LiveHub, make_observation: Callable[..., Observation]
) -> None:
    page = open_page(hub)

    for i in range(TEXTS_MAX + 1):
        hub.add_observation(
            make_observation(codes.SPO2, 97.0, T0_NS + i * NS_PER_S, subject_id="s1")
        )

    assert page.overrun
    assert page.n_waiting == 0


def test_a_page_is_woken_for_each_message(hub: LiveHub) -> None:
    woken: list[int] = []
    hub.subscribe("s1", lambda: woken.append(1), T0_NS)
    n_before = len(woken)

    hub.add_frame(frame(waveforms=(block(),)), T0_NS)

    assert len(woken) > n_before


def test_a_closed_page_gets_nothing(hub: LiveHub) -> None:
    page = open_page(hub)
    take(page)
    hub.unsubscribe(page)
    hub.unsubscribe(page)

    hub.add_frame(frame(waveforms=(block(),)), T0_NS)

    assert page.n_waiting == 0
    assert hub.n_pages == 0


def test_only_so_many_pages_are_served() -> None:
    hub = LiveHub(n_pages_max=2)
    pages = [open_page(hub), open_page(hub)]

    with pytest.raises(TooManyPagesError, match="2 pages"):
        open_page(hub)

    hub.unsubscribe(pages[0])
    open_page(hub)
    assert hub.counts.n_pages_refused == 1


def test_beyond_the_limit_the_subject_silent_longest_is_forgotten() -> None:
    hub = LiveHub(n_subjects_max=3)
    shown = open_page(hub, "s0")

    for i in range(6):
        hub.add_frame(frame(subject_id=f"s{i}", waveforms=(block(),)), T0_NS)

    assert [row.subject for row in hub.subjects(T0_NS)] == ["s0", "s4", "s5"]
    assert hub.counts.n_subjects_forgotten == 3
    assert len(take(shown)[1]) == 1


def test_where_all_subjects_are_shown_a_new_one_is_refused() -> None:
    hub = LiveHub(n_subjects_max=1)
    open_page(hub, "s0")
    hub.add_frame(frame(subject_id="s0", waveforms=(block(),)), T0_NS)

    hub.add_frame(frame(subject_id="s1", waveforms=(block(),)), T0_NS)

    assert [row.subject for row in hub.subjects(T0_NS)] == ["s0"]
    assert hub.counts.n_subjects_refused == 1


def test_the_chooser_has_devices_and_ages(hub: LiveHub) -> None:
    hub.add_frame(frame(waveforms=(block(),), events=(event(DeviceEventKind.CONNECTED),)), T0_NS)

    [row] = hub.subjects(T0_NS + 10 * NS_PER_S)

    newest_ns = T0_NS + PERIOD.offset_ns(49)
    assert (row.subject, row.devices) == ("s1", ("strap",))
    assert row.last_event_ms == newest_ns / 1e6
    assert row.age_s == pytest.approx(10 - 0.196)
    assert row.heard_s == 10.0


def test_empty_frames_are_no_data_from_the_sensor(hub: LiveHub) -> None:
    hub.add_frame(frame(0, waveforms=(block(),)), T0_NS)

    hub.add_frame(
        frame(1, events=(event(DeviceEventKind.LINK_LOST),), readings=(battery(80),)),
        T0_NS + 9 * NS_PER_S,
    )

    assert hub.heard_ms("s1") == T0_NS / 1e6


def test_the_trail_is_bounded_for_any_rate() -> None:
    trail = WaveformTrail()
    period = SamplePeriod(ns_numerator=1, ns_denominator=1)

    for i in range(5):
        part = block(i * 900_000, 900_000, period=period)
        trail.process(replace(part, t0_ns=T0_NS + part.i_first))

    assert trail.n_samples <= 2 * SAMPLES_MAX


def test_the_trail_is_bounded_for_single_samples() -> None:
    trail = WaveformTrail()
    period = SamplePeriod(ns_numerator=1_000, ns_denominator=1)

    for i in range(BLOCKS_MAX + 100):
        part = block(i, 1, period=period)
        trail.process(replace(part, t0_ns=T0_NS + period.offset_ns(i)))

    assert trail.n_samples == BLOCKS_MAX


@given(n=st.integers(1, 3))
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_hostile_stream_fills_no_table(
    make_observation: Callable[..., Observation], n: int
) -> None:
    hub = LiveHub()
    for i in range(200 * n):
        name = f"{'x' * 1_000}{i}"
        hub.add_frame(
            frame(
                i,
                waveforms=(block(device_id=name, t0_ns=T0_NS + i),),
                events=(event(DeviceEventKind.CONNECTED, device_id=name),),
                gaps=(gap(i, 1),),
            ),
            T0_NS,
        )
        hub.add_observation(
            make_observation(codes.SPO2, 97.0, T0_NS, subject_id="s1")._replace(algorithm=name)
        )
        hub.add_alarm(
            AlarmEvent(
                subject_id="s1",
                t_ns=T0_NS,
                name=name,
                priority=AlarmPriority.LOW,
                active=True,
                detail="",
            )
        )

    texts, samples = take(open_page(hub))

    assert len(of_type(texts, "channel")) == len(samples) == CHANNELS_MAX
    assert len(of_type(texts, "device")) == DEVICES_MAX
    assert len(of_type(texts, "numeral")) == NUMERALS_MAX
    assert len(of_type(texts, "gap")) <= GAPS_MAX


@pytest.mark.parametrize(
    ("mdc_code", "channel", "label", "kind"),
    [
        (codes.ECG.mdc, "ecg", "ECG", "ecg"),
        (codes.ECG_AVR.mdc, "ecg/aVR", "ECG aVR", "ecg"),
        (codes.PLETH.mdc, "pleth", "Pleth", "pleth"),
        (codes.PPG.mdc, "ppg/0", "PPG", "pleth"),
        (codes.RESPIRATION_IMPEDANCE.mdc, "resp", "Resp", "respiration"),
        (codes.ACC_X.mdc, "acc/x", "ACC x", "motion"),
        (1, "ecg/MLII", "ecg/MLII", "ecg"),
        (1, "something", "something", "other"),
    ],
)
def test_a_waveform_has_a_label_and_a_kind(
    hub: LiveHub, mdc_code: int, channel: str, label: str, kind: str
) -> None:
    hub.add_frame(frame(waveforms=(block(mdc_code=mdc_code, channel=channel),)), T0_NS)

    [message] = of_type(take(open_page(hub))[0], "channel")

    assert (message["label"], message["kind"]) == (label, kind)


def test_the_page_is_sent_the_quantities_that_it_shows_and_no_others() -> None:
    page = (Path(live.__path__[0]) / "static/numerals.js").read_text()

    assert set(re.findall(r'name: "(\w+)", label', page)) | QUALITIES == SHOWN


def test_a_quantity_without_a_place_on_the_page_is_not_sent(
    make_observation: Callable[..., Observation],
) -> None:
    state = SubjectState("s1")

    assert state.process_observation(make_observation(codes.RMSSD, 42.0, T0_NS)) == []
