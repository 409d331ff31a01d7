"""Accuracy on recordings of intensive care monitors: rates in windows, pulses against beats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.recording import SignalKind
from processors.scoring.rates import WINDOW_S as RATE_WINDOW_S
from processors.scoring.rates import RateScore, reference_rates_bpm, score_rates
from tests.benchmarks import peers
from tests.benchmarks.accuracy_ecg import EMPTY_RATES
from tests.benchmarks.accuracy_pulse import Pulses
from tests.benchmarks.figures import Figure
from tests.benchmarks.monitor_reference import AGREE, NEAR_S, Reference, delay_of
from tests.benchmarks.observed import Observed, observe
from tests.benchmarks.recordings import (
    WINDOW_S,
    MonitorRecord,
    bidmc,
    rates_of_events,
    window_means,
)

Floats = NDArray[np.float64]

_EVENTS: Final = {"ecg": codes.RR_INTERVAL.name, "pleth": codes.PP_INTERVAL.name}


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
    ecg_table, ppg_table, pulses = _Table(), _Table(), Pulses()
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
    _add_by_rule(table, record, reference, kind, found, name)
    table.add("against the monitor", record.monitor("heart_rate"), methods)


def _add_by_rule(
    table: _Table,
    record: MonitorRecord,
    reference: Reference,
    kind: SignalKind,
    found: Observed,
    name: str,
) -> None:
    """Compare with beats that are averaged like the values: the rates of the last ten seconds."""
    begins_s = record.windows_s()
    signal = record.signal(kind)
    events = {"": found.event_times_s(_EVENTS[kind])}
    for peer in peers.BY_KIND[kind]:
        events[peer.title] = peer.events_s(signal.physical(), float(signal.sampling_rate))
    for method, events_s in events.items():
        times_s, values, _ = found.values(name)
        if method:
            values = reference_rates_bpm(events_s, times_s)
        delay_s = delay_of(reference, events_s) if kind == "pleth" else 0.0
        known = reference.rates_by_rule(
            times_s, values, begins_s, after_s=RATE_WINDOW_S, delay_s=delay_s
        )
        rates = window_means(times_s, values, begins_s, after_s=RATE_WINDOW_S)
        table.add("against beats of two detectors by the same rule", known, {method: rates})


def _rate_score(found: Observed, reference: Reference) -> RateScore:
    """Compare each second on whose last beats two detectors agree."""
    if reference.agreement < AGREE:
        return EMPTY_RATES
    times_s, values, quality = found.values(codes.HEART_RATE.name)
    # The interval that ends first in the window began before it.
    agreed = reference.agreed(times_s - RATE_WINDOW_S - NEAR_S, times_s)
    known = reference_rates_bpm(reference.beats_s, times_s)
    return score_rates(values, quality, np.where(agreed, known, np.nan))


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
