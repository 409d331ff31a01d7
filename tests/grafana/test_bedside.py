import asyncio
import copy
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import processors
from deploy.grafana import bedside
from deploy.grafana.panels import COLOURS, DATASOURCE_UID, NO_VALUE
from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from devices import codes
from devices.catalogue import CATALOGUE
from devices.readings import NoValueReason as ReadingReason
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.catalogue import MICROVOLTS
from processors.sinks.influx import InfluxStore
from processors.sinks.lines import LineEncoder
from processors.sinks.live.staleness import STALE_S
from processors.vitals.ecg_quality import QUALITY_MIN
from processors.vitals.reasons import NoValueReason
from tests.grafana.board_rules import VARIABLE, Board, findings

PROVISIONING: Final = bedside.FILE.parent.parent / "provisioning"
OKABE_ITO: Final = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}

MINUTE_S: Final = 60
AHEAD_S: Final = 20
"""The minute ends so far ahead of now, so that a slow machine does not make its numerals old."""


def board() -> Board:
    loaded: Board = json.loads(bedside.render())
    return loaded


def panel(title: str) -> Board:
    return next(one for one in board()["panels"] if one["title"].startswith(title))


# What the board says of itself.


def test_the_committed_board_is_what_the_code_builds() -> None:
    committed = bedside.FILE.read_text(encoding="utf-8")

    assert committed == bedside.render(), "run: python -m deploy.grafana.bedside"


def test_the_board_keeps_every_rule() -> None:
    assert findings(board()) == []


def test_the_board_has_every_kind_of_panel_that_was_asked_for() -> None:
    kinds = [one["type"] for one in board()["panels"]]

    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "stat": 4,
        "state-timeline": 2,
        "table": 4,
        "text": 1,
        "timeseries": 3,
    }


def test_the_board_shows_the_last_minute_and_asks_every_second() -> None:
    assert board()["time"] == {"from": "now-1m", "to": "now"}
    assert board()["refresh"] == "1s"


Mutate = Callable[[Board], object]

MUTANTS: Final[dict[str, tuple[Mutate, str]]] = {
    "id twice": (lambda b: b["panels"][3].update(id=1), "panel id given twice"),
    "no id": (lambda b: b["panels"][3].pop("id"), "without an id"),
    "panel over another": (lambda b: b["panels"][2]["gridPos"].update(y=3), "lies over"),
    "panel too wide": (lambda b: b["panels"][1]["gridPos"].update(w=30), "beyond the 24"),
    "query twice": (
        lambda b: b["panels"][1]["targets"].append(b["panels"][1]["targets"][0]),
        "refId given twice",
    ),
    "misspelt variable": (
        lambda b: _replace(b["panels"][1], "${subject:regex}", "${subjet:regex}"),
        "unknown variable subjet",
    ),
    "misspelt variable in a title": (
        lambda b: b["panels"][1].update(title="ECG $ecg_devise"),
        "unknown variable ecg_devise",
    ),
    "misspelt tag in an alias": (
        lambda b: b["panels"][8]["targets"][0].update(alias="$tag_nam"),
        "unknown variable tag_nam",
    ),
    "variable used before it is filled": (
        lambda b: b["templating"]["list"].reverse(),
        "unknown variable subject",
    ),
    "variable that nobody uses": (
        lambda b: b["templating"]["list"].append(
            b["templating"]["list"][0] | {"name": "ward", "query": "SHOW TAG VALUES"}
        ),
        "variable ward is not used",
    ),
    "number escaped as a regular expression": (
        lambda b: _replace(b["panels"][1], "${ecg_mv_per_count:raw}", "$ecg_mv_per_count"),
        "without :regex or :raw",
    ),
    "part of a subject": (
        lambda b: _replace(b["panels"][1], "/^${subject:regex}$/", "/${subject:regex}/"),
        "does not stand alone",
    ),
    "no description": (lambda b: b["panels"][4].pop("description"), "no description"),
    "no unit": (
        lambda b: b["panels"][4]["fieldConfig"]["defaults"].pop("unit"),
        "no unit",
    ),
    "no warning": (
        lambda b: b["panels"][0]["options"].update(content="Bedside"),
        "Not a primary alarm",
    ),
    "data source of another name": (
        lambda b: b["panels"][4]["datasource"].update(uid="influx"),
        "data source",
    ),
    "target without a data source": (
        lambda b: b["panels"][4]["targets"][0].pop("datasource"),
        "data source None",
    ),
    "variable with another data source": (
        lambda b: b["templating"]["list"][0]["datasource"].update(uid="influx"),
        "variable subject: data source",
    ),
    "red and green": (
        lambda b: b["panels"][2]["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(
            color="red"
        ),
        "colour red",
    ),
    "all samples of a day": (
        lambda b: b["panels"][1]["targets"][0].update(query='SELECT "v" FROM "waveform"'),
        "without a limit",
    ),
}


