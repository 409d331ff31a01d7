"""What bytes are told to be: any bytes, and those of every schema."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.record_bytes import DUMP_BYTES_MAX, TEXT_CHARS_MAX, hex_dump, inspect, printable
from ingest.codec import encode_alarm, encode_dead_letter, encode_frame, encode_observations
from tests.ingest import records

ENCODED = {
    "frame.2": encode_frame(records.FULL_FRAME),
    "observation.2": encode_observations([records.observation()]),
    "alarm.1": encode_alarm(records.alarm()),
    "dead_letter.2": encode_dead_letter(records.dead_letter()),
}


@pytest.mark.parametrize("schema", ENCODED)
def test_a_record_is_told_by_its_schema_and_can_be_read(schema: str) -> None:
    found = inspect(ENCODED[schema])

    assert (found.schema, found.trouble) == (schema, None)
    assert found.as_text().startswith(f"{schema} (")
    assert found.as_text().endswith(": can be read")


def test_the_plain_fields_before_the_fault_are_told() -> None:
    whole = encode_frame(records.frame(records.block(), subject_id="p-7", sequence=12))

    found = inspect(whole[:-3])

    assert found.schema == "frame.2"
    assert dict(found.leading) == {
        "subject_id": "p-7",
        "agent_id": records.frame().agent_id,
        "sequence": 12,
    }
    assert found.trouble is not None
    assert "not a frame.2" in found.trouble


@pytest.mark.parametrize(
    ("payload", "trouble"),
    [
        (b"", "no Avro single-object header in no bytes"),
        (b"junk", "no Avro single-object header in 6a756e6b"),
        (b"\xc3\x01" + bytes(8), "unknown schema 0000000000000000"),
    ],
)
def test_what_is_no_record_of_ours_says_why(payload: bytes, trouble: str) -> None:
    found = inspect(payload)

    assert (found.schema, dict(found.leading)) == (None, {})
    assert found.trouble is not None
    assert trouble in found.trouble


@given(
    schema=st.sampled_from(list(ENCODED)),
    n_kept=st.integers(0, 200),
    more=st.binary(max_size=60),
)
def test_any_bytes_are_told_about(schema: str, n_kept: int, more: bytes) -> None:
    text = inspect(ENCODED[schema][:n_kept] + more).as_text()

    assert text.isprintable()


@given(st.text(max_size=2 * TEXT_CHARS_MAX))
def test_what_is_printed_cannot_command_a_terminal(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert len(shown) <= TEXT_CHARS_MAX + 1
    if text.isprintable() and len(text) <= TEXT_CHARS_MAX:
        assert shown == text


@given(st.binary(max_size=100))
def test_a_hex_dump_holds_the_bytes(payload: bytes) -> None:
    lines = hex_dump(payload).splitlines()

    assert b"".join(bytes.fromhex(line[10:58]) for line in lines) == payload
    assert [int(line[:8], 16) for line in lines] == list(range(0, len(payload), 16))


def test_a_hex_dump_ends_and_says_how_much_it_leaves_out() -> None:
    lines = hex_dump(bytes(DUMP_BYTES_MAX + 5)).splitlines()

    assert len(lines) == DUMP_BYTES_MAX // 16 + 1
    assert "5 bytes more" in lines[-1]
