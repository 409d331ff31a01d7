"""What the benchmarks compute with: windows, noisy minutes, the subject, the figures they print."""

import json
from pathlib import Path

import numpy as np
import pytest

from devices import codes
from tests.benchmarks import results, write_signals
from tests.benchmarks.figures import Figure, print_sections
from tests.benchmarks.peers import Peer
from tests.benchmarks.recordings import is_noisy, rates_of_events, window_means
from tests.benchmarks.subject import START_NS, frames


def test_windows_take_what_is_said_within_them() -> None:
    times_s = np.arange(0.0, 64.0)
    values = np.where(times_s < 40, times_s, np.nan)

    means = window_means(times_s, values, np.array([0.0, 32.0, 50.0]), after_s=10)

    assert means[0] == pytest.approx(np.arange(11, 33).mean())
    assert np.isnan(means[1:]).all()


def test_a_rate_of_events_is_that_of_their_mean_interval() -> None:
    rates = rates_of_events(np.array([1.0, 2.0, 4.0, 40.0]), np.array([0.0, 32.0, 64.0]))

    assert rates[0] == pytest.approx(40.0)
    assert np.isnan(rates[1:]).all()


def test_every_other_two_minutes_are_noisy_from_the_sixth_on() -> None:
    at_s = np.array([0.0, 299.0, 300.0, 419.0, 420.0, 539.0, 540.0])

    assert is_noisy(at_s).tolist() == [False, False, True, True, False, False, True]


def test_the_subject_has_every_signal_at_its_rate_and_ends_a_day() -> None:
    made = frames(12, frame_s=5)

    assert [frame.n_samples for frame in made] == [5 * 550, 5 * 550, 2 * 550]
    ecg = [frame.waveforms[0] for frame in made]
    assert [block.i_first for block in ecg] == [0, 1250, 2500]
    assert ecg[1].t0_ns == START_NS + 5 * 10**9
    assert (START_NS // 10**9) % 86_400 == 86_400 - 600
    assert [frame.n_samples for frame in frames(2, only=("ecg",))] == [250, 250]


def test_a_peer_that_raises_has_found_nothing_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.peers.FOLDER", tmp_path)
    asked: list[float] = []

    def detect(signal: np.ndarray[tuple[int, ...], np.dtype[np.float64]], fs_hz: float) -> object:
        asked.append(fs_hz + signal.size)
        raise ArithmeticError

    peer = Peer("fragile", "numpy", detect)  # type: ignore[arg-type]

    for _ in range(2):
        assert peer.events_s(np.zeros(9), 100.0).size == 0
    assert asked == [109.0]


def test_measured_figures_get_onto_the_page_and_nothing_else_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    figure = Figure(
        section="mitdb, whole",
        quantities=(codes.RR_INTERVAL.name,),
        name="beats, F1",
        unit="%",
        ours=99.876,
        peers={"other 1.0": None},
    )
    print_sections([figure])
    results.save("accuracy", {"figures": [figure.as_json()], "curves": {}})

    part = write_signals.measured_part()

    assert "99.88" in capsys.readouterr().out
    assert part is not None
    assert "| beats, F1 | % | 99.88 | - |" in part
    assert "Of `rr_interval`." in part
    stored = json.loads((tmp_path / "accuracy.json").read_text())
    assert set(stored) == {"date", "python", "versions", "figures", "curves"}