def _replace(one: Board, old: str, new: str) -> None:
    target = one["targets"][0]
    assert old in target["query"]
    target["query"] = target["query"].replace(old, new)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_board_is_caught(name: str) -> None:
    mutate, words = MUTANTS[name]
    broken = copy.deepcopy(board())

    mutate(broken)

    assert any(words in finding for finding in findings(broken)), findings(broken)


def test_the_palette_is_okabe_and_itos_and_a_grey() -> None:
    assert {"#999999", *OKABE_ITO} == COLOURS


# What it must agree on with other files.


def test_the_data_source_is_the_provisioned_one() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "datasources/influxdb.yaml").read_text())

    (source,) = provisioned["datasources"]
    assert (source["uid"], source["type"], source["access"]) == (
        DATASOURCE_UID,
        "influxdb",
        "proxy",
    )
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token ${INFLUX_TOKEN}"}


def test_the_board_cannot_be_changed_by_hand() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "dashboards/chevet.yaml").read_text())

    (provider,) = provisioned["providers"]
    assert not provider["allowUiUpdates"]
    assert provider["disableDeletion"]
    assert not board()["editable"]


def test_numerals_grow_old_as_on_the_live_page() -> None:
    ours = {one.quantity.name: one.stale_s for one in bedside.NUMERALS}

    assert ours == {name: STALE_S[name] for name in ours}


def test_a_value_is_believed_as_on_the_live_page() -> None:
    page = Path(processors.__path__[0]) / "sinks/live/static/numerals.js"

    (limit,) = re.findall(r"QUALITY_MIN = ([\d.]+)", page.read_text())

    assert float(limit) == bedside.BELIEVED_MIN


def test_the_quality_has_its_colour_where_the_heart_rate_begins() -> None:
    assert bedside.QUALITY_MIN == QUALITY_MIN


def test_every_reason_has_words() -> None:
    assert set(bedside.REASONS) == {*NoValueReason, *ReadingReason}


def test_every_unit_of_an_ecg_that_is_processed_becomes_millivolt() -> None:
    query = bedside.variables()[3]["query"]

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

    ecg = {name for name in channels if _matches(bedside.ECG_CHANNELS, name)}
    pleth = {
        name
        for name in channels
        if _matches(bedside.PLETH_CHANNELS, name) and not _matches(bedside.AMBIENT_CHANNELS, name)
    }

    assert ecg == {name for name, one in channels.items() if one.name.startswith("ecg")}
    assert pleth == {name for name, one in channels.items() if one in {codes.PLETH, codes.PPG}}


def _matches(expression: str, name: str) -> bool:
    return re.search(expression.strip("/"), name) is not None


# A minute in a real InfluxDB.


@dataclass(frozen=True, slots=True)
class Ecg:
    """An ECG as one device or one recording sends it."""

    device: str
    channel: str
    unit: str
    scale: float
    offset: float
    period: SamplePeriod
    mv_per_unit: float
    counts: NDArray[np.int32]

    def millivolts(self) -> NDArray[np.float64]:
        physical = self.counts.astype(np.float64) * self.scale + self.offset
        return physical * self.mv_per_unit


