"""What is known of a device's clock and of its streams' grids, as text that survives a restart."""

import json
from dataclasses import asdict
from typing import Any

from edge.clock_hull import ClockSegment, HullState
from edge.sample_grid import GridState, SampleRate
from ingest.frame import SamplePeriod


def hull_text(state: HullState) -> str:
    """Write down a clock's state."""
    return json.dumps(asdict(state))


def hull_state(text: str) -> HullState:
    """Read what ``hull_text`` wrote."""
    fields: dict[str, Any] = json.loads(text)
    segments = tuple(ClockSegment(**one) for one in fields.pop("segments"))
    points = tuple((int(x), int(y)) for x, y in fields.pop("points"))
    return HullState(**fields, segments=segments, points=points)


def grid_text(state: GridState) -> str:
    """Write down a stream's state."""
    return json.dumps(asdict(state))


def grid_state(text: str) -> GridState:
    """Read what ``grid_text`` wrote."""
    fields: dict[str, Any] = json.loads(text)
    nominal = SamplePeriod(**fields.pop("nominal"))
    period = SamplePeriod(**fields.pop("period"))
    rate = SampleRate(**fields.pop("rate"))
    return GridState(**fields, nominal=nominal, period=period, rate=rate)
