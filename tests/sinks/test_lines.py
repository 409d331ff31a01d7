import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.influx import InfluxServer
from deploy.readback import WAVEFORMS, InfluxReader
from devices import codes
from devices.codes import quantity_name
from ingest.codec import decode_frame, encode_frame
from ingest.errors import MalformedRecordError
from ingest.frame import Frame, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from ingest.role_status import RoleStatus
from processors.sinks import lines as lines_module
from processors.sinks.influx import InfluxStore
from processors.sinks.lines import META_REPEAT_NS, LineEncoder, string, tag
from tests.ingest import records
from tests.ingest.records import T0_NS
from tests.sinks.line_protocol import Field, Point, parse, points

NASTY = (
    "a b,c=d",
    'quo"te',
    "back\\slash",
    "end\\",
    "\\",
    "comma\\,",
    "new\nline v=1i 5\nwaveform,x=y v=2i 9",
    "cr\rlf\n",
    "tab\there",
    "心 ø 𝄞 \u2028",
    " lead",
    "trail ",
    "=",
    ",",
    "# no comment",
    "time",
    "nul\x00nul",
    "'; DROP MEASUREMENT waveform",
)


def as_tag(text: str) -> str:
    """What a tag keeps of a text."""
    return text.replace("\\", "/").replace("\n", " ").replace("\r", " ") or "-"


def as_text(text: str) -> str:
    """What a string field keeps of a text."""
    return text.replace("\n", " ").replace("\r", " ")


def lines_of(pieces: Iterable[bytes]) -> list[bytes]:
    return [line for piece in pieces for line in piece.split(b"\n")]


def written(frame: Frame) -> dict[str, list[Point]]:
    by_measurement: dict[str, list[Point]] = {}
    for point in points(lines_of(LineEncoder().frame(frame))):
        by_measurement.setdefault(point.measurement, []).append(point)
    return by_measurement


@settings(deadline=None)  # the first call loads a kernel
@given(records.frames)
def test_every_sample_is_written_once_with_its_count_and_time(frame: Frame) -> None:
    samples = Counter(
        (point.tags["channel"], point.tags["device"], point.t_ns, point.fields["v"])
        for point in written(frame).get("waveform", [])
    )

    assert samples == Counter(
        (as_tag(block.channel), as_tag(block.device_id), t_ns, count)
        for block in frame.waveforms
        for t_ns, count in zip(block.times_ns().tolist(), block.counts.tolist(), strict=True)
    )


@settings(deadline=None)  # the first call loads a kernel
@given(records.frames)
def test_everything_in_a_frame_is_written_and_no_name_breaks_a_line(frame: Frame) -> None:
    found = written(frame)
    subject = as_tag(frame.subject_id)

    assert all(point.tags["subject"] == subject for each in found.values() for point in each)
    assert set(found) <= {
        "waveform",
        "waveform_meta",
        "reading",
        "gap",
        "device_event",
        "device_clock",
        "ledger",
    }
    for point, reading in zip(found.get("reading", []), frame.readings, strict=True):
        result = (
            {"reason": as_text(reading.reason or "")}
            if reading.value is None
            else {"value": reading.value}
        )
        assert point.fields == result | {"status": reading.status_bits}
        assert point.tags["name"] == quantity_name(reading.mdc_code)
        assert (point.tags["device"], point.t_ns) == (as_tag(reading.device_id), reading.t_ns)
    for point, gap in zip(found.get("gap", []), frame.gaps, strict=True):
        assert point.fields == {"n_samples": gap.n_samples, "i_first": gap.i_first}
        assert (point.tags["cause"], point.t_ns) == (gap.cause, gap.t0_ns)
    for point, event in zip(found.get("device_event", []), frame.events, strict=True):
        assert point.fields == {"detail": as_text(event.detail)}
        assert (point.tags["kind"], point.t_ns) == (event.kind, event.t_ns)
    clocks = [clock for clock in frame.clocks if clock.device_ns is not None]
    for point, clock in zip(found.get("device_clock", []), clocks, strict=True):
        assert point.fields == {
            "device_ns": clock.device_ns,
            "offset_ns": clock.offset_ns,
            "drift_ppm": clock.drift_ppm,
            "uncertainty_ns": clock.uncertainty_ns,
        }
        assert point.t_ns == clock.utc_ns(clock.device_ns or 0)


