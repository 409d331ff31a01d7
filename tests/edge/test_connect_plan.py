"""Who is connected next, and who gives way: the rules, and any sequence of events."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.links.connect_plan import (
    EQUAL_DB,
    FRESH_S,
    HOLD_S,
    QUIET_S,
    RELEARN_S,
    SIGHTING_S,
    TURN_S,
    Connect,
    ConnectPlan,
)
from edge.links.importance import Importance

ADAPTERS: Final = ("a0", "a1")
DEVICES: Final = tuple(f"d{i}" for i in range(9))


def plan_of(n_slots_max: int | None = None, *adapters: str) -> ConnectPlan:
    plan = ConnectPlan()
    for name in adapters or ("a0",):
        plan.add_adapter(name, n_slots_max)
    return plan


def join(plan: ConnectPlan, device: str, importance: Importance, now_s: float) -> None:
    """Let a device that has been on the air for long wait for its turn."""
    plan.heard(device, "a0", -60, now_s - QUIET_S / 2)
    plan.heard(device, "a0", -60, now_s)
    plan.wait(device, importance, now_s)


def link(plan: ConnectPlan, device: str, importance: Importance, now_s: float) -> Connect:
    plan.heard(device, "a0", -60, now_s)
    plan.wait(device, importance, now_s)
    turn = plan.next_connect(now_s)
    assert turn is not None
    assert turn.device == device
    plan.connected(turn, importance, now_s)
    return turn


def test_one_connection_is_made_at_a_time_on_each_adapter() -> None:
    plan = plan_of()
    for device in ("d0", "d1"):
        join(plan, device, Importance.STREAM, 100)

    first = plan.next_connect(100)
    assert first == Connect("d0", "a0")
    assert plan.next_connect(100) is None

    plan.connected(first, Importance.STREAM, 101)
    assert plan.next_connect(101) == Connect("d1", "a0")


def test_the_more_important_device_comes_first_and_of_equals_the_one_that_waited_longer() -> None:
    plan = plan_of()
    join(plan, "scale", Importance.WEIGHT, 90)
    join(plan, "thermometer", Importance.READINGS, 91)
    join(plan, "strap 2", Importance.STREAM, 93)
    join(plan, "strap 1", Importance.STREAM, 92)

    order = []
    while turn := plan.next_connect(95):
        order.append(turn.device)
        plan.connected(turn, Importance.STREAM, 95)

    assert order == ["strap 1", "strap 2", "thermometer", "scale"]


def test_a_device_that_has_just_measured_comes_first() -> None:
    plan = plan_of()
    join(plan, "strap", Importance.STREAM, 100)
    plan.heard("cuff", "a0", -70, 100)
    plan.wait("cuff", Importance.RESULTS, 100)

    assert plan.next_connect(100) == Connect("cuff", "a0")


def test_a_cuff_that_advertises_all_day_has_not_just_measured() -> None:
    plan = plan_of()
    plan.heard("cuff", "a0", -70, 100)
    plan.heard("cuff", "a0", -70, 100 + FRESH_S)
    plan.wait("cuff", Importance.RESULTS, 100 + FRESH_S)
    join(plan, "strap", Importance.STREAM, 100 + FRESH_S)

    assert plan.next_connect(100 + FRESH_S) == Connect("strap", "a0")


def test_a_device_that_was_not_heard_lately_waits_and_holds_up_nobody() -> None:
    plan = plan_of()
    join(plan, "gone", Importance.STREAM, 100)
    join(plan, "here", Importance.WEIGHT, 100 + SIGHTING_S + 1)

    assert plan.next_connect(100 + SIGHTING_S + 1) == Connect("here", "a0")
    assert plan.waiting == ["gone"]


def test_no_more_links_than_slots() -> None:
    plan = plan_of(2)
    for device in ("d0", "d1"):
        link(plan, device, Importance.STREAM, 100)
    join(plan, "d2", Importance.STREAM, 100)

    assert plan.next_connect(100) is None
    assert plan.give_way(100) is None
    assert plan.waiting == ["d2"]


def test_slots_are_learnt_from_an_error_and_doubted_after_a_while() -> None:
    plan = plan_of()
    for device in ("d0", "d1", "d2"):
        link(plan, device, Importance.STREAM, 100)
    join(plan, "d3", Importance.STREAM, 100)
    turn = plan.next_connect(100)
    assert turn is not None
    plan.failed(turn, 100, out_of_slots=True)

    assert plan.slots("a0", 100) == 3
    join(plan, "d3", Importance.STREAM, 101)
    assert plan.next_connect(101) is None
    join(plan, "d3", Importance.STREAM, 100 + RELEARN_S)
    assert plan.next_connect(100 + RELEARN_S) == Connect("d3", "a0")


def test_a_waveform_takes_the_place_of_the_least_important_link_at_once() -> None:
    plan = plan_of(3)
    link(plan, "strap", Importance.STREAM, 100)
    link(plan, "thermometer", Importance.READINGS, 100)
    scale = link(plan, "scale", Importance.WEIGHT, 101)
    join(plan, "ring", Importance.STREAM, 102)

    assert plan.give_way(102) == "scale"
    assert plan.give_way(102) is None
    plan.ended(scale, 103)
    assert plan.next_connect(103) == Connect("ring", "a0")


def test_a_transfer_of_results_is_not_cut_at_its_beginning() -> None:
    plan = plan_of(1)
    link(plan, "cuff", Importance.RESULTS, 100)
    join(plan, "thermometer", Importance.READINGS, 100 + HOLD_S - 1)

    assert plan.give_way(100 + HOLD_S - 1) is None
    assert plan.give_way(100 + HOLD_S) == "cuff"


def test_devices_without_waveforms_take_turns() -> None:
    plan = plan_of(1)
    link(plan, "thermometer 1", Importance.READINGS, 100)
    join(plan, "thermometer 2", Importance.READINGS, 100 + TURN_S - 1)

    assert plan.give_way(100 + TURN_S - 1) is None
    assert plan.give_way(100 + TURN_S) == "thermometer 1"


def test_a_link_that_gave_way_is_not_taken_for_a_new_measurement() -> None:
    plan = plan_of(1)
    turn = link(plan, "cuff", Importance.RESULTS, 100)
    plan.ended(turn, 400)
    plan.heard("cuff", "a0", -60, 401)
    plan.wait("cuff", Importance.RESULTS, 401)
    join(plan, "strap", Importance.STREAM, 401)

    assert plan.next_connect(401) == Connect("strap", "a0")


def test_the_adapter_that_hears_a_device_better_takes_it() -> None:
    plan = plan_of(None, *ADAPTERS)
    plan.heard("d0", "a0", -80, 100)
    plan.heard("d0", "a1", -80 + EQUAL_DB + 1, 100)
    plan.wait("d0", Importance.STREAM, 100)

    assert plan.next_connect(100) == Connect("d0", "a1")


def test_of_adapters_that_hear_it_equally_the_one_with_more_free_slots_takes_it() -> None:
    plan = plan_of(5, *ADAPTERS)
    link(plan, "other", Importance.STREAM, 100)
    plan.heard("d0", "a0", -60, 100)
    plan.heard("d0", "a1", -60 - EQUAL_DB, 100)
    plan.wait("d0", Importance.STREAM, 100)

    assert plan.next_connect(100) == Connect("d0", "a1")


def test_a_device_waits_for_a_better_adapter_that_is_busy_unless_it_has_just_measured() -> None:
    plan = plan_of(None, *ADAPTERS)
    join(plan, "other", Importance.STREAM, 100)
    assert plan.next_connect(100) == Connect("other", "a0")
    for device, importance in (("strap", Importance.STREAM), ("cuff", Importance.RESULTS)):
        plan.heard(device, "a0", -50, 100)
        plan.heard(device, "a1", -90, 100)
        plan.wait(device, importance, 100)

    assert plan.next_connect(100) == Connect("cuff", "a1")
    assert plan.next_connect(100) is None


def test_an_adapter_that_is_gone_takes_nobody() -> None:
    plan = plan_of(None, *ADAPTERS)
    plan.heard("d0", "a0", -50, 100)
    plan.heard("d0", "a1", -90, 100)
    plan.wait("d0", Importance.STREAM, 100)
    plan.set_usable("a0", usable=False)

    assert plan.next_connect(100) == Connect("d0", "a1")


class AnyEvents(RuleBasedStateMachine):
    """A ward: devices come and go in any order, adapters fail, slots run out."""

    @initialize(slots=st.lists(st.integers(1, 4), min_size=2, max_size=2))
    def begin(self, slots: list[int]) -> None:
        self.slots = dict(zip(ADAPTERS, slots, strict=True))
        self.plan = ConnectPlan()
        for name in ADAPTERS:
            self.plan.add_adapter(name, self.slots[name])
        self.now_s = 1000.0
        self.importance: dict[str, Importance] = {}
        self.heard: dict[tuple[str, str], float] = {}
        self.waits: set[str] = set()
        self.in_flight: dict[str, Connect] = {}
        self.links: dict[str, Connect] = {}
        self.leaving: set[str] = set()

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 30.0, 100.0, 1000.0)))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(
        device=st.sampled_from(DEVICES),
        adapter=st.sampled_from(ADAPTERS),
        rssi_dbm=st.integers(-100, -30),
    )
    def heard_one(self, device: str, adapter: str, rssi_dbm: int) -> None:
        if device not in self.links:
            self.plan.heard(device, adapter, rssi_dbm, self.now_s)
            self.heard[device, adapter] = self.now_s

    @rule(device=st.sampled_from(DEVICES), importance=st.sampled_from(Importance))
    def wait(self, device: str, importance: Importance) -> None:
        if device not in {*self.links, *self.in_flight, *self.waits}:
            self.importance[device] = importance
            self.plan.wait(device, importance, self.now_s)
            self.waits.add(device)

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def lose_patience(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(sorted(self.waits)))
        self.plan.leave(device)
        self.waits.discard(device)

    @rule()
    def choose(self) -> None:
        turn = self.plan.next_connect(self.now_s)
        if turn is None:
            return
        assert turn.device in self.waits
        assert self.now_s - self.heard[turn.device, turn.adapter] <= SIGHTING_S
        assert all(one.adapter != turn.adapter for one in self.in_flight.values())
        self.waits.discard(turn.device)
        self.in_flight[turn.device] = turn

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), outcome=st.sampled_from(("connected", "failed", "out of slots")))
    def finish(self, data: st.DataObject, outcome: str) -> None:
        turn = self.in_flight.pop(data.draw(st.sampled_from(sorted(self.in_flight))))
        if outcome == "connected":
            self.plan.connected(turn, self.importance[turn.device], self.now_s)
            self.links[turn.device] = turn
        else:
            self.plan.failed(turn, self.now_s, out_of_slots=outcome == "out of slots")

    @precondition(lambda self: self.links)
    @rule(data=st.data(), importance=st.sampled_from(Importance))
    def learn(self, data: st.DataObject, importance: Importance) -> None:
        turn = self.links[data.draw(st.sampled_from(sorted(self.links)))]
        self.importance[turn.device] = importance
        self.plan.rank(turn, importance)

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        turn = self.links.pop(data.draw(st.sampled_from(sorted(self.links))))
        self.leaving.discard(turn.device)
        self.plan.ended(turn, self.now_s)
        for adapter in ADAPTERS:
            self.heard.pop((turn.device, adapter), None)

    @rule()
    def give_way(self) -> None:
        device = self.plan.give_way(self.now_s)
        if device is None:
            return
        assert device in self.links
        assert device not in self.leaving, "asked twice"
        assert self.importance[device] is not Importance.STREAM
        assert self.waits, "for nobody"
        self.leaving.add(device)

    @invariant()
    def no_more_links_than_slots(self) -> None:
        for adapter in ADAPTERS:
            used = [*self.links.values(), *self.in_flight.values()]
            n_used = sum(one.adapter == adapter for one in used)
            assert n_used <= self.slots[adapter]
            assert self.plan.n_links(adapter) == n_used

    @invariant()
    def the_plan_knows_who_waits(self) -> None:
        assert set(self.plan.waiting) == self.waits

    def teardown(self) -> None:
        """In the end, on the air with room for all, everybody gets a turn."""
        if not hasattr(self, "plan"):
            return
        self.now_s += RELEARN_S
        for turn in [*self.in_flight.values()]:
            self.plan.failed(turn, self.now_s)
        for link in self.links.values():
            self.plan.ended(link, self.now_s)
        for device in self.waits:
            self.plan.heard(device, "a0", -60, self.now_s)
        served = set()
        while one := self.plan.next_connect(self.now_s):
            served.add(one.device)
            self.plan.connected(one, Importance.STREAM, self.now_s)
            self.plan.ended(one, self.now_s)
        assert served == self.waits


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
