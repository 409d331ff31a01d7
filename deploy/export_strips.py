"""Which moments strips of waveforms are cut around, and the strips."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from deploy.extracting import Extract
from devices import codes
from ingest.frame import NS_PER_S, Frame
from ingest.wfdb_annotations import CODES
from processors.exports.strips import Strip, strips_of

N_MOMENTS_MAX: Final = 1_000
"""Of one subject: a bundle with more strips is a recording, for which there are better formats."""

_SUSPECTED: Final = "_suspected"
_NOT_SHOWN: Final = frozenset({None, float(CODES["N"]), float(CODES["Q"])})
"""Classes of beats: normal, and those that cannot be told."""


@dataclass(frozen=True, slots=True)
class StripPlan:
    """What strips are asked for."""

    around: Sequence[str] = ()
    """Names of `MOMENTS`."""
    times_ns: Sequence[int] = ()
    """Other moments, UTC, as in the archive."""
    seconds: float = 10.0
    """Of a strip, half of it before its moment."""

    @property
    def is_empty(self) -> bool:
        """Whether none is asked for."""
        return not (self.around or self.times_ns)


def strips_in(found: Extract, plan: StripPlan) -> list[Strip]:
    """Cut the strips, of every channel, in order of time.

    A moment that lies in the strip of the one before has none of its own.

    Raises
    ------
    ValueError
        There are too many moments.
    """
    strips: list[Strip] = []
    half_ns = round(plan.seconds * NS_PER_S / 2)
    span = found.span
    n_moments = 0
    until_ns = -1
    for t_ns in sorted(_moments(found, plan)):
        if t_ns < until_ns:
            continue
        n_moments += 1
        if n_moments > N_MOMENTS_MAX:
            raise ValueError(
                f"strips around more than {N_MOMENTS_MAX} moments of {found.subject_id}: cut the "
                "export by time"
            )
        until_ns = min(t_ns + half_ns, span.end_ns)
        strips += _cut(found, max(t_ns - half_ns, span.begin_ns), until_ns)
    return strips


def _moments(found: Extract, plan: StripPlan) -> Iterator[int]:
    """Give when, in the times of the archive."""
    yield from filter(found.span.has, plan.times_ns)
    for name in plan.around:
        for t_ns in MOMENTS[name](found):
            if found.span.has(t_ns + found.shift_ns):
                yield t_ns + found.shift_ns


def _alarms(found: Extract) -> Iterator[int]:
    return (one.t_ns for one in found.alarms if one.active)


def _annotations(found: Extract) -> Iterator[int]:
    return (one.t_ns for one in found.annotations)


def _suspicions(found: Extract) -> Iterator[int]:
    """Give when a suspicion begins."""
    is_active: dict[str, bool] = {}
    for one in found.observations():
        if one.name.endswith(_SUSPECTED):
            now = bool(one.value)
            if now and not is_active.get(one.name):
                yield one.t_ns
            is_active[one.name] = now


def _beats(found: Extract) -> Iterator[int]:
    """Give when a beat was of another class than normal."""
    for one in found.observations():
        if one.name == codes.BEAT_CLASS.name and one.value not in _NOT_SHOWN:
            yield one.t_ns


MOMENTS: Final[Mapping[str, Callable[[Extract], Iterator[int]]]] = MappingProxyType(
    {"alarms": _alarms, "suspicions": _suspicions, "beats": _beats, "annotations": _annotations}
)
"""By the name of what strips are cut around: when it was, in told times."""


def _cut(found: Extract, begin_ns: int, end_ns: int) -> Iterator[Strip]:
    blocks = tuple(found.blocks_between(begin_ns, end_ns))
    frames = [Frame(subject_id=found.subject_id, agent_id="export", sequence=0, waveforms=blocks)]
    for device_id, channel in sorted({(one.device_id, one.channel) for one in blocks}):
        yield from strips_of(
            frames,
            device_id=device_id,
            channel=channel,
            begin_ns=begin_ns - found.shift_ns,
            end_ns=end_ns - found.shift_ns,
        )
