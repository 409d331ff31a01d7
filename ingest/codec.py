"""Records to bytes and back: Avro in single-object encoding.

The header is the marker ``C3 01`` and the little-endian CRC-64-AVRO fingerprint of the writer's
schema, so a reader knows the version of every record without a registry.

Source: Apache Avro 1.12 specification, "Single-object encoding".
"""

import dataclasses
import functools
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final, TypeVar

import fastavro
import fastavro.schema
import numpy as np
from numpy.typing import NDArray

from ingest.annotation import SubjectAnnotation
from ingest.bounded_avro import BoundedReader
from ingest.checkpoint import Checkpoint
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.errors import (
    MalformedRecordError,
    OversizedRecordError,
    UnknownSchemaError,
)
from ingest.frame import (
    NAME_CHARS_MAX,
    ChannelLedger,
    ChannelLoss,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.frame_limits import FRAME_LIMITS, check_number
from ingest.observation import N_OBSERVATIONS_MAX, AlarmEvent, AlarmPriority, Observation
from ingest.observation_avro import observations_bytes
from ingest.role_status import STATUS_BYTES_MAX, RoleState, RoleStatus

RECORD_BYTES_MAX: Final = 8_000_000
"""Longest record; what is longer is refused, here and there."""

REASON_CHARS_MAX: Final = 2_000
"""Longest reason of a dead letter; the rest is cut off."""

KEY_BYTES_MAX: Final = 4 * NAME_CHARS_MAX
"""Longest key that a dead letter keeps; every key of ours is a name."""

DEAD_LETTER_BYTES_MAX: Final = RECORD_BYTES_MAX + 20_000
"""A dead letter holds a whole refused record, its key, and the reason."""

MARKER: Final = b"\xc3\x01"
HEADER_BYTES: Final = 10

_LIMITS: Final[Mapping[str, Mapping[str, int]]] = {
    "frame": FRAME_LIMITS,
    "observation": {"observations": N_OBSERVATIONS_MAX},
}
"""The most items of the arrays of a record."""

_Json = dict[str, Any]
_Record = TypeVar("_Record")


@functools.cache
def _document(name: str) -> _Json:
    text = resources.files("ingest").joinpath("schemas", f"{name}.avsc").read_text("utf-8")
    document: _Json = json.loads(text)
    return document


@functools.cache
def _schema(name: str) -> tuple[Any, bytes]:
    """Parse a schema file; give it with its fingerprint as the header carries it."""
    document = _document(name)
    canonical = fastavro.schema.to_parsing_canonical_form(document)
    crc = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    return fastavro.parse_schema(document), bytes.fromhex(crc)


@functools.cache
def _reader(schema_name: str) -> Callable[[io.BytesIO], Any]:
    """Give what reads a record; array by array where there are limits, so that none is too long."""
    limits = _LIMITS.get(schema_name.partition(".")[0])
    if limits is not None:
        return BoundedReader(_document(schema_name), limits).read
    schema = _schema(schema_name)[0]
    return lambda buffer: fastavro.schemaless_reader(buffer, schema, None)


def fingerprint(schema_name: str) -> bytes:
    """Give the eight header bytes that stand for a schema, such as ``frame.1``."""
    return _schema(schema_name)[1]


def _encode(schema_name: str, fields: _Json, n_bytes_max: int = RECORD_BYTES_MAX) -> bytes:
    def body() -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, _schema(schema_name)[0], fields)
        return buffer.getvalue()

    return _payload(schema_name, body, n_bytes_max)


def _payload(schema_name: str, body: Callable[[], bytes], n_bytes_max: int) -> bytes:
    """Put the header before a body, and see that it is one that may be."""
    try:
        payload = b"".join((MARKER, fingerprint(schema_name), body()))
    except (OverflowError, UnicodeEncodeError) as error:
        # A number beyond 64 bits, or half of a surrogate pair.
        raise MalformedRecordError(f"no {schema_name} can say this: {_text(error)}") from error
    if len(payload) > n_bytes_max:
        raise OversizedRecordError(
            f"a {schema_name} of {len(payload)} bytes; at most {n_bytes_max} are allowed"
        )
    return payload


