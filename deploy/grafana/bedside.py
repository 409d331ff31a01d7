"""The dashboard *Bedside*: one subject, as InfluxDB has it.

``python -m deploy.grafana.bedside`` writes ``dashboards/bedside.json``; a test holds the committed
file against what this module builds.

Three rules of Grafana's InfluxQL data source shape the queries. It escapes a variable for a
regular expression unless told otherwise, which would spoil a number: each use says ``:regex`` or
``:raw``. A variable takes the first series of its query only. And a table mixes up the columns of
series with several tags: the tags of a table are selected as columns instead.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Head,
    JsonObject,
    Place,
    Step,
    stat,
    table,
    target,
    text,
    timeline,
    trace,
    value_mapping,
    variable,
)
from devices import codes
from devices.codes import Quantity
from devices.readings import NoValueReason as ReadingReason
from ingest.observation import AlarmPriority
from processors.sinks.live.staleness import STALE_S
from processors.vitals.fusion import ALGORITHM as HEART_RATE_FUSION
from processors.vitals.reasons import NoValueReason

FILE: Final = Path(__file__).parent / "dashboards" / "bedside.json"

SAMPLES_MAX: Final = 120_000
"""Samples of a trace in one answer: a minute at 2 kHz, the fastest ECG that is processed. In a
longer range the first ones are drawn, and then nothing."""

QUALITY_MIN: Final = 0.85
"""Below this an ECG in noise gives no heart rate: ``processors.vitals.ecg_quality.QUALITY_MIN``."""

BELIEVED_MIN: Final = 0.5
"""A value of lower quality is not shown, as on the live page."""

ECG_CHANNELS: Final = "/^ecg/"
"""The channels of straps (``ecg``) and of recordings (``ecg/MLII``)."""

PLETH_CHANNELS: Final = "/(?i)^(pleth|ppg)/"
AMBIENT_CHANNELS: Final = "/(?i)ambient/"

_SUBJECT: Final = '"subject" =~ /^${subject:regex}$/'
_ECG: Final = '"device" =~ /^${ecg_device:regex}$/ AND "channel" =~ /^${ecg_channel:regex}$/'
_PLETH: Final = '"device" =~ /^${pleth_device:regex}$/ AND "channel" =~ /^${pleth_channel:regex}$/'
_IS_ECG: Final = f'"channel" =~ {ECG_CHANNELS}'
_IS_PLETH: Final = f'"channel" =~ {PLETH_CHANNELS} AND "channel" !~ {AMBIENT_CHANNELS}'

_MV_PER_UNIT: Final = (("mV", "1"), ("uV", "0.001"), ("V", "1000"))
"""The units of an ECG that the pipeline takes, in millivolt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """A number of the board.

    Attributes
    ----------
    stale_s
        After so many seconds without an observation there is no number: the live page's rule.
    steps
        Colours for the eye, for an adult. Not alarm limits: nothing is announced.
    algorithm
        Whose figure is shown where several derive one; empty: there is but one.
    """

    quantity: Quantity
    unit: str
    decimals: int
    stale_s: int
    steps: tuple[Step, ...]
    place: Place
    algorithm: str = ""

    @property
    def condition(self) -> str:
        """What picks its observations."""
        named = f"\"name\" = '{self.quantity.name}'"
        return f"({named} AND \"algorithm\" = '{self.algorithm}')" if self.algorithm else named


_RATE_STEPS: Final[tuple[Step, ...]] = (
    (None, VERMILLION),
    (40, ORANGE),
    (50, SKY),
    (120, ORANGE),
    (150, VERMILLION),
)

NUMERALS: Final = (
    Numeral(
        quantity=codes.HEART_RATE,
        unit="suffix: /min",
        decimals=0,
        stale_s=STALE_S[codes.HEART_RATE.name],
        steps=_RATE_STEPS,
        place=Place(x=18, y=2, w=6, h=4),
        algorithm=HEART_RATE_FUSION.name,
    ),
    Numeral(
        quantity=codes.SPO2,
        unit="percent",
        decimals=0,
        stale_s=STALE_S[codes.SPO2.name],
        steps=((None, VERMILLION), (88, ORANGE), (92, SKY)),
        place=Place(x=18, y=6, w=6, h=4),
    ),
    Numeral(
        quantity=codes.PULSE_RATE,
        unit="suffix: /min",
        decimals=0,
        stale_s=STALE_S[codes.PULSE_RATE.name],
        steps=_RATE_STEPS,
        place=Place(x=18, y=10, w=6, h=3),
    ),
    Numeral(
        quantity=codes.BODY_TEMPERATURE,
        unit="celsius",
        decimals=1,
        stale_s=STALE_S[codes.BODY_TEMPERATURE.name],
        steps=((None, VERMILLION), (33, ORANGE), (35, SKY), (38, ORANGE), (40, VERMILLION)),
        place=Place(x=18, y=13, w=6, h=3),
    ),
)

