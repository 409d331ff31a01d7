import contextlib
import dataclasses
import io
import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import codec, topics
from ingest.annotation import SubjectAnnotation
from ingest.checkpoint import STATE_BYTES_MAX, Checkpoint
from ingest.codec import (
    DEAD_LETTER_BYTES_MAX,
    HEADER_BYTES,
    KEY_BYTES_MAX,
    REASON_CHARS_MAX,
    RECORD_BYTES_MAX,
    decode_alarm,
    decode_annotation,
    decode_checkpoint,
    decode_dead_letter,
    decode_frame,
    decode_observations,
    decode_role_status,
    encode_alarm,
    encode_all_observations,
    encode_annotation,
    encode_checkpoint,
    encode_dead_letter,
    encode_frame,
    encode_observations,
    encode_role_status,
    fingerprint,
)
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.errors import (
    MalformedRecordError,
    OversizedRecordError,
    RecordError,
    UnknownSchemaError,
)
from ingest.frame import NAME_CHARS_MAX, TEXT_CHARS_MAX, Frame
from ingest.frame_limits import FRAME_LIMITS
from ingest.observation import N_OBSERVATIONS_MAX, AlarmEvent, Observation
from ingest.role_status import STATUS_BYTES_MAX, RoleState, RoleStatus
from processors.sinks.lines import LineEncoder
from tests.ingest import records

GOLDEN = Path(__file__).parents[1] / "golden" / "ingest"
SCHEMAS = Path(codec.__file__).parent / "schemas"

FINGERPRINTS = {
    "alarm.1": "676a09531194ae68",
    "annotation.1": "eec569d860e79379",
    "checkpoint.1": "80ec2c31fa55b6c4",
    "dead_letter.1": "d5f55feb6aee3af8",
    "dead_letter.2": "aa98a8ed11960f81",
    "frame.1": "f3885ad7fb6b75d8",
    "frame.2": "41d97f1e8a9b9a73",
    "observation.1": "c547e67b2af8e8ba",
    "observation.2": "6cc34e060c7f7478",
    "role_status.1": "9ef5110d85ce9b4f",
}
"""A file that gives another fingerprint is another version: it needs a name of its own."""


def plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Observation):
        value = value._asdict()
    elif dataclasses.is_dataclass(value):
        value = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple) else value


NOT_IN: dict[str, dict[str, Any]] = {
    "frame.1": {
        "ledger": [],
        "losses": [],
        "clocks": [plain(records.clock(device_ns=None))],
    },
    "dead_letter.1": {
        "content": "record",
        "key": None,
        "timestamp_ms": None,
        "n_bytes_cut": 0,
    },
}
"""What a version could not say yet, as it is read now."""


def golden(schema_name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{schema_name}.hex").read_text("ascii"))


OBSERVATION = records.observation(unit="ø", channels=("strap-1/ecg", "møbel-2/acc/x"))
EXAMPLES: dict[str, Any] = {
    "frame.1": records.FULL_FRAME,
    "frame.2": records.FULL_FRAME,
    "observation.1": OBSERVATION,
    "observation.2": {
        "observations": (OBSERVATION, records.observation(value=None, reason="no_samples")),
    },
    "alarm.1": records.alarm(active=False, detail="ø 心"),
    "annotation.1": records.annotation(
        version=2,
        retracted=True,
        duration_ns=5,
        symbol="+",
        subtype=-3,
        chan=255,
        num=-1,
        text="(ø 心",
        device_id="strap-1",
        channel="ecg/II",
    ),
    "checkpoint.1": records.checkpoint(),
    "dead_letter.1": records.dead_letter(payload=bytes(range(256))),
    "dead_letter.2": records.dead_letter(
        payload=bytes(range(256)), key="sø".encode(), content=LetterContent.LINES, n_bytes_cut=3
    ),
    "role_status.1": records.role_status(state=RoleState.WAITING, reason="støre"),
}
WRITTEN_NO_MORE = ("frame.1", "observation.1", "dead_letter.1")
"""What was written stays readable."""

ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "frame.1": lambda _: golden("frame.1"),
    "frame.2": encode_frame,
    "observation.1": lambda _: golden("observation.1"),
    "observation.2": lambda record: encode_observations(record["observations"]),
    "alarm.1": encode_alarm,
    "annotation.1": encode_annotation,
    "checkpoint.1": encode_checkpoint,
    "dead_letter.1": lambda _: golden("dead_letter.1"),
    "dead_letter.2": encode_dead_letter,
    "role_status.1": encode_role_status,
}
DECODERS: dict[str, Callable[[bytes], object]] = {
    "frame.1": decode_frame,
    "frame.2": decode_frame,
    "observation.1": lambda payload: decode_observations(payload)[0],
    "observation.2": lambda payload: {"observations": decode_observations(payload)},
    "alarm.1": decode_alarm,
    "annotation.1": decode_annotation,
    "checkpoint.1": decode_checkpoint,
    "dead_letter.1": decode_dead_letter,
    "dead_letter.2": decode_dead_letter,
    "role_status.1": decode_role_status,
}


