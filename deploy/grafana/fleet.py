"""The dashboard *Fleet*: agents, devices, their clocks, what waits on disk, and the ledger."""

from typing import Final

from deploy.grafana.dashboard import Board, n_living
from deploy.grafana.model import (
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    YELLOW,
    Column,
    Head,
    JsonObject,
    Place,
    Words,
)
from deploy.grafana.numerals import BATTERY_STALE_S
from deploy.grafana.panels import lines, table
from deploy.grafana.queries import ROLE_STALE_S, by_time
from deploy.grafana.targets import influx
from deploy.grafana.ward import LINKS
from devices import codes
from ingest.frame import DeviceEventKind

KNOWN_S: Final = 86_400
"""A process that was silent for longer is not listed any more."""

STATES: Final[Words] = {
    "ready": ("ready", GREEN),
    "starting": ("starting", YELLOW),
    "waiting": ("waiting", ORANGE),
    "stopping": ("stopping", GREY),
}
"""What a process says of itself, ``ingest.role_status``."""

ROLES: Final = ("agent", "worker", "sink", "live", "recorder", "grafana-live")


def board() -> Board:
    """Put the board together."""
    return Board(
        uid="fleet",
        title="Fleet",
        description="Agents, devices, clocks, spool and ledger: the technical side of the wards.",
        span="6h",
        refresh="5s",
        clinical=False,
        panels=[
            *(n_living(role, Place(x=i * 4, y=0, w=4, h=3)) for i, role in enumerate(ROLES)),
            _processes(),
            _agents(),
            _devices(),
            _clocks(),
            _batteries(),
            _spool(),
            _uncertainty(),
            _ledger(),
            _gaps(),
        ],
    )


def _processes() -> JsonObject:
    head = Head(
        title="Processes, by what they last said",
        description=(
            "Every process says each second that it lives, through the broker and the sink. A "
            f"time of more than {ROLE_STALE_S} s ago means that it is silent, whatever it last "
            "said; all silent at once: the broker or the sink is away. Gone from the list after a "
            "day."
        ),
        place=Place(x=0, y=3, w=12, h=9),
        unit="string",
    )
    query = (
        'SELECT "role", "instance", "state", "reason" FROM (SELECT last("state") AS "state", '
        f'"reason" FROM "role_status" WHERE time > now() - {KNOWN_S}s '
        'GROUP BY "role", "instance")'
    )
    columns = (
        Column(name="Time", title="Last said", unit="dateTimeFromNow"),
        Column(name="state", title="State then", words=STATES),
    )
    return table(head, influx(query, table=True), columns=columns)


def _agents() -> JsonObject:
    head = Head(
        title="Agents: links and spool now",
        description=(
            f"Agents that spoke within {ROLE_STALE_S} s: devices that are connected of those that "
            "are wanted, and what waits on disk for the broker. Colours help the eye and are no "
            "alarm limits."
        ),
        place=Place(x=12, y=3, w=12, h=9),
        unit="none",
    )
    shown = ("links_up", "links_wanted", "spool_frames", "spool_bytes")
    newest = ", ".join(f'last("{name}") AS "{name}"' for name in shown)
    listed = ", ".join(f'"{name}"' for name in shown)
    query = (
        f'SELECT "instance", {listed} FROM (SELECT {newest} FROM "role_status" WHERE '
        f'"role" = \'agent\' AND time > now() - {ROLE_STALE_S}s GROUP BY "instance")'
    )
    columns = (
        Column(name="links_up", title="Links", decimals=0),
        Column(name="links_wanted", title="Wanted", decimals=0),
        Column(
            name="spool_frames",
            title="Frames waiting",
            decimals=0,
            steps=((None, SKY), (100, ORANGE), (10_000, VERMILLION)),
        ),
        Column(name="spool_bytes", title="On disk", unit="bytes"),
    )
    return table(head, influx(query, table=True), columns=columns, hidden=("Time",))


def _devices() -> JsonObject:
    head = Head(
        title="Devices, by the last event",
        description="The newest event of each device, and since when.",
        place=Place(x=0, y=12, w=10, h=9),
        unit="string",
        window="24h",
    )
    query = (
        'SELECT "subject", "device", "kind", "detail" FROM (SELECT last("detail") AS "detail", '
        '"kind" FROM "device_event" WHERE $timeFilter GROUP BY "subject", "device")'
    )
    words = LINKS | {DeviceEventKind.BATTERY_LOW: ("battery low", ORANGE)}
    return table(head, influx(query, table=True), columns=(Column(name="kind", words=words),))