REASONS: Final[dict[str, tuple[str, str]]] = {
    NoValueReason.WARMING_UP: ("warming up", BLUE),
    NoValueReason.NO_SAMPLES: ("samples missing", PURPLE),
    NoValueReason.LEAD_OFF: ("sensor or electrode off", VERMILLION),
    NoValueReason.SATURATED: ("signal overloaded", ORANGE),
    NoValueReason.POOR_SIGNAL: ("signal too disturbed", ORANGE),
    NoValueReason.TOO_FEW_BEATS: ("counting beats", BLUE),
    NoValueReason.ASYSTOLE_SUSPECTED: ("no beats found: check the patient", VERMILLION),
    NoValueReason.FIRST_BEAT: ("first beat", BLUE),
    NoValueReason.MOVING: ("moving", ORANGE),
    NoValueReason.LOW_PERFUSION: ("pulse wave too weak", ORANGE),
    NoValueReason.PULSE_DEFICIT_SUSPECTED: ("every second pulse may be missing", ORANGE),
    NoValueReason.NOT_CALIBRATED: ("device model not calibrated", GREY),
    NoValueReason.IRREGULAR: ("rhythm too irregular", ORANGE),
    NoValueReason.ECTOPY: ("too many ectopic beats", ORANGE),
    NoValueReason.APNOEA_SUSPECTED: ("no breaths found: check the patient", VERMILLION),
    NoValueReason.SOURCES_DISAGREE: ("sources disagree", ORANGE),
    NoValueReason.OUT_OF_RANGE: ("out of range", ORANGE),
    ReadingReason.NO_CONTACT: ("no contact", VERMILLION),
    ReadingReason.INADEQUATE_SIGNAL: ("signal too disturbed", ORANGE),
    ReadingReason.SENSOR_UNAVAILABLE: ("sensor unavailable", VERMILLION),
    ReadingReason.DEMONSTRATION_DATA: ("demonstration, not measured", GREY),
    ReadingReason.TEST_DATA: ("test, not measured", GREY),
    ReadingReason.CALIBRATING: ("calibrating", BLUE),
    ReadingReason.INVALID: ("called invalid by the device", ORANGE),
    ReadingReason.NOT_A_NUMBER: ("not a number", GREY),
    ReadingReason.NOT_AT_THIS_RESOLUTION: ("not at this resolution", GREY),
    ReadingReason.ABOVE_RANGE: ("above range", ORANGE),
    ReadingReason.BELOW_RANGE: ("below range", ORANGE),
    ReadingReason.RESERVED_VALUE: ("reserved value", GREY),
}
"""Words and colour of each reason; one that is not here is shown as it came."""

_PRIORITIES: Final[dict[str, tuple[str, str]]] = {
    AlarmPriority.LOW: ("low", SKY),
    AlarmPriority.MEDIUM: ("medium", YELLOW),
    AlarmPriority.HIGH: ("high", VERMILLION),
}
_ACTIVE: Final = {"true": ("present", VERMILLION), "false": ("ended", GREY)}


