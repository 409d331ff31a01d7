"""The agent's own clocks and grids, through the pipeline: what it corrects costs nobody a beat."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from ingest.recording import open_recording
from tests.edge.radio_model import RATE_HZ, UTC_0_NS, Radio, constant
from tests.edge.test_sample_grid import Placed, play
from tests.pipeline.test_pipeline import observations, outputs

MINUTES = 12
MS = 1_000_000


def ecg_counts(path: Path) -> NDArray[np.int32]:
    """One lead of a recording, at the strap's rate."""
    lead = open_recording(str(path)).signals[0]
    n_samples = MINUTES * 60 * RATE_HZ
    at = np.arange(n_samples) * float(lead.sampling_rate / Fraction(RATE_HZ))
    counts: NDArray[np.int32] = np.interp(at, np.arange(lead.counts.size), lead.counts).astype("i4")
    return counts


def frame(sequence: int, counts: NDArray[np.int32], i: int, t_ns: int, p: SamplePeriod) -> Frame:
    block = WaveformBlock(
        device_id="strap-1",
        channel="ecg",
        mdc_code=codes.ECG_I.mdc,
        unit="uV",
        scale=5.0,
        offset=0.0,
        i_first=i,
        t0_ns=t_ns,
        period=p,
        counts=counts,
    )
    return Frame(subject_id="p-1", agent_id="a-1", sequence=sequence, waveforms=(block,))


def as_sent(placed: list[Placed], counts: NDArray[np.int32]) -> Iterator[Frame]:
    for n, one in enumerate(placed):
        place = one.placement
        n_samples = one.packet.i_last + 1 - place.i_first
        piece = counts[place.i_first : place.i_first + n_samples]
        yield frame(n, piece, place.i_first, place.t0_ns, place.period)


@pytest.mark.parametrize(("ppm", "late_ms"), [(80.0, 0), (-80.0, 0), (20.0, 300)])
def test_a_strap_with_a_drifting_clock_has_every_beat_and_every_rate(
    chevet_data: Path, ppm: float, late_ms: int
) -> None:
    counts = ecg_counts(chevet_data / "mitdb" / "101")
    radio = Radio(
        ppm=constant(ppm),
        hours=MINUTES / 60 - 0.01,
        late_ns=lambda t_s: late_ms * MS if t_s < 0.1 else 0,
    )
    placed = list(play(radio.packets()))
    true_ns = NS_PER_S / RATE_HZ / (1 + ppm * 1e-6)
    truth = SamplePeriod(ns_numerator=round(true_ns * 10_000), ns_denominator=10_000)
    last = placed[-1].packet
    t0_ns = UTC_0_NS + last.true_ns - truth.offset_ns(last.i_last)
    n_samples = last.i_last + 1

    found = observations(outputs(as_sent(placed, counts)))
    expected = observations(outputs([frame(0, counts[:n_samples], 0, t0_ns, truth)]))

    assert sum(one.placement.grid_changed for one in placed) >= 2
    beats = [one for one in found if one.name == "rr_interval"]
    at_truth = [one for one in expected if one.name == "rr_interval"]
    assert len(beats) == len(at_truth) > 700
    assert [one.reason for one in beats].count("first_beat") == 1
    errors_ns = np.array([a.t_ns - b.t_ns for a, b in zip(beats, at_truth, strict=True)])
    assert np.abs(errors_ns[150:]).max() < 6 * MS  # behind the first two minutes
    for one, true in zip(beats[1:], at_truth[1:], strict=True):
        assert one.value == pytest.approx(true.value, rel=0.0055)
    rates = [one for one in found if one.algorithm == "ecg_heart_rate"]
    assert all(b.t_ns - a.t_ns == NS_PER_S for a, b in pairwise(rates))
    # A beat may be a hair before a second on one grid and behind it on the other.
    known_ns = {
        one.t_ns for one in expected if one.algorithm == "ecg_heart_rate" and one.value is not None
    }
    missing_ns = {one.t_ns for one in rates if one.value is None}
    assert len(known_ns) > 0.95 * len(rates)
    assert not [t for t in missing_ns if known_ns >= {t - NS_PER_S, t, t + NS_PER_S}]
