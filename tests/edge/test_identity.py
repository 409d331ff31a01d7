"""Pseudonyms: the same again with the key, and nothing without it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity import device_label, device_pseudonym, load_key, subject_pseudonym

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


@pytest.mark.parametrize(
    "written", ["AB-4711", " ab-4711 ", "Ab-4711\n", "\uff21\uff22-4711", "AB-4711\t"]
)
def test_a_patient_has_one_pseudonym_however_the_identifier_is_written(written: str) -> None:
    assert subject_pseudonym(written, KEY) == subject_pseudonym("AB-4711", KEY)


def test_another_key_and_another_person_give_another_pseudonym() -> None:
    names = {
        subject_pseudonym(patient, key)
        for patient in ("4711", "4712", "4 711")
        for key in (KEY, OTHER)
    }

    assert len(names) == 6


@given(st.text())
def test_a_pseudonym_is_one_that_settings_take_and_does_not_show_the_identifier(text: str) -> None:
    try:
        name = subject_pseudonym(text, KEY)
    except ValueError:
        assert not text.strip()
        return

    assert len(name) == 18
    assert name.startswith("p-")
    assert set(name[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_names_of_devices_do_not_show_what_they_are_made_of() -> None:
    assert "12345678" not in device_pseudonym("Polar H10", "12345678", KEY)
    assert "12345678" not in device_label("Polar H10 12345678", KEY)
    assert device_label("Polar H10 12345678", KEY) != device_label("Polar H10 12345678", OTHER)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.key"

    key = load_key(path)

    assert len(key) == 32
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path / "other.key") != key


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31, "é"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "agent.key"
    path.write_text(content, "utf-8")

    with pytest.raises(ValueError, match="holds no key"):
        load_key(path)

    assert path.read_text("utf-8") == content
