"""A time grid that changes and goes on: the same beats, no value missing, the same bits always."""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from ingest.observation import Observation
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.catalogue import ECG, MOTION, OXIMETRY, PPG
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, StateVersionError
from processors.pipeline import Output, SubjectPipeline
from processors.sources import Modality, Stream
from tests.pipeline import bedside
from tests.pipeline.bent_grids import Change, Grid, bent, grids_of, places_of, time_at
from tests.pipeline.test_pipeline import frames as ecg_frames
from tests.pipeline.test_pipeline import observations, ordered, outputs

START_NS = bedside.START_NS
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes a second; what a shrunk one shows, the printed one shows as well."""

PPMS = (20.0, -20.0, 80.0, -80.0, 5_000.0, -5_000.0)

some_changes = st.lists(
    st.builds(Change, st.floats(0.001, 0.999), st.sampled_from(PPMS)), min_size=1, max_size=6
)


recording = functools.lru_cache(maxsize=8)(open_recording)


def recorded(path: Path, seconds: float = 60.0, frame_s: Fraction = Fraction(1, 2)) -> list[Frame]:
    plan = ReplayPlan(
        subject_id="p-1",
        agent_id="a-1",
        start_ns=START_NS,
        frame_s=frame_s,
        seconds_max=seconds,
    )
    return list(frames_of(recording(str(path)), plan))


def restarted(frames: Sequence[Frame], seed: int) -> list[Output]:
    """Everything that follows, the pipeline being written down and read back now and then."""
    random = Random(seed)
    pipeline = SubjectPipeline("p-1")
    found: list[Output] = []
    for frame in frames:
        if random.random() < 12 / len(frames):
            state = pipeline.to_bytes()
            pipeline = SubjectPipeline.from_bytes(state)
            assert pipeline.to_bytes() == state
        found += pipeline.process(frame)
    return ordered(found)


def of(found: Iterable[Output], name: str, algorithm: str | None = None) -> list[Observation]:
    return [
        one
        for one in found
        if isinstance(one, Observation) and one.name == name and algorithm in (None, one.algorithm)
    ]


# The same bits, however it comes


@settings(max_examples=6, deadline=None, phases=NO_SHRINK)
@given(
    changes=some_changes,
    frame_s=st.fractions(min_value=Fraction(1, 20), max_value=30, max_denominator=20),
    seed=st.integers(0, 2**32),
)
def test_any_cut_and_any_restart_give_the_same_bits(
    changes: list[Change], frame_s: Fraction, seed: int
) -> None:
    for channels in (bedside.CHANNELS, bedside.BAND):
        expected = outputs(bent(bedside.frames(channels=channels), changes))

        cut = bent(bedside.frames(frame_s, channels=channels), changes)

        assert restarted(cut, seed) == expected


@settings(max_examples=2, deadline=None, phases=NO_SHRINK)
@given(
    changes=st.lists(
        st.builds(Change, st.floats(0.001, 0.999), st.floats(-25e3, 25e3)),
        min_size=40,
        max_size=150,
    ),
    frame_s=st.fractions(min_value=Fraction(1, 5), max_value=30, max_denominator=20),
    seed=st.integers(0, 2**32),
)
def test_a_grid_that_changes_all_the_time_gives_the_same_bits_too(
    changes: list[Change], frame_s: Fraction, seed: int
) -> None:
    """Some go on and some begin anew: too far from the first rate, or too often."""
    for channels in (bedside.CHANNELS, bedside.BAND):
        expected = outputs(bent(bedside.frames(seconds=40.0, channels=channels), changes))

        cut = bent(bedside.frames(frame_s, 40.0, channels=channels), changes)

        assert restarted(cut, seed) == expected


@pytest.mark.parametrize("record", ["mitdb/101", "mitdb/119", "bidmc/bidmc01", "bidmc/bidmc02"])
@settings(max_examples=6, deadline=None, phases=NO_SHRINK)
@given(
    changes=some_changes,
    frame_s=st.fractions(min_value=Fraction(1, 10), max_value=30, max_denominator=20),
    seed=st.integers(0, 2**32),
)
def test_recordings_cut_and_restarted_anywhere_give_the_same_bits(
    chevet_data: Path, record: str, changes: list[Change], frame_s: Fraction, seed: int
) -> None:
    expected = outputs(bent(recorded(chevet_data / record), changes))

    cut = bent(recorded(chevet_data / record, frame_s=frame_s), changes)

    assert restarted(cut, seed) == expected


@settings(max_examples=10, deadline=None, phases=NO_SHRINK)
@given(changes=some_changes, again=st.lists(st.integers(0, 159), max_size=30))
def test_frames_that_come_again_change_nothing(changes: list[Change], again: list[int]) -> None:
    frames = bent(bedside.frames(), changes)
    delivered: list[Frame] = []
    for n, frame in enumerate(frames):
        delivered.append(frame)
        delivered += [frames[i] for i in again if i <= n and i % 7 == n % 7]

    assert outputs(delivered) == outputs(frames)


@settings(max_examples=6, deadline=None, phases=NO_SHRINK)
@given(changes=some_changes, seed=st.integers(0, 2**32))
def test_a_channel_that_comes_a_second_later_changes_nothing(
    changes: list[Change], seed: int
) -> None:
    """One lead is on the new grid when the other one is still on the old one."""
    frames = bent(bedside.frames(channels=bedside.CHANNELS[:2]), changes)
    first, *rest = frames
    leads = [
        [replace(f, waveforms=tuple(b for b in f.waveforms if b.channel == name)) for f in rest]
        for name in ("ecg/II", "ecg/V1")
    ]
    leads[1] = [replace(f, readings=()) for f in leads[1]]
    late = Random(seed).choice([1, 2, 3])
    shifted = leads[0][:late]
    for one, other in zip(leads[0][late:], leads[1], strict=False):
        shifted += [one, other]
    shifted += leads[1][-late:]
    numbered = [replace(f, sequence=n) for n, f in enumerate(shifted, 1)]

    assert outputs([first, *numbered]) == outputs(frames)


# Against one grid


def beats_of(found: Iterable[Output], name: str) -> list[Observation]:
    return of(found, name)


def assert_same_beats(
    straight: Sequence[Output], found: Sequence[Output], name: str, grids: list[Grid]
) -> None:
    """Each beat once, at the time that its own grid says; so are the intervals between."""
    expected = beats_of(straight, name)
    beats = beats_of(found, name)
    assert len(beats) == len(expected) > 40
    places = places_of(np.array([one.t_ns for one in expected]), grids[0])
    times_ns = [grids[0].epoch_ns + time_at(place, grids) for place in places.tolist()]
    assert [one.t_ns for one in beats] == pytest.approx(times_ns, rel=0, abs=2_000)
    intervals = np.array([one.value for one in beats[1:]], dtype=float)
    assert intervals == pytest.approx(np.diff(times_ns) / 1e6, rel=0, abs=0.01)
    assert [one.reason for one in beats].count("first_beat") == 1


def given_rates(found: Iterable[Output], algorithm: str) -> list[Observation]:
    name = "heart_rate" if algorithm == "ecg_heart_rate" else "pulse_rate"
    return of(found, name, algorithm)


def assert_no_rate_is_missing(
    straight: Sequence[Output], found: Sequence[Output], algorithm: str
) -> None:
    """What is behind the last second that both have depends on the length of the data."""
    expected = {one.t_ns: one.value for one in given_rates(straight, algorithm)}
    rates = {one.t_ns: one.value for one in given_rates(found, algorithm)}
    times = sorted(set(expected) & set(rates))
    assert len(times) >= len(expected) - 1 > 50
    assert np.diff(times).max() == NS_PER_S
    missing = [t for t in times if rates[t] is None and expected[t] is not None]
    assert not missing


def assert_rates_are_those_of_the_beats(
    found: Sequence[Output], interval: str, algorithm: str
) -> None:
    """The ECG's is by its rule; the pulse's leaves out intervals that cannot be believed."""
    beats_ns = np.array([one.t_ns for one in of(found, interval)])
    for rate in given_rates(found, algorithm):
        if rate.value is None:
            continue
        in_window = (beats_ns > rate.t_ns - 10 * NS_PER_S) & (beats_ns <= rate.t_ns)
        last, first = np.flatnonzero(in_window)[[-1, 0]]
        intervals_s = np.diff(beats_ns[max(0, first - 1) : last + 1]) / NS_PER_S
        if algorithm == "ecg_heart_rate":
            assert rate.value == pytest.approx(60 / intervals_s.mean(), rel=1e-9)
        else:
            least, most = 60 / intervals_s.max(), 60 / intervals_s.min()
            assert least * (1 - 1e-9) <= rate.value <= most * (1 + 1e-9)


def grids_in(frames: Sequence[Frame], changes: Sequence[Change], channel: str) -> list[Grid]:
    blocks = [b for frame in frames for b in frame.waveforms if b.channel == channel]
    return grids_of(blocks[0], blocks[-1].i_end, changes)


CLEAN = {
    "mitdb/101": ("ecg/MLII", "rr_interval", "ecg_heart_rate"),
    "mitdb/119": ("ecg/MLII", "rr_interval", "ecg_heart_rate"),
    "bidmc/bidmc01": ("PLETH", "pp_interval", "ppg_pulse_rate"),
    "bidmc/bidmc02": ("PLETH", "pp_interval", "ppg_pulse_rate"),
}


@pytest.mark.parametrize("record", CLEAN)
@settings(max_examples=8, deadline=None, phases=NO_SHRINK)
@given(changes=some_changes)
def test_a_recording_on_grids_that_change_has_the_same_beats_and_all_its_rates(
    chevet_data: Path, record: str, changes: list[Change]
) -> None:
    channel, interval, algorithm = CLEAN[record]
    frames = recorded(chevet_data / record, seconds=75.0)
    grids = grids_in(frames, changes, channel)
    straight = outputs(frames)

    found = outputs(bent(frames, changes))

    assert_same_beats(straight, found, interval, grids)
    assert_no_rate_is_missing(straight, found, algorithm)
    assert_rates_are_those_of_the_beats(found, interval, algorithm)


@pytest.mark.parametrize("ppm", PPMS)
@pytest.mark.parametrize("channels", [bedside.CHANNELS, bedside.BAND], ids=["bedside", "band"])
def test_no_stream_begins_anew_where_its_grid_goes_on(
    channels: list[bedside.Channel], ppm: float
) -> None:
    frames = bedside.frames(channels=channels)
    straight = outputs(frames)

    found = outputs(bent(frames, [Change(0.35, ppm), Change(0.65, 0.0)]))

    for reason in ("first_beat", "warming_up", "no_samples"):
        assert reasons(found)[reason] == reasons(straight)[reason]
    counts, expected = (Counter(one.name for one in said) for said in (found, straight))
    assert counts.keys() == expected.keys()
    # What is said on each change of it may change once more; a stream is longer by 0.1 s.
    assert all(abs(counts[name] - expected[name]) <= 2 for name in counts)


def reasons(found: Iterable[Output]) -> Counter[str | None]:
    return Counter(one.reason for one in observations(found))


# What goes on, and what does not


ECG_FRAMES = ecg_frames()
"""40 s of one lead at 250 Hz."""


def n_begun(frames: Iterable[Frame]) -> int:
    """How often the chain began: no interval ends with the first beat."""
    found = of(outputs(frames), "rr_interval")
    return [one.reason for one in found].count("first_beat")


def later(frames: Sequence[Frame], from_frame: int, by_ns: int) -> list[Frame]:
    """Shift all blocks from one Frame on."""
    return [
        *frames[:from_frame],
        *(
            replace(f, waveforms=tuple(replace(b, t0_ns=b.t0_ns + by_ns) for b in f.waveforms))
            for f in frames[from_frame:]
        ),
    ]


HALFWAY = len(ECG_FRAMES) // 2


@pytest.mark.parametrize(("by_ns", "n"), [(0, 1), (1, 1), (-1, 1), (2, 2), (-2, 2), (10**6, 2)])
@pytest.mark.parametrize("ppm", [0.0, 80.0])
def test_a_grid_goes_on_when_it_is_where_the_old_one_would_be_within_rounding(
    by_ns: int, n: int, ppm: float
) -> None:
    frames = later(bent(ECG_FRAMES, [Change(0.5, ppm)]), HALFWAY, by_ns)

    assert n_begun(frames) == n


@pytest.mark.parametrize(("ppms", "n"), [([19e3], 1), ([21e3], 2), ([15e3, 30e3], 2)])
def test_filters_are_kept_for_rates_near_the_one_that_they_were_made_for(
    ppms: list[float], n: int
) -> None:
    changes = [Change(0.3 * (k + 1), ppm) for k, ppm in enumerate(ppms)]

    assert n_begun(bent(ECG_FRAMES, changes)) == n


@pytest.mark.parametrize(("n_changes", "n"), [(31, 1), (32, 2)])
def test_a_clock_that_bends_too_often_is_another_clock(n_changes: int, n: int) -> None:
    changes = [Change((k + 1) / 40, 80.0 * (k % 2 * 2 - 1)) for k in range(n_changes)]

    assert n_begun(bent(ECG_FRAMES, changes)) == n


def test_a_change_behind_lost_samples_is_a_gap_as_on_one_grid() -> None:
    """The agent counts what was lost on the old grid, and changes it with what comes next."""
    lost = slice(HALFWAY, HALFWAY + 16)
    frames, changed = (
        list(ECG_FRAMES),
        bent(ECG_FRAMES, [Change(lost.stop / len(ECG_FRAMES), 80.0)]),
    )
    del frames[lost], changed[lost]
    expected, found = outputs(frames), outputs(changed)

    assert n_begun(changed) == n_begun(frames) == 2
    assert reasons(found)["no_samples"] == reasons(expected)["no_samples"] > 2


@pytest.mark.parametrize("by_ns", [-900_000_000, -3_000_000, 0, 3_000_000, 900_000_000])
@pytest.mark.parametrize("ppm", [0.0, -80.0])
def test_behind_lost_samples_a_grid_may_begin_where_it_is_right(by_ns: int, ppm: float) -> None:
    """A link was lost: as an agent does, which has no reason left to keep a grid that is off."""
    lost = slice(HALFWAY, HALFWAY + 16)
    changed = later(bent(ECG_FRAMES, [Change(0.55, ppm)]), lost.stop, by_ns)
    straight = list(ECG_FRAMES)
    del changed[lost], straight[lost]
    expected, found = outputs(straight), outputs(changed)

    assert n_begun(changed) == n_begun(straight) == 2
    assert n_gaps_said(found) == n_gaps_said(expected) == 1
    for one in (expected, found):
        times_ns = [beat.t_ns for beat in of(one, "rr_interval")]
        assert times_ns == sorted(times_ns)


@pytest.mark.parametrize("by_ns", [10**9 + 10**6, 3_600 * 10**9])
def test_behind_lost_samples_a_grid_that_is_far_off_is_another_clocks(by_ns: int) -> None:
    changed = later(ECG_FRAMES, HALFWAY + 16, by_ns)
    del changed[HALFWAY : HALFWAY + 16]

    assert n_begun(changed) == 2
    assert n_gaps_said(outputs(changed)) == 0


def n_gaps_said(found: Iterable[Output]) -> int:
    rates = of(found, "heart_rate", "ecg_heart_rate")
    return [one.reason for one in rates].count("no_samples")


@settings(max_examples=4, deadline=None, phases=NO_SHRINK)
@given(
    gaps=st.lists(
        st.tuples(
            st.integers(2, 150), st.integers(1, 10), st.integers(-(10**9), 10**9), st.booleans()
        ),
        min_size=1,
        max_size=4,
    ),
    frame_s=st.fractions(min_value=Fraction(1, 5), max_value=1, max_denominator=20),
    seed=st.integers(0, 2**32),
)
def test_grids_set_right_behind_gaps_give_the_same_bits_too(
    gaps: list[tuple[int, int, int, bool]], frame_s: Fraction, seed: int
) -> None:
    for channels in (bedside.CHANNELS, bedside.BAND):
        expected = outputs(with_gaps(bedside.frames(channels=channels), gaps))

        cut = with_gaps(bedside.frames(frame_s, channels=channels), gaps)

        assert restarted(cut, seed) == expected


def with_gaps(frames: list[Frame], gaps: list[tuple[int, int, int, bool]]) -> list[Frame]:
    """Lose half seconds, and shift what is behind; where a time would go back, by nothing."""
    for begin, n_lost, by_ns, bends in sorted(gaps):
        begin_ns, end_ns = (START_NS + k * NS_PER_S // 2 for k in (begin, begin + n_lost))
        shift_ns = max(by_ns, -(end_ns - begin_ns)) if bends else 0
        frames = [
            replace(
                frame,
                waveforms=tuple(
                    piece
                    for block in frame.waveforms
                    for piece in outside(block, begin_ns, end_ns, shift_ns)
                ),
            )
            for frame in frames
        ]
    return frames


def outside(
    block: WaveformBlock, begin_ns: int, end_ns: int, shift_ns: int
) -> Iterator[WaveformBlock]:
    """Give what of a block is before a time, and, shifted, what is behind another."""
    clock = SampleClock(
        epoch_ns=block.epoch_ns,
        period_num_ns=block.period.ns_numerator,
        period_den=block.period.ns_denominator,
    )
    i_begin, i_end = clock.index_at_or_after(begin_ns), clock.index_at_or_after(end_ns)
    for i_from, i_to, by_ns in (
        (block.i_first, min(block.i_end, i_begin), 0),
        (max(block.i_first, i_end), block.i_end, shift_ns),
    ):
        if i_from < i_to:
            yield replace(
                block,
                i_first=i_from,
                t0_ns=block.time_ns(i_from) + by_ns,
                counts=block.counts[i_from - block.i_first : i_to - block.i_first],
            )


def test_an_old_grid_that_comes_again_is_a_repetition() -> None:
    frames = bent(ECG_FRAMES, [Change(k / 8, 80.0 * k) for k in range(1, 8)])
    pipeline = SubjectPipeline("p-1")
    found = [one for frame in [*frames, *frames] for one in pipeline.process(frame)]

    assert ordered(found) == outputs(frames)
    assert pipeline.n_samples_repeated == sum(frame.n_samples for frame in frames)


@pytest.mark.parametrize("modality", [ECG, PPG, OXIMETRY, MOTION], ids=lambda one: one.name)
def test_a_rate_at_the_limit_may_be_measured_a_little_beyond_it(modality: Modality) -> None:
    (block,) = ECG_FRAMES[0].waveforms
    code = min(modality.ranks)
    unit = "[g]" if modality is MOTION else "uV"
    limits = ((modality.rate_hz_min, 1), (modality.rate_hz_max, -1))
    for limit_hz, way in limits:
        for ppm, accepted in ((0.0, True), (5_000.0, True), (30_000.0, False)):
            period_ns = NS_PER_S / limit_hz * (1 + way * ppm / 1e6)
            period = SamplePeriod(ns_numerator=round(period_ns * 1000), ns_denominator=1000)
            one = replace(block, mdc_code=code, unit=unit, scale=0.001, period=period)
            assert modality.accepts(one) == accepted
            if accepted:
                # Raises where no chain is made for such a rate.
                assert Stream.of_blocks(modality, [one] * modality.n_channels_min).channels


def test_a_state_from_before_clocks_could_bend_is_refused_by_its_version() -> None:
    stream = Stream.of_blocks(ECG, ECG_FRAMES[0].waveforms)
    kept = State.from_bytes(stream.to_bytes(), kind="stream", version=3)
    scalars = {k: v for k, v in kept.scalars.items() if k not in ("i_from", "lines_before")}

    with pytest.raises(StateVersionError, match="state is stream 2, not stream 3"):
        Stream.from_bytes(replace(kept, version=2, scalars=scalars).to_bytes(), ECG)
