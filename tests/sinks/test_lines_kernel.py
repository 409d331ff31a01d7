import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import WaveformBlock
from processors.sinks import lines as lines_module
from processors.sinks.lines import LineEncoder, tag
from processors.sinks.lines_kernel import SAMPLE_BYTES_MAX, write_samples
from tests.ingest import records


def simple_lines(block: WaveformBlock) -> list[bytes]:
    """Write the samples in the plainest way."""
    names = f"channel={tag(block.channel)},device={tag(block.device_id)},subject=p-1"
    return [
        f"waveform,{names} v={count}i {t_ns}".encode()
        for count, t_ns in zip(block.counts.tolist(), block.times_ns().tolist(), strict=True)
    ]


def written_lines(block: WaveformBlock) -> list[bytes]:
    pieces = LineEncoder().frame(records.frame(block))
    return [line for piece in pieces for line in piece.split(b"\n")][1:]


@settings(deadline=None, max_examples=300)
@given(records.blocks)
def test_samples_are_written_as_the_plainest_way_writes_them(block: WaveformBlock) -> None:
    assert written_lines(block) == simple_lines(block)


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 3), st.integers(0, 2 * 10**9))
def test_numbers_of_every_length_are_written(count: int, shift: int, t0_ns: int) -> None:
    edges = [10**n + d for n in range(10) for d in (-1, 0, 1)]
    counts = np.array([*edges, count >> (8 * shift)], dtype=np.int64) % 2**31
    both = np.concatenate([counts, -counts - 1]).astype(np.int32)

    block = records.block(both, t0_ns=t0_ns)

    assert written_lines(block) == simple_lines(block)


def test_a_block_in_pieces_has_the_same_lines() -> None:
    block = records.block(np.arange(100_000))
    whole = list(LineEncoder().frame(records.frame(block)))

    assert len(whole) > 10
    assert max(map(len, whole)) <= lines_module.PIECE_BYTES_MAX
    assert [line for piece in whole[1:] for line in piece.split(b"\n")] == simple_lines(block)


@settings(deadline=None)
@given(records.blocks, st.binary(max_size=30))
def test_the_compiled_kernel_is_the_plain_one(block: WaveformBlock, prefix: bytes) -> None:
    period = block.period
    remainder = block.i_first * period.ns_numerator % period.ns_denominator
    results = []
    for write in (write_samples, write_samples.py_func):  # type: ignore[attr-defined]
        room = np.zeros(block.n_samples * (len(prefix) + SAMPLE_BYTES_MAX), dtype=np.uint8)
        n_bytes = write(
            np.frombuffer(prefix, dtype=np.uint8),
            block.counts,
            block.n_samples // 3,
            block.n_samples,
            block.t0_ns,
            period.ns_numerator,
            period.ns_denominator,
            remainder,
            room,
        )
        results.append(room[:n_bytes].tobytes())

    assert results[0] == results[1]
