"""The dashboard *Trends*: one subject over hours to months.

What is said each second is read from what was put together minute by minute: a month of one
quantity is 43,200 points. Envelopes have a range of their own, for they are finer.
"""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.dashboard import STRIP_ROWS, Board, strip
from deploy.grafana.model import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    YELLOW,
    Column,
    Head,
    JsonObject,
    Place,
    value_mapping,
)
from deploy.grafana.numerals import (
    BODY_TEMPERATURE,
    HEART_RATE,
    PULSE_RATE,
    RESPIRATORY_RATE,
    SPO2,
    Numeral,
)
from deploy.grafana.panels import lines, table, timeline
from deploy.grafana.queries import (
    ENVELOPE,
    ENVELOPE_25HZ,
    SUBJECT,
    by_time,
    ecg_bound,
    ecg_variables,
    observed,
    subject_variable,
    trend,
)
from deploy.grafana.targets import influx
from devices import codes
from devices.codes import Quantity
from processors.vitals.activity_counts import ACTIVITY
from processors.vitals.ectopy import MINUTE_ALGORITHM as ECTOPY
from processors.vitals.hrv import HRV_EPOCH
from processors.vitals.hrv_day import HRV_DAY
from processors.vitals.posture import Posture

_Y: Final = STRIP_ROWS

POSTURES: Final = {
    Posture.UNKNOWN: ("unknown", GREY),
    Posture.UPRIGHT: ("upright", GREEN),
    Posture.SUPINE: ("on the back", SKY),
    Posture.PRONE: ("on the front", ORANGE),
    Posture.LEFT: ("on the left side", BLUE),
    Posture.RIGHT: ("on the right side", PURPLE),
    Posture.LEANING: ("leaning", YELLOW),
}

_BAND: Final = (
    "The mean of each interval, and behind it the least and the greatest value of it. Nothing is "
    "drawn where there was no value."
)


def board() -> Board:
    """Put the board together."""
    return Board(
        uid="trends",
        title="Trends",
        description="One subject over hours to months. Not a primary alarm.",
        span="24h",
        refresh="1m",
        clinical=True,
        variables=[subject_variable(), *ecg_variables(ENVELOPE, "n_samples")],
        panels=[
            *strip(
                "This board looks back: minute by minute, and a minute stands here when it is "
                "over. Choose the range at the top, or draw one in a graph."
            ),
            _vital(HEART_RATE, Place(x=0, y=_Y, w=12, h=7), GREEN, (40, 120)),
            _vital(SPO2, Place(x=12, y=_Y, w=12, h=7), SKY, (85, 100)),
            _vital(PULSE_RATE, Place(x=0, y=_Y + 7, w=8, h=6), SKY, (40, 120)),
            _vital(RESPIRATORY_RATE, Place(x=8, y=_Y + 7, w=8, h=6), YELLOW, (5, 30)),
            _vital(BODY_TEMPERATURE, Place(x=16, y=_Y + 7, w=8, h=6), ORANGE, (35, 40)),
            _envelope("40 ms, 10 minutes", ENVELOPE_25HZ, Place(x=0, y=_Y + 13, w=12, h=7), "10m"),
            _envelope("seconds, 6 hours", ENVELOPE, Place(x=12, y=_Y + 13, w=12, h=7), "6h"),
            _variability(),
            _balance(),
            _ectopy(),
            _activity(),
            _posture(),
            _share_with_values(),
            _day(),
        ],
    )


def _band(name: str, *, algorithm: str = "") -> list[JsonObject]:
    shown = (("A", "mean", "mean"), ("B", "min", "least"), ("C", "max", "greatest"))
    return [
        influx(trend(field, name, algorithm=algorithm), ref=ref, alias=alias)
        for ref, field, alias in shown
    ]


def _band_columns(colour: str) -> tuple[Column, ...]:
    faint = (("lineWidth", 0), ("showPoints", "never"))
    return (
        Column(name="mean", colour=colour),
        Column(name="least", colour=colour, custom=faint),
        Column(
            name="greatest",
            colour=colour,
            custom=(*faint, ("fillBelowTo", "least"), ("fillOpacity", 25)),
        ),
    )


def _vital(numeral: Numeral, place: Place, colour: str, axis: tuple[int, int]) -> JsonObject:
    head = Head(
        title=numeral.quantity.label,
        description=_BAND,
        place=place,
        unit=numeral.unit,
        interval="1m",
    )
    return lines(
        head,
        *_band(numeral.quantity.name, algorithm=numeral.algorithm),
        columns=_band_columns(colour),
        custom={"axisSoftMin": axis[0], "axisSoftMax": axis[1], "showPoints": "auto"},
    )