Json = str | list[Any] | dict[str, Any]


# What the specification says, computed a second time


def canonical(schema: Json) -> str:
    """Avro specification, "Transforming into Parsing Canonical Form"."""
    if isinstance(schema, str):
        return json.dumps(schema)
    if isinstance(schema, list):
        return f"[{','.join(canonical(each) for each in schema)}]"
    parts = []
    for key in ("name", "type", "fields", "symbols", "items", "values"):
        if key not in schema:
            continue
        value = schema[key]
        if key == "name" and schema.get("type") in ("record", "enum"):
            value = f"chevet.{value}"
        if key == "symbols":
            text = f"[{','.join(json.dumps(symbol) for symbol in value)}]"
        else:
            text = canonical(value)
        parts.append(f'"{key}":{text}')
    return f"{{{','.join(parts)}}}"


def crc_64_avro(text: bytes) -> int:
    """Avro specification, "Schema Fingerprints"."""
    empty = 0xC15D213AA4D7A795
    table = []
    for i in range(256):
        entry = i
        for _ in range(8):
            entry = (entry >> 1) ^ (empty if entry & 1 else 0)
        table.append(entry)
    crc = empty
    for byte in text:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def long(number: int) -> bytes:
    """Avro specification, "Primitive Types": zigzag, seven bits to a byte."""
    zigzag = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    written = bytearray()
    while zigzag > 0x7F:
        written.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes(written) + bytes([zigzag])


def header(schema_name: str) -> bytes:
    return b"\xc3\x01" + fingerprint(schema_name)


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_the_header_is_the_marker_and_the_little_endian_crc_64_avro(schema_name: str) -> None:
    schema = json.loads((SCHEMAS / f"{schema_name}.avsc").read_text("utf-8"))
    crc = crc_64_avro(canonical(schema).encode())

    payload = ENCODERS[schema_name](EXAMPLES[schema_name])

    assert payload[:2] == b"\xc3\x01"
    assert payload[2:HEADER_BYTES] == crc.to_bytes(8, "little") == fingerprint(schema_name)


def test_the_second_computation_agrees_with_the_vector_of_the_specification() -> None:
    assert crc_64_avro(b'"int"') == 0x7275D51A3F395C8F


def test_a_schema_file_that_changes_needs_a_new_version() -> None:
    shipped = {path.stem: fingerprint(path.stem).hex() for path in SCHEMAS.glob("*.avsc")}

    assert shipped == FINGERPRINTS


# Golden bytes


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_bytes_of_every_version_ever_shipped_stay_readable(schema_name: str) -> None:
    expected = json.loads((GOLDEN / f"{schema_name}.json").read_text("utf-8"))

    read = plain(DECODERS[schema_name](golden(schema_name)))

    assert read == expected | NOT_IN.get(schema_name, {})


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_the_same_record_gives_the_same_bytes(schema_name: str) -> None:
    assert ENCODERS[schema_name](EXAMPLES[schema_name]) == golden(schema_name)


def test_the_golden_frame_has_every_kind_of_content() -> None:
    written = json.loads((GOLDEN / "frame.2.json").read_text("utf-8"))

    assert all(written[part] for part in FRAME_LIMITS)
    sizes = [max(map(abs, block["counts"])) for block in written["waveforms"]]
    assert min(sizes) < 2**15 <= max(sizes)


# Round trips


