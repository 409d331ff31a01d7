"""Whatever is written has the tags and fields that the table says, of the types that it says."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent, Observation
from processors.sinks.envelope import Envelope
from processors.sinks.lines import LineEncoder
from processors.sinks.measurements import (
    KEPT,
    MEASUREMENTS,
    Bucket,
    FieldType,
    bucket_name,
    bucket_of,
)
from processors.sinks.trend import Trend
from tests.ingest import records
from tests.ingest.records import T0_NS
from tests.sinks.line_protocol import parse
from tests.sinks.test_envelope import slots_of

TYPES: dict[FieldType, type] = {"integer": int, "float": float, "string": str, "boolean": bool}
BY_NAME = {one.name: one for one in MEASUREMENTS}


def assert_as_the_table_says(pieces: Iterable[bytes]) -> set[str]:
    """Hold every line against the table; give the measurements that were written."""
    seen = set()
    for piece in pieces:
        lines = piece.split(b"\n")
        assert len({bucket_of(line) for line in lines}) == 1
        for line in lines:
            point = parse(line)
            measurement = BY_NAME[point.measurement]
            assert bucket_of(line) is measurement.bucket
            assert tuple(point.tags) == measurement.tags
            assert point.fields
            for name, value in point.fields.items():
                known = measurement.field(name)
                assert known is not None, f"{name} in {point.measurement}"
                assert type(value) is TYPES[known.type], f"{name} in {point.measurement}"
            needed = {known.name for known in measurement.fields if known.always}
            assert needed <= set(point.fields), point.measurement
            seen.add(point.measurement)
    return seen


@settings(deadline=None)  # the first call loads a kernel
@given(records.frames)
def test_a_frame_is_written_as_the_table_says(frame: Frame) -> None:
    assert_as_the_table_says(LineEncoder().frame(frame))


@given(st.lists(records.observations, max_size=3), records.alarms)
def test_what_is_derived_is_written_as_the_table_says(
    observations: list[Observation], alarm: AlarmEvent
) -> None:
    encoder = LineEncoder()

    assert_as_the_table_says([*encoder.observations(observations), *encoder.alarm(alarm)])


@settings(deadline=None)
@given(
    st.tuples(records.names, records.names, records.names),
    st.integers(0, 2**33).map(lambda second: second * NS_PER_S),
    st.lists(st.lists(records.int64s.map(lambda n: n >> 32), max_size=3), min_size=25, max_size=25),
)
def test_each_part_of_a_second_is_one_line_where_it_has_samples(
    series: tuple[str, str, str], t_ns: int, counts: list[list[int]]
) -> None:
    envelope = Envelope(series, t_ns, 1, 2, 1.5, 7, slots_of(counts))

    _, *pieces = LineEncoder().envelopes([envelope])

    lines = [line for piece in pieces for line in piece.split(b"\n") if line]
    assert [(parse(line).fields, parse(line).t_ns) for line in lines] == [
        (
            {"min": min(each), "max": max(each), "n_samples": len(each)},
            t_ns + i * 40_000_000,
        )
        for i, each in enumerate(counts)
        if each
    ]


def test_everything_in_the_table_can_be_written_and_nothing_else() -> None:
    encoder = LineEncoder()
    trends = [
        Trend(("p-1", "spo2", "a"), T0_NS, 97.0, 96.0, 98.0, 5, 1, 0.9),
        Trend(("p-1", "spo2", "a"), T0_NS, 0.0, 0.0, 0.0, 0, 6, 0.1),
    ]

    seen = assert_as_the_table_says(
        [
            *encoder.frame(records.FULL_FRAME),
            *encoder.envelopes(
                [Envelope(("p", "d", "c"), T0_NS, 1, 2, 1.5, 2, slots_of([[1]] * 25))]
            ),
            *encoder.observation(records.observation()),
            *encoder.trends(trends),
            *encoder.alarm(records.alarm()),
            *encoder.role_status(records.role_status()),
        ]
    )

    assert seen == set(BY_NAME)
    assert list(encoder.trends([])) == []


def test_an_agents_totals_are_one_line_for_each_channel() -> None:
    ecg, acc = (
        parse(line)
        for line in LineEncoder().frame(records.FULL_FRAME)
        if line.startswith(b"ledger,")
    )

    assert ecg.tags == {
        "agent": "agent-1",
        "channel": "ecg/MLII",
        "device": "strap-1",
        "subject": "p-1",
    }
    assert ecg.fields == {
        "on_air": 1_000,
        "decoded": 900,
        "framed": 880,
        "spooled": 860,
        "acknowledged": 700,
        "radio_loss_dropped": 0,
        "radio_loss_in_gaps": 100,
        "spool_age_dropped": 17,
        "spool_age_in_gaps": 0,
    }
    assert acc.fields["on_air"] == 2**40
    # As of the newest thing in the Frame: the fifth sample of the first block.
    assert ecg.t_ns == acc.t_ns == records.FULL_FRAME.waveforms[0].times_ns()[-1]


def test_totals_of_which_nobody_knows_when_they_were_true_are_not_written() -> None:
    assert list(LineEncoder().frame(records.frame(ledger=(records.totals(),)))) == []


def test_tags_are_few_and_sorted_and_names_are_told_apart() -> None:
    assert len(BY_NAME) == len(MEASUREMENTS)
    for one in MEASUREMENTS:
        assert list(one.tags) == sorted(one.tags)
        assert not set(one.tags) & {known.name for known in one.fields}
        # Each grows with people, devices and algorithms only: never with time.
        assert set(one.tags) <= {
            "agent", "algorithm", "cause", "channel", "device", "instance", "kind", "name",
            "role", "subject",
        }  # fmt: skip


def test_a_line_of_nobodys_is_kept_long() -> None:
    assert bucket_of(b"waveform,a=b v=1i 5") is Bucket.WAVEFORMS
    assert bucket_of(b"waveforms,a=b v=1i 5") is Bucket.LONG
    assert bucket_of(b"envelope_25hz,a=b min=1i 5") is Bucket.ENVELOPES
    for line in (b"", b"m v=1i 5", b"waveform v=1i", b"envelope_25hz_and_more,a=b v=1i 5"):
        assert bucket_of(line) is Bucket.LONG


def test_buckets_are_beside_the_one_that_is_named() -> None:
    for configured in ("chevet", "chevet/autogen"):
        assert bucket_name(configured, Bucket.LONG) == configured
        assert bucket_name(configured, Bucket.WAVEFORMS) == "chevet/waveforms"
        assert bucket_name(configured, Bucket.ENVELOPES) == "chevet/envelopes"


def test_what_is_kept_is_within_its_bounds_and_dropped_in_smaller_pieces() -> None:
    assert set(KEPT) == set(Bucket)
    for one in KEPT.values():
        if one.retention_h:
            assert one.retention_h_min <= one.retention_h <= one.retention_h_max
        assert one.shard_h * 2 <= one.retention_h_min
