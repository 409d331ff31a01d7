"""Accuracy of the pulse wave on monitor recordings: pulses against beats, rates by the second."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.scoring.pairing import pair_beats
from processors.scoring.rates import WINDOW_S as RATE_WINDOW_S
from processors.scoring.rates import RateScore, reference_rates_bpm, score_rates
from tests.benchmarks import peers
from tests.benchmarks.accuracy_ecg import EMPTY_RATES, rate_figures
from tests.benchmarks.figures import Figure
from tests.benchmarks.monitor_reference import (
    AGREE,
    MATCH_MS,
    NEAR_S,
    Reference,
    delay_of,
    whole_ms,
)
from tests.benchmarks.observed import Observed
from tests.benchmarks.recordings import MonitorRecord

Floats = NDArray[np.float64]

_MATCH_S: Final = MATCH_MS / 1000
_GOOD: Final = 0.9
_RATE: Final = (codes.PULSE_RATE.name,)


class Pulses:
    """Pulses against heart beats, the delay of each recording taken away."""

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._n_recordings = 0
        self._rates = EMPTY_RATES

    def add(self, record: MonitorRecord, reference: Reference, found: Observed) -> None:
        """Take one recording; it counts if its beats are known."""
        if reference.agreement < AGREE:
            return
        self._n_recordings += 1
        self._rates += _rate_score(found, reference)
        signal = record.signal("pleth")
        events = {"": found.event_times_s(codes.PP_INTERVAL.name)}
        for peer in peers.PPG:
            events[peer.title] = peer.events_s(signal.physical(), float(signal.sampling_rate))
        for method, times_s in events.items():
            counts = _pulse_counts(reference, times_s, float(record.recording.duration_s))
            self._counts[method] = self._counts.get(method, 0) + counts

    def figures(self) -> Iterator[Figure]:
        """Give what is known of the pulses, and of the rate each second."""
        section = (
            f"bidmc, {self._n_recordings} recordings on whose ECG two detectors agree: pulses "
            "against beats within 150 ms"
        )
        for name, i in (("sensitivity", 1), ("positive predictivity", 2), ("F1", 0)):
            shares = {method: _share(counts, i) for method, counts in self._counts.items()}
            ours = shares.pop("")
            yield Figure(
                section=section, quantities=(codes.PP_INTERVAL.name,), name=f"pulses, {name}",
                unit="%", ours=ours, peers=dict(shares),
            )  # fmt: skip
        section = (
            f"bidmc, {self._n_recordings} recordings on whose ECG two detectors agree: pulse rate "
            "each second, against beats by the same rule"
        )
        yield from rate_figures(section, _RATE, self._rates)
        good = self._rates.quality >= _GOOD
        left = RateScore(
            self._rates.n_asked,
            self._rates.test_bpm[good],
            self._rates.reference_bpm[good],
            self._rates.quality[good],
        )
        for one in rate_figures(section, _RATE, left):
            yield replace(one, name=f"quality from {_GOOD:g}, {one.name}")


def _rate_score(found: Observed, reference: Reference) -> RateScore:
    """Compare each second on whose last beats two detectors agree."""
    behind_s = delay_of(reference, found.event_times_s(codes.PP_INTERVAL.name))
    times_s, values, quality = found.values(codes.PULSE_RATE.name)
    agreed = reference.agreed(times_s - behind_s - RATE_WINDOW_S - NEAR_S, times_s - behind_s)
    known = reference_rates_bpm(reference.beats_s + behind_s, times_s)
    return score_rates(values, quality, np.where(agreed, known, np.nan))


def _share(counts: NDArray[np.int64], i_all: int) -> float:
    n_all = (counts[1] + counts[2]) / 2 if i_all == 0 else counts[i_all]
    return float(100 * counts[0] / max(1, n_all))


def _pulse_counts(reference: Reference, pulses_s: Floats, duration_s: float) -> NDArray[np.int64]:
    """Count pairs, beats and pulses that are judged, the recording's delay taken away.

    The pulse of a beat in the last moments comes when the recording is over, and the first pulses
    are those of beats before it began: neither is judged.
    """
    behind_s = delay_of(reference, pulses_s)
    at_s = pulses_s - behind_s
    pairing = pair_beats(whole_ms(reference.beats_s), whole_ms(at_s), MATCH_MS)
    is_judged = _undisputed(reference, reference.beats_s)
    is_judged &= reference.beats_s + behind_s < duration_s - _MATCH_S
    is_extra = _undisputed(reference, at_s) & (at_s > reference.beats_s[0] - _MATCH_S)
    is_extra[pairing.i_test] = False
    n_pairs = int(is_judged[pairing.i_reference].sum())
    return np.array([n_pairs, is_judged.sum(), n_pairs + is_extra.sum()])


def _undisputed(reference: Reference, times_s: Floats) -> NDArray[np.bool_]:
    return reference.agreed(times_s - NEAR_S, times_s + NEAR_S)
