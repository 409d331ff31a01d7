"""The dashboard *Bedside*: one subject, live and as it was stored."""

from typing import Final

from deploy.grafana.dashboard import STRIP_ROWS, Board, strip
from deploy.grafana.model import (
    GREEN,
    ORANGE,
    SKY,
    VERMILLION,
    YELLOW,
    Column,
    Head,
    JsonObject,
    Place,
    value_mapping,
)
from deploy.grafana.numerals import (
    ACTIVE,
    BELIEVED_MIN,
    BODY_TEMPERATURE,
    COLOURS_FROM,
    HEART_RATE,
    NUMERALS,
    PRIORITIES,
    PULSE_RATE,
    QUALITY_MIN,
    REASONS,
    RESPIRATORY_RATE,
    SPO2,
    SUSPECTED,
    Numeral,
)
from deploy.grafana.panels import lines, live_trace, stat, table, timeline
from deploy.grafana.queries import (
    AGENTS_OF_SUBJECT,
    SUBJECT,
    WAVEFORM,
    believed,
    ecg_samples,
    ecg_variables,
    observed,
    pleth_samples,
    pleth_variables,
    subject_variable,
)
from deploy.grafana.targets import influx, live
from devices import codes

_Y: Final = STRIP_ROWS

NUMERAL_PLACES: Final = (
    (HEART_RATE, Place(x=18, y=_Y, w=6, h=4)),
    (SPO2, Place(x=18, y=_Y + 4, w=6, h=4)),
    (PULSE_RATE, Place(x=18, y=_Y + 8, w=6, h=3)),
    (RESPIRATORY_RATE, Place(x=18, y=_Y + 11, w=6, h=3)),
    (BODY_TEMPERATURE, Place(x=18, y=_Y + 14, w=6, h=3)),
)

_LIVE_ONLY: Final = (
    "As it is pushed, about ten times a second, for subjects that `chevet grafana-live` is told to "
    "push; nothing is kept. Empty: not pushed, or nothing comes; what is stored stands below. "
)


def board() -> Board:
    """Put the board together."""
    return Board(
        uid="bedside",
        title="Bedside",
        description="One subject: waveforms, numerals, quality, losses. Not a primary alarm.",
        span="1m",
        refresh="1s",
        clinical=True,
        variables=[
            subject_variable(),
            *ecg_variables(WAVEFORM, "v"),
            *pleth_variables(),
        ],
        panels=[
            *strip(
                "What is shown is some seconds old, and nothing here calls anybody. `---` means "
                "that there is no value to believe: the reason stands below. Colours help the "
                "eye; they are no alarm limits.",
                agents=AGENTS_OF_SUBJECT,
            ),
            *_live_traces(),
            *(_numeral(numeral, place) for numeral, place in NUMERAL_PLACES),
            _quality(),
            _reasons(),
            _suspicions(),
            _stored_ecg(),
            _stored_pleth(),
            _heart_rate(),
            _conditions(),
            _gaps(),
            _events(),
            _alarms(),
        ],
    )


def _live_traces() -> list[JsonObject]:
    rows = (
        ("ECG, live", "ecg", "suffix: mV", GREEN, Place(x=0, y=_Y, w=18, h=7)),
        ("Pleth, live", "pleth", "none", SKY, Place(x=0, y=_Y + 7, w=18, h=5)),
        ("Respiration, live", "resp", "none", YELLOW, Place(x=0, y=_Y + 12, w=18, h=5)),
    )
    return [
        live_trace(
            Head(
                title=title,
                description=f"{_LIVE_ONLY}Unfiltered. The last ten seconds.",
                place=place,
                unit=unit,
                window="10s",
            ),
            live(signal),
            colour=colour,
            custom={"axisLabel": "mV" if signal == "ecg" else ""},
        )
        for title, signal, unit, colour, place in rows
    ]


def _numeral(numeral: Numeral, place: Place) -> JsonObject:
    head = Head(
        title=numeral.quantity.label,
        description=(
            f"The newest observation, if it is at most {numeral.stale_s} s old, has a value and "
            f"a quality of at least {BELIEVED_MIN}; --- otherwise. {COLOURS_FROM}"
        ),
        place=place,
        unit=numeral.unit,
    )
    return stat(
        head,
        influx(believed(numeral), alias=numeral.quantity.label),
        decimals=numeral.decimals,
        steps=numeral.steps,
    )


def _quality() -> JsonObject:
    head = Head(
        title="ECG signal quality",
        description=(
            "0 to 100 %: about the probability that the heart rate is right. The worst of each "
            f"interval. Below {QUALITY_MIN:.0%} a heart rate is given only where the line between "
            "the beats is quiet; nothing is drawn where nothing is known. Colours are no alarm "
            "limits."
        ),
        place=Place(x=0, y=_Y + 17, w=8, h=5),
        unit="percentunit",
        interval="1s",
    )
    query = observed('min("value")', f"\"name\" = '{codes.SIGNAL_QUALITY.name}'")
    return timeline(
        head,
        influx(query, alias="Quality"),
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
        place=Place(x=8, y=_Y + 17, w=8, h=5),
        unit="string",
        interval="1s",
    )
    query = observed('last("reason")', f"({shown})", tags=("name",))
    return timeline(head, influx(query, alias="$tag_name"), mappings=[value_mapping(REASONS)])


