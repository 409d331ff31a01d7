"""Packets of a simulated strap: true time of the last sample, device stamp, host arrival."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ingest.frame import NS_PER_S

RATE_HZ: Final = 130
N_SAMPLES: Final = 73
LEAST_DELAY_NS: Final = 4_000_000
DEVICE_0_NS: Final = 600_000_000 * NS_PER_S
UTC_0_NS: Final = 1_790_000_000 * NS_PER_S
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Packet:
    """One payload with 73 samples; all times are of its last sample, but for the arrival."""

    i_last: int
    true_ns: int
    device_ns: int
    arrival_ns: int


@dataclass(slots=True, kw_only=True)
class Radio:
    """What the link and the crystal do; times in seconds since the start."""

    ppm: Callable[[float], float]
    """How fast the device's clock is, in parts per million, at a time."""
    hours: float = 4.0
    seed: int = 1
    interval_ns: int = 45_000_000
    burst_share: float = 0.03
    burst_s: float = 0.25
    late_ns: Callable[[float], int] = lambda _t_s: 0
    """What every packet is late by in addition."""
    random_wait: bool = True
    """Else the wait for the next connection event is that of two clocks that beat."""
    silent: Callable[[float], bool] = lambda _t_s: False
    rng: random.Random = field(init=False)

    def packets(self) -> Iterator[Packet]:
        """Give the packets in order of sending."""
        self.rng = random.Random(self.seed)
        sample_ns = NS_PER_S / RATE_HZ
        true_ns, i_last = 0.0, -1
        while true_ns < self.hours * HOUR_S * NS_PER_S:
            t_s = true_ns / NS_PER_S
            # The samples are taken, and stamped, by the device's own clock.
            true_ns += N_SAMPLES * sample_ns / (1 + 1e-6 * self.ppm(t_s))
            i_last += N_SAMPLES
            delay_ns = self._delay_ns(round(true_ns), t_s)
            if not self.silent(t_s):
                yield Packet(
                    i_last=i_last,
                    true_ns=round(true_ns),
                    device_ns=DEVICE_0_NS + i_last * NS_PER_S // RATE_HZ,
                    arrival_ns=round(true_ns) + delay_ns,
                )

    def _delay_ns(self, true_ns: int, t_s: float) -> int:
        wait_ns = -true_ns % self.interval_ns
        if self.random_wait:
            wait_ns = self.rng.randrange(self.interval_ns)
        delay_ns = LEAST_DELAY_NS + wait_ns + self.late_ns(t_s)
        if self.rng.random() < self.burst_share:
            delay_ns += round(self.rng.expovariate(1 / self.burst_s) * NS_PER_S)
        return delay_ns


def constant(ppm: float) -> Callable[[float], float]:
    return lambda _t_s: ppm


def ramp(
    before_ppm: float, after_ppm: float, at_s: float, lasts_s: float
) -> Callable[[float], float]:
    """Drift that changes evenly from one value to another."""

    def ppm(t_s: float) -> float:
        part = min(1.0, max(0.0, (t_s - at_s) / lasts_s))
        return before_ppm + part * (after_ppm - before_ppm)

    return ppm


def drift_ppm(radio: Radio, t_s: float) -> float:
    """Host time gained per device time."""
    return 1e6 * (1 / (1 + 1e-6 * radio.ppm(t_s)) - 1)