@given(records.observations)
def test_an_observation_is_one_line(observation: Observation) -> None:
    (line,) = LineEncoder().observation(observation)

    point = parse(line)
    result: dict[str, Field] = (
        {"reason": as_text(observation.reason or "")}
        if observation.value is None
        else {"value": observation.value}
    )
    assert point == Point(
        measurement="observation",
        tags={
            "algorithm": as_tag(observation.algorithm),
            "name": as_tag(observation.name),
            "subject": as_tag(observation.subject_id),
        },
        fields=result
        | {
            "quality": observation.quality,
            "age_s": observation.age_s,
            "version": observation.algorithm_version,
        },
        t_ns=observation.t_ns,
    )
    assert {type(value) for name, value in point.fields.items() if name in FLOATS} == {float}


FLOATS = {"value", "quality", "age_s", "scale", "offset", "rate_hz"}


@given(records.role_statuses)
def test_a_role_status_is_one_line_with_a_float_for_each_gauge(status: RoleStatus) -> None:
    (line,) = LineEncoder().role_status(status)

    assert parse(line) == Point(
        measurement="role_status",
        tags={"role": as_tag(status.role), "instance": as_tag(status.instance)},
        fields={
            "state": str(status.state),
            "reason": as_text(status.reason),
            **{name: float(value) for name, value in status.gauges.items()},
        },
        t_ns=status.t_ns,
    )


@given(records.alarms)
def test_an_alarm_is_one_line(alarm: AlarmEvent) -> None:
    (line,) = LineEncoder().alarm(alarm)

    assert parse(line) == Point(
        measurement="alarm",
        tags={"name": as_tag(alarm.name), "subject": as_tag(alarm.subject_id)},
        fields={
            "active": alarm.active,
            "priority": str(alarm.priority),
            "detail": as_text(alarm.detail),
        },
        t_ns=alarm.t_ns,
    )


@given(st.text())
def test_any_text_is_one_tag_and_one_string(text: str) -> None:
    point = parse(f"m,t={tag(text)} s={string(text)},v=1i 5".encode())

    assert point == Point("m", {"t": as_tag(text)}, {"s": as_text(text), "v": 1}, 5)


@pytest.mark.parametrize("value", [72, np.float64(72), np.float32(72), True])
def test_a_number_of_any_kind_is_written_as_a_float(value: float) -> None:
    (line,) = LineEncoder().observation(records.observation(value=value, quality=1, age_s=0))
    (reading,) = LineEncoder().frame(records.frame(readings=(records.reading(value=value),)))
    meta = next(LineEncoder().frame(records.frame(records.block(scale=5, offset=0))))

    assert b" value=%r,quality=1.0,age_s=0.0," % float(value) in line
    assert b" value=%r,status=0i " % float(value) in reading
    assert b" scale=5.0,offset=0.0,unit=" in meta


@pytest.mark.parametrize(
    "make",
    [
        lambda: records.observation(value=math.nan),
        lambda: records.observation(age_s=math.nan),
        lambda: records.reading(value=math.nan),
        lambda: records.block(scale=math.nan),
    ],
)
def test_nothing_that_is_no_number_gets_as_far_as_a_line(make: Callable[[], object]) -> None:
    with pytest.raises(MalformedRecordError):
        make()


def test_a_quantity_without_a_name_is_named_by_its_code() -> None:
    assert quantity_name(codes.SPO2.mdc) == "spo2"
    assert quantity_name(-5) == "mdc_-5"


# What the counts mean is said, but not with every sample


def metas(encoder: LineEncoder, *blocks: WaveformBlock) -> list[Point]:
    found = points(lines_of(encoder.frame(records.frame(*blocks))))
    return [point for point in found if point.measurement == "waveform_meta"]


