"""Gaps, flat lines, clipping, new rates, jumping clocks: each has an outcome that can be told."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from ingest.observation import Observation
from processors.catalogue import MODALITIES
from processors.dsp.sample_clock import SampleClock
from processors.pipeline import SubjectPipeline
from processors.sources import Modality
from tests.pipeline import bedside

FS_HZ = 100
CLOCK = SampleClock(epoch_ns=bedside.START_NS, period_num_ns=NS_PER_S // FS_HZ)
S = NS_PER_S

VALUE_OF = {
    "ecg": "ecg_heart_rate",
    "ppg": "ppg_pulse_rate",
    "respiration": "respiration_rate",
    "motion": "motion_intensity",
    "oximetry": "ppg_spo2",
}
"""What is given each second of a modality: its algorithm."""


def said(frames: list[Frame]) -> list[Observation]:
    pipeline = SubjectPipeline("p-1")
    found = [one for frame in frames for one in pipeline.process(frame)]
    return sorted((one for one in found if isinstance(one, Observation)), key=lambda one: one.t_ns)


def of(modality: Modality, found: list[Observation]) -> list[Observation]:
    return [one for one in found if one.algorithm == VALUE_OF[modality.name]]


def changed(
    frames: list[Frame], change: Callable[[WaveformBlock], WaveformBlock], begin: int, end: int
) -> list[Frame]:
    return [
        replace(frame, waveforms=tuple(change(block) for block in frame.waveforms))
        if begin <= n < end
        else frame
        for n, frame in enumerate(frames)
    ]


def seconds(found: list[Observation]) -> NDArray[np.float64]:
    return np.array([(one.t_ns - bedside.START_NS) / S for one in found])


def has_values_again(found: list[Observation]) -> bool:
    return any(one.value is not None for one in found if seconds([one])[0] > 60)


each_modality = pytest.mark.parametrize("modality", MODALITIES, ids=lambda one: one.name)


@each_modality
def test_a_second_in_a_gap_says_that_samples_are_missing(modality: Modality) -> None:
    frames = bedside.frames(Fraction(1))

    found = of(modality, said([*frames[:40], *frames[50:]]))

    in_gap = [one for one in found if 40 < seconds([one])[0] < 50]
    assert [one.reason for one in in_gap][:1] == ["no_samples"]
    assert all(one.value is None for one in in_gap)
    assert has_values_again(found)


@each_modality
def test_a_flat_line_gives_no_rate_and_the_signal_that_comes_back_does(modality: Modality) -> None:
    frames = bedside.frames(Fraction(1))

    def flat(block: WaveformBlock) -> WaveformBlock:
        return replace(block, counts=np.full_like(block.counts, 7))

    found = of(modality, said(changed(frames, flat, 30, 50)))

    late = [one for one in found if 45 < seconds([one])[0] < 49]
    assert late
    if modality.name != "motion":  # to an accelerometer, that is stillness
        assert all(one.value is None for one in late)
        assert {one.reason for one in late} & {"lead_off", "saturated"}
    assert has_values_again(found)


@each_modality
def test_a_new_sampling_rate_starts_the_chain_anew(modality: Modality) -> None:
    frames = bedside.frames(Fraction(1))

    def faster(block: WaveformBlock) -> WaveformBlock:
        period = SamplePeriod(
            ns_numerator=block.period.ns_numerator,
            ns_denominator=block.period.ns_denominator * 2,
        )
        if block.period.ns_numerator < 2 * block.period.ns_denominator:
            raise AssertionError(block.period)
        return replace(
            block,
            period=period,
            i_first=2 * block.i_first,
            counts=np.repeat(block.counts, 2),
        )

    found = of(modality, said(changed(frames, faster, 40, len(frames))))

    times = seconds(found)
    assert len(set(times.tolist())) == times.size
    assert (np.diff(times) > 0).all()
    assert has_values_again(found)


@each_modality
@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_jumps_gives_no_time_twice(modality: Modality, jump_s: int) -> None:
    """Forward: a new start. Back: what lies in the past is a repetition, until it is made up."""
    frames = bedside.frames(Fraction(1))

    def jumped(block: WaveformBlock) -> WaveformBlock:
        return replace(block, t0_ns=block.t0_ns + jump_s * S)

    found = of(modality, said(changed(frames, jumped, 40, len(frames))))

    times = seconds(found)
    assert len(set(times.tolist())) == times.size
    assert (times.max() > 3600) == (jump_s > 0)


@each_modality
def test_a_sample_that_is_no_number_is_refused_by_name(modality: Modality) -> None:
    chain = modality.build(
        CLOCK.fs_hz, CLOCK, tuple(modality.ranks)[: modality.n_channels_min], None
    )
    samples = np.zeros((modality.n_channels_min, 100))
    samples[0, 50] = np.nan

    with pytest.raises(ValueError, match="finite"):
        chain.process(samples if modality.n_channels_min > 1 else samples[0], 0)


@each_modality
def test_sample_by_sample_is_the_same_as_all_at_once(modality: Modality) -> None:
    blocks = [
        block
        for frame in bedside.frames(Fraction(20), seconds=20.0)
        for block in modality.choose(frame.waveforms)
    ]
    samples = np.stack([modality.samples(block) for block in blocks])
    clock = SampleClock(
        epoch_ns=bedside.START_NS,
        period_num_ns=blocks[0].period.ns_numerator,
        period_den=blocks[0].period.ns_denominator,
    )
    mdc_codes = tuple(block.mdc_code for block in blocks)
    rows = samples if len(blocks) > 1 else samples[0]
    whole = modality.build(clock.fs_hz, clock, mdc_codes, None)
    single = modality.build(clock.fs_hz, clock, mdc_codes, None)

    expected = list(whole.process(rows, 0))
    found = [
        one for i in range(samples.shape[1]) for one in single.process(rows[..., i : i + 1], i)
    ]

    assert found == expected
    assert single.process(rows, samples.shape[1]) == whole.process(rows, samples.shape[1])


def test_a_clipped_ecg_is_saturated() -> None:
    frames = bedside.frames(Fraction(1))

    def clipped(block: WaveformBlock) -> WaveformBlock:
        if not block.channel.startswith("ecg"):
            return block
        return replace(block, counts=np.clip(block.counts * 50 + 900, -1000, 1000))

    found = [one for one in said(changed(frames, clipped, 30, 60)) if one.name == "heart_rate"]

    assert "saturated" in {one.reason for one in found if 35 < seconds([one])[0] < 60}


def test_a_subject_without_samples_says_nothing() -> None:
    assert said([Frame(subject_id="p-1", agent_id="a-1", sequence=0)]) == []