@given(records.frames)
def test_a_frame_survives_the_round_trip(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(st.lists(records.observations, min_size=1, max_size=5))
def test_observations_survive_the_round_trip(observations: list[Observation]) -> None:
    subject_id = observations[0].subject_id
    of_one_subject = tuple(one._replace(subject_id=subject_id) for one in observations)

    assert decode_observations(encode_observations(of_one_subject)) == of_one_subject


@given(st.lists(records.observations, min_size=1, max_size=5))
def test_observations_are_written_as_any_avro_writer_does(observations: list[Observation]) -> None:
    subject_id = observations[0].subject_id
    of_one_subject = [one._replace(subject_id=subject_id) for one in observations]
    fields = {"subject_id": subject_id, "observations": [one._asdict() for one in of_one_subject]}
    schema = json.loads((SCHEMAS / "observation.2.avsc").read_text("utf-8"))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, fields)

    assert encode_observations(of_one_subject) == header("observation.2") + body.getvalue()


@pytest.mark.parametrize("mdc_code", [-(2**63), -(2**63) + 1, -65, -64, -1, 0, 63, 64, 2**63 - 1])
def test_a_number_is_written_as_any_avro_writer_does(mdc_code: int) -> None:
    one = records.observation(mdc_code=mdc_code)

    assert decode_observations(encode_observations([one])) == (one,)


@pytest.mark.parametrize("mdc_code", [-(2**63) - 1, 2**63])
def test_an_observation_with_a_number_beyond_64_bits_cannot_be_written(mdc_code: int) -> None:
    with pytest.raises(MalformedRecordError, match="can say this: OverflowError"):
        encode_observations([records.observation(mdc_code=mdc_code)])


def test_a_record_of_observations_is_of_one_subject() -> None:
    several = [records.observation(subject_id=subject_id) for subject_id in ("p-1", "p-2")]

    with pytest.raises(MalformedRecordError, match="of one subject, not of 2"):
        encode_observations(several)
    with pytest.raises(MalformedRecordError, match="of one subject, not of 0"):
        encode_observations([])


def test_more_observations_than_follow_from_any_frame_are_refused() -> None:
    too_many = [records.observation()] * (N_OBSERVATIONS_MAX + 1)
    announced = header("observation.2") + long(3) + b"p-1" + long(N_OBSERVATIONS_MAX + 1)

    with pytest.raises(MalformedRecordError, match="observations in one record"):
        encode_observations(too_many)
    with pytest.raises(MalformedRecordError, match="observations in one record"):
        decode_observations(announced)


@pytest.mark.parametrize(
    ("n", "channel", "n_records"),
    [
        (0, "ecg", 0),
        (N_OBSERVATIONS_MAX, "ecg", 1),
        (2 * N_OBSERVATIONS_MAX + 3, "ecg", 4),
        (N_OBSERVATIONS_MAX, "x" * NAME_CHARS_MAX, 4),
    ],
    ids=["none", "all that one record holds", "more", "too long"],
)
def test_observations_beyond_what_a_record_holds_are_several_records(
    n: int, channel: str, n_records: int
) -> None:
    one = records.observation(channels=(channel,))
    observations = [one._replace(t_ns=one.t_ns + i) for i in range(n)]

    payloads = encode_all_observations(observations)

    assert len(payloads) == n_records
    found = [each for payload in payloads for each in decode_observations(payload)]
    assert found == observations


@given(records.annotations)
def test_an_annotation_survives_the_round_trip(annotation: SubjectAnnotation) -> None:
    assert decode_annotation(encode_annotation(annotation)) == annotation


@given(records.alarms)
def test_an_alarm_survives_the_round_trip(alarm: AlarmEvent) -> None:
    assert decode_alarm(encode_alarm(alarm)) == alarm


@given(records.role_statuses)
def test_a_role_status_survives_the_round_trip(status: RoleStatus) -> None:
    assert decode_role_status(encode_role_status(status)) == status


def test_a_role_status_that_is_too_long_is_neither_written_nor_read() -> None:
    status = records.role_status(reason="ø" * TEXT_CHARS_MAX)
    assert decode_role_status(encode_role_status(status)) == status

    with pytest.raises(OversizedRecordError, match=f"at most {STATUS_BYTES_MAX}"):
        encode_role_status(records.role_status(reason="𝄞" * TEXT_CHARS_MAX))
    with pytest.raises(OversizedRecordError, match=f"at most {STATUS_BYTES_MAX}"):
        decode_role_status(header("role_status.1") + bytes(STATUS_BYTES_MAX))


