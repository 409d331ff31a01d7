"""The dashboard *Pipeline*: how the processes do, as Prometheus has it."""

from typing import Final

from deploy.grafana.dashboard import Board
from deploy.grafana.model import (
    GREEN,
    ORANGE,
    SKY,
    VERMILLION,
    Column,
    Head,
    JsonObject,
    Place,
    Step,
    value_mapping,
)
from deploy.grafana.panels import lines, stat, timeline
from deploy.grafana.targets import prometheus

RATE_SPAN: Final = "1m"
"""Over which rates are taken: long enough for several scrapes, short enough to see a stop."""

_NO_LIMITS: Final = "Colours help the eye and are no alarm limits; the alert rules have theirs."

_ANSWERS: Final = {"0": ("does not answer", VERMILLION), "1": ("answers", GREEN)}
_READY: Final = {"0": ("not ready", ORANGE), "1": ("ready", GREEN)}

_QUANTILES: Final = (("0.5", "p50", SKY), ("0.95", "p95", ORANGE), ("0.99", "p99", VERMILLION))


def board() -> Board:
    """Put the board together."""
    return Board(
        uid="pipeline",
        title="Pipeline",
        description="Lag, latency, throughput, dead letters and health of the processes.",
        span="1h",
        refresh="5s",
        clinical=False,
        panels=[
            *_now(),
            _states("Processes that answer", "up", "{{job}} · {{instance}}", _ANSWERS, 0, _UP),
            _states(
                "Roles that are ready",
                "chevet_processors_ready",
                "{{role}} · {{instance}}",
                _READY,
                12,
                "1 while a role has its partitions and reads. Not ready for long: the broker is "
                "away, or a rebalance hangs.",
            ),
            *_lag(),
            *_latency(),
            *_throughput(),
            *_refused(),
            *_state(),
            *_agents(),
        ],
    )


_UP: Final = (
    "Whether Prometheus reaches each process: one that is dead, or whose host is, does not answer."
)


def _now() -> list[JsonObject]:
    shown: tuple[tuple[str, str, str, str, int, tuple[Step, ...]], ...] = (
        (
            "Processes that do not answer",
            "Of those that Prometheus is told to ask.",
            'count(up{job!="prometheus"} == 0) or vector(0)',
            "none",
            0,
            ((None, SKY), (1, VERMILLION)),
        ),
        (
            "Greatest lag now",
            "Event time by which the slowest partition is behind while records wait.",
            "max(chevet_processors_lag_seconds)",
            "s",
            1,
            ((None, SKY), (3, ORANGE), (10, VERMILLION)),
        ),
        (
            "Radio to store, p95",
            "From the radio to the database, of the last minute: of 20 samples 19 are as fast.",
            _quantile("0.95", "chevet_processors_radio_to_stored_seconds"),
            "s",
            2,
            ((None, SKY), (2, ORANGE), (10, VERMILLION)),
        ),
        (
            "Dead letters, 1 hour",
            "Records and points that nobody could use: `chevet dead-letters list` tells why.",
            "sum(increase(chevet_processors_records_dead_lettered_total[1h]))",
            "none",
            0,
            ((None, SKY), (1, ORANGE)),
        ),
    )
    return [
        stat(
            Head(
                title=title,
                description=f"{description} {_NO_LIMITS}",
                place=Place(x=i * 6, y=0, w=6, h=4),
                unit=unit,
            ),
            prometheus(expr, now=True),
            decimals=decimals,
            steps=steps,
        )
        for i, (title, description, expr, unit, decimals, steps) in enumerate(shown)
    ]


def _states(  # one row of a table each
    title: str, metric: str, legend: str, words: dict[str, tuple[str, str]], x: int, what: str
) -> JsonObject:
    head = Head(
        title=title,
        description=what,
        place=Place(x=x, y=4, w=12, h=7),
        unit="none",
        interval="1s",
    )
    return timeline(head, prometheus(metric, legend=legend), mappings=[value_mapping(words)])


def _lag() -> list[JsonObject]:
    return [
        _graph(
            "Records behind, by partition",
            "Records behind the last one processed. Growth: more workers are needed.",
            Place(x=0, y=11, w=12, h=7),
            "none",
            ("sum by (partition) (chevet_processors_lag_records)", "{{partition}}"),
        ),
        _graph(
            "Seconds behind, by partition",
            "While records wait: from the newest event time processed to now. A backlog of old "
            "data has a great lag, and it falls while the backlog leaves.",
            Place(x=12, y=11, w=12, h=7),
            "s",
            ("max by (partition) (chevet_processors_lag_seconds)", "{{partition}}"),
        ),
    ]


def _quantile(share: str, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[{RATE_SPAN}])))"


