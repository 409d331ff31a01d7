"""What somebody types when a device asks for its passkey."""

import asyncio

import pytest
from dbus_fast import DBusError
from hypothesis import given
from hypothesis import strategies as st

from edge.links.pairing_agent import PairingAgent, passkey_of


@given(st.integers(0, 999_999), st.integers(0, 6))
def test_a_passkey_is_read_as_it_is_typed(passkey: int, gap: int) -> None:
    digits = f"{passkey:06}"

    assert passkey_of(f" {digits[:gap]} {digits[gap:]} ") == passkey


@pytest.mark.parametrize("typed", ["", "y", "1234567", "-1", "1.5", "\u0661\u0662"])
def test_what_is_no_passkey_is_none(typed: str) -> None:
    assert passkey_of(typed) is None


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_passkey_or_none(typed: str) -> None:
    found = passkey_of(typed)

    assert found is None or 0 <= found <= 999_999


async def nobody(_question: str) -> str:
    return ""


def test_where_nobody_is_asked_nothing_but_consent_is_offered() -> None:
    assert PairingAgent(None).capability == "NoInputNoOutput"
    assert PairingAgent(nobody).capability == "KeyboardDisplay"


async def test_another_device_than_the_one_that_is_enrolled_is_refused() -> None:
    agent = PairingAgent(nobody)

    with pytest.raises(DBusError, match="not the device"):
        await agent._answer("/org/bluez/hci0/dev_A", "?")
    agent.expect("/org/bluez/hci0/dev_A")

    assert await agent._answer("/org/bluez/hci0/dev_A", "?") == ""
    with pytest.raises(DBusError, match="not the device"):
        agent._check("/org/bluez/hci0/dev_B")


async def test_a_device_that_gives_up_leaves_no_question_behind() -> None:
    asked, withdrawn = asyncio.Event(), asyncio.Event()

    async def ask(_question: str) -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            withdrawn.set()
        return ""

    agent = PairingAgent(ask)
    agent.expect("/a")
    answer = asyncio.create_task(agent._answer("/a", "?"))
    await asked.wait()
    agent.stop_asking()

    with pytest.raises(DBusError, match="given up"):
        await answer
    assert withdrawn.is_set()