def _suspicions() -> JsonObject:
    head = Head(
        title="Suspected",
        description=(
            "What the pipeline suspects: asystole, extreme rates, ventricular and atrial "
            "arrhythmias, apnoea, falls. Look at the patient and at the trace. Not a primary "
            "alarm: it is drawn here and calls nobody."
        ),
        place=Place(x=16, y=_Y + 17, w=8, h=5),
        unit="none",
        interval="10s",  # so often is each said
    )
    query = observed('max("value")', '"name" =~ /_suspected$/', tags=("name",))
    return timeline(head, influx(query, alias="$tag_name"), mappings=[value_mapping(SUSPECTED)])


def _stored_ecg() -> JsonObject:
    head = Head(
        title="ECG, stored · $ecg_device · $ecg_channel",
        description=(
            "Every sample as the sensor sent it: counts × scale + offset in millivolt, by the "
            "scale and the unit that the stream stated last. Unfiltered. No trace where either "
            "is unknown. Ten seconds, or the range chosen, as far as 120 000 samples reach; kept "
            "for hours, then see Trends."
        ),
        place=Place(x=0, y=_Y + 22, w=12, h=7),
        unit="suffix: mV",
        window="10s",
    )
    return lines(
        head,
        influx(ecg_samples(), alias="ECG"),
        colour=GREEN,
        custom={"axisLabel": "mV", "axisSoftMin": -0.5, "axisSoftMax": 1.5},
    )


def _stored_pleth() -> JsonObject:
    head = Head(
        title="Pleth, stored · $pleth_device · $pleth_channel",
        description=(
            "Every sample as the sensor sent it, in counts: a plethysmogram has no unit, and "
            "its height compares with nothing but itself. Unfiltered. Some sensors' counts fall "
            "with each pulse."
        ),
        place=Place(x=12, y=_Y + 22, w=12, h=7),
        unit="none",
        window="10s",
    )
    query = influx(pleth_samples(), alias="Pleth")
    return lines(head, query, colour=SKY, custom={"axisLabel": "counts"})


def _heart_rate() -> JsonObject:
    head = Head(
        title="Heart rate, 15 minutes",
        description=(
            "Mean of each interval. The line is broken where no heart rate was given: the reason "
            "stands above."
        ),
        place=Place(x=0, y=_Y + 29, w=12, h=7),
        unit="suffix: /min",
        window="15m",
        interval="1s",
    )
    return lines(
        head,
        influx(observed('mean("value")', HEART_RATE.condition), alias="Heart rate"),
        colour=GREEN,
        # A single value between two gaps has no line: its point is its only sign.
        custom={"axisLabel": "/min", "axisSoftMin": 40, "axisSoftMax": 120, "showPoints": "auto"},
    )


_ALARM_COLUMNS: Final = (
    Column(name="active", words=ACTIVE),
    Column(name="priority", words=PRIORITIES),
)


def _conditions() -> JsonObject:
    head = Head(
        title="Technical alarm conditions now",
        description=(
            "Each condition with its last change, however long ago. Not a primary alarm: it is "
            "shown here and calls nobody."
        ),
        place=Place(x=12, y=_Y + 29, w=12, h=7),
        unit="string",
    )
    query = (
        'SELECT "name", "active", "priority", "detail" FROM (SELECT last("active") AS "active", '
        f'"priority", "detail" FROM "alarm" WHERE {SUBJECT} GROUP BY "name")'
    )
    return table(head, influx(query, table=True), columns=_ALARM_COLUMNS)


def _gaps() -> JsonObject:
    head = Head(
        title="Samples lost, by cause, 1 hour",
        description="Samples that will never come, by device, channel and cause.",
        place=Place(x=0, y=_Y + 36, w=8, h=8),
        unit="none",
        window="1h",
    )
    query = (
        'SELECT "cause", "device", "channel", "samples" FROM (SELECT sum("n_samples") AS "samples" '
        f'FROM "gap" WHERE {SUBJECT} AND $timeFilter GROUP BY "cause", "device", "channel")'
    )
    return table(head, influx(query, table=True), hidden=("Time",))


def _events() -> JsonObject:
    head = Head(
        title="Device events, 1 hour",
        description="What happened to the devices, the newest first: at most 100.",
        place=Place(x=8, y=_Y + 36, w=8, h=8),
        unit="string",
        window="1h",
    )
    query = (
        f'SELECT "kind", "device", "detail" FROM "device_event" WHERE {SUBJECT} AND $timeFilter '
        "ORDER BY time DESC LIMIT 100"
    )
    return table(head, influx(query, table=True))


def _alarms() -> JsonObject:
    head = Head(
        title="Technical alarms, 1 hour",
        description=(
            "Beginnings and ends of conditions, the newest first: at most 100. Not a primary alarm."
        ),
        place=Place(x=16, y=_Y + 36, w=8, h=8),
        unit="string",
        window="1h",
    )
    query = (
        f'SELECT "name", "active", "priority", "detail" FROM "alarm" WHERE {SUBJECT} AND '
        "$timeFilter ORDER BY time DESC LIMIT 100"
    )
    return table(head, influx(query, table=True), columns=_ALARM_COLUMNS)
