"""What somebody types when a device asks for its passkey."""

import pytest
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
