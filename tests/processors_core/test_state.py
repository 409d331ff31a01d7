"""Kept states: what goes in comes out, and nothing else is ever taken for a state."""

import contextlib
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.state import MalformedStateError, State, StateError, StateVersionError

KEPT = State(
    kind="step",
    version=3,
    scalars={"n": 2**61, "x": 0.1, "none": None, "flag": True},
    arrays={"floats": np.array([[0.1, -0.0], [1e300, 5e-324]]), "ints": np.array([-1, 2**62])},
    children={"part": b"\x00\xff", "empty": b""},
)


def test_a_state_comes_back_bit_for_bit() -> None:
    back = State.from_bytes(KEPT.to_bytes(), kind="step", version=3)

    assert back.integer("n") == 2**61
    assert back.number("x") == 0.1
    assert back.optional_integer("none") is None
    assert back.flag("flag") is True
    assert back.float_array("floats", (2, 2)).tobytes() == KEPT.arrays["floats"].tobytes()
    assert back.int_array("ints").tolist() == [-1, 2**62]
    assert (back.child("part"), back.child("empty")) == (b"\x00\xff", b"")


@pytest.mark.parametrize(("kind", "version"), [("step", 4), ("other", 3)])
def test_another_kind_or_version_says_both(kind: str, version: int) -> None:
    with pytest.raises(StateVersionError, match="step 3") as caught:
        State.from_bytes(KEPT.to_bytes(), kind=kind, version=version)

    assert caught.value.expected == f"{kind} {version}"


@given(st.binary(max_size=64))
def test_any_bytes_are_refused_with_a_state_error(junk: bytes) -> None:
    with pytest.raises(StateError):
        State.from_bytes(junk, kind="step", version=3)


@given(at=st.integers(0, len(KEPT.to_bytes()) - 1), flip=st.integers(1, 255))
def test_a_damaged_byte_is_noticed(at: int, flip: int) -> None:
    damaged = bytearray(KEPT.to_bytes())
    damaged[at] ^= flip

    with pytest.raises(MalformedStateError):
        State.from_bytes(bytes(damaged), kind="step", version=3)


NESTED = State(
    kind="whole",
    version=1,
    children={"step": KEPT.to_bytes(), "raw": b"\x07" * 9, "other": KEPT.to_bytes()},
)


@given(at=st.integers(0, len(NESTED.to_bytes()) - 1), flip=st.integers(1, 255))
def test_a_damaged_byte_of_a_part_is_noticed(at: int, flip: int) -> None:
    """By the state, or by that of its parts in which it is: a part has a sum of its own."""
    damaged = bytearray(NESTED.to_bytes())
    damaged[at] ^= flip

    with pytest.raises(MalformedStateError):
        read_nested(bytes(damaged))


def read_nested(state: bytes) -> list[State]:
    whole = State.from_bytes(state, kind="whole", version=1)
    parts = [whole.child(name) for name in ("step", "other")]
    return [State.from_bytes(part, kind="step", version=3) for part in parts]


def test_bytes_behind_a_state_are_noticed() -> None:
    with pytest.raises(MalformedStateError, match="damaged"):
        State.from_bytes(NESTED.to_bytes() + b"\x00", kind="whole", version=1)


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    header=st.fixed_dictionaries(
        {"kind": st.just("step"), "version": st.just(3)},
        optional={"scalars": json_texts, "arrays": json_texts, "children": json_texts},
    ),
    rest=st.binary(max_size=16),
)
def test_a_forged_header_gives_a_state_or_a_state_error(
    header: dict[str, object], rest: bytes
) -> None:
    with contextlib.suppress(StateError):
        State.from_bytes(forged(header, rest), kind="step", version=3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"x": ["<f8", 3]}, "truncated: needed 24"), ({"x": ["<f4", 1]}, "arrays of <f4")],
)
def test_a_forged_array_says_what_is_wrong_with_it(arrays: object, message: str) -> None:
    header = {"kind": "step", "version": 3, "scalars": {}, "arrays": arrays, "children": {}}

    with pytest.raises(MalformedStateError, match=message):
        State.from_bytes(forged(header, bytes(16)), kind="step", version=3)


def forged(header: dict[str, object], rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    content = len(text).to_bytes(4, "little") + text + rest
    return b"CVS2" + zlib.crc32(content).to_bytes(4, "little") + content


def test_asking_for_what_is_not_there_names_it() -> None:
    for ask in (
        lambda: KEPT.integer("x"),
        lambda: KEPT.integer("flag"),
        lambda: KEPT.number("none"),
        lambda: KEPT.flag("n"),
        lambda: KEPT.child("lost"),
        lambda: KEPT.integer("lost"),
        lambda: KEPT.float_array("ints", (2,)),
        lambda: KEPT.float_array("floats", (3, None)),
        lambda: KEPT.int_array("lost"),
    ):
        with pytest.raises(MalformedStateError, match="step: "):
            ask()


def test_an_array_that_is_not_finite_is_refused_on_the_way_back() -> None:
    kept = State(kind="step", version=1, arrays={"x": np.array([np.nan])})

    with pytest.raises(MalformedStateError, match="not finite"):
        State.from_bytes(kept.to_bytes(), kind="step", version=1).float_array("x", (1,))


def test_an_array_of_another_type_is_not_kept() -> None:
    kept = State(kind="step", version=1, arrays={"x": np.zeros(1, dtype=np.float32)})  # type: ignore[dict-item]

    with pytest.raises(TypeError, match="float32"):
        kept.to_bytes()