def _clocks() -> JsonObject:
    head = Head(
        title="Device clocks",
        description=(
            "How each device's clock last stood to UTC: what is to be added to its time, how fast "
            "it loses, and how wrong that may be. Colours help the eye and are no alarm limits."
        ),
        place=Place(x=10, y=12, w=9, h=9),
        unit="none",
    )
    shown = ("offset_ns", "drift_ppm", "uncertainty_ns")
    newest = ", ".join(f'last("{name}") AS "{name}"' for name in shown)
    listed = ", ".join(f'"{name}"' for name in shown)
    query = (
        f'SELECT "subject", "device", {listed} FROM (SELECT {newest} FROM "device_clock" '
        'WHERE $timeFilter GROUP BY "subject", "device")'
    )
    columns = (
        Column(name="offset_ns", title="UTC minus device", unit="ns"),
        Column(name="drift_ppm", title="Drift", unit="suffix: ppm", decimals=1),
        Column(
            name="uncertainty_ns",
            title="Uncertain by",
            unit="ns",
            steps=((None, SKY), (50_000_000, ORANGE), (1_000_000_000, VERMILLION)),
        ),
    )
    return table(head, influx(query, table=True), columns=columns, hidden=("Time",))


def _batteries() -> JsonObject:
    head = Head(
        title="Batteries, lowest first",
        description=(
            "What each device said of its battery within an hour. Colours help the eye and are no "
            "alarm limits."
        ),
        place=Place(x=19, y=12, w=5, h=9),
        unit="percent",
    )
    query = (
        'SELECT "device", "battery" FROM (SELECT last("value") AS "battery" FROM "reading" '
        f"WHERE \"name\" = '{codes.BATTERY_LEVEL.name}' AND time > now() - {BATTERY_STALE_S}s "
        'GROUP BY "subject", "device")'
    )
    column = Column(
        name="battery",
        title="Battery",
        unit="percent",
        decimals=0,
        steps=((None, VERMILLION), (10, ORANGE), (20, SKY)),
    )
    return table(
        head,
        influx(query, table=True),
        columns=(column,),
        hidden=("Time",),
        sorted_by=("Battery", False),
    )


def _spool() -> JsonObject:
    head = Head(
        title="Frames waiting on disk",
        description=(
            "The most of each interval, by agent. Growth: the broker is away or too slow. A slope "
            "down: the backlog leaves. No line: the agent said nothing."
        ),
        place=Place(x=0, y=21, w=12, h=7),
        unit="none",
        interval="1s",
    )
    query = by_time('max("spool_frames")', '"role_status"', "\"role\" = 'agent'", ("instance",))
    return lines(head, influx(query, alias="$tag_instance"), legend=True)


def _uncertainty() -> JsonObject:
    head = Head(
        title="Uncertainty of the device clocks",
        description="The greatest of each interval, by device: how wrong a time may be.",
        place=Place(x=12, y=21, w=12, h=7),
        unit="ns",
        interval="1m",
    )
    query = (
        'SELECT max("uncertainty_ns") FROM "device_clock" WHERE $timeFilter '
        'GROUP BY time($__interval), "device" fill(null)'
    )
    return lines(
        head, influx(query, alias="$tag_device"), custom={"showPoints": "auto"}, legend=True
    )


def _ledger() -> JsonObject:
    head = Head(
        title="The agents' ledger",
        description=(
            "Totals of each channel since its agent's spool was made, as the agent last stated "
            "them: on the air = acknowledged by the broker + still waiting + lost. What was lost "
            "in the range stands beside it, by cause."
        ),
        place=Place(x=0, y=28, w=14, h=9),
        unit="none",
        window="24h",
    )
    shown = ("on_air", "decoded", "spooled", "acknowledged")
    newest = ", ".join(f'last("{name}") AS "{name}"' for name in shown)
    listed = ", ".join(f'"{name}"' for name in shown)
    query = (
        f'SELECT "agent", "device", "channel", {listed} FROM (SELECT {newest} FROM "ledger" '
        'WHERE $timeFilter GROUP BY "subject", "agent", "device", "channel")'
    )
    return table(head, influx(query, table=True), hidden=("Time",))


def _gaps() -> JsonObject:
    head = Head(
        title="Samples lost in the range, by cause",
        description="Samples that will never come: the sum over all subjects, and per device.",
        place=Place(x=14, y=28, w=10, h=9),
        unit="none",
    )
    query = (
        'SELECT "cause", "device", "samples" FROM (SELECT sum("n_samples") AS "samples" '
        'FROM "gap" WHERE $timeFilter GROUP BY "cause", "device")'
    )
    return table(head, influx(query, table=True), hidden=("Time",), sorted_by=("samples", True))
