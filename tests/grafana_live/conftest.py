"""Frames of a few samples, at times that a test chooses."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from devices import codes
from devices.codes import Quantity
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from processors.sinks.grafana_live.pusher import Body, LivePusher
from tests.ingest.conftest import no_task_left_behind
from tests.sinks.line_protocol import Point, parse

__all__ = ["no_task_left_behind"]

T0_NS = 1_800_000_000 * NS_PER_S
MS = 1_000_000
NAN = "NaN"
PERIOD_4_MS = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)


def block(  # noqa: PLR0913
    i_first: int = 0,
    n_samples: int = 25,
    *,
    device: str = "strap",
    channel: str = "ecg",
    quantity: Quantity = codes.ECG_II,
    period: SamplePeriod = PERIOD_4_MS,
    unit: str = "mV",
    scale: float = 0.01,
    t0_ns: int = T0_NS,
) -> WaveformBlock:
    """Samples whose count is their index."""
    return WaveformBlock(
        device_id=device,
        channel=channel,
        mdc_code=quantity.mdc,
        unit=unit,
        scale=scale,
        offset=0.0,
        i_first=i_first,
        t0_ns=t0_ns + period.offset_ns(i_first),
        period=period,
        counts=np.arange(i_first, i_first + n_samples, dtype=np.int32),
    )


def frame(*blocks: WaveformBlock, subject: str = "icu-1", sequence: int = 0) -> Frame:
    return Frame(subject_id=subject, agent_id="agent", sequence=sequence, waveforms=blocks)


def end_ns(one: WaveformBlock) -> int:
    """When its last sample has been taken: the earliest time at which it can come."""
    return one.time_ns(one.i_end)


def points(bodies: list[Body]) -> dict[str, list[Point]]:
    """The lines of bodies by channel, in their order."""
    by_channel: dict[str, list[Point]] = {}
    for body in bodies:
        assert body.payload.endswith(b"\n")
        for line in body.payload.splitlines():
            point = parse(line)
            assert not point.tags
            by_channel.setdefault(point.measurement, []).append(point)
    return by_channel


class Panel:
    """Takes what a pusher gives and settles it, every tenth of a second."""

    def __init__(self, pusher: LivePusher) -> None:
        self.pusher = pusher
        self.rows: dict[str, list[Point]] = {}
        self.numerals: dict[str, list[Point]] = {}

    def run(self, from_ns: int, to_ns: int) -> None:
        for now_ns in range(from_ns, to_ns, NS_PER_S // 10):
            self.take(now_ns)

    def take(self, now_ns: int, *, arrived: bool = True) -> dict[str, list[Point]]:
        bodies = self.pusher.take(now_ns)
        for body in bodies:
            self.pusher.settle(body, arrived=arrived)
        got = points(bodies)
        if arrived:
            for name, rows in got.items():
                kept = self.numerals if name.endswith("_numerals") else self.rows
                kept.setdefault(name, []).extend(rows)
        return got


def check_order(panel: Panel) -> None:
    """A panel knows times by the millisecond."""
    for rows in panel.rows.values():
        times_ms = [row.t_ns // MS for row in rows]
        assert all(one < other for one, other in pairwise(times_ms))


def check_sums(panel: Panel) -> None:
    counts = panel.pusher.counts
    assert counts.samples_came == counts.samples_settled + panel.pusher.n_waiting


def values(rows: list[Point]) -> list[float]:
    """The values of a trace without its breaks."""
    found = [row.fields["v"] for row in rows if row.fields["v"] != NAN]
    return [value for value in found if isinstance(value, float)]


@pytest.fixture
def make_panel() -> Callable[..., Panel]:
    def make(pusher: LivePusher | None = None) -> Panel:
        return Panel(pusher or LivePusher(lambda _: True))

    return make