def _envelope(what: str, measurement: str, place: Place, window: str) -> JsonObject:
    head = Head(
        title=f"ECG envelope by {what} · $ecg_channel",
        description=(
            "Between the least and the greatest sample of each interval, in millivolt: whether "
            "there was a signal, how high, how disturbed. The range is the panel's own unless one "
            "is drawn. No line where the scale or the unit is unknown."
        ),
        place=place,
        unit="suffix: mV",
        window=window,
        interval="40ms" if measurement == ENVELOPE_25HZ else "1s",
    )
    return lines(
        head,
        influx(ecg_bound("min", measurement), alias="least"),
        influx(ecg_bound("max", measurement), ref="B", alias="greatest"),
        columns=(
            Column(name="least", colour=GREEN),
            Column(
                name="greatest",
                colour=GREEN,
                custom=(("fillBelowTo", "least"), ("fillOpacity", 60)),
            ),
        ),
        custom={"axisLabel": "mV", "axisSoftMin": -0.5, "axisSoftMax": 1.5},
    )


def _quantities(
    head: Head, quantities: Sequence[tuple[Quantity, str]], algorithm: str
) -> JsonObject:
    """Build lines of several quantities that one algorithm gives, once a minute or less often.

    Read as they were said: put together by the minute they would be as many, and come later.
    """
    whose = f"\"algorithm\" = '{algorithm}'"
    targets = [
        influx(
            observed('mean("value")', f"\"name\" = '{quantity.name}' AND {whose}"),
            ref=chr(ord("A") + i),
            alias=quantity.label,
        )
        for i, (quantity, _) in enumerate(quantities)
    ]
    columns = [Column(name=quantity.label, colour=colour) for quantity, colour in quantities]
    return lines(
        head, *targets, columns=columns, custom={"showPoints": "auto"}, legend=len(columns) > 1
    )


def _variability() -> JsonObject:
    head = Head(
        title="Heart rate variability",
        description=(
            "RMSSD and SDNN of five minutes each, without ectopic beats and artefacts; none where "
            "the rhythm is too irregular."
        ),
        place=Place(x=0, y=_Y + 20, w=12, h=6),
        unit="ms",
        interval="5m",
    )
    shown = ((codes.RMSSD, GREEN), (codes.SDNN, SKY))
    return _quantities(head, shown, HRV_EPOCH.name)


def _balance() -> JsonObject:
    head = Head(
        title="LF/HF",
        description=(
            "Power of the NN intervals at 0.04-0.15 Hz over that at 0.15-0.4 Hz, of five minutes."
        ),
        place=Place(x=12, y=_Y + 20, w=6, h=6),
        unit="none",
        interval="5m",
    )
    return _quantities(head, ((codes.LF_HF_RATIO, PURPLE),), HRV_EPOCH.name)


def _ectopy() -> JsonObject:
    head = Head(
        title="Share of ventricular beats",
        description="Of the beats of each minute whose class is known.",
        place=Place(x=18, y=_Y + 20, w=6, h=6),
        unit="percent",
        interval="1m",
    )
    return _quantities(head, ((codes.ECTOPIC_BURDEN, ORANGE),), ECTOPY.name)


def _activity() -> JsonObject:
    head = Head(
        title="Activity",
        description="Activity counts per minute, of an accelerometer; none without one.",
        place=Place(x=0, y=_Y + 26, w=12, h=6),
        unit="suffix: /min",
        interval="1m",
    )
    return _quantities(head, ((codes.ACTIVITY_COUNTS, BLUE),), ACTIVITY.name)


def _posture() -> JsonObject:
    head = Head(
        title="Posture",
        description="The last one of each interval; of sensors whose place on the chest is known.",
        place=Place(x=12, y=_Y + 26, w=12, h=6),
        unit="none",
        interval="10s",
    )
    query = observed('last("value")', f"\"name\" = '{codes.POSTURE.name}'")
    words = {str(int(posture)): words for posture, words in POSTURES.items()}
    return timeline(head, influx(query, alias="Posture"), mappings=[value_mapping(words)])


def _share_with_values() -> JsonObject:
    head = Head(
        title="Share of heart rates that have a value",
        description=(
            "Of the heart rates of each interval, how many had a value and not a reason in its "
            "place: how far the other graphs tell of the whole time."
        ),
        place=Place(x=0, y=_Y + 32, w=12, h=6),
        unit="percentunit",
        interval="1m",
    )
    share = 'sum("n_values") / (sum("n_values") + sum("n_missing"))'
    whose = f"{SUBJECT} AND {HEART_RATE.condition}"
    query = by_time(share, '"trend"', whose)
    return lines(
        head,
        influx(query, alias="With a value"),
        colour=GREEN,
        custom={"axisSoftMin": 0, "axisSoftMax": 1, "showPoints": "auto"},
    )


def _day() -> JsonObject:
    head = Head(
        title="Figures of whole days",
        description=(
            "Heart rate variability of 24 hours, the newest first: at most 200; none before the "
            "first day is over."
        ),
        place=Place(x=12, y=_Y + 32, w=12, h=6),
        unit="none",
        window="30d",
    )
    query = (
        'SELECT "name", "value", "reason", "quality" FROM "observation" WHERE '
        f"{SUBJECT} AND \"algorithm\" = '{HRV_DAY.name}' AND $timeFilter "
        "ORDER BY time DESC LIMIT 200"
    )
    columns = (
        Column(name="value", decimals=1),
        Column(name="quality", unit="percentunit", decimals=0),
    )
    return table(head, influx(query, table=True), columns=columns)
