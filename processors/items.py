"""What streams say, and how it is written into a state."""

from __future__ import annotations

from collections.abc import Mapping

from devices import codes
from processors.dsp.state import MalformedStateError
from processors.vitals.derived import Algorithm, Beat, BeatClass, Derived
from processors.vitals.reasons import NoValueReason

Item = Beat | Derived


def row_of(item: Item) -> list[object]:
    """Write an item as what JSON can say."""
    if isinstance(item, Beat):
        return [
            "beat",
            item.t_ns,
            item.interval_s,
            int(item.beat_class),
            item.quality,
            item.height,
            item.level,
        ]
    return [
        item.quantity.name,
        item.t_ns,
        item.algorithm.name,
        None if item.value is None else float(item.value),
        item.reason,
        float(item.quality),
        float(item.age_s),
        list(item.sources),
    ]


def item_of(row: list[object], algorithms: Mapping[str, Algorithm]) -> Item:
    """Read back what `row_of` wrote.

    Raises
    ------
    MalformedStateError
    """
    match row:
        case ["beat", int(t_ns), float() | None as interval_s, int(beat_class), *numbers]:
            quality, height, level = (float(str(number)) for number in numbers)
            return Beat(
                t_ns=t_ns,
                interval_s=interval_s,
                beat_class=BeatClass(beat_class),
                quality=quality,
                height=height,
                level=level,
            )
        case [
            str(name),
            int(t_ns),
            str(algorithm),
            float() | None as value,
            str() | None as reason,
            float(quality),
            float(age_s),
            list(sources),
        ]:
            return Derived(
                quantity=codes.QUANTITIES[name],
                algorithm=algorithms[algorithm],
                t_ns=t_ns,
                value=value,
                reason=None if reason is None else NoValueReason(reason),
                quality=quality,
                age_s=age_s,
                sources=tuple(str(source) for source in sources),
            )
        case _:
            raise MalformedStateError(f"{row!r} is no item")
