"""Whatever happens to a spool, in whatever order: every sample is accounted for, all the time."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.spool_ward import Ward

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("ab"), st.integers(1, 60)),
        st.tuples(st.just("send and flush"), st.sampled_from("ab"), st.integers(1, 60)),
        st.tuples(st.just("lose"), st.sampled_from("ab"), st.integers(1, 60)),
        st.tuples(st.just("stop"), st.sampled_from("ab"), st.just(0)),
        st.tuples(st.just("flush"), st.just(""), st.just(0)),
        st.tuples(st.just("deliver"), st.just(""), st.integers(1, 9)),
        st.tuples(st.just("deliver in vain"), st.just(""), st.integers(1, 9)),
        st.tuples(st.just("kill"), st.just(""), st.just(0)),
        st.tuples(st.just("disk full"), st.just(""), st.integers(1, 60)),
    ),
    max_size=50,
)


def step(ward: Ward, what: str, name: str, n: int) -> None:  # noqa: C901
    match what:
        case "send":
            ward.send(name, n)
        case "send and flush":
            ward.send(name, n)
            assert ward.flush() is None
        case "lose":
            ward.lose(name, n)
        case "stop":
            ward.stop_stream(name)
        case "flush":
            assert ward.flush() is None
        case "deliver":
            ward.deliver(n)
        case "deliver in vain":
            ward.deliver(n, acknowledged=False)
        case "kill":
            ward.kill()
        case _:
            fill_disk(ward, n)


def fill_disk(ward: Ward, n_samples_kept: int) -> None:
    """Let one flush fail; what does not fit into memory is given up."""
    execute = ward.spool._file._database.execute
    execute("PRAGMA query_only = ON")
    error = ward.flush()
    execute("PRAGMA query_only = OFF")
    if error is not None:
        ward.give_up(n_samples_kept)


@settings(max_examples=120, deadline=None)
@given(
    steps=STEPS,
    n_bytes_max=st.sampled_from([1_500, 4_000, 1 << 40]),
    key=st.sampled_from([(), (b"k" * 32,)]),
)
def test_every_sample_is_in_one_place_whatever_happens(
    steps: list[tuple[str, str, int]], n_bytes_max: int, key: tuple[bytes, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ward = Ward(Path(folder) / "spool.sqlite", n_bytes_max=n_bytes_max, keys=key)
        for one in steps:
            step(ward, *one)
            ward.check()

        ward.drain()

        ward.check_all_arrived()
        ward.spool.close()


@pytest.mark.parametrize("key", [(), (b"k" * 32,)])
def test_a_long_outage_with_kills_drops_the_oldest_and_tells_all(
    tmp_path: Path, key: tuple[bytes, ...]
) -> None:
    ward = Ward(tmp_path / "spool.sqlite", n_bytes_max=20_000, keys=key)
    ward.deliver(5)
    for n in range(400):
        ward.send("a", 30)
        ward.send("b", 10)
        if n % 7 == 0:
            ward.lose("a", 13)
        ward.flush()
        if n % 90 == 50:
            ward.deliver(5, acknowledged=False)
            ward.kill()
    assert ward.spool.size().n_bytes < 21_000

    ward.drain()

    totals = ward.check_all_arrived()
    assert totals["a"].dropped["spool_full"] > 5_000
    ward.spool.close()
