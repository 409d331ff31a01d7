"""What a demo has shown: the ledger, the heart rates beside their references, the latencies."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.readback import Series, Stored
from ingest.recording import Recording
from processors.vitals import ecg, ppg
from processors.vitals.readings import DEVICE_READING

NS_PER_S: Final = 1_000_000_000
WINDOW_S: Final = 10.0
"""The heart rate's averaging window; the reference is averaged by the same rule."""

N_INTERVALS_MIN: Final = 3
SETTLING_S: Final = 10.0
TOLERANCE_BPM: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """One subject's heart rate and the reference, over the seconds that have a reference.

    The medians are both of the seconds that have a rate too: a rate that is withheld while it is
    fast would otherwise look slow.
    """

    source: str
    """``heart_rate`` from an ECG, or ``pulse_rate``: ours, else the device's own."""
    reference: str
    median: float | None
    reference_median: float | None
    within_2_bpm_percent: float | None
    n_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The result of one run."""

    seconds: float
    services: str
    rates: dict[str, RateReport]
    produced: dict[str, dict[str, int]]
    """Samples that each device took, by channel."""
    stored: int
    dropped: dict[str, int]
    spooled: int
    frames: int
    observations: int
    latency_ms: dict[str, dict[str, float | None]]
    restarts: dict[str, int] = field(default_factory=dict)
    page: str = ""

    @property
    def n_produced(self) -> int:
        """Samples that the sensors took."""
        return sum(sum(channels.values()) for channels in self.produced.values())

    @property
    def n_unaccounted(self) -> int:
        """Samples that nobody can say anything about; must be 0."""
        return self.n_produced - self.stored - sum(self.dropped.values()) - self.spooled

    @property
    def ok(self) -> bool:
        """True where data flowed to the end and every sample is accounted for."""
        return self.n_unaccounted == 0 and self.stored > 0 and self.observations > 0

    def as_json(self) -> dict[str, Any]:
        """Give the report as ``--json`` prints it."""
        return {
            "ok": self.ok,
            "seconds": self.seconds,
            "services": self.services,
            "subjects": {
                subject: {
                    "heart_rate_bpm": {
                        "median": rate.median,
                        "reference_median": rate.reference_median,
                        "within_2_bpm_percent": rate.within_2_bpm_percent,
                        "seconds_compared": rate.n_seconds,
                        "source": rate.source,
                        "reference": rate.reference,
                    }
                }
                for subject, rate in self.rates.items()
            },
            "devices": {name: {"samples_produced": c} for name, c in self.produced.items()},
            "samples_produced": self.n_produced,
            "samples_stored": self.stored,
            "samples_dropped": self.dropped,
            "samples_spooled": self.spooled,
            "samples_unaccounted": self.n_unaccounted,
            "frames": self.frames,
            "observations": self.observations,
            "latency_ms": self.latency_ms,
            "restarts": self.restarts,
        }

    def as_text(self) -> str:
        """Give the report for people."""
        dropped = ", ".join(f"{n} {cause}" for cause, n in self.dropped.items()) or "none"
        lines = [
            f"{self.seconds:.0f} s with {self.services} services",
            f"samples   {self.n_produced} produced = {self.stored} stored + {dropped} dropped"
            f" + {self.spooled} spooled"
            + (f"  !! {self.n_unaccounted} unaccounted" if self.n_unaccounted else ""),
            f"frames    {self.frames}, observations {self.observations}",
        ]
        lines += [f"latency   {_latency_text(*item)}" for item in self.latency_ms.items()]
        lines += [
            f"{subject:9} {rate.source} {_text(rate.median)}/min, reference"
            f" {_text(rate.reference_median)} ({rate.reference});"
            f" within {TOLERANCE_BPM:.0f}/min {_text(rate.within_2_bpm_percent)} % of the time"
            for subject, rate in self.rates.items()
        ]
        return "\n".join(lines)


def _text(value: float | None) -> str:
    return "---" if value is None else f"{value:.1f}"


def _latency_text(way: str, percentiles: dict[str, float | None]) -> str:
    figures = ", ".join(f"{name} {_text(value)} ms" for name, value in percentiles.items())
    return f"{way.replace('_', ' ')}: {figures}"


def reference_rate(
    beats_s: NDArray[np.float64], times_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average reference beats by the heart rate's own rule.

    Parameters
    ----------
    beats_s : shape (n_beats,), rising
    times_s : shape (n_times,)

    Returns
    -------
    shape (n_times,), /min
        60 over the mean of the RR intervals that ended in the last ten seconds; NaN with fewer
        than three.
    """
    ends, intervals = beats_s[1:], np.diff(beats_s)
    rates = np.full(times_s.shape, np.nan)
    for i, time_s in enumerate(times_s):
        inside = intervals[(ends > time_s - WINDOW_S) & (ends <= time_s)]
        if inside.size >= N_INTERVALS_MIN:
            rates[i] = 60.0 / inside.mean()
    return rates


def compare_rate(stored: Stored, subject: str, recording: Recording, start_ns: int) -> RateReport:
    """Hold a subject's stored rate against what is known of the recording that was played.

    Parameters
    ----------
    start_ns
        UTC at which the recording's first sample was played.
    """
    source, found = _rate(stored, subject)
    reference_name = _reference_name(recording, source)
    if found is None or reference_name is None:
        return RateReport(
            source=source,
            reference=reference_name or "none",
            median=None if found is None else _median(found.values),
            reference_median=None,
            within_2_bpm_percent=None,
            n_seconds=0,
        )
    return _compared(found, recording, start_ns, source, reference_name)


_RATES: Final = (
    ("heart_rate", ecg.HEART_RATE.name),
    ("pulse_rate", ppg.PULSE_RATE.name),
    ("pulse_rate", DEVICE_READING.name),
)
"""What is held against the reference: the first of these that the subject has."""


def _rate(stored: Stored, subject: str) -> tuple[str, Series | None]:
    for name, algorithm in _RATES:
        found = stored.observations.get((subject, name, algorithm))
        if found is not None:
            return name, found
    return _RATES[-1][0], None


def _reference_name(recording: Recording, source: str) -> str | None:
    """Name the monitor's own numerics where the recording has them, else its beats."""
    if source in recording.numerics:
        return f"numerics:{source}"
    return recording.beats_source if recording.beats_s is not None else None


def _compared(
    found: Series, recording: Recording, start_ns: int, source: str, reference_name: str
) -> RateReport:
    played_s = (found.t_ns - start_ns) / NS_PER_S
    in_record_s = played_s % recording.duration_s
    if source in recording.numerics:
        numeric = recording.numerics[source]
        values = [numeric.at(time_s) for time_s in in_record_s.tolist()]
        reference = np.array([np.nan if v is None else v for v in values])
    else:
        beats = recording.beats_s if recording.beats_s is not None else np.empty(0)
        reference = reference_rate(beats, in_record_s)
    settled = (
        (found.t_ns >= found.t_ns[0] + int(SETTLING_S * NS_PER_S))
        & (in_record_s >= SETTLING_S)
        & ~np.isnan(reference)
    )
    values, reference = found.values[settled], reference[settled]
    within = np.abs(values - reference) <= TOLERANCE_BPM  # NaN, "no value", is not within
    shown = ~np.isnan(values)
    return RateReport(
        source=source,
        reference=reference_name,
        median=_median(values),
        reference_median=_median(reference[shown]),
        within_2_bpm_percent=round(100.0 * float(within.mean()), 2) if within.size else None,
        n_seconds=int(within.size),
    )


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(np.median(known)), 2) if known.size else None
