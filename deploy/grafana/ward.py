"""The dashboard *Ward*: all subjects, those first that need to be looked at."""

from typing import Final

from deploy.grafana.dashboard import STRIP_ROWS, Board, strip
from deploy.grafana.model import (
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    Column,
    Head,
    JsonObject,
    Place,
    Step,
)
from deploy.grafana.numerals import (
    ACTIVE,
    BATTERY_STALE_S,
    BELIEVED_MIN,
    BODY_TEMPERATURE,
    COLOURS_FROM,
    HEART_RATE,
    NUMERALS,
    PRIORITIES,
    RESPIRATORY_RATE,
    SPO2,
    Numeral,
)
from deploy.grafana.panels import lines, table
from deploy.grafana.queries import newest, observed
from deploy.grafana.targets import influx
from devices import codes
from ingest.frame import DeviceEventKind

KNOWN_S: Final = 3600
"""A subject of whom nothing came for longer is not on the ward."""

SUSPECTED_S: Final = 15
"""A suspicion is said again every ten seconds while it lasts."""

_AWAY: Final = (
    DeviceEventKind.LINK_LOST,
    DeviceEventKind.LEFT_ALONE,
    DeviceEventKind.BOND_LOST,
)
_LINKS: Final = "|".join((DeviceEventKind.CONNECTED, *_AWAY))

ATTENTION: Final = {"suspected": 100, "red": 30, "silent": 20, "conditions": 5, "away": 5}
"""What each thing counts for the order of the rows: for the order, and for nothing else."""

_Y: Final = STRIP_ROWS


def board() -> Board:
    """Put the board together."""
    return Board(
        uid="ward",
        title="Ward",
        description="All subjects, those first that need a look. Not a primary alarm.",
        span="15m",
        refresh="2s",
        clinical=True,
        panels=[
            *strip(
                "The order of the rows and the colours help the eye; they are no alarm limits, "
                "and nothing here calls anybody. `---`: no value to believe. A click on a "
                "subject opens *Bedside*."
            ),
            _subjects(),
            _heart_rates(),
            _saturations(),
            _conditions(),
            _devices(),
        ],
    )


def _subjects() -> JsonObject:
    head = Head(
        title="Subjects, worst first",
        description=(
            f"Who sent anything within {KNOWN_S // 60} minutes. Each number is the newest "
            "observation, while it is not older than on Bedside, has a value and a quality of at "
            f"least {BELIEVED_MIN}; --- otherwise. Attention, by which the rows are ordered: "
            f"{ATTENTION['suspected']} for each suspicion, {ATTENTION['red']} for each number in "
            f"red, {ATTENTION['silent']} without a heart rate, {ATTENTION['conditions']} for each "
            "technical condition and each device that is away. Battery: the lowest of the "
            f"devices that said theirs within an hour. {COLOURS_FROM}"
        ),
        place=Place(x=0, y=_Y, w=24, h=16),
        unit="none",
    )
    asked = [_known(), *map(_number, NUMERALS), _red(), _suspected(), _technical(), _away()]
    targets = [
        influx(query, ref=chr(ord("A") + i), table=True)
        for i, query in enumerate([*asked, _battery()])
    ]
    panel = table(head, *targets, columns=_COLUMNS, sorted_by=("Attention", True))
    return panel | {"transformations": _one_row_each()}


_COUNT: Final[tuple[Step, ...]] = ((None, GREY), (1, VERMILLION))

_COLUMNS: Final = (
    Column(
        name="Subject",
        link="/d/chevet-bedside/bedside?var-subject=${__value.raw:percentencode}",
        title="Subject",
    ),
    Column(name="Newest", unit="dateTimeFromNow"),
    *(
        Column(
            name=numeral.short,
            unit=numeral.unit,
            decimals=numeral.decimals,
            steps=numeral.steps,
        )
        for numeral in NUMERALS
    ),
    Column(name="Suspected", decimals=0, steps=_COUNT),
    Column(name="Conditions", decimals=0, steps=((None, GREY), (1, ORANGE))),
    Column(name="Devices away", decimals=0, steps=((None, GREY), (1, ORANGE))),
    Column(
        name="Battery",
        unit="percent",
        decimals=0,
        steps=((None, VERMILLION), (10, ORANGE), (20, SKY)),
    ),
    Column(name="Attention", decimals=0),
)

