"""The numerals' channel: every field in every row, a null where nothing is to be believed."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deploy
import processors
from devices import codes
from devices.codes import Quantity
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks.grafana_live.numerals import BELIEVED_MIN, NUMERALS
from processors.sinks.grafana_live.pusher import LivePusher
from processors.vitals.fusion import ALGORITHM as HEART_RATE_FUSION
from processors.vitals.readings import DEVICE_RECORD
from tests.grafana_live.conftest import T0_NS, Panel, block, frame
from tests.sinks.line_protocol import Field

NAN: Final = "NaN"
EVERY: Final = {numeral.quantity.name for numeral in NUMERALS}


def observation(
    quantity: Quantity = codes.SPO2,
    value: float | None = 97.0,
    t_ns: int = T0_NS,
    *,
    quality: float = 0.9,
    algorithm: str = "",
) -> Observation:
    algorithms = {one.quantity.name: one.algorithm or "device" for one in NUMERALS}
    return Observation(
        subject_id="icu-1",
        t_ns=t_ns,
        name=quantity.name,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason=None if value is not None else "lead_off",
        quality=quality,
        age_s=0.1,
        channels=("oximeter/spo2",),
        algorithm=algorithm or algorithms.get(quantity.name, "other"),
        algorithm_version=1,
    )


def shown(panel: Panel, now_ns: int) -> dict[str, Field]:
    """The last row as of a time; every second there is one."""
    panel.take(now_ns)
    return {
        name: value
        for name, value in panel.numerals["icu-1_numerals"][-1].fields.items()
        if value != NAN
    }


def test_a_row_a_second_with_what_is_known() -> None:
    panel = Panel(LivePusher(lambda _: True))
    for second in range(10):
        t_ns = T0_NS + second * NS_PER_S
        panel.pusher.add_observation(observation(t_ns=t_ns), t_ns + NS_PER_S)
        panel.run(t_ns + NS_PER_S, t_ns + 2 * NS_PER_S)

    rows = panel.numerals["icu-1_numerals"]
    assert len(rows) == 10
    assert all(set(row.fields) == EVERY for row in rows)
    assert rows[0].fields["spo2"] == 97.0
    assert rows[0].fields["heart_rate"] == NAN


def test_a_value_that_is_old_becomes_a_null_though_nothing_comes() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_observation(observation(), T0_NS)
    panel.pusher.add_observation(observation(codes.BODY_TEMPERATURE, 36.8), T0_NS)

    assert shown(panel, T0_NS + 4 * NS_PER_S) == {"spo2": 97.0, "body_temperature": 36.8}
    assert shown(panel, T0_NS + 6 * NS_PER_S) == {"body_temperature": 36.8}
    assert shown(panel, T0_NS + 299 * NS_PER_S) == {"body_temperature": 36.8}
    assert shown(panel, T0_NS + 301 * NS_PER_S) == {}


def test_a_silent_subject_says_so_and_then_nothing() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_observation(observation(), T0_NS)

    panel.run(T0_NS, T0_NS + 300 * NS_PER_S)

    rows = panel.numerals["icu-1_numerals"]
    assert set(rows[-1].fields.values()) == {NAN}
    assert 55 <= len(rows) <= 65


def test_a_reason_takes_the_value_away_at_once() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_observation(observation(), T0_NS)
    panel.take(T0_NS)

    panel.pusher.add_observation(observation(value=None, t_ns=T0_NS + 1), T0_NS + NS_PER_S)

    assert shown(panel, T0_NS + NS_PER_S) == {}


def test_what_cannot_be_believed_is_no_value() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_observation(observation(quality=BELIEVED_MIN - 0.01), T0_NS)

    assert shown(panel, T0_NS) == {}


def test_a_late_value_does_not_replace_a_newer_one_and_a_stored_one_none() -> None:
    panel = Panel(LivePusher(lambda _: True))
    for value, t_ns, algorithm in (
        (97.0, T0_NS, ""),
        (80.0, T0_NS - 1, ""),
        (81.0, T0_NS + 1, DEVICE_RECORD.name),
    ):
        one = observation(value=value, t_ns=t_ns, algorithm=algorithm)
        panel.pusher.add_observation(one, T0_NS)

    assert shown(panel, T0_NS) == {"spo2": 97.0}


def test_of_heart_rates_the_fused_one_is_shown() -> None:
    panel = Panel(LivePusher(lambda _: True))
    for value, algorithm in ((70.0, HEART_RATE_FUSION.name), (140.0, "ecg_heart_rate")):
        one = observation(codes.HEART_RATE, value, algorithm=algorithm)
        panel.pusher.add_observation(one, T0_NS)

    assert shown(panel, T0_NS) == {"heart_rate": 70.0}


def test_at_the_end_every_number_is_taken_from_the_panels() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_observation(observation(), T0_NS)
    panel.take(T0_NS)

    (body,) = panel.pusher.farewell(T0_NS + 1)

    assert body.payload.count(b'"NaN"') == len(NUMERALS)
    assert panel.pusher.farewell(T0_NS + 2) == []


def test_a_number_from_before_a_restart_is_taken_away_with_the_first_frame() -> None:
    panel = Panel(LivePusher(lambda _: True))
    panel.pusher.add_frame(frame(block()), T0_NS)

    assert shown(panel, T0_NS) == {}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([numeral.quantity for numeral in NUMERALS] + [codes.RR_INTERVAL]),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.integers(-40, 20),
            st.integers(0, 3_000),
        ),
        max_size=30,
    )
)
def test_rows_rise_and_have_every_field_whatever_comes(
    comings: list[tuple[Quantity, float | None, int, int]],
) -> None:
    panel = Panel(LivePusher(lambda _: True))
    now_ns = T0_NS
    for quantity, value, ago_s, pause_ms in comings:
        now_ns += pause_ms * 1_000_000
        one = observation(quantity, value, now_ns + ago_s * NS_PER_S)
        panel.pusher.add_observation(one, now_ns)
        panel.take(now_ns)

    rows = panel.numerals.get("icu-1_numerals", [])
    assert all(set(row.fields) == EVERY for row in rows)
    assert all(one.t_ns < other.t_ns for one, other in pairwise(rows))


def test_the_rules_are_those_of_the_live_page_and_the_board() -> None:
    page = (Path(processors.__path__[0]) / "sinks/live/static/numerals.js").read_text()

    assert re.findall(r"QUALITY_MIN = ([\d.]+)", page) == [str(BELIEVED_MIN)]
    board = Path(deploy.__path__[0]) / "grafana/dashboards/bedside.json"
    shown_there = [
        panel["targets"][0].get("query", "")
        for panel in json.loads(board.read_text("utf-8"))["panels"]
        if panel["type"] == "stat"
    ]
    names = {name for query in shown_there for name in re.findall(r"\"name\" = '(\w+)'", query)}
    assert {"heart_rate", "spo2"} <= names <= EVERY
