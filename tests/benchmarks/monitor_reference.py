"""When the heart beat in a recording of a monitor that nobody has annotated."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.scoring.pairing import pair_beats
from processors.scoring.rates import reference_rates_bpm
from tests.benchmarks import peers
from tests.benchmarks.recordings import WINDOW_S, MonitorRecord, rates_of_events, window_means

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MATCH_MS: Final = 150
NEAR_S: Final = 2.0
"""So far around a beat that only one detector has, no pulse is judged."""
AGREE: Final = 0.95
"""Recordings on whose beats two detectors agree so far judge the pulses, and the rates by the
second."""
_MS: Final = 1000
_DELAYS_MS: Final = range(0, 1200, 20)
"""Of a pulse behind its beat: the monitor delays the pulse wave too."""


class Reference:
    """What two independent detectors of ECG beats agree on in one recording."""

    def __init__(self, record: MonitorRecord) -> None:
        signal = record.signal("ecg")
        ecg, fs_hz = signal.physical(), float(signal.sampling_rate)
        one, other = (peer.events_s(ecg, fs_hz) for peer in (peers.SLEEPECG, peers.XQRS))
        pairing = pair_beats(whole_ms(one), whole_ms(other), MATCH_MS)
        self.beats_s = one[pairing.i_reference]
        self.agreement = 2 * pairing.n_pairs / max(1, one.size + other.size)
        self._alone_s = np.sort(
            np.concatenate([np.delete(one, pairing.i_reference), np.delete(other, pairing.i_test)])
        )
        begins_s = record.windows_s()
        agreed = self.agreed(begins_s, begins_s + WINDOW_S)
        self.rates_bpm = np.where(agreed, rates_of_events(self.beats_s, begins_s), np.nan)

    def rates_by_rule(
        self, times_s: Floats, values: Floats, begins_s: Floats, *, after_s: float, delay_s: float
    ) -> Floats:
        """Average over each window the rates that the beats have at the times of some values.

        A rate that is the mean of some seconds, each resting on those before, weighs the beats of
        a window otherwise than the window does: where the heart speeds up, both are right and
        differ. So the beats are averaged as the values are, and where there are values.

        Parameters
        ----------
        delay_s
            Of what the values rest on, behind the beats.

        Returns
        -------
        shape (n_windows,)
            Per minute; NaN where the detectors do not agree. A window without values has a rate.
        """
        known = reference_rates_bpm(self.beats_s + delay_s, times_s)
        at_values = np.where(np.isfinite(values), known, np.nan)
        some, every = (
            window_means(times_s, rates, begins_s, after_s=after_s) for rates in (at_values, known)
        )
        rates = np.where(np.isfinite(some), some, every)
        return np.where(np.isfinite(self.rates_bpm), rates, np.nan)

    def agreed(self, begins_s: Floats, ends_s: Floats) -> NDArray[np.bool_]:
        """Tell of each span whether there is no beat in it that only one of them has."""
        first, last = (np.searchsorted(self._alone_s, times) for times in (begins_s, ends_s))
        same: NDArray[np.bool_] = first == last
        return same


def whole_ms(times_s: Floats) -> NDArray[np.int64]:
    """Round to milliseconds."""
    return np.rint(times_s * _MS).astype(np.int64)


def delay_of(reference: Reference, pulses_s: Floats) -> float:
    """Give the delay of a recording's pulses behind its beats: with it most of them pair."""
    beats_ms, pulses_ms = whole_ms(reference.beats_s), whole_ms(pulses_s)

    def n_pairs(delay_ms: int) -> int:
        return pair_beats(beats_ms, pulses_ms - delay_ms, MATCH_MS).n_pairs

    return max(_DELAYS_MS, key=n_pairs) / _MS