def test_what_the_counts_mean_is_said_once_for_each_series() -> None:
    encoder = LineEncoder()
    block = records.block()

    (said,) = metas(encoder, block, block)
    assert said.fields == {
        "scale": 5.0,
        "offset": -10.0,
        "unit": "uV",
        "rate_hz": 360.0,
        "mdc": 131330,
    }
    assert (said.t_ns, said.tags["channel"]) == (T0_NS, "ecg/MLII")
    assert metas(encoder, block) == []
    assert len(metas(encoder, records.block(channel="ecg/V5"))) == 1
    assert len(metas(LineEncoder(), block)) == 1


def test_what_the_counts_mean_is_said_again_when_it_changes() -> None:
    encoder = LineEncoder()
    metas(encoder, records.block())

    (said,) = metas(encoder, records.block(scale=2.5))

    assert said.fields["scale"] == 2.5
    assert len(metas(encoder, records.block())) == 1


def test_what_the_counts_mean_is_said_again_before_a_store_drops_it() -> None:
    encoder = LineEncoder()
    metas(encoder, records.block())

    assert metas(encoder, records.block(t0_ns=T0_NS + META_REPEAT_NS - 1)) == []
    assert len(metas(encoder, records.block(t0_ns=T0_NS + META_REPEAT_NS))) == 1
    assert metas(encoder, records.block(t0_ns=T0_NS + META_REPEAT_NS + 1)) == []
    # A replay of the past begins with its own.
    assert len(metas(encoder, records.block())) == 1


def test_only_so_many_series_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "SERIES_MAX", 3)
    encoder = LineEncoder()

    for i in range(10):
        assert len(metas(encoder, records.block(channel=str(i)))) == 1
        assert len(encoder._channels) <= 3


def test_the_same_frame_gives_the_same_lines() -> None:
    again = decode_frame(encode_frame(records.FULL_FRAME))

    assert list(LineEncoder().frame(again)) == list(LineEncoder().frame(records.FULL_FRAME))


# The real server reads the same


async def test_the_server_reads_every_name_as_it_was_meant(
    influx_server: InfluxServer, unique_name: str
) -> None:
    channels = [records.block([i], channel=nasty) for i, nasty in enumerate(NASTY)]
    events = [
        records.event(device_id=nasty, detail=nasty, t_ns=T0_NS + i)
        for i, nasty in enumerate(NASTY)
    ]
    frames = [
        records.frame(*channels, subject_id=unique_name, events=tuple(events)),
        *(records.frame(records.block(), subject_id=unique_name + nasty) for nasty in NASTY),
    ]
    encoder = LineEncoder()
    store = InfluxStore(
        url=influx_server.url, bucket=influx_server.bucket, org="any", token=unique_name
    )
    sent = [line for frame in frames for line in encoder.frame(frame)]

    assert await store.write(sent) == []
    await store.close()

    reader = InfluxReader(influx_server.url, influx_server.database)
    mine = f"WHERE subject = '{unique_name}'"
    found = reader.query(f'SELECT "v" FROM {WAVEFORMS} {mine} GROUP BY "channel"')  # noqa: S608
    assert {row["tags"]["channel"]: row["values"][0][1] for row in found} == {
        as_tag(nasty): i for i, nasty in enumerate(NASTY)
    }
    found = reader.query(f'SELECT "detail" FROM "device_event" {mine} GROUP BY "device"')  # noqa: S608
    assert {row["tags"]["device"]: row["values"][0][1] for row in found} == {
        as_tag(nasty): as_text(nasty) for nasty in NASTY
    }
    found = reader.query(
        f'SELECT "v" FROM {WAVEFORMS} WHERE "subject" =~ /^{unique_name}/ GROUP BY "subject"'  # noqa: S608
    )
    assert {row["tags"]["subject"] for row in found} == {unique_name} | {
        as_tag(unique_name + nasty) for nasty in NASTY
    }


def test_lines_are_as_long_as_their_names_allow_and_no_longer() -> None:
    longest = "\U0001f493" * 1_024
    block = records.block([0], channel=longest, device_id=longest, unit=longest)
    frame = dataclasses.replace(records.frame(block), subject_id=longest)

    assert max(map(len, LineEncoder().frame(frame))) < 20_000
