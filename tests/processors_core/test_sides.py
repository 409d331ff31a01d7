"""Those that agree are a side; what the better side says, and when neither is better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from processors.vitals.fusion import ALGORITHM, RateKind
from processors.vitals.reasons import NoValueReason
from processors.vitals.sides import (
    PREFERENCE,
    Agreement,
    Voice,
    preferred_side,
    said_by,
    weight_of,
    withheld,
)

AGREES = Agreement(rate=5.0, share=0.1)


def voice(rate: float, quality: float = 0.9, *, device: bool = False, name: str = "") -> Voice:
    return Voice(
        source=name or f"{rate:g}",
        kind=RateKind.DEVICE_ECG if device else RateKind.ECG,
        rate=rate,
        quality=quality,
        weight=quality,
        age_s=0.0,
        from_device=device,
    )


def test_rates_agree_within_five_or_a_tenth() -> None:
    assert AGREES(voice(40), voice(45))
    assert not AGREES(voice(40), voice(45.1))
    assert AGREES(voice(190), voice(210))
    assert not AGREES(voice(189), voice(210))


def test_the_side_with_twice_the_weight_is_preferred() -> None:
    side = preferred_side([voice(60), voice(90, 0.45)], AGREES)

    assert side is not None
    assert [one.rate for one in side] == [60]
    assert preferred_side([voice(60), voice(90, 0.46)], AGREES) is None


def test_figures_of_devices_count_as_one_however_many() -> None:
    devices = [voice(90, 0.45, device=True, name=f"d{n}") for n in range(9)]

    side = preferred_side([voice(60, 0.9), *devices], AGREES)

    assert weight_of(devices) == 0.45
    assert side is not None
    assert [one.rate for one in side] == [60]


def test_a_value_is_hardly_moved_by_who_is_less_sure() -> None:
    said = said_by([voice(110, 0.98), voice(100, 0.6)], codes.HEART_RATE, ALGORITHM, 0)

    assert said.value is not None
    assert 109.5 < said.value < 110
    assert said.quality == pytest.approx(1 - 0.02 * 0.4)
    assert said.sources == ("110", "100")


def test_why_there_is_no_value_is_said() -> None:
    said = withheld(NoValueReason.SOURCES_DISAGREE, codes.HEART_RATE, ALGORITHM, 7)

    assert (said.value, said.reason, said.quality, said.t_ns) == (None, "sources_disagree", 0.0, 7)


VOICES = st.lists(
    st.builds(
        voice,
        st.floats(20, 300),
        st.floats(0.05, 1.0),
        device=st.booleans(),
        name=st.sampled_from("abcdef"),
    ),
    min_size=1,
    max_size=6,
)


@given(voices=VOICES)
def test_a_side_outweighs_all_others_and_speaks_within_its_range(voices: list[Voice]) -> None:
    side = preferred_side(voices, AGREES)

    if side is None:
        assert len(voices) > 1
        return
    others = [one for one in voices if one not in side]
    assert weight_of(side) >= PREFERENCE * weight_of(others)
    said = said_by(side, codes.HEART_RATE, ALGORITHM, 0)
    rates = [one.rate for one in side]
    assert said.value is not None
    assert min(rates) - 1e-9 <= said.value <= max(rates) + 1e-9
    assert max(one.quality for one in side) - 1e-9 <= said.quality <= 1.0


@given(rate=st.floats(20, 300), quality=st.floats(0.05, 1.0))
def test_one_alone_keeps_its_rate_to_the_last_bit(rate: float, quality: float) -> None:
    assert said_by([voice(rate, quality)], codes.HEART_RATE, ALGORITHM, 0).value == rate
