"""The system's adapters: which are there, which come, and which come back under another name."""

import sys
from pathlib import Path

import pytest

from edge.errors import RadioUnavailableError
from edge.links import radio, recovery
from edge.links.radio import SystemRadio
from edge.links.recovery import BlueZRecovery, present_adapters

A, B, C = "00:00:00:00:00:0A", "00:00:00:00:00:0B", "00:00:00:00:00:0C"


class System:
    """Which adapters Linux and BlueZ have."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}

    async def listed(self) -> dict[str, str]:
        return self.addresses

    def present(self) -> dict[str, int]:
        return {name: hash(address) for name, address in self.addresses.items()}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(sys, "platform", "linux")
    for module in (radio, recovery):
        monkeypatch.setattr(module, "bluez_adapters", system.listed)
        monkeypatch.setattr(module, "present_adapters", system.present)
    return system


async def test_an_adapter_that_comes_later_is_a_newcomer_until_it_is_opened(system: System) -> None:
    system.addresses = {"hci0": A}
    ours = SystemRadio((), system.addresses)
    assert ours.newcomers() == []

    system.addresses = {"hci0": A, "hci1": B}
    assert ours.newcomers() == ["hci1"]
    taken = await ours.open("hci1")

    assert taken is not None
    assert taken.name == "hci1"
    assert ours.newcomers() == []


async def test_without_any_adapter_a_radio_waits_for_the_first(system: System) -> None:
    ours = SystemRadio((), {})

    assert (ours.adapters, ours.missing, ours.newcomers()) == ((), (), [])
    system.addresses = {"hci0": A}
    assert ours.newcomers() == ["hci0"]


async def test_of_adapters_that_the_settings_name_others_are_left_alone(system: System) -> None:
    ours = SystemRadio(("hci1",), {"hci0": A})
    assert ours.missing == ("no adapter hci1: there are hci0",)

    system.addresses = {"hci0": A, "hci1": B}

    assert ours.newcomers() == ["hci1"]


async def test_an_adapter_that_bluez_does_not_know_yet_is_asked_for_again(system: System) -> None:
    ours = SystemRadio((), {})

    with pytest.raises(RadioUnavailableError, match="BlueZ does not know hci0"):
        await ours.open("hci0")
    system.addresses = {"hci0": A}

    assert await ours.open("hci0") is not None


async def test_an_adapter_that_comes_back_under_another_name_is_the_same_one(
    system: System,
) -> None:
    system.addresses = {"hci0": A}
    ours = SystemRadio((), system.addresses)
    (first,) = ours.adapters
    before = first.recovery.mark()

    system.addresses = {"hci1": A}

    assert await ours.open("hci1") is None
    assert first.recovery.mark() != before
    assert await first.recovery.locate() == "hci1"


async def test_the_name_of_an_adapter_that_is_away_may_be_a_replacement_but_no_other_of_ours(
    system: System,
) -> None:
    first = BlueZRecovery("hci0", A, (A, B))

    system.addresses = {"hci0": B}
    assert await first.locate() is None
    system.addresses = {"hci0": C}
    assert await first.locate() == "hci0"
    system.addresses = {}
    assert await first.locate() is None


def test_adapters_are_told_from_their_links_and_by_what_was_plugged_in(tmp_path: Path) -> None:
    for name in ("hci1", "hci0", "hci0:64", "mgmt", "new"):
        (tmp_path / name).symlink_to("nowhere")

    before = present_adapters(tmp_path)
    assert list(before) == ["hci0", "hci1"]
    (tmp_path / "new").rename(tmp_path / "hci0")

    after = present_adapters(tmp_path)
    assert after["hci0"] != before["hci0"]
    assert after["hci1"] == before["hci1"]


def test_a_system_without_such_a_folder_has_no_adapters(tmp_path: Path) -> None:
    assert present_adapters(tmp_path / "none") == {}
