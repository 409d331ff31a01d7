"""Any bytes give a value or a DecodeError, for every decoder there is."""

import contextlib
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import polar_frames
from devices.errors import DecodeError, PayloadTooLongError
from devices.ghs_observation import OBSERVATION_BYTES_MAX
from devices.polar_delta import decompress
from tests.devices.decoders import DECODERS, VALID_PAYLOADS, fuzz

N_FUZZED: Final = 2_000
LONGER: Final = {
    "ghs_observation.decode_health_observation": OBSERVATION_BYTES_MAX,
    "ghs_observation.decode_stored_observation": OBSERVATION_BYTES_MAX,
}
"""Decoders of what several notifications carry, and the longest that they take."""


@st.composite
def mutated_payloads(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(VALID_PAYLOADS)))
    for _ in range(draw(st.integers(1, 4))):
        i_byte = draw(st.integers(0, len(payload)))
        match draw(st.sampled_from(["replace", "insert", "cut", "double"])):
            case "replace":
                payload[i_byte : i_byte + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                payload[i_byte:i_byte] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del payload[i_byte:]
            case _:
                payload += bytes(payload)
    return bytes(payload)


def test_every_decoder_is_here() -> None:
    assert len(DECODERS) >= 22
    assert {
        "heart_rate.decode_heart_rate",
        "polar_frames.decode_frame",
        "notification 2a5f",
    } <= set(DECODERS)


@pytest.mark.parametrize("name", DECODERS)
def test_thousands_of_payloads_end_in_a_value_or_a_decode_error(name: str) -> None:
    """A bounded run of what `make fuzz` does for a million."""
    outcomes = fuzz(name, N_FUZZED)

    assert outcomes.total() == N_FUZZED
    assert outcomes.total() > outcomes["value"]


@pytest.mark.parametrize("name", DECODERS)
@given(payload=st.binary(max_size=64) | mutated_payloads())
def test_any_bytes_give_a_value_or_a_decode_error(name: str, payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        DECODERS[name](payload)


@pytest.mark.parametrize("name", DECODERS)
def test_a_payload_longer_than_an_attribute_is_refused(name: str) -> None:
    n_bytes_max = LONGER.get(name, 512)
    with pytest.raises(PayloadTooLongError) as caught:
        DECODERS[name](bytes(n_bytes_max + 1))

    assert caught.value.n_bytes == n_bytes_max + 1
    assert caught.value.n_bytes_max == n_bytes_max


@pytest.mark.parametrize("name", DECODERS)
def test_every_truncation_gives_a_value_or_a_decode_error(name: str) -> None:
    for payload in VALID_PAYLOADS:
        for n_bytes in range(min(len(payload), 64)):
            with contextlib.suppress(DecodeError):
                DECODERS[name](payload[:n_bytes])


@given(content=st.binary(max_size=512), n_channels=st.integers(1, 25))
def test_decompressed_samples_are_bounded_by_the_bits_of_the_content(
    content: bytes, n_channels: int
) -> None:
    with contextlib.suppress(DecodeError):
        samples = decompress(content, n_channels=n_channels, resolution_bits=24)
        assert samples.size <= 8 * len(content)


@given(payload=mutated_payloads())
def test_a_frame_that_decodes_is_in_c_order_and_read_only(payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        samples = polar_frames.decode_frame(payload).samples
        assert samples.dtype == np.int32
        assert samples.flags.c_contiguous
        assert not samples.flags.writeable
        assert samples.shape[0] >= 1
