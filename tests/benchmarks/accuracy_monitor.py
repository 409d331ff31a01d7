"""Accuracy on recordings of intensive care monitors: rates in windows, pulses against beats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.recording import SignalKind
from processors.scoring.pairing import pair_beats
from processors.scoring.rates import WINDOW_S as RATE_WINDOW_S
from processors.scoring.rates import RateScore, reference_rates_bpm, score_rates
from tests.benchmarks import peers
from tests.benchmarks.accuracy_ecg import EMPTY_RATES
from tests.benchmarks.figures import Figure
from tests.benchmarks.observed import Observed, observe
from tests.benchmarks.recordings import (
    WINDOW_S,
    MonitorRecord,
    bidmc,
    rates_of_events,
    window_means,
)

Floats = NDArray[np.float64]

_MS: Final = 1000
_WINDOW_MS: Final = 150
NEAR_S: Final = 2.0
"""So far around a beat that only one detector has, no pulse is judged."""
_DELAYS_MS: Final = range(0, 1200, 20)
"""Of a pulse behind its beat: the monitor delays the pulse wave too."""
AGREE: Final = 0.95
"""Recordings on whose beats two detectors agree so far judge the pulses, and the rates by the
second."""


_EVENTS: Final = {"ecg": codes.RR_INTERVAL.name, "pleth": codes.PP_INTERVAL.name}


class Reference:
    """What two independent detectors of ECG beats agree on in one recording."""

    def __init__(self, record: MonitorRecord) -> None:
        signal = record.signal("ecg")
        ecg, fs_hz = signal.physical(), float(signal.sampling_rate)
        one, other = (peer.events_s(ecg, fs_hz) for peer in (peers.SLEEPECG, peers.XQRS))
        pairing = pair_beats(_ms(one), _ms(other), _WINDOW_MS)
        self.beats_s = one[pairing.i_reference]
        self.agreement = 2 * pairing.n_pairs / max(1, one.size + other.size)
        self._alone_s = np.sort(
            np.concatenate([np.delete(one, pairing.i_reference), np.delete(other, pairing.i_test)])
        )
        begins_s = record.windows_s()
        agreed = self.agreed(begins_s, begins_s + WINDOW_S)
        self.rates_bpm = np.where(agreed, rates_of_events(self.beats_s, begins_s), np.nan)

    def agreed(self, begins_s: Floats, ends_s: Floats) -> NDArray[np.bool_]:
        """Tell of each span whether there is no beat in it that only one of them has."""
        first, last = (np.searchsorted(self._alone_s, times) for times in (begins_s, ends_s))
        same: NDArray[np.bool_] = first == last
        return same


def _ms(times_s: Floats) -> NDArray[np.int64]:
    return np.rint(times_s * _MS).astype(np.int64)


class _Errors:
    """Errors of one method over windows, and how many windows there were."""

    def __init__(self) -> None:
        self._errors: list[Floats] = []
        self._n_asked = 0

    def add(self, found: Floats, reference: Floats) -> None:
        """Take the windows of one recording; NaN: none."""
        asked = np.isfinite(reference)
        self._n_asked += int(asked.sum())
        difference = (found - reference)[asked]
        self._errors.append(np.abs(difference[np.isfinite(difference)]))

    @property
    def mae(self) -> float | None:
        """Mean absolute error of the windows with a value."""
        errors = np.concatenate(self._errors)
        return float(errors.mean()) if errors.size else None

    @property
    def coverage_percent(self) -> float | None:
        """Share of the windows with a value."""
        n_shown = sum(one.size for one in self._errors)
        return 100 * n_shown / self._n_asked if self._n_asked else None


class _Table:
    """Errors by reference and method; ours is the method without a name."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], _Errors] = {}

    def add(self, reference_name: str, reference: Floats, found: dict[str, Floats]) -> None:
        for method, rates in found.items():
            self._errors.setdefault((reference_name, method), _Errors()).add(rates, reference)

    def figures(self, section: str, quantities: tuple[str, ...]) -> Iterator[Figure]:
        for reference in dict.fromkeys(name for name, _ in self._errors):
            found = {method: e for (name, method), e in self._errors.items() if name == reference}
            ours = found.pop("")
            yield Figure(
                section=section, quantities=quantities, name=f"mean absolute error, {reference}",
                unit="/min", ours=ours.mae,
                peers={method: errors.mae for method, errors in found.items()},
            )  # fmt: skip
            yield Figure(
                section=section, quantities=quantities, name=f"windows with a value, {reference}",
                unit="%", ours=ours.coverage_percent, n_digits=1,
                peers={method: errors.coverage_percent for method, errors in found.items()},
            )  # fmt: skip


def monitors(folder: Path) -> tuple[list[Figure], RateScore]:
    """Score the monitor recordings; give the heart rates for the curve of quality too."""
    records = list(bidmc(folder))
    references = [Reference(record) for record in records]
    ecg_table, ppg_table, pulses = _Table(), _Table(), _Pulses()
    breaths = {name: _Table() for name in _BREATH_INPUTS}
    rates = EMPTY_RATES
    for record, reference in zip(records, references, strict=True):
        from_ecg, from_ppg = observe(record.only("ecg")), observe(record.only("pleth"))
        _add_rates(ecg_table, record, reference, "ecg", from_ecg, codes.HEART_RATE.name)
        _add_rates(ppg_table, record, reference, "pleth", from_ppg, codes.PULSE_RATE.name)
        pulses.add(record, reference, from_ppg)
        _add_breaths(breaths, record)
        rates += _rate_score(from_ecg, reference)
    n = len(records)
    figures = [
        *ecg_table.figures(f"bidmc, {n} recordings, ECG alone: 32 s windows", ("heart_rate",)),
        *ppg_table.figures(
            f"bidmc, {n} recordings, pulse wave alone: 32 s windows", ("pulse_rate",)
        ),
        *pulses.figures(),
    ]
    for name, table in breaths.items():
        section = f"bidmc, {n} recordings, respiratory rate from {name}: 32 s windows"
        figures += table.figures(section, ("respiratory_rate",))
    return figures, rates


