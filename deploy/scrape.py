"""Read the metrics of a role that runs on this machine."""

import urllib.request
from collections.abc import Iterable
from typing import Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

SCRAPE_S_MAX: Final = 5.0

Buckets = list[tuple[float, float]]
"""Upper bounds in seconds, rising, with the count at or below each."""


class Metrics:
    """What a role said at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> float | None:
        """Add up the samples of a name that have these labels; None where there is none."""
        found = [
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return float(sum(found)) if found else None

    def buckets(self, name: str) -> Buckets:
        """Give a histogram, nothing where there is none."""
        return [
            (float(sample.labels["le"]), sample.value)
            for sample in self._samples
            if sample.name == f"{name}_bucket"
        ]


def scrape(port: int) -> Metrics:
    """Ask a role on 127.0.0.1 for its metrics.

    Raises
    ------
    OSError
        It does not answer.
    """
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=SCRAPE_S_MAX) as answer:
        return Metrics(answer.read().decode())


def added(histograms: Iterable[Buckets], *, sign: int = 1) -> Buckets:
    """Add histograms of the same bounds, the second and later ones with a sign."""
    found: Buckets = []
    for n, one in enumerate(histograms):
        if not found:
            found = list(one)
        elif one:
            factor = sign if n else 1
            found = [(le, a + factor * b) for (le, a), (_, b) in zip(found, one, strict=True)]
    return found


def histogram_percentile_ms(buckets: Buckets, percent: float) -> float | None:
    """Read a percentile from cumulative buckets, linear within one; None where nothing is in them.

    Parameters
    ----------
    buckets
        Upper bounds in seconds, rising, with the count at or below each.
    """
    if not buckets or buckets[-1][1] == 0:
        return None
    wanted = buckets[-1][1] * percent / 100
    bounds, counts = (np.array(column) for column in zip(*buckets, strict=True))
    i = int(np.searchsorted(counts, wanted))
    low, n_low = (bounds[i - 1], counts[i - 1]) if i else (0.0, 0.0)
    high = bounds[i] if np.isfinite(bounds[i]) else low
    share = (wanted - n_low) / (counts[i] - n_low) if counts[i] > n_low else 1.0
    return round(1000 * float(low + share * (high - low)), 1)