@given(records.checkpoints)
def test_a_checkpoint_survives_the_round_trip(checkpoint: Checkpoint) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@given(st.binary(max_size=3_000))
def test_a_state_is_packed_and_unpacked(state: bytes) -> None:
    fields = records.checkpoint()
    names = ("subject_id", "next_offset", "record_ms", "newest_ns", "program")
    packed = Checkpoint.of(state, **{name: getattr(fields, name) for name in names})

    assert packed.state() == state
    assert records.checkpoint().state() == b"state"


@pytest.mark.parametrize(
    "changes",
    [
        {"n_bytes": -1},
        {"n_bytes": 4},
        {"n_bytes": 6},
        {"n_bytes": STATE_BYTES_MAX + 1},
        {"packed": b"junk"},
        {"packed": b""},
    ],
)
def test_a_state_that_is_not_what_it_is_said_to_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedRecordError, match="state"):
        records.checkpoint(**changes).state()


@given(records.dead_letters)
def test_a_dead_letter_survives_the_round_trip(letter: DeadLetter) -> None:
    assert decode_dead_letter(encode_dead_letter(letter)) == letter


@pytest.mark.parametrize(
    ("count", "n_bytes"), [(32_767, 2), (-32_768, 2), (32_768, 4), (-32_769, 4)]
)
def test_counts_take_two_bytes_where_they_fit(count: int, n_bytes: int) -> None:
    small = encode_frame(records.frame(records.block([0] * 1_000)))

    payload = encode_frame(records.frame(records.block([0] * 999 + [count])))

    assert len(payload) - len(small) == (n_bytes - 2) * 1_000
    assert decode_frame(payload).waveforms[0].counts[-1] == count


# Hostile bytes


def use(frame: Frame) -> None:
    """Do all that is done with a Frame; it must be safe."""
    for block in frame.waveforms:
        times_ns = block.times_ns()
        assert (np.diff(times_ns) > 0).all()
        assert times_ns[0] == block.t0_ns
        assert np.isfinite(block.physical()).all()
    for piece in LineEncoder().frame(frame):
        assert not piece.endswith(b"\n")


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
@given(data=st.data())
def test_any_bytes_are_a_record_or_a_record_error(schema_name: str, data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=200))

    for payload in (body, header(schema_name) + body):
        with contextlib.suppress(RecordError):
            DECODERS[schema_name](payload)