def _add_rates(
    table: _Table,
    record: MonitorRecord,
    reference: Reference,
    kind: SignalKind,
    found: Observed,
    name: str,
) -> None:
    begins_s = record.windows_s()
    times_s, values, _ = found.values(name)
    events_s = found.event_times_s(_EVENTS[kind])
    methods = {
        "": window_means(times_s, values, begins_s, after_s=RATE_WINDOW_S),
        "Chevet's beats": rates_of_events(events_s, begins_s),
    }
    signal = record.signal(kind)
    for peer in peers.BY_KIND[kind]:
        events_s = peer.events_s(signal.physical(), float(signal.sampling_rate))
        methods[peer.title] = rates_of_events(events_s, begins_s)
    table.add("against beats of two detectors", reference.rates_bpm, methods)
    table.add("against the monitor", record.monitor("heart_rate"), methods)


def _rate_score(found: Observed, reference: Reference) -> RateScore:
    """Compare each second on whose last beats two detectors agree."""
    if reference.agreement < AGREE:
        return EMPTY_RATES
    times_s, values, quality = found.values(codes.HEART_RATE.name)
    # The interval that ends first in the window began before it.
    agreed = reference.agreed(times_s - RATE_WINDOW_S - NEAR_S, times_s)
    known = reference_rates_bpm(reference.beats_s, times_s)
    return score_rates(values, quality, np.where(agreed, known, np.nan))


class _Pulses:
    """Pulses against heart beats, the delay of each recording taken away."""

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._n_recordings = 0

    def add(self, record: MonitorRecord, reference: Reference, found: Observed) -> None:
        if reference.agreement < AGREE:
            return
        self._n_recordings += 1
        signal = record.signal("pleth")
        events = {"": found.event_times_s(codes.PP_INTERVAL.name)}
        for peer in peers.PPG:
            events[peer.title] = peer.events_s(signal.physical(), float(signal.sampling_rate))
        for method, times_s in events.items():
            counts = _pulse_counts(reference, times_s)
            self._counts[method] = self._counts.get(method, 0) + counts

    def figures(self) -> Iterator[Figure]:
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


def _share(counts: NDArray[np.int64], i_all: int) -> float:
    n_all = (counts[1] + counts[2]) / 2 if i_all == 0 else counts[i_all]
    return float(100 * counts[0] / max(1, n_all))


def delay_s(reference: Reference, pulses_s: Floats) -> float:
    """Give the delay of a recording's pulses behind its beats: with it most of them pair."""
    beats_ms, pulses_ms = _ms(reference.beats_s), _ms(pulses_s)
    return (
        max(
            _DELAYS_MS,
            key=lambda delay_ms: pair_beats(beats_ms, pulses_ms - delay_ms, _WINDOW_MS).n_pairs,
        )
        / _MS
    )


def _pulse_counts(reference: Reference, pulses_s: Floats) -> NDArray[np.int64]:
    """Count pairs, beats and pulses that are judged, the recording's delay taken away."""
    beats_ms, pulses_ms = _ms(reference.beats_s), _ms(pulses_s)
    delay_ms = round(delay_s(reference, pulses_s) * _MS)
    pairing = pair_beats(beats_ms, pulses_ms - delay_ms, _WINDOW_MS)
    is_judged = _undisputed(reference, reference.beats_s)
    is_extra = _undisputed(reference, pulses_s - delay_ms / _MS)
    is_extra[pairing.i_test] = False
    n_pairs = int(is_judged[pairing.i_reference].sum())
    return np.array([n_pairs, is_judged.sum(), n_pairs + is_extra.sum()])


def _undisputed(reference: Reference, times_s: Floats) -> NDArray[np.bool_]:
    return reference.agreed(times_s - NEAR_S, times_s + NEAR_S)


_BREATH_INPUTS: Final[dict[str, tuple[SignalKind, ...]]] = {
    "impedance": ("resp",),
    "ECG and pulse wave": ("ecg", "pleth"),
    "all signals": ("ecg", "pleth", "resp"),
}


def _add_breaths(tables: dict[str, _Table], record: MonitorRecord) -> None:
    begins_s, reference = record.windows_s(), record.breath_rates()
    for name, table in tables.items():
        found = observe(record.only(*_BREATH_INPUTS[name]))
        times_s, values, _ = found.values(codes.RESPIRATORY_RATE.name)
        methods = {"": _at_ends(times_s, values, begins_s)}
        if name == "impedance":
            signal = record.signal("resp")
            for peer in peers.RESP:
                events_s = peer.events_s(signal.physical(), float(signal.sampling_rate))
                methods[peer.title] = rates_of_events(events_s, begins_s)
            methods["the monitor's"] = record.monitor("respiratory_rate")
        table.add("against two annotators", reference, methods)


def _at_ends(times_s: Floats, values: Floats, begins_s: Floats) -> Floats:
    """Give the value at the end of each window: it is about the seconds before it."""
    known = dict(zip(np.rint(times_s).tolist(), values.tolist(), strict=True))
    return np.array([known.get(float(np.rint(b + WINDOW_S)), np.nan) for b in begins_s])
