"""What a Frame costs on its way: microseconds each, beside a peer that does the same job.

One Frame is a quarter of a second of a strap: 90 ECG samples at 360 Hz and 3 x 12 of acceleration.
"""

import json

import numpy as np
import pytest
from influxdb_client.client.write.point import Point
from pytest_benchmark.fixture import BenchmarkFixture

from devices import codes
from devices.polar_frames import decode_frame as decode_pmd_frame
from devices.polar_frames import encode_frame as encode_pmd_frame
from devices.polar_pmd import PmdMeasurement
from ingest.codec import decode_frame, encode_frame
from ingest.frame import Frame, SamplePeriod, WaveformBlock
from processors.pipeline import SubjectPipeline
from processors.sinks.lines import LineEncoder

RNG = np.random.default_rng(1)
START_NS = 1_790_000_000 * 10**9


def block(channel: str, quantity: codes.Quantity, rate_hz: int, n_samples: int) -> WaveformBlock:
    return WaveformBlock(
        device_id="virtual-strap-a1b2c3",
        channel=channel,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        scale=1e-3,
        offset=0.0,
        i_first=0,
        t0_ns=START_NS,
        period=SamplePeriod(ns_numerator=10**9, ns_denominator=rate_hz),
        counts=RNG.integers(-2000, 2000, n_samples).astype(np.int32),
        received_ns=START_NS,
    )


FRAME = Frame(
    subject_id="p-1",
    agent_id="a-1",
    sequence=0,
    waveforms=(
        block("ecg", codes.ECG, 360, 90),
        block("acc/x", codes.ACC_X, 50, 12),
        block("acc/y", codes.ACC_Y, 50, 12),
        block("acc/z", codes.ACC_Z, 50, 12),
    ),
)
RECORD = encode_frame(FRAME)
PAYLOAD = encode_pmd_frame(
    measurement=PmdMeasurement.ECG,
    timestamp_ns=1,
    samples=RNG.integers(-2000, 2000, (73, 1)).astype(np.int32),
)


def as_json(frame: Frame) -> bytes:
    """The peer: what a system without a binary schema sends."""
    return json.dumps(
        [
            {
                "device": b.device_id,
                "channel": b.channel,
                "t0": b.t0_ns,
                "counts": b.counts.tolist(),
            }
            for b in frame.waveforms
        ]
    ).encode()


def as_points(frame: Frame) -> list[str]:
    """The peer: the official client's Point objects."""
    return [
        Point("waveform")  # type: ignore[no-untyped-call]
        .tag("subject", frame.subject_id)
        .tag("device", b.device_id)
        .tag("channel", b.channel)
        .field("v", count)
        .time(t_ns)
        .to_line_protocol()
        for b in frame.waveforms
        for count, t_ns in zip(b.counts.tolist(), b.times_ns().tolist(), strict=True)
    ]


@pytest.mark.benchmark(group="frame to bytes")
def test_frame_to_avro(benchmark: BenchmarkFixture) -> None:
    benchmark(encode_frame, FRAME)


@pytest.mark.benchmark(group="frame to bytes")
def test_frame_to_json_peer(benchmark: BenchmarkFixture) -> None:
    benchmark(as_json, FRAME)


@pytest.mark.benchmark(group="frame from bytes")
def test_frame_from_avro(benchmark: BenchmarkFixture) -> None:
    benchmark(decode_frame, RECORD)


@pytest.mark.benchmark(group="frame from bytes")
def test_frame_from_json_peer(benchmark: BenchmarkFixture) -> None:
    payload = as_json(FRAME)
    benchmark(lambda: [np.array(b["counts"], dtype=np.int32) for b in json.loads(payload)])


@pytest.mark.benchmark(group="frame to line protocol")
def test_frame_to_lines(benchmark: BenchmarkFixture) -> None:
    encoder = LineEncoder()
    benchmark(lambda: list(encoder.frame(FRAME)))


@pytest.mark.benchmark(group="frame to line protocol")
def test_frame_to_influx_points_peer(benchmark: BenchmarkFixture) -> None:
    benchmark(as_points, FRAME)


@pytest.mark.benchmark(group="payload")
def test_ecg_payload_of_73_samples(benchmark: BenchmarkFixture) -> None:
    benchmark(decode_pmd_frame, PAYLOAD)


@pytest.mark.benchmark(group="pipeline")
def test_pipeline_of_a_frame(benchmark: BenchmarkFixture) -> None:
    pipeline = SubjectPipeline("p-1")
    sequence = 0

    def setup() -> tuple[tuple[Frame], dict[str, object]]:
        nonlocal sequence
        sequence += 1
        moved = tuple(
            WaveformBlock(
                device_id=b.device_id,
                channel=b.channel,
                mdc_code=b.mdc_code,
                unit=b.unit,
                scale=b.scale,
                offset=b.offset,
                i_first=sequence * b.n_samples,
                t0_ns=START_NS + b.period.offset_ns(sequence * b.n_samples),
                period=b.period,
                counts=b.counts,
            )
            for b in FRAME.waveforms
        )
        frame = Frame(subject_id="p-1", agent_id="a-1", sequence=sequence, waveforms=moved)
        return (frame,), {}

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        pipeline.process, setup=setup, rounds=2000
    )