def mutated(payload: bytes, rng: random.Random) -> bytes:
    """Change, cut, insert or double a few bytes, mostly behind the header."""
    hurt = bytearray(payload)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(HEADER_BYTES, max(HEADER_BYTES + 1, len(hurt)))
        match rng.randrange(5):
            case 0:
                hurt[at : at + 1] = rng.randbytes(1)
            case 1:
                del hurt[at : at + rng.randint(1, 8)]
            case 2:
                hurt[at:at] = rng.choice((b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x01", b"\x00"))
            case 3:
                hurt[at:at] = hurt[at : at + rng.randint(1, 30)]
            case _:
                hurt[at % len(hurt)] ^= 1 << rng.randrange(8)
    return bytes(hurt)


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_a_damaged_record_is_a_safe_record_or_a_record_error(schema_name: str) -> None:
    rng = random.Random(schema_name)
    payload = ENCODERS[schema_name](EXAMPLES[schema_name])
    n_read = 0

    for _ in range(10_000):
        try:
            record = DECODERS[schema_name](mutated(payload, rng))
        except RecordError:
            continue
        n_read += 1
        if isinstance(record, Frame):
            use(record)

    assert n_read > 50


@settings(deadline=None)
@given(records.frames)
def test_every_frame_is_safe_to_use(frame: Frame) -> None:
    use(decode_frame(encode_frame(frame)))


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_a_record_cut_anywhere_is_malformed(schema_name: str) -> None:
    payload = ENCODERS[schema_name](EXAMPLES[schema_name])

    for n_bytes in range(len(payload)):
        with pytest.raises(MalformedRecordError):
            DECODERS[schema_name](payload[:n_bytes])


@pytest.mark.parametrize("schema_name", FINGERPRINTS)
def test_bytes_after_the_end_are_malformed(schema_name: str) -> None:
    payload = ENCODERS[schema_name](EXAMPLES[schema_name])

    with pytest.raises(MalformedRecordError, match=f"3 bytes after the end of a {schema_name}"):
        DECODERS[schema_name](payload + b"\0\0\0")


def test_an_unknown_fingerprint_is_named() -> None:
    stranger = bytes(range(8))

    with pytest.raises(UnknownSchemaError, match="0001020304050607") as caught:
        decode_frame(b"\xc3\x01" + stranger + b"\0")

    assert caught.value.fingerprint == stranger


def test_a_record_of_another_kind_is_an_unknown_schema() -> None:
    with pytest.raises(UnknownSchemaError):
        decode_frame(encode_alarm(records.alarm()))


@pytest.mark.parametrize("payload", [b"", b"\xc3", b"\xc3\x01\0", b"\x01\xc3" + b"\0" * 20])
def test_without_the_header_a_record_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedRecordError, match="no Avro single-object header"):
        decode_frame(payload)


def test_a_record_that_is_too_long_is_refused_on_both_sides() -> None:
    counts = np.full(1_000_000, 2**20, dtype=np.int32)
    readings = tuple(records.reading(value=None, reason="x" * 4_000) for _ in range(1_100))
    just_right = records.frame(records.block(counts))

    assert decode_frame(encode_frame(just_right)) == just_right
    with pytest.raises(OversizedRecordError, match=str(RECORD_BYTES_MAX)):
        encode_frame(records.frame(records.block(counts), readings=readings))
    with pytest.raises(OversizedRecordError, match=str(RECORD_BYTES_MAX + 1)):
        decode_frame(header("frame.2") + bytes(RECORD_BYTES_MAX + 1 - HEADER_BYTES))


def test_a_channel_whose_count_of_samples_lies_is_malformed() -> None:
    payload = encode_frame(records.frame(records.block([1, 2, 3])))
    told = long(3) + long(0) + long(6)
    assert payload.count(told) == 1

    with pytest.raises(MalformedRecordError, match="n_samples says 4, counts hold 3"):
        decode_frame(payload.replace(told, long(4) + long(0) + long(6)))
    with pytest.raises(MalformedRecordError):
        decode_frame(payload.replace(told, long(3) + long(1) + long(6)))


HUGE = long(2**60)
BOMBS = {
    "a string of 2^60 bytes": header("frame.2") + HUGE,
    "a string of -5 bytes": header("frame.2") + long(-5) + b"abcdefg",
    "an array of 2^60 items": header("frame.2") + long(1) + b"p" + long(1) + b"a" + b"\0" + HUGE,
    "an array of -2^63 items": header("frame.2")
    + (long(1) + b"p" + long(1) + b"a" + long(0) + long(-(2**63)) + long(4)),
    "a number that never ends": header("frame.2") + b"\xff" * 5_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_length_that_lies_is_malformed(bomb: bytes) -> None:
    with pytest.raises(MalformedRecordError):
        decode_frame(bomb)


BOMB_PROGRAM = """
import resource, sys
from ingest.codec import decode_dead_letter, decode_frame, decode_observations
from ingest.errors import MalformedRecordError
before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for payload in map(bytes.fromhex, sys.stdin.read().split()):
    for decode in (decode_frame, decode_observations, decode_dead_letter):
        try:
            decode(payload)
        except Exception as error:
            assert type(error).__name__ in {"MalformedRecordError", "UnknownSchemaError"}, error
after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert after_kb - before_kb < 20_000, after_kb - before_kb
"""


def test_a_length_that_lies_takes_no_memory() -> None:
    letters = [
        header("dead_letter.1") + long(0) * 5 + HUGE + b"xx",
        header("dead_letter.2") + long(0) * 5 + long(1) + HUGE + b"xx",
        header("dead_letter.2") + long(0) * 9 + HUGE + b"xx",
    ]
    program = subprocess.run(
        [sys.executable, "-c", BOMB_PROGRAM],
        input="\n".join(bomb.hex() for bomb in (*BOMBS.values(), *letters)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert program.returncode == 0, program.stderr


# Arrays, as bytes


CONTENTS: dict[str, Any] = {
    "waveforms": records.block(),
    "readings": records.reading(),
    "clocks": records.clock(),
    "gaps": records.gap(),
    "events": records.event(),
    "ledger": records.totals(),
    "losses": records.loss(),
}
"""One of each that a Frame holds any number of, in the order of the schema."""


def frame_with(name: str, n_items: int) -> Frame:
    content: dict[str, Any] = {name: (CONTENTS[name],) * n_items}
    return dataclasses.replace(records.frame(), **content)


def around(name: str) -> tuple[bytes, bytes, bytes]:
    """Give what is before an array in an otherwise empty Frame, an item of it, what is behind."""
    i = list(CONTENTS).index(name)
    head = encode_frame(records.frame()).removesuffix(b"\0" * len(CONTENTS))
    filled = encode_frame(frame_with(name, 1))
    before, behind = head + b"\0" * i, b"\0" * (len(CONTENTS) - i)
    return before, filled[len(before) + 1 : -len(behind)], behind


@settings(max_examples=50)
@given(
    name=st.sampled_from(list(CONTENTS)),
    blocks=st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=5),
)
def test_an_array_is_read_however_its_writer_has_cut_it(
    name: str, blocks: list[tuple[int, bool]]
) -> None:
    before, item, behind = around(name)
    array = b"".join(
        (long(-n) + long(n * len(item)) if has_length else long(n)) + n * item
        for n, has_length in blocks
    )

    frame = decode_frame(before + array + behind)

    assert frame == frame_with(name, sum(n for n, _ in blocks))


@pytest.mark.parametrize("name", CONTENTS)
def test_a_frame_at_its_limit_is_read_and_no_longer_one(name: str) -> None:
    before, item, behind = around(name)
    n_max = FRAME_LIMITS[name]

    frame = decode_frame(before + long(n_max) + n_max * item + behind)

    assert len(getattr(frame, name)) == n_max
    for cut in (1, n_max // 2, n_max):
        array = long(cut) + cut * item + long(cut - n_max - 1)
        with pytest.raises(
            MalformedRecordError,
            match=f"^not a frame.2: {n_max + 1} {name} in one record; at most {n_max} are allowed",
        ):
            # The rest of the items is not even there: nobody looks for them.
            decode_frame(before + array + long(0))


def test_a_swarm_in_a_record_is_refused_at_once() -> None:
    before, item, behind = around("events")
    n_items = (RECORD_BYTES_MAX - 1_000) // len(item)
    swarm = before + long(n_items) + n_items * item + behind
    assert n_items > 250_000

    tracemalloc.start()
    with pytest.raises(MalformedRecordError, match=f"{n_items} events in one record"):
        decode_frame(swarm)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # It is held once more, to be read.
    assert most_bytes < 2 * len(swarm)


@pytest.mark.parametrize("end", [b"", b"\xff", b"\x80" * 9, b"\x80" * 20])
def test_a_number_of_items_that_does_not_end_is_malformed(end: bytes) -> None:
    before, _, _ = around("readings")

    with pytest.raises(MalformedRecordError):
        decode_frame(before + end)


def test_a_message_about_a_bad_record_does_not_repeat_it() -> None:
    secret = b"\xff" + b"Jane Doe" * 10_000
    payload = header("frame.2") + long(len(secret)) + secret

    with pytest.raises(MalformedRecordError) as caught:
        decode_frame(payload)

    assert "Jane" not in str(caught.value)
    assert len(str(caught.value)) < 300


# What cannot be said


@pytest.mark.parametrize(
    "frame",
    [
        records.frame(subject_id="half \ud800"),
        records.frame(sequence=2**63),
        records.frame(readings=(records.reading(status_bits=2**70),)),
    ],
)
def test_what_avro_cannot_say_is_a_malformed_record(frame: Frame) -> None:
    with pytest.raises(MalformedRecordError, match=r"no frame\.2 can say this"):
        encode_frame(frame)


@pytest.mark.parametrize(
    "make",
    [
        lambda name: records.frame(subject_id=name),
        lambda name: records.frame(agent_id=name),
        lambda name: records.block(device_id=name),
        lambda name: records.block(channel=name),
        lambda name: records.block(unit=name),
        lambda name: records.reading(device_id=name),
        lambda name: records.gap(channel=name),
        lambda name: records.event(device_id=name),
        lambda name: records.clock(device_id=name),
        lambda name: records.totals(channel=name),
        lambda name: records.loss(device_id=name),
        lambda name: records.observation(algorithm=name),
        lambda name: records.alarm(name=name),
        lambda name: records.annotation(subject_id=name),
        lambda name: records.role_status(instance=name),
    ],
)
def test_a_name_that_is_longer_than_any_real_one_is_refused(
    make: Callable[[str], object],
) -> None:
    make("x" * NAME_CHARS_MAX)

    with pytest.raises(MalformedRecordError, match=f"at most {NAME_CHARS_MAX}"):
        make("x" * (NAME_CHARS_MAX + 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda text: records.reading(value=None, reason=text),
        lambda text: records.event(detail=text),
        lambda text: records.observation(value=None, reason=text),
        lambda text: records.alarm(detail=text),
        lambda text: records.annotation(text=text),
        lambda text: records.role_status(reason=text),
    ],
)
def test_a_text_that_is_longer_than_anybody_writes_is_refused(
    make: Callable[[str], object],
) -> None:
    make("x" * TEXT_CHARS_MAX)

    with pytest.raises(MalformedRecordError, match=f"at most {TEXT_CHARS_MAX}"):
        make("x" * (TEXT_CHARS_MAX + 1))


# Dead letters hold whatever was refused


def test_a_dead_letter_holds_the_longest_record() -> None:
    letter = records.dead_letter(payload=bytes(RECORD_BYTES_MAX))

    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_dead_letter_of_something_longer_is_cut_and_says_so() -> None:
    letter = records.dead_letter(
        reason="心" * 9_000, key=b"k" * (KEY_BYTES_MAX + 7), payload=bytes(RECORD_BYTES_MAX + 5)
    )

    payload = encode_dead_letter(letter)

    cut = decode_dead_letter(payload)
    assert len(payload) <= DEAD_LETTER_BYTES_MAX < topics.MESSAGE_BYTES_MAX
    assert cut.reason == "心" * REASON_CHARS_MAX
    assert cut.key == b"k" * KEY_BYTES_MAX
    assert cut.payload == bytes(RECORD_BYTES_MAX)
    assert cut.n_bytes_cut == 5 + 7
    assert decode_dead_letter(encode_dead_letter(cut)) == cut


def first_letter(**fields: object) -> DeadLetter:
    """Write a letter as version 1 was written, and read it."""
    values = {"reason": "x", "source": "worker", "topic": "t", "partition": 1, "offset": 2}
    return decode_dead_letter(codec._encode("dead_letter.1", {**values, **fields}))


def test_what_a_first_dead_letter_said_in_words_is_read_as_fields() -> None:
    cut = first_letter(reason="long (the first 8000000 of 8000005 bytes)", payload=b"xx")
    lines = first_letter(source="sink-influx", payload=b"waveform v=1i 5")
    record = first_letter(source="sink-influx", payload=b"\xc3\x01" + bytes(8))

    assert cut.n_bytes_cut == 5
    assert (lines.content, lines.n_bytes_cut) == (LetterContent.LINES, 0)
    assert cut.content == record.content == LetterContent.RECORD
    assert (record.key, record.timestamp_ms) == (None, None)


def test_a_dead_letter_can_be_written_whatever_its_reason() -> None:
    letter = records.dead_letter(reason="half \ud800")

    assert decode_dead_letter(encode_dead_letter(letter)).reason == "half ?"


@settings(max_examples=20)
@given(records.frames)
def test_frames_are_equal_where_all_they_hold_is_equal(frame: Frame) -> None:
    again = decode_frame(encode_frame(frame))

    assert again == frame
    assert again != dataclasses.replace(frame, agent_id=frame.agent_id + "x")
    for block in frame.waveforms:
        assert block != dataclasses.replace(block, counts=block.counts[::-1] + np.int32(1))
        assert block != "a block"


def update() -> None:
    """Write the golden files anew: ``python -m tests.ingest.test_codec``; review the change."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for schema_name, record in EXAMPLES.items():
        if schema_name in WRITTEN_NO_MORE:
            continue
        payload = ENCODERS[schema_name](record)
        (GOLDEN / f"{schema_name}.hex").write_text(payload.hex(" ", 32).replace(" ", "\n") + "\n")
        text = json.dumps(plain(record), indent=1, ensure_ascii=False)
        (GOLDEN / f"{schema_name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    update()


def test_a_record_read_in_one_go_and_one_read_array_by_array_are_the_same() -> None:
    """A short record cannot hold too many items; a longer one is read with care."""
    few, many = [records.observation()] * 3, [records.observation()] * N_OBSERVATIONS_MAX

    assert decode_observations(encode_observations(few)) == tuple(few)
    assert decode_observations(encode_observations(many)) == tuple(many)


def test_the_schema_has_the_fields_of_an_observation_in_their_order() -> None:
    schema = json.loads(
        resources.files("ingest").joinpath("schemas/observation.2.avsc").read_text()
    )
    of_each = next(f for f in schema["fields"] if f["name"] == "observations")["type"]["items"]

    assert ("subject_id", *(f["name"] for f in of_each["fields"])) == Observation._fields
