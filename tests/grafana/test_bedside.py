import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import processors
from deploy.grafana import bedside, numerals, queries
from deploy.grafana.model import NO_VALUE
from deploy.local.influx import InfluxServer
from devices import codes
from devices.catalogue import CATALOGUE
from devices.readings import NoValueReason as ReadingReason
from ingest.frame import NS_PER_S
from processors.catalogue import MICROVOLTS
from processors.vitals.ecg_quality import QUALITY_MIN
from processors.vitals.reasons import NoValueReason
from tests.grafana.board_rules import Board
from tests.grafana.people import MINUTE_S, PLETH_COUNTS, RECORDING, STRAP, Ecg, Ward, admit
from tests.grafana.viewer import Viewer


def board() -> Board:
    loaded: Board = json.loads(json.dumps(bedside.board().build()))
    return loaded


def panel(title: str) -> Board:
    return next(one for one in board()["panels"] if one["title"].startswith(title))


# What the board says of itself.


def test_the_board_has_every_kind_of_panel_that_was_asked_for() -> None:
    kinds = [one["type"] for one in board()["panels"]]

    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "stat": 8,
        "state-timeline": 3,
        "table": 4,
        "text": 1,
        "timeseries": 6,
    }


def test_the_board_shows_the_last_minute_and_asks_every_second() -> None:
    assert board()["time"] == {"from": "now-1m", "to": "now"}
    assert board()["refresh"] == "1s"


def test_the_live_traces_listen_to_one_channel_for_each_signal() -> None:
    channels = [
        one["targets"][0]["channel"] for one in board()["panels"] if one["title"].endswith(", live")
    ]

    assert channels == [
        "stream/chevet/${subject}_ecg",
        "stream/chevet/${subject}_pleth",
        "stream/chevet/${subject}_resp",
    ]


# What it must agree on with other files.


def test_a_value_is_believed_as_on_the_live_page() -> None:
    page = Path(processors.__path__[0]) / "sinks/live/static/numerals.js"

    (limit,) = re.findall(r"QUALITY_MIN = ([\d.]+)", page.read_text())

    assert float(limit) == numerals.BELIEVED_MIN


def test_the_quality_has_its_colour_where_the_heart_rate_begins() -> None:
    assert numerals.QUALITY_MIN == QUALITY_MIN


def test_every_reason_has_words() -> None:
    assert set(numerals.REASONS) == {*NoValueReason, *ReadingReason}


def test_every_unit_of_an_ecg_that_is_processed_becomes_millivolt() -> None:
    query = board()["templating"]["list"][3]["query"]

    factors = dict(re.findall(r'\* ([\d.]+) AS "mv".*?"unit" = \'(\w+)\'', str(query)))

    assert {unit: float(factor) * 1e3 for factor, unit in factors.items()} == dict(MICROVOLTS)


def test_the_channels_of_every_known_device_are_found() -> None:
    channels = {
        channel.name: channel.quantity
        for model in CATALOGUE
        for stream in model.pmd_streams
        for channel in stream.channels
        if channel is not None
    } | {"ecg/MLII": codes.ECG_II, "PLETH": codes.PLETH, "PPG": codes.PLETH}

    ecg = {name for name in channels if _matches(queries.ECG_CHANNELS, name)}
    pleth = {
        name
        for name in channels
        if _matches(queries.PLETH_CHANNELS, name) and not _matches(queries.AMBIENT_CHANNELS, name)
    }

    assert ecg == {name for name, one in channels.items() if one.name.startswith("ecg")}
    assert pleth == {name for name, one in channels.items() if one in {codes.PLETH, codes.PPG}}


def _matches(expression: str, name: str) -> bool:
    return re.search(expression.strip("/"), name) is not None


# A minute in a real InfluxDB.


@pytest.fixture(scope="module")
def ward(influx_server: InfluxServer) -> Ward:
    return admit(influx_server)


def view(ward: Ward, subject: str) -> Viewer:
    return Viewer(board(), ward.reader, ward.end_ns, subject)


@pytest.mark.parametrize(
    ("title", "value"),
    [
        ("Heart rate", 72.0),
        ("Oxygen saturation", 97.0),
        ("Pulse rate", 71.0),
        ("Body temperature", 36.8),
    ],
)
def test_a_numeral_is_the_newest_value(ward: Ward, title: str, value: float) -> None:
    (row,) = view(ward, ward.whole).rows(title)

    assert row[1] == value


@pytest.mark.parametrize(
    "title",
    [
        pytest.param("Heart rate", id="the newest observation has a reason"),
        pytest.param("Oxygen saturation", id="older than 5 s"),
        pytest.param("Pulse rate", id="of poor quality"),
        pytest.param("Respiratory rate", id="only what a device had stored"),
        pytest.param("Body temperature", id="older than 300 s"),
    ],
)
def test_a_numeral_without_a_value_to_believe_is_dashes(ward: Ward, title: str) -> None:
    rows = view(ward, ward.silenced).rows(title)

    assert [row[1] for row in rows if row[1] is not None] == []
    defaults = panel(title)["fieldConfig"]["defaults"]
    assert defaults["noValue"] == NO_VALUE
    assert defaults["mappings"][0]["options"]["result"]["text"] == NO_VALUE