_SHOWN: Final = (
    ("subject", "Subject"),
    *((numeral.quantity.name, numeral.short) for numeral in NUMERALS),
    ("suspected", "Suspected"),
    ("conditions", "Conditions"),
    ("away", "Devices away"),
    ("battery", "Battery"),
)
_WEIGHTS: Final = ("at_most", "heard", "red", "w_suspected", "w_conditions", "w_away")
"""Columns whose sum is the attention: the first of them counts for all, and is taken off again of
those who have a heart rate."""


def _one_row_each() -> list[JsonObject]:
    """Bring what the queries gave of a subject into one row, in the browser."""
    last = {"operation": "aggregate", "aggregations": ["lastNotNull"]}
    fields: JsonObject = {
        "Time": {"operation": "aggregate", "aggregations": ["max"]},
        "subject": {"operation": "groupby", "aggregations": []},
    }
    fields |= {name: last for name, _ in _SHOWN[1:]} | dict.fromkeys(_WEIGHTS, last)
    weights = [f"{name} (lastNotNull)" for name in _WEIGHTS]
    shown = {name if name == "subject" else f"{name} (lastNotNull)": to for name, to in _SHOWN}
    order = ["subject", "Time (max)", *list(shown)[1:], "Attention"]
    return [
        {"id": "merge", "options": {}},
        {"id": "groupBy", "options": {"fields": fields}},
        {
            "id": "calculateField",
            "options": {
                "mode": "reduceRow",
                "reduce": {"reducer": "sum", "include": weights},
                "alias": "Attention",
                "replaceFields": False,
            },
        },
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys(weights, True),
                "indexByName": {name: i for i, name in enumerate(order)},
                "renameByName": shown | {"Time (max)": "Newest"},
            },
        },
    ]


def _known() -> str:
    names = "|".join(numeral.quantity.name for numeral in NUMERALS)
    return (
        f'SELECT "subject", "quality" * 0 + {ATTENTION["silent"]} AS "at_most" FROM '
        f'(SELECT last("quality") AS "quality" FROM "observation" WHERE "name" =~ /^({names})$/ '
        f'AND time > now() - {KNOWN_S}s GROUP BY "subject")'
    )


def _number(numeral: Numeral) -> str:
    name = numeral.quantity.name
    heard = f', "value" * 0 - {ATTENTION["silent"]} AS "heard"' if numeral is HEART_RATE else ""
    return (
        f'SELECT "subject", "value" AS "{name}"{heard} FROM '
        f'({newest(numeral, where="", tags=("subject",))}) WHERE "quality" >= {BELIEVED_MIN}'
    )


def _red() -> str:
    far = ", ".join(
        f'(SELECT "value" * 0 + {ATTENTION["red"]} AS "one" FROM '
        f"({newest(numeral, where='', tags=('subject',))}) "
        f'WHERE "quality" >= {BELIEVED_MIN} AND ({numeral.far_outside}))'
        for numeral in (HEART_RATE, SPO2, RESPIRATORY_RATE, BODY_TEMPERATURE)
    )
    summed = f'SELECT sum("one") AS "red" FROM {far} GROUP BY "subject"'
    return f'SELECT "subject", "red" FROM ({summed})'


def _suspected() -> str:
    now = (
        'SELECT last("quality"), "value" FROM "observation" WHERE "name" =~ /_suspected$/ '
        f'AND time > now() - {SUSPECTED_S}s GROUP BY "subject", "name"'
    )
    return _counted("suspected", f'SELECT count("value") AS "n" FROM ({now}) WHERE "value" > 0')


