"""Several streams together: what is said depends on event time, not on who came first."""

import json
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S
from processors import across as across_module
from processors.across import BEATS, IDLE_NS, N_PENDING_MAX, AcrossSources
from processors.dsp.state import MalformedStateError
from processors.items import Item
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.reasons import NoValueReason

COUNT = Algorithm(
    name="count",
    version=1,
    method="How many items were heard so far.",
    source="these tests",
    delay_s=0.0,
    averaging="none",
    validity="always",
)
ALGORITHMS = {"count": COUNT}


class Counting:
    """Says how many items it has heard, and remembers which."""

    hears: ClassVar[frozenset[str]] = frozenset({BEATS, codes.HEART_RATE.name})

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def add(self, _modality: str, source: str, item: Item) -> None:
        self.heard.append((source, item.t_ns))

    def at(self, t_ns: int) -> Sequence[Derived]:
        assert all(t <= t_ns for _, t in self.heard)
        return [value(t_ns, float(len(self.heard)))]

    def to_bytes(self) -> bytes:
        return json.dumps(self.heard).encode()

    @classmethod
    def from_bytes(cls, state: bytes) -> "Counting":
        restored = cls()
        restored.heard = [(source, t_ns) for source, t_ns in json.loads(state)]
        return restored


def value(t_ns: int, number: float | None) -> Derived:
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=COUNT,
        t_ns=t_ns,
        value=number,
        reason=NoValueReason.POOR_SIGNAL if number is None else None,
        quality=0.5,
        sources=("strap-1/ecg",),
    )


def beat(t_ns: int) -> Beat:
    return Beat(t_ns=t_ns, interval_s=0.8, quality=1.0, height=1.0, level=0.0)


def test_each_second_is_judged_once_when_everything_up_to_it_is_known() -> None:
    across = AcrossSources([Counting()])
    across.add("ecg", "ecg", [beat(500_000_000), beat(1_500_000_000)])
    across.add("ppg", "ppg", [beat(1_000_000_000)])

    first = across.advance(2 * NS_PER_S)
    second = across.advance(2 * NS_PER_S + 1)

    assert [(one.t_ns, one.value) for one in first] == [(NS_PER_S, 2.0)]
    assert [(one.t_ns, one.value) for one in second] == [(2 * NS_PER_S, 3.0)]


def test_what_a_step_says_the_steps_after_it_hear() -> None:
    first, second = Counting(), Counting()
    across = AcrossSources([first, second])
    across.add("ecg", "ecg", [beat(NS_PER_S)])

    across.advance(NS_PER_S + 1)

    assert first.heard == [("ecg", NS_PER_S)]
    assert second.heard == [("ecg", NS_PER_S), ("count", NS_PER_S)]


def test_a_long_silence_is_not_gone_through_second_by_second() -> None:
    across = AcrossSources([Counting()])
    across.add("ecg", "ecg", [beat(NS_PER_S), beat(10**18)])

    said = across.advance(10**18 + 1)

    assert len(said) == IDLE_NS // NS_PER_S + 2
    assert said[-1].t_ns == 10**18


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=30), st.integers(1, 10**10))
def test_asked_in_steps_or_at_once_and_restored_between_it_says_the_same(
    events: list[tuple[bool, int]], step_ns: int
) -> None:
    items: list[tuple[str, Item]] = [
        ("ecg" if is_beat else "ppg", beat(t * 10**8) if is_beat else value(t * 10**8, None))
        for is_beat, t in sorted(events, key=lambda event: event[1])
    ]
    whole, pieces = AcrossSources([Counting()]), AcrossSources([Counting()])
    for source, item in items:
        whole.add(source, source, [item])
    expected = whole.advance(11 * NS_PER_S)

    said: list[Derived] = []
    for end_ns in [*range(step_ns, 11 * NS_PER_S, max(step_ns, 10**8)), 11 * NS_PER_S]:
        # Items come no earlier than they must: just before their second is judged.
        due = [(s, i) for s, i in items if i.t_ns < end_ns]
        items = items[len(due) :]
        for source, item in due:
            pieces.add(source, source, [item])
        said += pieces.advance(end_ns)
        pieces = AcrossSources.from_bytes(pieces.to_bytes(), [Counting.from_bytes], ALGORITHMS)

    assert said == expected


def test_a_damaged_item_is_no_state() -> None:
    across = AcrossSources([Counting()])
    across.add("ecg", "ecg", [value(5, 1.0)])
    state = across.to_bytes()

    with pytest.raises(MalformedStateError):
        AcrossSources.from_bytes(state, [Counting.from_bytes], {})


def test_what_comes_late_is_heard_and_begins_no_second_anew() -> None:
    step = Counting()
    across = AcrossSources([step])
    across.add("ecg", "ecg", [beat(1000 * NS_PER_S)])
    across.advance(1000 * NS_PER_S + 1)
    across.advance(2000 * NS_PER_S)

    across.add("ppg", "ppg", [beat(5 * NS_PER_S)])
    said = across.advance(3000 * NS_PER_S)

    assert said == []
    assert step.heard[-1] == ("ppg", 5 * NS_PER_S)


def test_a_clock_far_ahead_does_not_end_what_comes_before() -> None:
    across = AcrossSources([Counting()])
    across.add("bad", "bad", [value(10**18, 1.0)])
    across.advance(0)
    across.add("ecg", "ecg", [beat(NS_PER_S)])

    assert [one.t_ns for one in across.advance(NS_PER_S + 1)] == [NS_PER_S]


def test_what_waits_is_bounded() -> None:
    across = AcrossSources([Counting()])
    across.add("ecg", "ecg", [beat(n) for n in range(NS_PER_S, NS_PER_S + N_PENDING_MAX + 5)])

    across.advance(0)
    across.advance(3 * NS_PER_S)

    assert across.advance(10 * NS_PER_S)[0].value == N_PENDING_MAX


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=3), min_size=1, max_size=30),
    st.integers(0, 40),
)
def test_few_among_many_stand_where_a_sort_would_put_them(
    added: list[list[int]], n_before: int
) -> None:
    across = AcrossSources([Counting()])
    expected: list[tuple[int, str]] = []
    times = [[10 * n % 41 for n in range(n_before)], *added]
    for n, batch in enumerate(times):
        across.add("ecg", f"s{n}", [value(t * NS_PER_S, 1.0) for t in batch])
        across.advance(0)
        expected = sorted([*expected, *((t * NS_PER_S, f"s{n}") for t in batch)])

    assert [(one.item.t_ns, one.source) for one in across._pending] == expected


def test_one_more_among_thousands_is_not_compared_with_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_asked = 0
    order = across_module._order

    def counted(said: object) -> object:
        nonlocal n_asked
        n_asked += 1
        return order(said)  # type: ignore[arg-type]

    monkeypatch.setattr(across_module, "_order", counted)
    across = AcrossSources([Counting()])
    across.add("ecg", "strap-1", [value(n * NS_PER_S, 1.0) for n in range(8_000)])
    across.advance(0)
    n_asked = 0

    for n in range(100):
        across.add("ecg", "strap-2", [value(n * NS_PER_S, 1.0)])
        across.advance(0)

    assert 100 <= n_asked < 100 * 20