def _latency() -> list[JsonObject]:
    shown = (
        (
            "Radio to observation",
            "From the arrival of a Frame's first payload at the agent to its observations sent. ",
            "chevet_processors_radio_to_observation_seconds",
            0,
        ),
        (
            "Radio to store",
            "From the arrival of a block's first payload at the agent to its samples stored. ",
            "chevet_processors_radio_to_stored_seconds",
            12,
        ),
    )
    return [
        lines(
            Head(
                title=title,
                description=f"{what}Of each minute; the buckets are 12 % apart.",
                place=Place(x=x, y=18, w=12, h=7),
                unit="s",
                interval="1s",
            ),
            *(
                prometheus(_quantile(share, metric), ref=chr(ord("A") + i), legend=name)
                for i, (share, name, _) in enumerate(_QUANTILES)
            ),
            columns=[Column(name=name, colour=colour) for _, name, colour in _QUANTILES],
            legend=True,
        )
        for title, what, metric, x in shown
    ]


def _throughput() -> list[JsonObject]:
    return [
        _graph(
            "Frames per second",
            "Taken from the topic, by role. Flat at 0 while agents send: the role hangs.",
            Place(x=0, y=25, w=8, h=7),
            "none",
            (_rate("chevet_processors_frames_total", "role"), "{{role}}"),
        ),
        _graph(
            "Samples per second",
            "Waveform samples in those Frames, by role.",
            Place(x=8, y=25, w=8, h=7),
            "short",
            (_rate("chevet_processors_samples_total", "role"), "{{role}}"),
        ),
        _graph(
            "Points stored per second",
            "Accepted by the store, and observations sent by the worker.",
            Place(x=16, y=25, w=8, h=7),
            "short",
            (_rate("chevet_processors_lines_stored_total", "store"), "stored in {{store}}"),
            (_rate("chevet_processors_observations_total", "role"), "said by {{role}}"),
        ),
    ]


def _refused() -> list[JsonObject]:
    return [
        _graph(
            "Dead letters",
            "Of each ten minutes, by who refused them. Read them: `chevet dead-letters list`.",
            Place(x=0, y=32, w=8, h=7),
            "none",
            (
                "sum by (role) (increase(chevet_processors_records_dead_lettered_total[10m]))",
                "{{role}}",
            ),
        ),
        _graph(
            "Waiting for the store",
            "How often per minute nothing was read because too much waited, and how often a "
            "write was tried again. Steady growth: the database is slow or away.",
            Place(x=8, y=32, w=8, h=7),
            "none",
            (_per_minute("chevet_processors_store_waits_total"), "waits"),
            (_per_minute("chevet_processors_store_retries_total"), "tried again"),
        ),
        _graph(
            "Out of order",
            "Frames and samples per minute that did not come in their agent's order, by what "
            "became of them. frames_missing: look at the agent's spool and at the topic.",
            Place(x=16, y=32, w=8, h=7),
            "none",
            ("sum by (what) (increase(chevet_processors_out_of_order_total[1m]))", "{{what}}"),
        ),
    ]


def _state() -> list[JsonObject]:
    return [
        _graph(
            "Age of the oldest state not stored",
            "How long the oldest record waits for its subject's state to be stored. More than "
            "twice the interval: the broker is unwell, or the worker does not keep up.",
            Place(x=0, y=39, w=8, h=7),
            "s",
            ("max by (instance) (chevet_processors_checkpoint_age_seconds)", "{{instance}}"),
        ),
        _graph(
            "Checkpoints per second",
            "States of subjects that Kafka has stored.",
            Place(x=8, y=39, w=8, h=7),
            "none",
            (_rate("chevet_processors_checkpoints_total", "instance"), "{{instance}}"),
        ),
        _graph(
            "Subjects in memory",
            "By role; and records said that are not stored yet.",
            Place(x=16, y=39, w=8, h=7),
            "none",
            ("sum by (role) (chevet_processors_subjects)", "{{role}}"),
            ("sum by (instance) (chevet_processors_outbox_records)", "not stored, {{instance}}"),
        ),
    ]


def _agents() -> list[JsonObject]:
    return [
        _graph(
            "Frames in the agents' spools",
            "Frames that wait on disk for the broker. Growth: the broker is away or too slow.",
            Place(x=0, y=46, w=8, h=7),
            "none",
            ("sum by (instance) (chevet_edge_spool_frames)", "{{instance}}"),
        ),
        _graph(
            "Samples missing",
            "Per minute, by cause, over all agents: they will never come.",
            Place(x=8, y=46, w=8, h=7),
            "none",
            ("sum by (cause) (increase(chevet_edge_samples_missing_total[1m]))", "{{cause}}"),
        ),
        _graph(
            "Memory of the processes",
            "Resident, by process. Steady growth over days: a bug, to be reported.",
            Place(x=16, y=46, w=8, h=7),
            "bytes",
            ("max by (job, instance) (process_resident_memory_bytes)", "{{job}} · {{instance}}"),
        ),
    ]


def _rate(metric: str, label: str) -> str:
    return f"sum by ({label}) (rate({metric}[{RATE_SPAN}]))"


def _per_minute(metric: str) -> str:
    return f"sum(increase({metric}[1m]))"


def _graph(title: str, what: str, place: Place, unit: str, *asked: tuple[str, str]) -> JsonObject:
    head = Head(title=title, description=what, place=place, unit=unit, interval="1s")
    targets = [
        prometheus(expr, ref=chr(ord("A") + i), legend=legend)
        for i, (expr, legend) in enumerate(asked)
    ]
    return lines(head, *targets, custom={"axisSoftMin": 0}, legend=True)