def test_the_choices_are_this_subjects(ward: Ward) -> None:
    whole, recorded = view(ward, ward.whole), view(ward, ward.recorded)

    assert {ward.whole, ward.recorded, ward.thermometer} <= set(whole.options["subject"])
    assert whole.options["ecg_device"] == [STRAP.device]
    assert whole.options["pleth_channel"] == ["pleth"]
    assert recorded.options["ecg_channel"] == ["ecg/MLII", "ecg/V1"]
    assert recorded.options["pleth_device"] == []


def test_the_ecg_is_what_the_strap_sent_in_millivolt(ward: Ward) -> None:
    viewer = view(ward, ward.whole)

    rows = viewer.rows("ECG, stored")

    assert viewer.values["ecg_mv_per_count"] == "0.001"
    _assert_last_ten_seconds(rows, STRAP, ward.end_ns)


def test_the_ecg_of_a_recording_is_in_millivolt_too(ward: Ward) -> None:
    viewer = view(ward, ward.recorded)

    rows = viewer.rows("ECG, stored")

    assert viewer.values["ecg_mv_per_count"] == "0.005"
    assert viewer.values["ecg_mv_at_zero"] == "-5.12"
    _assert_last_ten_seconds(rows, RECORDING, ward.end_ns)


def _assert_last_ten_seconds(rows: list[list[Any]], ecg: Ecg, end_ns: int) -> None:
    start_ns = end_ns - MINUTE_S * NS_PER_S
    times_ns = np.array([start_ns + ecg.period.offset_ns(i) for i in range(ecg.counts.size)])
    shown = times_ns >= end_ns - 10 * NS_PER_S
    assert [row[0] for row in rows] == times_ns[shown].tolist()
    np.testing.assert_allclose([row[1] for row in rows], ecg.millivolts()[shown], atol=1e-9)
    assert np.ptp(ecg.millivolts()[shown]) > 1.0


def test_the_pleth_is_the_counts(ward: Ward) -> None:
    rows = view(ward, ward.whole).rows("Pleth, stored")

    assert [row[1] for row in rows] == PLETH_COUNTS[-10 * 125 :].tolist()


def test_reasons_and_values_never_overlap(ward: Ward) -> None:
    viewer = view(ward, ward.whole)

    reasons = {t_ns for t_ns, reason in viewer.rows("Why there") if reason == "poor_signal"}
    rates = {t_ns for t_ns, rate in viewer.rows("Heart rate, 15") if rate is not None}

    assert len(reasons) == 10
    assert len(rates) == MINUTE_S + 1 - 10
    assert not reasons & rates


@pytest.mark.parametrize("interval_s", [1, 4, 15])
def test_the_quality_is_the_worst_of_each_interval(ward: Ward, interval_s: int) -> None:
    rows = view(ward, ward.whole).rows("ECG signal quality", f"{interval_s}s")

    start_s = ward.end_ns // NS_PER_S - MINUTE_S
    disturbed = {(start_s + second) // interval_s for second in range(20, 30)}
    shown = {t_ns // NS_PER_S // interval_s: value for t_ns, value in rows}
    assert len(shown) >= MINUTE_S // interval_s
    assert shown == {i: 0.3 if i in disturbed else 0.97 for i in shown}


def test_losses_are_summed_by_cause_device_and_channel(ward: Ward) -> None:
    rows = view(ward, ward.whole).rows("Samples lost")

    assert sorted(row[1:] for row in rows) == [
        ["agent_down", STRAP.device, "acc/x", 50],
        ["radio_loss", STRAP.device, "ecg", 146],
    ]


def test_events_and_alarms_come_newest_first(ward: Ward) -> None:
    viewer = view(ward, ward.whole)

    assert [row[1:] for row in viewer.rows("Device events")] == [
        ["stream_started", STRAP.device, "ECG 125 Hz"],
        ["connected", STRAP.device, ""],
    ]
    detail = "no heart rate: poor_signal"
    assert [row[1:] for row in viewer.rows("Technical alarms")] == [
        ["no_heart_rate", False, "low", detail],
        ["no_heart_rate", True, "low", detail],
    ]
    assert [row[1:] for row in viewer.rows("Technical alarm conditions")] == [
        ["no_heart_rate", False, "low", detail]
    ]


def test_a_subject_without_waveforms_gives_empty_panels_and_no_error(ward: Ward) -> None:
    viewer = view(ward, ward.thermometer)

    assert viewer.values["ecg_device"] == viewer.values["ecg_mv_per_count"] == ""
    assert viewer.rows("ECG, stored") == []
    assert viewer.rows("Pleth, stored") == []
    assert viewer.rows("Body temperature")[0][1] == 36.6


def test_samples_whose_scale_is_unknown_are_no_flat_line(ward: Ward) -> None:
    viewer = view(ward, ward.scaleless)

    assert viewer.values["ecg_device"] == STRAP.device
    assert viewer.values["ecg_mv_per_count"] == ""
    assert viewer.rows("ECG, stored") == []
