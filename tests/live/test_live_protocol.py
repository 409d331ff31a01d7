"""The bytes and the texts that go to the page."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sinks.live.protocol import (
    TEXT_CHARS_MAX,
    Channel,
    Numeral,
    ProtocolError,
    Samples,
    decode_samples,
    encode_samples,
    encode_text,
    stamp_sent,
)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)

SAMPLES = st.builds(
    Samples,
    channel_id=st.integers(0, 0xFFFF),
    i_first=INT64,
    t0_ns=INT64,
    counts=st.lists(INT32, max_size=50).map(lambda counts: np.array(counts, dtype=np.int32)),
    received_ns=st.none() | INT64.filter(bool),
    sent_ns=INT64,
    history=st.booleans(),
)


def _numeral(*, value: float | None = 72.0, reason: str | None = None) -> Numeral:
    return Numeral(
        name="heart_rate",
        source="ecg",
        value=value,
        unit="/min",
        reason=reason,
        quality=0.5,
        t_ms=1.5,
        channels=("strap/ecg",),
    )


@given(SAMPLES)
def test_samples_come_out_as_they_went_in(samples: Samples) -> None:
    decoded = decode_samples(encode_samples(samples))

    np.testing.assert_array_equal(decoded.counts, samples.counts)
    for name in ("channel_id", "i_first", "t0_ns", "received_ns", "sent_ns", "history"):
        assert getattr(decoded, name) == getattr(samples, name)


@pytest.mark.parametrize(
    ("extreme", "n_bytes"),
    [(-32_768, 2), (32_767, 2), (-32_769, 4), (32_768, 4)],
)
def test_counts_take_two_bytes_where_they_fit(extreme: int, n_bytes: int) -> None:
    counts = np.array([0, extreme], dtype=np.int32)

    payload = encode_samples(Samples(channel_id=1, i_first=0, t0_ns=0, counts=counts))

    assert len(payload) == 40 + 2 * n_bytes


def test_the_header_is_as_documented() -> None:
    samples = Samples(
        channel_id=0x0102,
        i_first=3,
        t0_ns=4,
        counts=np.array([-1], dtype=np.int32),
        received_ns=5,
        sent_ns=6,
        history=True,
    )

    payload = encode_samples(samples)

    assert payload.hex() == (
        "01" "01" "0201" "01000000"
        "0300000000000000" "0400000000000000" "0500000000000000" "0600000000000000"
        "ffff"
    )  # fmt: skip


@given(SAMPLES, INT64)
def test_the_sending_is_stamped_and_nothing_else_changes(samples: Samples, sent_ns: int) -> None:
    payload = encode_samples(samples)

    stamped = stamp_sent(payload, sent_ns)

    assert decode_samples(stamped).sent_ns == sent_ns
    assert stamp_sent(stamped, samples.sent_ns) == payload


@given(st.binary(max_size=80))
def test_any_bytes_give_samples_or_a_protocol_error(payload: bytes) -> None:
    try:
        decoded = decode_samples(payload)
    except ProtocolError:
        return
    assert decoded.counts.dtype == np.int32


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"\x01" * 39, "39 bytes"),
        (b"\x03" + bytes(39), "kind of counts 3"),
        (b"\x01" + bytes(40), "1 bytes of counts for 0 samples"),
    ],
)
def test_a_bad_message_says_what_is_wrong(payload: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_samples(payload)


def test_a_text_says_its_type_and_its_fields() -> None:
    message = Channel(
        id=7,
        device="strap",
        channel="ecg",
        quantity="ecg_ii",
        label="ECG II",
        kind="ecg",
        unit="mV",
        scale=0.005,
        offset=0.0,
        period_ns=(25_000_000, 9),
    )

    content = json.loads(encode_text(message))

    assert content["type"] == "channel"
    assert content["period_ns"] == [25_000_000, 9]
    assert content["label"] == "ECG II"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_becomes_null(value: float) -> None:
    content = json.loads(encode_text(_numeral(value=value)))

    assert content["value"] is None


def test_a_text_from_outside_is_cut() -> None:
    content = json.loads(encode_text(_numeral(value=None, reason="x" * 10_000)))

    assert len(content["reason"]) == TEXT_CHARS_MAX
