"""What is known of clocks, and of the streams' grids, as text that survives a restart."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from edge.clocks.clock_hull import ClockSegment, HullState
from edge.clocks.host_clock import HostState
from edge.clocks.sample_grid import GridState, SampleRate
from ingest.errors import MalformedRecordError
from ingest.frame import SamplePeriod


class ClockStateError(ValueError):
    """A text is not what this program writes: what it stood for begins anew."""


def host_text(state: HostState) -> str:
    """Write down the state of the host's clocks."""
    return json.dumps(asdict(state))


def host_state(text: str) -> HostState:
    """Read what ``host_text`` wrote; raises ClockStateError."""
    with _translated():
        fields: dict[str, Any] = json.loads(text)
        minutes = tuple((int(x), int(y)) for x, y in fields.pop("minutes"))
        return HostState(**fields, minutes=minutes)


def hull_text(state: HullState) -> str:
    """Write down a clock's state."""
    return json.dumps(asdict(state))


def hull_state(text: str) -> HullState:
    """Read what ``hull_text`` wrote; raises ClockStateError."""
    with _translated():
        fields: dict[str, Any] = json.loads(text)
        segments = tuple(ClockSegment(**one) for one in fields.pop("segments"))
        points = tuple((int(x), int(y)) for x, y in fields.pop("points"))
        return HullState(**fields, segments=segments, points=points)


def grid_text(state: GridState) -> str:
    """Write down a stream's state."""
    return json.dumps(asdict(state))


def grid_state(text: str) -> GridState:
    """Read what ``grid_text`` wrote; raises ClockStateError."""
    with _translated():
        fields: dict[str, Any] = json.loads(text)
        nominal = SamplePeriod(**fields.pop("nominal"))
        period = SamplePeriod(**fields.pop("period"))
        rate = SampleRate(**fields.pop("rate"))
        return GridState(**fields, nominal=nominal, period=period, rate=rate)


def grid_text_of_format_1(text: str) -> str:
    """Give a stream's state as spools of the first format had it.

    The numbering goes on. What is missing since is counted on the host's clock, to some samples,
    because the device's was not kept; raises ClockStateError.
    """
    with _translated():
        fields: dict[str, Any] = json.loads(text)
        numerator, denominator = fields["period"]
        period = SamplePeriod(ns_numerator=numerator, ns_denominator=denominator)
        rate = SampleRate(
            span_ns=numerator,
            n_samples=denominator,
            counted=False,
            i_anchor=fields["i_next"] - 1,
            anchor_ns=fields["device_last_ns"],
        )
        return grid_text(
            GridState(
                nominal=period,
                epoch_ns=fields["epoch_ns"],
                period=period,
                i_next=fields["i_next"],
                device_last_ns=fields["device_last_ns"],
                steady_last_ns=fields["received_last_ns"],
                segment=-1,
                aim_ns=0,
                rate=rate,
            )
        )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, MalformedRecordError) as error:
        raise ClockStateError(f"not a clock's state: {error!r}") from error
