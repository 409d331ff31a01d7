"""The lowest points of a sliding window, and the slope of the hull under them: pure, integers.

Points are device time and host minus device time, in nanoseconds, as
``edge.clocks.clock_hull`` has them.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from ingest.frame import NS_PER_S

PPT: Final = 10**12
"""Slopes are integers in units of 1e-12: an hour of one unit is 4 ns."""

WINDOW_NS: Final = 1_200 * NS_PER_S
SLOT_NS: Final = 20 * NS_PER_S
"""Of each the lowest point is kept."""

SLOTS_MIN: Final = 3

Point = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """Slopes of a hull over its middle third, in 1e-12; a lower hull only ever bends up."""

    least: int
    mean: int
    most: int


@dataclass(slots=True)
class DelayWindow:
    """The lowest point of each slot; the last slot is still open."""

    points: deque[Point] = field(default_factory=deque[Point])

    def add(self, device_ns: int, offset_ns: int, drift_ppt: int) -> bool:
        """Take a point; True where it opened a slot, and so closed the one before."""
        if not self.points or device_ns // SLOT_NS > self.points[-1][0] // SLOT_NS:
            self.points.append((device_ns, offset_ns))
            while device_ns - self.points[0][0] > WINDOW_NS:
                self.points.popleft()
            return True
        x_ns, y_ns = self.points[-1]
        lower = offset_ns - y_ns < drift_ppt * (device_ns - x_ns) // PPT
        if lower and device_ns // SLOT_NS == x_ns // SLOT_NS:
            self.points[-1] = (device_ns, offset_ns)
        return False

    def slopes_ppt(self, span_ns_min: int) -> Slopes | None:
        """Slope of the hull over its middle third; None where the closed slots span less."""
        closed = list(self.points)[:-1]
        if len(closed) < SLOTS_MIN or closed[-1][0] - closed[0][0] < span_ns_min:
            return None
        hull = lower_hull(closed)
        third_ns = (hull[-1][0] - hull[0][0]) // 3
        left_ns, right_ns = hull[0][0] + third_ns, hull[-1][0] - third_ns
        edges = [(a, b) for a, b in pairwise(hull) if b[0] > left_ns and a[0] < right_ns]
        return Slopes(
            least=_slope_ppt(*edges[0]),
            mean=_slope_ppt(
                (left_ns, _height(edges[0], left_ns)), (right_ns, _height(edges[-1], right_ns))
            ),
            most=_slope_ppt(*edges[-1]),
        )


def lower_hull(points: list[Point]) -> list[Point]:
    """Give those of the points, sorted by x, on which a line from below can lie."""
    hull: list[Point] = []
    for x, y in points:
        while len(hull) > 1 and _bends_down(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return hull


def _slope_ppt(a: Point, b: Point) -> int:
    return (b[1] - a[1]) * PPT // (b[0] - a[0])


def _height(edge: tuple[Point, Point], x: int) -> int:
    """Give the height at ``x`` of the line through an edge."""
    (x0, y0), (x1, y1) = edge
    return y0 + (y1 - y0) * (x - x0) // (x1 - x0)


def _bends_down(a: Point, b: Point, c: Point) -> bool:
    """Tell whether ``b`` lies on or above the line from ``a`` to ``c``."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
