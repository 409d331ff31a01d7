"""Respiratory rate from beats: found where breathing shows, withheld where it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from processors.dsp.kernel import new_record
from processors.dsp.state import State, StateError
from processors.vitals import beat_respiration, beat_respiration_kernel
from processors.vitals.beat_respiration import BeatRespiration
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.ecg import EcgChain
from processors.vitals.ppg import PpgChain
from processors.vitals.reasons import NoValueReason
from tests.processors_core.breathing_records import (
    CLOCK,
    FS_HZ,
    BreathingRecord,
    breathing_records,
    errors,
)

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def beats(
    rate: float,
    seconds: float,
    *,
    heart_bpm: float = 80.0,
    depths: tuple[float, float, float] = (0.03, 0.1, 0.1),
    start_s: float = 0.0,
) -> list[Beat]:
    """Make beats whose interval, height and level go with breathing at ``rate`` per minute."""
    rng = np.random.default_rng(11)
    found: list[Beat] = []
    t_s = start_s + 0.01
    interval_s = None
    while t_s < start_s + seconds:
        breath = np.sin(2 * np.pi * rate / 60 * t_s)
        noises = rng.normal(0, 1, 3)
        found.append(
            Beat(
                t_ns=T0 + round(t_s * NS),
                interval_s=interval_s,
                beat_class=BeatClass.NORMAL,
                quality=0.9,
                height=float(1000 * (1 + depths[1] * breath + 0.01 * noises[0])),
                level=float(100 * (depths[2] * breath + 0.01 * noises[1])),
            )
        )
        interval_s = float(60 / heart_bpm * (1 + depths[0] * breath + 0.004 * noises[2]))
        t_s += interval_s
    return found


def run(
    ecg: list[Beat], pulse: list[Beat], seconds: int, step: BeatRespiration | None = None
) -> list[Derived]:
    step = step or BeatRespiration()
    step.reset(T0)
    waiting = sorted(
        [(b.t_ns, 0, b) for b in ecg] + [(b.t_ns, 1, b) for b in pulse], key=lambda row: row[:2]
    )
    said: list[Derived] = []
    for t_ns in range(T0, T0 + seconds * NS, NS):
        while waiting and waiting[0][0] <= t_ns:
            _, source, beat = waiting.pop(0)
            (step.add_pulse if source else step.add_ecg_beat)(beat)
        said += step.at(t_ns)
    return said


@pytest.mark.parametrize("rate", [8.0, 12.0, 20.0, 30.0, 36.0])
def test_the_rate_that_modulates_the_beats_is_found(rate: float) -> None:
    said = run(beats(rate, 90), beats(rate, 90), 90)

    late = [one for one in said if one.t_ns >= T0 + 60 * NS]
    assert all(abs((one.value or 0) - rate) < 0.7 for one in late)
    assert all(one.quality > 0.8 for one in late)


@pytest.mark.parametrize(
    ("depths", "source"),
    [((0.05, 0, 0), "ecg_interval"), ((0, 0.1, 0), "ecg_height"), ((0, 0, 0.3), "ecg_level")],
)
def test_one_modulation_suffices_and_is_named(
    depths: tuple[float, float, float], source: str
) -> None:
    last = run(beats(18, 90, depths=depths), [], 90)[-1]

    assert last.value == pytest.approx(18, abs=1.0)
    assert source in last.sources


def test_pulse_waves_alone_are_named_as_such() -> None:
    last = run([], beats(14, 70), 70)[-1]

    assert last.value == pytest.approx(14, abs=0.7)
    assert set(last.sources) == {"pulse_interval", "pulse_height", "pulse_level"}


def test_a_rate_is_given_each_second_after_the_warm_up() -> None:
    said = run(beats(15, 60), [], 60)

    assert [one.t_ns for one in said] == [T0 + t * NS for t in range(60)]
    assert all(one.quantity is codes.RESPIRATORY_RATE for one in said)
    assert all(one.reason is NoValueReason.WARMING_UP for one in said[:28])
    assert all(one.value is not None for one in said[32:])
    assert {one.age_s for one in said} == {0.0, 1.0}


def test_a_change_of_rate_is_followed_within_a_minute() -> None:
    before = beats(12, 90)
    said = run(before + beats(24, 90, start_s=90), [], 180)

    assert said[89].value == pytest.approx(12, abs=0.7)
    assert said[155].value == pytest.approx(24, abs=1.0)


def test_beats_without_breathing_have_no_good_rate() -> None:
    said = run(beats(15, 180, depths=(0, 0, 0)), beats(15, 180, depths=(0, 0, 0)), 180)

    assert sum(one.quality >= 0.9 for one in said[60:]) <= 12


def test_without_beats_there_is_no_rate() -> None:
    said = run(beats(15, 60), [], 120)

    assert said[-1].reason is NoValueReason.TOO_FEW_BEATS


def test_a_gap_in_one_source_leaves_the_other() -> None:
    step = BeatRespiration()
    run(beats(15, 60), beats(15, 60), 60, step)
    step.reset_ecg()

    (said,) = step.at(T0 + 60 * NS)

    assert said.value == pytest.approx(15, abs=0.7)
    assert not any(source.startswith("ecg") for source in said.sources)
    step.reset_pulse()
    assert step.at(T0 + 62 * NS)[0].reason is NoValueReason.TOO_FEW_BEATS


def test_ventricular_beats_do_not_take_part() -> None:
    clean = beats(15, 90)
    odd = [
        Beat(
            t_ns=beat.t_ns,
            interval_s=beat.interval_s,
            beat_class=BeatClass.VENTRICULAR if n % 4 == 0 else BeatClass.NORMAL,
            quality=0.9,
            height=5000.0 if n % 4 == 0 else beat.height,
            level=900.0 if n % 4 == 0 else beat.level,
        )
        for n, beat in enumerate(clean)
    ]

    assert run(odd, [], 90)[-1].value == pytest.approx(15, abs=1.0)


def test_nothing_is_said_before_the_first_beat() -> None:
    assert BeatRespiration().at(T0) == []


def test_a_restart_between_any_two_seconds_changes_nothing() -> None:
    expected = run(beats(17, 60), beats(17, 60), 60)
    step = BeatRespiration()
    step.reset(T0)
    waiting = {0: beats(17, 60), 1: beats(17, 60)}

    said: list[Derived] = []
    for t_ns in range(T0, T0 + 60 * NS, NS):
        for source, add in ((0, step.add_ecg_beat), (1, step.add_pulse)):
            while waiting[source] and waiting[source][0].t_ns <= t_ns:
                add(waiting[source].pop(0))
        said += step.at(t_ns)
        step = BeatRespiration.from_bytes(step.to_bytes())

    assert said == expected


def test_beats_that_come_early_do_not_count_yet() -> None:
    early = BeatRespiration()
    early.reset(T0)
    for beat in beats(15, 40):
        early.add_ecg_beat(beat)

    expected = run(beats(15, 40), [], 37)

    assert [one for t in range(37) for one in early.at(T0 + t * NS)] == expected


def test_the_compiled_form_does_what_its_source_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged() -> tuple[list[Derived], bytes]:
        step = BeatRespiration()
        step.reset(T0)
        for beat in beats(17, 33):
            step.add_ecg_beat(beat)
            step.add_pulse(beat)
        return [*step.at(T0 + 32 * NS), *step.at(T0 + 34 * NS)], step.to_bytes()

    compiled = judged()
    for name, value in list(vars(beat_respiration_kernel).items()):
        if hasattr(value, "py_func"):
            function: Any = value
            monkeypatch.setattr(beat_respiration_kernel, name, function.py_func)
            if hasattr(beat_respiration, name):
                monkeypatch.setattr(beat_respiration, name, function.py_func)

    assert compiled[0][-1].value is not None
    assert judged() == compiled


@given(
    rows=st.lists(
        st.tuples(
            st.floats(0.0, 2.0),
            st.none() | st.floats(0.0, 3.0),
            st.floats(-1e9, 1e9),
            st.sampled_from(BeatClass),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=30)
def test_any_beats_give_a_rate_in_range_or_a_reason(
    rows: list[tuple[float, float | None, float, BeatClass]],
) -> None:
    step = BeatRespiration()
    step.reset(T0)
    t_s = 0.0
    for distance_s, interval_s, height, beat_class in rows:
        t_s += distance_s
        step.add_ecg_beat(
            Beat(
                t_ns=T0 + round(t_s * NS),
                interval_s=interval_s,
                beat_class=beat_class,
                quality=0.5,
                height=height,
                level=-height,
            )
        )

    for t in range(0, round(t_s) + 40, 3):
        (said,) = step.at(T0 + t * NS)
        assert said.value is None or 6.0 <= said.value <= 40.0
        assert 0.0 <= said.quality <= 1.0
    assert BeatRespiration.from_bytes(step.to_bytes()).to_bytes() == step.to_bytes()


def test_a_number_of_beats_that_cannot_be_is_no_state() -> None:
    record = new_record(beat_respiration_kernel.STATE_DTYPE)
    record["beats"]["n_beats"] = -1
    good = State.from_bytes(BeatRespiration().to_bytes(), kind="beat_respiration", version=1)
    state = State(
        kind=good.kind,
        version=good.version,
        scalars=good.scalars,
        arrays=good.arrays,
        children={"kernel": record.tobytes()},
    )

    with pytest.raises(StateError):
        BeatRespiration.from_bytes(state.to_bytes())


def beat_rates(record: BreathingRecord) -> dict[int, float | None]:
    step = BeatRespiration()
    step.reset(0)
    ecg, pulse = EcgChain(FS_HZ, CLOCK), PpgChain(FS_HZ, CLOCK)
    whole_s = record.ecg.size // FS_HZ
    found = [
        sorted(
            (one for one in chain.process(samples, 0) if isinstance(one, Beat)),
            key=lambda beat: beat.t_ns,
        )
        for chain, samples in ((ecg, 1e3 * record.ecg), (pulse, record.pulse))
    ]
    rates: dict[int, float | None] = {}
    for t_s in range(1, whole_s + 1):
        for known, add in zip(found, (step.add_ecg_beat, step.add_pulse), strict=True):
            while known and known[0].t_ns <= t_s * NS:
                add(known.pop(0))
        (said,) = step.at(t_s * NS)
        rates[t_s] = said.value
    return rates


def test_rates_from_ecg_and_pulse_agree_with_two_annotators(chevet_data: Path) -> None:
    rows, found = [], []
    for record in breathing_records(chevet_data):
        of_record = errors(record, beat_rates(record))
        rows.append(f"{record.name}  MAE {np.nanmean(of_record):.2f}")
        found += of_record
    print("\nbidmc, ECG and pulse wave", *rows, sep="\n")
    print(f"MAE {np.nanmean(found):.3f}, shown {np.mean(np.isfinite(found)):.1%}")

    assert np.nanmean(found) <= 1.0
    assert np.mean(np.isfinite(found)) >= 0.95
