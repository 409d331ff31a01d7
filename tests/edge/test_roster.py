"""Whose advertisement it is: by name, by serial number in the name, by asking."""

from devices import uuids
from edge.links.roster import STRANGER_S, STRANGERS_MAX, Roster, Wanted

STRAP = Wanted(label="l1", name="Polar H10 11111111")
RING = Wanted(label="l2", serial="2222")
METER = Wanted(label="l3", serial="3333")
SERVICES = (uuids.HEART_RATE_SERVICE,)


def roster() -> Roster:
    return Roster((STRAP, RING, METER))


def test_a_name_is_known_whole_and_another_is_left_alone() -> None:
    assert roster().candidates("Polar H10 11111111", "a", (), 0) == [STRAP]
    assert roster().candidates("Polar H10 1111111", "a", SERVICES, 0) == []


def test_a_serial_number_at_the_end_of_a_name_is_enough() -> None:
    assert roster().candidates("Ring 2222", "a", (), 0) == [RING]


def test_a_nameless_device_is_asked_only_if_it_may_be_a_sensor() -> None:
    assert roster().candidates(None, "a", (), 0) == []
    assert roster().candidates(None, "a", SERVICES, 0) == [RING]


def test_a_stranger_is_not_asked_again_for_an_hour() -> None:
    one = roster()
    one.asked("a", "9999", 0)

    assert one.candidates(None, "a", SERVICES, STRANGER_S - 1) == []
    assert one.candidates(None, "a", SERVICES, STRANGER_S) == [RING]


def test_who_answers_with_another_serial_number_of_ours_is_known_by_the_address() -> None:
    one = roster()
    one.asked("a", "3333", 0)

    assert one.candidates(None, "a", SERVICES, 1) == [METER]
    assert one.candidates(None, "b", SERVICES, 1) == [RING]


def test_an_address_that_is_forgotten_may_be_anybodys() -> None:
    one = roster()
    one.recognised(RING, "a")
    assert one.candidates(None, "b", SERVICES, 1) == [METER]
    one.forget_address(RING)

    assert one.candidates(None, "b", SERVICES, 1) == [RING]


def test_only_so_many_strangers_are_remembered() -> None:
    one = roster()
    for i in range(STRANGERS_MAX + 1):
        one.asked(f"a{i}", None, 0)

    assert one.candidates(None, "a0", SERVICES, 1) == [RING]
    assert one.candidates(None, "a1", SERVICES, 1) == []