def _counts(n_samples: int, height: int) -> NDArray[np.int32]:
    t_s = np.arange(n_samples, dtype=np.float64) / n_samples * MINUTE_S
    beats: NDArray[np.float64] = np.sin(2 * np.pi * 1.2 * t_s) ** 15
    return np.rint(height * beats).astype(np.int32)


def _hz(numerator: int, denominator: int = 1) -> SamplePeriod:
    return SamplePeriod(ns_numerator=NS_PER_S * denominator // numerator, ns_denominator=1)


STRAP: Final = Ecg(
    "polar-h10-1a2b", "ecg", "mV", 1e-3, 0.0, _hz(125), 1.0, _counts(MINUTE_S * 125, 1100)
)
RECORDING: Final = Ecg(
    "recording-100",
    "ecg/MLII",
    "uV",
    5.0,
    -5120.0,
    SamplePeriod(ns_numerator=25_000_000, ns_denominator=9),
    1e-3,
    _counts(MINUTE_S * 360, 220) + 1024,
)
PLETH_COUNTS: Final = _counts(MINUTE_S * 125, 30_000)


@dataclass(frozen=True, slots=True)
class Ward:
    """The subjects of the test, and the end of their minute."""

    reader: InfluxReader
    end_ns: int
    whole: str
    """Everything that the board can show; its name has a dot."""
    recorded: str
    """A recording with two leads, in µV with an offset."""
    thermometer: str
    """No waveform at all."""
    silenced: str
    """A value, and then a reason; and old values."""
    scaleless: str
    """Samples whose scale is gone."""
    n_lines: int


@pytest.fixture(scope="module")
def ward(influx_server: InfluxServer) -> Ward:
    run = secrets.token_hex(4)
    end_ns = (time.time_ns() // NS_PER_S + AHEAD_S) * NS_PER_S
    subjects = {name: f"t.{run}-{name}" for name in ("whole", "recorded", "thermometer")}
    subjects |= {name: f"t.{run}-{name}" for name in ("silenced", "scaleless")}
    encoder = LineEncoder()
    lines = [
        *_whole_lines(encoder, subjects["whole"], end_ns),
        *_recorded_lines(encoder, subjects["recorded"], end_ns),
        *encoder.observation(_value(subjects["thermometer"], "body_temperature", end_ns, 36.6)),
        *_silenced_lines(encoder, subjects["silenced"]),
        *_scaleless_lines(encoder, subjects["scaleless"], end_ns),
    ]

    async def write() -> None:
        store = InfluxStore(
            url=influx_server.url, bucket=influx_server.bucket, org="any", token=run
        )
        assert await store.write(lines) == []
        await store.close()

    asyncio.run(write())
    reader = InfluxReader(influx_server.url, influx_server.database)
    n_lines = sum(piece.count(b"\n") + 1 for piece in lines)
    return Ward(reader=reader, end_ns=end_ns, n_lines=n_lines, **subjects)


def _whole_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    start_ns = end_ns - MINUTE_S * NS_PER_S
    pleth = Ecg("oximeter-3c4d", "pleth", "1", 1.0, 0.0, _hz(125), 1.0, PLETH_COUNTS)
    gaps = (
        _gap("ecg", GapCause.RADIO_LOSS, start_ns, 73),
        _gap("ecg", GapCause.RADIO_LOSS, start_ns + NS_PER_S, 73),
        _gap("acc/x", GapCause.AGENT_DOWN, start_ns, 50),
    )
    events = (
        _event(DeviceEventKind.CONNECTED, start_ns, ""),
        _event(DeviceEventKind.STREAM_STARTED, start_ns + 1, "ECG 125 Hz"),
    )
    for frame in _frames(subject, (STRAP, codes.ECG), (pleth, codes.PLETH), start_ns=start_ns):
        yield from encoder.frame(frame)
    yield from encoder.frame(
        Frame(subject_id=subject, agent_id="agent-1", sequence=999, gaps=gaps, events=events)
    )
    for second in range(MINUTE_S + 1):
        t_ns = start_ns + second * NS_PER_S
        # Ten seconds of movement.
        disturbed = 20 <= second < 30
        quality = 0.3 if disturbed else 0.97
        yield from encoder.observation(
            _reason(subject, "heart_rate", t_ns, NoValueReason.POOR_SIGNAL, quality)
            if disturbed
            else _value(subject, "heart_rate", t_ns, 72.0, quality)
        )
        yield from encoder.observation(_value(subject, "signal_quality", t_ns, quality, quality))
        yield from encoder.observation(_value(subject, "spo2", t_ns, 97.0))
        yield from encoder.observation(_value(subject, "pulse_rate", t_ns, 71.0))
    yield from encoder.observation(_value(subject, "body_temperature", end_ns, 36.8))
    for second, active in ((30, True), (31, False)):
        t_ns = start_ns + second * NS_PER_S
        yield from encoder.alarm(
            AlarmEvent(
                subject_id=subject,
                t_ns=t_ns,
                name="no_heart_rate",
                priority=AlarmPriority.LOW,
                active=active,
                detail="no heart rate: poor_signal",
            )
        )


def _recorded_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    other_lead = Ecg(
        RECORDING.device,
        "ecg/V1",
        "uV",
        1.0,
        0.0,
        RECORDING.period,
        1e-3,
        _counts(MINUTE_S * 360, -700),
    )
    start_ns = end_ns - MINUTE_S * NS_PER_S
    for frame in _frames(
        subject, (RECORDING, codes.ECG_II), (other_lead, codes.ECG_V1), start_ns=start_ns
    ):
        yield from encoder.frame(frame)
    yield from encoder.observation(_value(subject, "heart_rate", end_ns, 75.0))


def _silenced_lines(encoder: LineEncoder, subject: str) -> Iterator[bytes]:
    now_ns = time.time_ns()
    yield from encoder.observation(_value(subject, "heart_rate", now_ns, 72.0))
    yield from encoder.observation(
        _reason(subject, "heart_rate", now_ns + NS_PER_S, NoValueReason.LEAD_OFF, 0.0)
    )
    yield from encoder.observation(_value(subject, "spo2", now_ns - 6 * NS_PER_S, 97.0))
    yield from encoder.observation(_value(subject, "pulse_rate", now_ns + AHEAD_S, 80.0, 0.4))
    yield from encoder.observation(_value(subject, "body_temperature", now_ns - 301 * NS_PER_S, 37))


def _scaleless_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    for frame in _frames(subject, (STRAP, codes.ECG), start_ns=end_ns - MINUTE_S * NS_PER_S):
        yield from (piece for piece in encoder.frame(frame) if piece.startswith(b"waveform,"))
    yield from encoder.observation(_value(subject, "heart_rate", end_ns, 72.0))


def _frames(subject: str, *signals: tuple[Ecg, codes.Quantity], start_ns: int) -> Iterator[Frame]:
    """Cut the signals into Frames of a second."""
    for second in range(MINUTE_S):
        blocks = []
        for ecg, quantity in signals:
            n_samples = ecg.counts.size // MINUTE_S
            i_first = second * n_samples
            blocks.append(
                WaveformBlock(
                    device_id=ecg.device,
                    channel=ecg.channel,
                    mdc_code=quantity.mdc,
                    unit=ecg.unit,
                    scale=ecg.scale,
                    offset=ecg.offset,
                    i_first=i_first,
                    t0_ns=start_ns + ecg.period.offset_ns(i_first),
                    period=ecg.period,
                    counts=ecg.counts[i_first : i_first + n_samples],
                )
            )
        yield Frame(
            subject_id=subject, agent_id="agent-1", sequence=second, waveforms=tuple(blocks)
        )


def _gap(channel: str, cause: GapCause, t_ns: int, n_samples: int) -> Gap:
    return Gap(
        device_id=STRAP.device,
        channel=channel,
        cause=cause,
        i_first=1000,
        n_samples=n_samples,
        t0_ns=t_ns,
    )


def _event(kind: DeviceEventKind, t_ns: int, detail: str) -> DeviceEvent:
    return DeviceEvent(device_id=STRAP.device, kind=kind, t_ns=t_ns, detail=detail)


def _value(subject: str, name: str, t_ns: int, value: float, quality: float = 1.0) -> Observation:
    return _observation(subject, name, t_ns, value=value, reason=None, quality=quality)


def _reason(subject: str, name: str, t_ns: int, reason: str, quality: float) -> Observation:
    return _observation(subject, name, t_ns, value=None, reason=reason, quality=quality)


def _observation(
    subject: str, name: str, t_ns: int, *, value: float | None, reason: str | None, quality: float
) -> Observation:
    quantity = codes.by_name(name)
    return Observation(
        subject_id=subject,
        t_ns=t_ns,
        name=name,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason=reason,
        quality=quality,
        age_s=0.0,
        channels=(f"{STRAP.device}/ecg",),
        algorithm="heart_rate_fusion" if name == "heart_rate" else "device_reading",
        algorithm_version=1,
    )


class Viewer:
    """Fills the variables and asks as Grafana does.

    Source: Grafana's InfluxDB data source (public/app/plugins/datasource/influxdb, and
    pkg/tsdb/influxdb/models/query.go for the time filter), and ``escapeRegex`` of its variables.
    """

    def __init__(self, ward: Ward, subject: str) -> None:
        self._ward = ward
        self.values = {"subject": subject}
        self.options: dict[str, list[str]] = {}
        for variable in board()["templating"]["list"]:
            options = self.options_of(variable)
            self.options[variable["name"]] = options
            self.values.setdefault(variable["name"], options[0] if options else "")

    def options_of(self, variable: Board) -> list[str]:
        series = self._ask(variable["query"], window_s=MINUTE_S)
        rows = series[0]["values"] if series else []
        return sorted({_written(row[1]) for row in rows if row[1] is not None})

    def ask(self, one: Board, target: Board, interval: str = "1s") -> list[Board]:
        window_s = _seconds(one.get("timeFrom", "1m"))
        return self._ask(target["query"], window_s=window_s, interval=interval)

    def rows(self, title: str, interval: str = "1s") -> list[list[Any]]:
        one = panel(title)
        (target,) = one["targets"]
        return [row for series in self.ask(one, target, interval) for row in series["values"]]

    def _ask(self, query: str, window_s: int, interval: str = "1s") -> list[Board]:
        end_ms = self._ward.end_ns // 1_000_000
        built_in = {
            "timeFilter": f"time >= {end_ms - window_s * 1000}ms and time <= {end_ms}ms",
            "__interval": interval,
        }

        def fill(use: re.Match[str]) -> str:
            name, how, short = use.groups()
            if short:
                return built_in[short]
            value = self.values[name]
            return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) if how == "regex" else value

        return self._ward.reader.query(VARIABLE.sub(fill, query))


def _written(value: object) -> str:
    """Write a value as JavaScript does."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"s": 1, "m": 60, "h": 3600}[window[-1]]


def test_every_query_of_the_board_returns_rows(ward: Ward) -> None:
    viewer = Viewer(ward, ward.whole)

    rows = {
        f"panel {one['title']}": sum(len(series["values"]) for series in viewer.ask(one, target))
        for one in board()["panels"]
        for target in one.get("targets", [])
    } | {f"variable {name}": len(options) for name, options in viewer.options.items()}

    print(f"\n{ward.n_lines} points written; rows of each query: {json.dumps(rows, indent=1)}")
    assert len(rows) == 20
    assert all(rows.values()), rows


def test_the_choices_are_this_subjects(ward: Ward) -> None:
    whole, recorded = Viewer(ward, ward.whole), Viewer(ward, ward.recorded)

    assert {ward.whole, ward.recorded, ward.thermometer} <= set(whole.options["subject"])
    assert whole.options["ecg_device"] == [STRAP.device]
    assert whole.options["pleth_channel"] == ["pleth"]
    assert recorded.options["ecg_channel"] == ["ecg/MLII", "ecg/V1"]
    assert recorded.options["pleth_device"] == []


def test_the_ecg_is_what_the_strap_sent_in_millivolt(ward: Ward) -> None:
    viewer = Viewer(ward, ward.whole)

    rows = viewer.rows("ECG ·")

    assert viewer.values["ecg_mv_per_count"] == "0.001"
    _assert_last_ten_seconds(rows, STRAP, ward.end_ns)


def test_the_ecg_of_a_recording_is_in_millivolt_too(ward: Ward) -> None:
    viewer = Viewer(ward, ward.recorded)

    rows = viewer.rows("ECG ·")

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
    rows = Viewer(ward, ward.whole).rows("Pleth ·")

    assert [row[1] for row in rows] == PLETH_COUNTS[-10 * 125 :].tolist()


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
    (row,) = Viewer(ward, ward.whole).rows(title)

    assert row[1] == value


@pytest.mark.parametrize(
    "title",
    [
        pytest.param("Heart rate", id="the newest observation has a reason"),
        pytest.param("Oxygen saturation", id="older than 5 s"),
        pytest.param("Pulse rate", id="of poor quality"),
        pytest.param("Body temperature", id="older than 300 s"),
    ],
)
def test_a_numeral_without_a_value_to_believe_is_dashes(ward: Ward, title: str) -> None:
    rows = Viewer(ward, ward.silenced).rows(title)

    assert [row[1] for row in rows if row[1] is not None] == []
    defaults = panel(title)["fieldConfig"]["defaults"]
    assert defaults["noValue"] == NO_VALUE
    assert defaults["mappings"][0]["options"]["result"]["text"] == NO_VALUE


def test_reasons_and_values_never_overlap(ward: Ward) -> None:
    viewer = Viewer(ward, ward.whole)

    reasons = {t_ns for t_ns, reason in viewer.rows("Why there") if reason == "poor_signal"}
    rates = {t_ns for t_ns, rate in viewer.rows("Heart rate, 15") if rate is not None}

    assert len(reasons) == 10
    assert len(rates) == MINUTE_S + 1 - 10
    assert not reasons & rates


@pytest.mark.parametrize("interval_s", [1, 4, 15])
def test_the_quality_is_the_worst_of_each_interval(ward: Ward, interval_s: int) -> None:
    rows = Viewer(ward, ward.whole).rows("ECG signal quality", f"{interval_s}s")

    start_s = ward.end_ns // NS_PER_S - MINUTE_S
    disturbed = {(start_s + second) // interval_s for second in range(20, 30)}
    shown = {t_ns // NS_PER_S // interval_s: value for t_ns, value in rows}
    assert len(shown) >= MINUTE_S // interval_s
    assert shown == {i: 0.3 if i in disturbed else 0.97 for i in shown}


def test_losses_are_summed_by_cause_device_and_channel(ward: Ward) -> None:
    rows = Viewer(ward, ward.whole).rows("Samples lost")

    assert sorted(row[1:] for row in rows) == [
        ["agent_down", STRAP.device, "acc/x", 50],
        ["radio_loss", STRAP.device, "ecg", 146],
    ]


def test_events_and_alarms_come_newest_first(ward: Ward) -> None:
    viewer = Viewer(ward, ward.whole)

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


def test_a_table_has_one_series_without_tags(ward: Ward) -> None:
    viewer = Viewer(ward, ward.whole)

    for one in board()["panels"]:
        if one["type"] == "table":
            (series,) = viewer.ask(one, one["targets"][0])
            assert "tags" not in series, one["title"]


def test_a_subject_without_waveforms_gives_empty_panels_and_no_error(ward: Ward) -> None:
    viewer = Viewer(ward, ward.thermometer)

    assert viewer.values["ecg_device"] == viewer.values["ecg_mv_per_count"] == ""
    assert viewer.rows("ECG ·") == []
    assert viewer.rows("Pleth ·") == []
    assert viewer.rows("Body temperature")[0][1] == 36.6


def test_samples_whose_scale_is_unknown_are_no_flat_line(ward: Ward) -> None:
    viewer = Viewer(ward, ward.scaleless)

    assert viewer.values["ecg_device"] == STRAP.device
    assert viewer.values["ecg_mv_per_count"] == ""
    assert viewer.rows("ECG ·") == []