def build() -> JsonObject:
    """Build the dashboard."""
    return {
        "uid": "chevet-bedside",
        "title": "Bedside",
        "description": "One subject: waveforms, numerals, quality, losses. Not a primary alarm.",
        "tags": ["chevet"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1m", "to": "now"},
        "refresh": "1s",
        "timepicker": {"refresh_intervals": ["1s", "5s", "10s", "1m"]},
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": variables()},
        "panels": _numbered(
            (
                _warning(),
                _ecg(),
                *map(_numeral, NUMERALS),
                _pleth(),
                _quality(),
                _reasons(),
                _heart_rate_trend(),
                _conditions(),
                _gaps(),
                _events(),
                _alarms(),
            )
        ),
    }


def render() -> str:
    """Give the file's text."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def variables() -> list[JsonObject]:
    """Write the board's choices, each after those that it needs."""
    return [
        variable("subject", "Subject", 'SHOW TAG VALUES FROM "observation" WITH KEY = "subject"'),
        variable("ecg_device", "ECG device", _sending("device", _IS_ECG)),
        variable(
            "ecg_channel",
            "ECG channel",
            _sending("channel", f'{_IS_ECG} AND "device" =~ /^${{ecg_device:regex}}$/'),
        ),
        variable("ecg_mv_per_count", "mV per count", _millivolts("scale"), hidden=True),
        variable("ecg_mv_at_zero", "mV at count 0", _millivolts("offset"), hidden=True),
        variable("pleth_device", "Pleth device", _sending("device", _IS_PLETH)),
        variable(
            "pleth_channel",
            "Pleth channel",
            _sending("channel", f'{_IS_PLETH} AND "device" =~ /^${{pleth_device:regex}}$/'),
        ),
    ]


def _sending(tag: str, condition: str) -> str:
    """Ask for the tag values of what sends now: ``SHOW TAG VALUES`` lists last week's strap too."""
    return (
        f'SELECT DISTINCT("{tag}") FROM (SELECT last("v"), "{tag}" FROM "waveform" '
        f'WHERE {_SUBJECT} AND {condition} AND $timeFilter GROUP BY "{tag}")'
    )


def _millivolts(field: str) -> str:
    """Ask for a field of the ECG's newest ``waveform_meta`` in millivolt, whatever its unit.

    Without a time filter: it was written when the stream began. No row where the unit is none of
    a voltage: then there is no trace rather than a wrong one.
    """
    by_unit = ", ".join(
        f'(SELECT "{field}" * {factor} AS "mv" FROM "waveform_meta" '
        f"WHERE {_SUBJECT} AND {_ECG} AND \"unit\" = '{unit}')"
        for unit, factor in _MV_PER_UNIT
    )
    return f'SELECT last("mv") FROM {by_unit}'


def _numbered(panels: Iterable[JsonObject]) -> list[JsonObject]:
    return [{"id": number} | panel for number, panel in enumerate(panels, start=1)]


def _warning() -> JsonObject:
    return text(
        "",
        "What this board is not.",
        Place(x=0, y=0, w=24, h=2),
        "**Not a primary alarm. Not a medical device.** What is shown is some seconds old, and "
        "nothing here calls anybody. `---` means that there is no value to believe: the reason "
        "stands below. Colours help the eye; they are no alarm limits.",
    )


def _ecg() -> JsonObject:
    head = Head(
        title="ECG · $ecg_device · $ecg_channel",
        description=(
            "Every sample as the sensor sent it: counts × scale + offset in millivolt, by the "
            "scale and the unit that the stream stated last. Unfiltered. No trace where either "
            "is unknown. Ten seconds, or the range chosen, as far as 120 000 samples reach."
        ),
        place=Place(x=0, y=2, w=18, h=8),
        unit="suffix: mV",
        window="10s",
    )
    # The zeros keep the query whole where a variable is empty, and then the comparisons hold for
    # no sample: a scale of 0 must never draw a flat line.
    query = (
        'SELECT "v" * (0${ecg_mv_per_count:raw}) + (0 + 0${ecg_mv_at_zero:raw}) AS "ecg" '
        f'FROM "waveform" WHERE {_SUBJECT} AND {_ECG} AND '
        "'${ecg_mv_per_count:raw}' != '' AND '${ecg_mv_at_zero:raw}' != '' AND $timeFilter "
        f"LIMIT {SAMPLES_MAX}"
    )
    return trace(
        head,
        target(query, alias="ECG"),
        colour=GREEN,
        custom={"axisLabel": "mV", "axisSoftMin": -0.5, "axisSoftMax": 1.5},
    )


def _pleth() -> JsonObject:
    head = Head(
        title="Pleth · $pleth_device · $pleth_channel",
        description=(
            "Every sample as the sensor sent it, in counts: a plethysmogram has no unit, and "
            "its height compares with nothing but itself. Unfiltered. Some sensors' counts fall "
            "with each pulse."
        ),
        place=Place(x=0, y=10, w=18, h=6),
        unit="none",
        window="10s",
    )
    query = (
        f'SELECT "v" FROM "waveform" WHERE {_SUBJECT} AND {_PLETH} AND $timeFilter '
        f"LIMIT {SAMPLES_MAX}"
    )
    return trace(head, target(query, alias="Pleth"), colour=SKY, custom={"axisLabel": "counts"})


def _numeral(numeral: Numeral) -> JsonObject:
    head = Head(
        title=numeral.quantity.label,
        description=(
            f"The newest observation, if it is at most {numeral.stale_s} s old, has a value and "
            f"a quality of at least {BELIEVED_MIN}; --- otherwise. Colours are for an adult and "
            "no alarm limits."
        ),
        place=numeral.place,
        unit=numeral.unit,
    )
    # Every observation has a quality: its last one is the newest observation, and where that has
    # a reason instead of a value an older value must not come back.
    query = (
        'SELECT "value" FROM (SELECT last("quality") AS "quality", "value" FROM "observation" '
        f"WHERE {_SUBJECT} AND {numeral.condition} AND time > now() - {numeral.stale_s}s) "
        f'WHERE "quality" >= {BELIEVED_MIN}'
    )
    return stat(
        head,
        target(query, alias=numeral.quantity.label),
        decimals=numeral.decimals,
        steps=numeral.steps,
    )


def _quality() -> JsonObject:
    head = Head(
        title="ECG signal quality",
        description=(
            "0 to 100 %: about the probability that the heart rate is right. The worst of each "
            f"interval. Below {QUALITY_MIN:.0%} a heart rate is given only where the line between "
            "the beats is quiet; nothing is drawn where nothing is known."
        ),
        place=Place(x=0, y=16, w=12, h=4),
        unit="percentunit",
        interval="1s",
    )
    query = _by_time('min("value")', f"\"name\" = '{codes.SIGNAL_QUALITY.name}'")
    return timeline(
        head,
        target(query, alias="Quality"),
        steps=((None, VERMILLION), (BELIEVED_MIN, ORANGE), (QUALITY_MIN, SKY)),
    )


def _reasons() -> JsonObject:
    shown = " OR ".join(numeral.condition for numeral in NUMERALS)
    head = Head(
        title="Why there is no value",
        description=(
            "The reason that the newest observation of each interval gave in the place of a "
            "value. Nothing is drawn while there is a value, and nothing where no observation is."
        ),
        place=Place(x=12, y=16, w=12, h=4),
        unit="string",
        interval="1s",
    )
    query = _by_time('last("reason")', f"({shown})", tags=("name",))
    return timeline(head, target(query, alias="$tag_name"), mappings=[value_mapping(REASONS)])


def _heart_rate_trend() -> JsonObject:
    head = Head(
        title="Heart rate, 15 minutes",
        description=(
            "Mean of each interval. The line is broken where no heart rate was given: the reason "
            "stands above."
        ),
        place=Place(x=0, y=20, w=12, h=7),
        unit="suffix: /min",
        window="15m",
        interval="1s",
    )
    query = _by_time('mean("value")', NUMERALS[0].condition)
    return trace(
        head,
        target(query, alias="Heart rate"),
        colour=GREEN,
        # A single value between two gaps has no line: its point is its only sign.
        custom={"axisLabel": "/min", "axisSoftMin": 40, "axisSoftMax": 120, "showPoints": "auto"},
    )


def _conditions() -> JsonObject:
    head = Head(
        title="Technical alarm conditions now",
        description=(
            "Each condition with its last change, however long ago. Not a primary alarm: it is "
            "shown here and calls nobody."
        ),
        place=Place(x=12, y=20, w=12, h=7),
        unit="string",
    )
    query = (
        'SELECT "name", "active", "priority", "detail" FROM (SELECT last("active") AS "active", '
        f'"priority", "detail" FROM "alarm" WHERE {_SUBJECT} GROUP BY "name")'
    )
    return table(head, target(query, table=True), coloured=_ALARM_COLUMNS)


def _gaps() -> JsonObject:
    head = Head(
        title="Samples lost, by cause, 1 hour",
        description="Samples that will never come, by device, channel and cause.",
        place=Place(x=0, y=27, w=8, h=8),
        unit="none",
        window="1h",
    )
    query = (
        'SELECT "cause", "device", "channel", "samples" FROM (SELECT sum("n_samples") AS "samples" '
        f'FROM "gap" WHERE {_SUBJECT} AND $timeFilter GROUP BY "cause", "device", "channel")'
    )
    return table(head, target(query, table=True), hidden=("Time", "time"))


def _events() -> JsonObject:
    head = Head(
        title="Device events, 1 hour",
        description="What happened to the devices, the newest first: at most 100.",
        place=Place(x=8, y=27, w=8, h=8),
        unit="string",
        window="1h",
    )
    query = (
        f'SELECT "kind", "device", "detail" FROM "device_event" WHERE {_SUBJECT} AND $timeFilter '
        "ORDER BY time DESC LIMIT 100"
    )
    return table(head, target(query, table=True))


def _alarms() -> JsonObject:
    head = Head(
        title="Technical alarms, 1 hour",
        description=(
            "Beginnings and ends of conditions, the newest first: at most 100. Not a primary alarm."
        ),
        place=Place(x=16, y=27, w=8, h=8),
        unit="string",
        window="1h",
    )
    query = (
        f'SELECT "name", "active", "priority", "detail" FROM "alarm" WHERE {_SUBJECT} AND '
        "$timeFilter ORDER BY time DESC LIMIT 100"
    )
    return table(head, target(query, table=True), coloured=_ALARM_COLUMNS)


_ALARM_COLUMNS: Final = {
    "active": value_mapping(_ACTIVE),
    "priority": value_mapping(_PRIORITIES),
}


def _by_time(selector: str, condition: str, *, tags: Sequence[str] = ()) -> str:
    """Ask for observations by interval; an interval without one is empty, never filled up."""
    groups = "".join(f', "{tag}"' for tag in tags)
    return (
        f'SELECT {selector} FROM "observation" WHERE {_SUBJECT} AND {condition} AND $timeFilter '
        f"GROUP BY time($__interval){groups} fill(null)"
    )


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