def _technical() -> str:
    now = 'SELECT last("active") AS "active" FROM "alarm" GROUP BY "subject", "name"'
    return _counted(
        "conditions", f'SELECT count("active") AS "n" FROM ({now}) WHERE "active" = true'
    )


def _away() -> str:
    now = (
        'SELECT last("detail") AS "detail", "kind" FROM "device_event" '
        f'WHERE "kind" =~ /^({_LINKS})$/ GROUP BY "subject", "device"'
    )
    kinds = " OR ".join(f"\"kind\" = '{kind}'" for kind in _AWAY)
    return _counted("away", f'SELECT count("detail") AS "n" FROM ({now}) WHERE {kinds}')


def _counted(name: str, query: str) -> str:
    return (
        f'SELECT "subject", "n" AS "{name}", "n" * {ATTENTION[name]} AS "w_{name}" '
        f'FROM ({query} GROUP BY "subject")'
    )


def _battery() -> str:
    return (
        'SELECT "subject", "battery" FROM (SELECT min("battery") AS "battery" FROM '
        '(SELECT last("value") AS "battery" FROM "reading" '
        f"WHERE \"name\" = '{codes.BATTERY_LEVEL.name}' AND time > now() - {BATTERY_STALE_S}s "
        'GROUP BY "subject", "device") GROUP BY "subject")'
    )


def _heart_rates() -> JsonObject:
    return _all_lines(HEART_RATE, Place(x=0, y=_Y + 16, w=12, h=8), (30, 150))


def _saturations() -> JsonObject:
    return _all_lines(SPO2, Place(x=12, y=_Y + 16, w=12, h=8), (80, 100))


def _all_lines(numeral: Numeral, place: Place, axis: tuple[int, int]) -> JsonObject:
    head = Head(
        title=f"{numeral.quantity.label}, 15 minutes",
        description=(
            "One line for each subject: the mean of each interval. A line is broken where no "
            "value was given."
        ),
        place=place,
        unit=numeral.unit,
        interval="5s",
    )
    query = observed('mean("value")', numeral.condition, tags=("subject",), where="")
    return lines(
        head,
        influx(query, alias="$tag_subject"),
        custom={"axisSoftMin": axis[0], "axisSoftMax": axis[1], "showPoints": "auto"},
        legend=True,
    )


def _conditions() -> JsonObject:
    head = Head(
        title="Technical conditions present",
        description=(
            "Of all subjects, with the time since when. Not a primary alarm: it is shown here and "
            "calls nobody."
        ),
        place=Place(x=0, y=_Y + 24, w=12, h=8),
        unit="string",
    )
    query = (
        'SELECT "subject", "name", "active", "priority", "detail" FROM (SELECT last("active") AS '
        '"active", "priority", "detail" FROM "alarm" GROUP BY "subject", "name") '
        'WHERE "active" = true'
    )
    columns = (
        Column(name="active", words=ACTIVE),
        Column(name="priority", words=PRIORITIES),
    )
    return table(head, influx(query, table=True), columns=columns)


def _devices() -> JsonObject:
    head = Head(
        title="Devices, connected and away",
        description="What was last said of each device's link, and since when.",
        place=Place(x=12, y=_Y + 24, w=12, h=8),
        unit="string",
    )
    query = (
        'SELECT "subject", "device", "kind", "detail" FROM (SELECT last("detail") AS "detail", '
        f'"kind" FROM "device_event" WHERE "kind" =~ /^({_LINKS})$/ GROUP BY "subject", "device")'
    )
    return table(head, influx(query, table=True), columns=(Column(name="kind", words=LINKS),))


LINKS: Final[dict[str, tuple[str, str]]] = {
    DeviceEventKind.CONNECTED: ("connected", GREEN),
    DeviceEventKind.LINK_LOST: ("link lost", VERMILLION),
    DeviceEventKind.LEFT_ALONE: ("left alone for a while", ORANGE),
    DeviceEventKind.BOND_LOST: ("bond lost: enrol again", VERMILLION),
}
"""What is said of a link, and its colour."""