def _text(error: Exception) -> str:
    """Say what happened without the data: the repr of a UnicodeError holds the whole record."""
    return f"{type(error).__name__}: {error}"


def _decode(
    payload: bytes,
    versions: Iterable[tuple[str, Callable[[_Json], _Record]]],
    n_bytes_max: int = RECORD_BYTES_MAX,
) -> _Record:
    """Read a record of any of the given schema versions."""
    if len(payload) > n_bytes_max:
        raise OversizedRecordError(f"{len(payload)} bytes; at most {n_bytes_max} are allowed")
    if len(payload) < HEADER_BYTES or payload[:2] != MARKER:
        raise MalformedRecordError(
            f"no Avro single-object header in {payload[:HEADER_BYTES].hex() or 'no bytes'}"
        )
    crc = payload[2:HEADER_BYTES]
    for schema_name, build in versions:
        if crc == fingerprint(schema_name):
            return _decode_body(schema_name, payload, build)
    raise UnknownSchemaError(crc)


def _decode_body(schema_name: str, payload: bytes, build: Callable[[_Json], _Record]) -> _Record:
    buffer = io.BytesIO(payload)
    buffer.seek(HEADER_BYTES)
    try:
        record = build(_reader(schema_name)(buffer))
    except MalformedRecordError as error:
        raise MalformedRecordError(f"not a {schema_name}: {error}") from error
    except (
        # What fastavro raises on hostile bytes, found by fuzzing it.
        ArithmeticError,
        AttributeError,
        EOFError,
        IndexError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise MalformedRecordError(f"not a {schema_name}: {_text(error)}") from error
    if (n_left := len(payload) - buffer.tell()) > 0:
        raise MalformedRecordError(f"{n_left} bytes after the end of a {schema_name}")
    return record


def _fields(record: object) -> _Json:
    """Take the slots of a dataclass by name, one level deep."""
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


_DTYPES: Final[dict[str, np.dtype[np.signedinteger[Any]]]] = {
    "I16LE": np.dtype("<i2"),
    "I32LE": np.dtype("<i4"),
}


def _pack(counts: NDArray[np.int32]) -> tuple[str, bytes]:
    if counts.min() >= -(2**15) and counts.max() < 2**15:
        return "I16LE", counts.astype("<i2").tobytes()
    return "I32LE", counts.astype("<i4").tobytes()


def _unpack(fields: _Json) -> NDArray[np.int32]:
    raw: NDArray[np.signedinteger[Any]] = np.frombuffer(
        fields["counts"], dtype=_DTYPES[fields["sample_format"]]
    )
    counts: NDArray[np.int32] = raw.astype(np.int32)
    if counts.size != fields["n_samples"]:
        raise MalformedRecordError(
            f"{fields['channel']}: n_samples says {fields['n_samples']}, counts hold {counts.size}"
        )
    return counts


def _block_fields(block: WaveformBlock) -> _Json:
    sample_format, counts = _pack(block.counts)
    return {
        **_fields(block),
        "period_ns_numerator": block.period.ns_numerator,
        "period_ns_denominator": block.period.ns_denominator,
        "n_samples": block.n_samples,
        "sample_format": sample_format,
        "counts": counts,
    }


@functools.lru_cache(maxsize=1024)
def _period(ns_numerator: int, ns_denominator: int) -> SamplePeriod:
    # Kept, because it is the same in all Frames of a sensor.
    return SamplePeriod(ns_numerator=ns_numerator, ns_denominator=ns_denominator)


def _build_block(fields: _Json) -> WaveformBlock:
    return WaveformBlock(
        device_id=fields["device_id"],
        channel=fields["channel"],
        mdc_code=fields["mdc_code"],
        unit=fields["unit"],
        scale=fields["scale"],
        offset=fields["offset"],
        i_first=fields["i_first"],
        t0_ns=fields["t0_ns"],
        period=_period(fields["period_ns_numerator"], fields["period_ns_denominator"]),
        counts=_unpack(fields),
        received_ns=fields["received_ns"],
    )


def _build_frame(fields: _Json) -> Frame:
    return Frame(
        subject_id=fields["subject_id"],
        agent_id=fields["agent_id"],
        sequence=fields["sequence"],
        waveforms=tuple(_build_block(block) for block in fields["waveforms"]),
        readings=tuple(Reading(**reading) for reading in fields["readings"]),
        clocks=tuple(ClockRelation(**clock) for clock in fields["clocks"]),
        gaps=tuple(Gap(**{**gap, "cause": GapCause(gap["cause"])}) for gap in fields["gaps"]),
        events=tuple(
            DeviceEvent(**{**event, "kind": DeviceEventKind(event["kind"])})
            for event in fields["events"]
        ),
        # Not before version 2.
        ledger=tuple(ChannelLedger(**totals) for totals in fields.get("ledger", ())),
        losses=tuple(
            ChannelLoss(**{**loss, "cause": GapCause(loss["cause"])})
            for loss in fields.get("losses", ())
        ),
    )


def _build_observation(fields: _Json) -> tuple[Observation, ...]:
    return (Observation(**{**fields, "channels": tuple(fields["channels"])}),)


def _build_observations(fields: _Json) -> tuple[Observation, ...]:
    subject_id = fields["subject_id"]
    for one in fields["observations"]:
        one["channels"] = tuple(one["channels"])
    # The schema has them in the same order, which a test keeps: half the time of naming them.
    return tuple(Observation(subject_id, *one.values()) for one in fields["observations"])


def _build_alarm(fields: _Json) -> AlarmEvent:
    return AlarmEvent(**{**fields, "priority": AlarmPriority(fields["priority"])})


def encode_frame(frame: Frame) -> bytes:
    """Write a Frame in the newest schema.

    Raises
    ------
    OversizedRecordError
    """
    return _encode(
        "frame.2",
        {
            "subject_id": frame.subject_id,
            "agent_id": frame.agent_id,
            "sequence": frame.sequence,
            "waveforms": [_block_fields(block) for block in frame.waveforms],
            "readings": [_fields(reading) for reading in frame.readings],
            "clocks": [_fields(clock) for clock in frame.clocks],
            "gaps": [_fields(gap) for gap in frame.gaps],
            "events": [_fields(event) for event in frame.events],
            "ledger": [_fields(totals) for totals in frame.ledger],
            "losses": [_fields(loss) for loss in frame.losses],
        },
    )


def decode_frame(payload: bytes) -> Frame:
    """Read a Frame of any version ever shipped.

    Raises
    ------
    RecordError
        The bytes are no Frame; the message says why.
    """
    return _decode(payload, (("frame.2", _build_frame), ("frame.1", _build_frame)))


def encode_observations(observations: Sequence[Observation]) -> bytes:
    """Write Observations of one subject, in order of event time, in the newest schema.

    One record holds what follows from one Frame: Kafka's cost is per record.

    Raises
    ------
    MalformedRecordError
        There are none, or they are of several subjects.
    OversizedRecordError
    """
    subjects = {one.subject_id for one in observations}
    if len(subjects) != 1:
        raise MalformedRecordError(f"one record is of one subject, not of {len(subjects)}")
    check_number("observations", len(observations), N_OBSERVATIONS_MAX)
    body = functools.partial(observations_bytes, subjects.pop(), observations)
    return _payload("observation.2", body, RECORD_BYTES_MAX)


def encode_all_observations(observations: Sequence[Observation]) -> list[bytes]:
    """Write any number of Observations of one subject, in as many records as they need.

    A Frame that was long in the making gives more than one record may hold.

    Raises
    ------
    MalformedRecordError
        They are of several subjects.
    OversizedRecordError
        A single one is longer than a record may be.
    """
    n = len(observations)
    if n == 0:
        return []
    if n <= N_OBSERVATIONS_MAX:
        try:
            return [encode_observations(observations)]
        except OversizedRecordError:
            if n == 1:
                raise
    halves = observations[: n // 2], observations[n // 2 :]
    return [payload for half in halves for payload in encode_all_observations(half)]


def decode_observations(payload: bytes) -> tuple[Observation, ...]:
    """Read the Observations of a record of any version ever shipped.

    Raises
    ------
    RecordError
    """
    versions = (("observation.2", _build_observations), ("observation.1", _build_observation))
    return _decode(payload, versions)


def encode_alarm(alarm: AlarmEvent) -> bytes:
    """Write an AlarmEvent in the newest schema."""
    return _encode("alarm.1", _fields(alarm))


def decode_alarm(payload: bytes) -> AlarmEvent:
    """Read an AlarmEvent of any version ever shipped.

    Raises
    ------
    RecordError
    """
    return _decode(payload, (("alarm.1", _build_alarm),))


def encode_annotation(annotation: SubjectAnnotation) -> bytes:
    """Write a SubjectAnnotation in the newest schema."""
    return _encode("annotation.1", _fields(annotation))


def decode_annotation(payload: bytes) -> SubjectAnnotation:
    """Read a SubjectAnnotation of any version ever shipped.

    Raises
    ------
    RecordError
    """
    return _decode(payload, (("annotation.1", lambda fields: SubjectAnnotation(**fields)),))


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Write a Checkpoint in the newest schema.

    Raises
    ------
    OversizedRecordError
        The state, compressed, is longer than a record may be.
    """
    return _encode("checkpoint.1", _fields(checkpoint))


def decode_checkpoint(payload: bytes) -> Checkpoint:
    """Read a Checkpoint of any version ever shipped; its state stays packed.

    Raises
    ------
    RecordError
    """
    return _decode(payload, (("checkpoint.1", lambda fields: Checkpoint(**fields)),))


def encode_role_status(status: RoleStatus) -> bytes:
    """Write a RoleStatus in the newest schema.

    Raises
    ------
    OversizedRecordError
    """
    return _encode("role_status.1", _fields(status), STATUS_BYTES_MAX)


def _build_role_status(fields: _Json) -> RoleStatus:
    return RoleStatus(**{**fields, "state": RoleState(fields["state"])})


def decode_role_status(payload: bytes) -> RoleStatus:
    """Read a RoleStatus of any version ever shipped.

    Raises
    ------
    RecordError
    """
    return _decode(payload, (("role_status.1", _build_role_status),), STATUS_BYTES_MAX)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Write a DeadLetter in the newest schema; it always can be.

    A reason, a key or a payload that is too long is cut, and the letter says by how many bytes.
    """
    key, payload = letter.key, letter.payload
    kept = payload[:RECORD_BYTES_MAX]
    kept_key = None if key is None else key[:KEY_BYTES_MAX]
    n_kept = len(kept) + len(kept_key or b"")
    cut = dataclasses.replace(
        letter,
        reason=letter.reason.encode(errors="replace").decode()[:REASON_CHARS_MAX],
        key=kept_key,
        payload=kept,
        n_bytes_cut=letter.n_bytes_cut + len(payload) + len(key or b"") - n_kept,
    )
    return _encode("dead_letter.2", _fields(cut), DEAD_LETTER_BYTES_MAX)


_CUT: Final = re.compile(r" \(the first (\d{1,18}) of (\d{1,18}) bytes\)$")
"""How a letter of version 1 said in its reason that its payload was cut."""


def _build_first_dead_letter(fields: _Json) -> DeadLetter:
    # It did not say what its bytes are: lines came from sinks only, and lack a record's header.
    from_sink = fields["source"].startswith("sink-")
    are_lines = from_sink and not fields["payload"].startswith(MARKER)
    cut = _CUT.search(fields["reason"])
    return DeadLetter(
        **fields,
        content=LetterContent.LINES if are_lines else LetterContent.RECORD,
        n_bytes_cut=int(cut[2]) - int(cut[1]) if cut else 0,
    )


def _build_dead_letter(fields: _Json) -> DeadLetter:
    return DeadLetter(**{**fields, "content": LetterContent(fields["content"])})


def decode_dead_letter(payload: bytes) -> DeadLetter:
    """Read a DeadLetter of any version ever shipped.

    Raises
    ------
    RecordError
    """
    versions = (
        ("dead_letter.2", _build_dead_letter),
        ("dead_letter.1", _build_first_dead_letter),
    )
    return _decode(payload, versions, DEAD_LETTER_BYTES_MAX)
