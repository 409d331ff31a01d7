"""Respiratory rate, quality and apnoea from a chest signal; accuracy with floors.

BIDMC: Pimentel et al., IEEE Trans Biomed Eng 64:1914-1923 (2017).
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import codes
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import StateError
from processors.vitals.derived import Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.respiration import RespirationChain
from tests.processors_core.breathing_records import FS_HZ as RECORD_HZ
from tests.processors_core.breathing_records import breathing_records, errors

Floats = NDArray[np.float64]
FS_HZ = 25
NS = 1_000_000_000


def breathing(rate: float, seconds: float) -> Floats:
    phase = 2 * np.pi * rate / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    noise = np.random.default_rng(3).normal(0, 0.02, phase.size)
    return -np.cos(phase) + noise


def new_chain(fs_hz: int = FS_HZ, epoch_ns: int = 0) -> RespirationChain:
    return RespirationChain(
        fs_hz, SampleClock(epoch_ns=epoch_ns, period_num_ns=NS, period_den=fs_hz)
    )


def run(samples: Floats, fs_hz: int = FS_HZ) -> list[Derived]:
    chain = new_chain(fs_hz)
    said: list[Derived] = []
    for at in range(0, samples.size, fs_hz):
        said += chain.process(samples[at : at + fs_hz], at)
    return said


def of(said: list[Derived], quantity: codes.Quantity) -> dict[int, Derived]:
    return {one.t_ns // NS: one for one in said if one.quantity is quantity}


def rates(said: list[Derived]) -> dict[int, Derived]:
    return of(said, codes.RESPIRATORY_RATE)


def test_the_rate_is_given_each_second_two_seconds_after_it() -> None:
    said = rates(run(breathing(15, 60)))

    assert list(said) == list(range(59))
    assert all(said[t].reason == "warming_up" for t in range(16))
    assert all(abs((said[t].value or 0) - 15) < 0.4 for t in range(18, 59))
    assert all(said[t].quality > 0.8 for t in range(25, 59))


def test_breath_holding_is_suspected_as_apnoea_after_twenty_seconds() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 40 * FS_HZ)
    said = run(np.concatenate((breathing(15, 60), noise - 1.0, breathing(15, 60))))

    apnoea = of(said, codes.APNOEA)

    began = [t for t, one in apnoea.items() if one.value == 1.0]
    assert 77 <= began[0] <= 79  # the last peak is at 58 s
    assert apnoea[began[0]].quality > 0.8
    assert rates(said)[90].reason is NoValueReason.APNOEA_SUSPECTED
    assert apnoea[max(began) // 10 * 10 + 20].value == 0.0
    assert abs((rates(said)[155].value or 0) - 15) < 0.5


def test_apnoea_is_denied_every_ten_seconds_while_there_are_breaths() -> None:
    apnoea = of(run(breathing(15, 100)), codes.APNOEA)

    assert {t: one.value for t, one in apnoea.items() if t >= 20} == dict.fromkeys(
        range(20, 91, 10), 0.0
    )


def test_a_flat_line_is_an_electrode_off_and_no_apnoea() -> None:
    said = run(np.concatenate((breathing(15, 60), np.full(60 * FS_HZ, 0.1))))

    assert rates(said)[100].reason is NoValueReason.LEAD_OFF
    assert all(one.value != 1.0 for one in of(said, codes.APNOEA).values())
    assert of(said, codes.RESPIRATION_QUALITY)[100].value == 0.0


def test_a_signal_at_its_rail_is_saturated() -> None:
    said = run(np.concatenate((breathing(15, 60), np.full(60 * FS_HZ, 9.0))))

    assert rates(said)[100].reason is NoValueReason.SATURATED


def test_breaths_hidden_at_the_rail_are_not_counted_as_a_pause() -> None:
    samples = breathing(15, 120)
    samples[60 * FS_HZ : 70 * FS_HZ] = 9.0

    said = rates(run(samples))

    reasons = {said[t].reason for t in range(66, 68)}
    assert reasons == {NoValueReason.SATURATED}
    assert said[75].reason is NoValueReason.WARMING_UP
    shown = [said[t].value for t in range(20, 118)]
    assert all(abs(rate - 15) < 0.5 for rate in shown if rate is not None)
    assert all(rate is not None for rate in shown[-25:])


def test_clipped_breaths_are_breaths() -> None:
    said = rates(run(np.clip(breathing(12, 90), -0.2, 0.2)))

    assert all(abs((said[t].value or 0) - 12) < 0.4 for t in range(30, 88))


def test_noise_alone_has_no_good_rate() -> None:
    noise = np.random.default_rng(2).normal(0, 1, 300 * FS_HZ)
    said = rates(run(noise))

    assert np.mean([said[t].quality for t in range(40, 297)]) < 0.6
    assert np.mean([said[t].quality >= 0.9 for t in range(40, 297)]) < 0.1


def test_a_gap_says_so_and_starts_anew() -> None:
    chain = new_chain()
    samples = breathing(15, 60)
    said = chain.process(samples, 0)

    said += chain.process(samples, 100 * FS_HZ)

    assert rates(said)[58].value is not None
    assert rates(said)[60].reason is NoValueReason.NO_SAMPLES
    assert [t for t in rates(said) if 60 < t < 100] == []
    assert rates(said)[110].reason is NoValueReason.WARMING_UP
    assert abs((rates(said)[140].value or 0) - 15) < 0.4


def test_repeats_are_dropped() -> None:
    samples = breathing(15, 60)
    chain = new_chain()
    said = chain.process(samples[:1000], 0)
    said += chain.process(samples[:1000], 0)
    said += chain.process(samples[500:], 500)

    assert said == new_chain().process(samples, 0)


def test_a_sample_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        new_chain().process(np.array([0.0, np.nan]), 0)


def test_nothing_in_gives_nothing_out() -> None:
    assert new_chain().process(np.zeros(0), 0) == []


def test_the_heart_rate_hint_survives_a_restart() -> None:
    chain = new_chain()
    chain.heart_rate_hint(60.0)

    assert RespirationChain.from_bytes(chain.to_bytes()).to_bytes() == chain.to_bytes()
    assert chain.to_bytes() != new_chain().to_bytes()


EVENTFUL = np.concatenate(
    (breathing(15, 40), np.full(20 * FS_HZ, -1.0), breathing(22, 30), np.full(20 * FS_HZ, 5.0))
)


@given(cuts=st.lists(st.integers(0, EVENTFUL.size), max_size=8), restore=st.booleans())
@settings(deadline=None, max_examples=40)
def test_pieces_and_restarts_say_the_same(cuts: list[int], *, restore: bool) -> None:
    gap = 7 * FS_HZ
    half = EVENTFUL.size // 2
    whole = new_chain(epoch_ns=123_456_789)
    expected = whole.process(EVENTFUL[:half], 0) + whole.process(EVENTFUL[half:], half + gap)
    chain = new_chain(epoch_ns=123_456_789)

    said: list[Derived] = []
    at = 0
    for piece in np.split(EVENTFUL, sorted({*cuts, half})):
        said += chain.process(piece, at + (gap if at >= half else 0))
        at += piece.size
        if restore:
            chain = RespirationChain.from_bytes(chain.to_bytes())

    assert said == expected
    assert chain.to_bytes() == whole.to_bytes()


@given(damage=st.binary(max_size=200))
def test_any_bytes_are_a_state_or_a_state_error(damage: bytes) -> None:
    with pytest.raises(StateError):
        RespirationChain.from_bytes(damage)


@pytest.mark.parametrize("every", [1, 5])
def test_rates_agree_with_two_annotators(chevet_data: Path, every: int) -> None:
    rows, found = [], []
    for record in breathing_records(chevet_data):
        samples = np.ascontiguousarray(record.impedance[::every])
        said = rates(run(samples, RECORD_HZ // every))
        of_record = errors(record, {t: one.value for t, one in said.items()})
        rows.append(f"{record.name}  MAE {np.nanmean(of_record):.3f}")
        found += of_record
    print(f"\nbidmc, impedance at {RECORD_HZ // every} Hz", *rows, sep="\n")
    print(f"MAE {np.nanmean(found):.3f}, shown {np.mean(np.isfinite(found)):.1%}")

    assert np.nanmean(found) <= 0.13
    assert np.mean(np.isfinite(found)) >= 0.97
