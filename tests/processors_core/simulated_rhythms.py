"""RR intervals and fibrillation as models make them, for what the recordings at hand do not hold.

Every function takes a generator of random numbers, so that each person drawn differs from the
last: rate, depth and pace of respiration, how often and how early the ectopic beats come.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float64]
Rng = np.random.Generator


def wandering(rng: Rng, n: int, memory: float, spread: float) -> Floats:
    """A Gaussian series that forgets over ``memory`` steps."""
    keep = np.exp(-1 / memory)
    steps = rng.normal(size=n) * spread * np.sqrt(1 - keep * keep)
    start = np.array([rng.normal() * spread * keep])
    drawn, _ = signal.lfilter([1.0], [1.0, -keep], steps, zi=start)
    return np.asarray(drawn, dtype=np.float64)


def sinus(rng: Rng, n: int, rate: tuple[float, float] = (45, 115), rsa: float = 0.03) -> Floats:
    """Sinus rhythm with respiratory arrhythmia, Mayer waves, slow trends and jitter."""
    rr = 60 / rng.uniform(*rate)
    breaths = rng.uniform(0.12, 0.35) * (1 + wandering(rng, n, 20, 0.12))
    slow = wandering(rng, n, 40, 0.03) + wandering(rng, n, 3, 0.012)
    phase = rng.uniform(0, 6) + np.cumsum(2 * np.pi * breaths * rr)
    return np.asarray(
        np.maximum(rr * (1 + slow + rsa * np.sin(phase)) + rng.normal(size=n) * 0.006, 0.3)
    )


def deep_breathing(rng: Rng, n: int) -> Floats:
    return sinus(rng, n, (45, 75), rng.uniform(0.08, 0.15))


def atrial_fibrillation(
    rng: Rng,
    n: int,
    rate: tuple[float, float] = (60, 150),
    spread: tuple[float, float] = (0.12, 0.28),
) -> Floats:
    """Independent intervals with a long upper tail around a slowly moving mean."""
    mean = 60 / rng.uniform(*rate) * (1 + wandering(rng, n, 60, 0.06))
    shape = rng.uniform(2.5, 8)
    drawn = (rng.gamma(shape, 1, n) - shape) / np.sqrt(shape)
    return np.asarray(np.maximum(mean * (1 + rng.uniform(*spread) * drawn), 0.26))


def premature_atrial(rng: Rng, n: int, often: tuple[float, float] = (0.03, 0.35)) -> Floats:
    """Sinus rhythm with early beats that reset the node: short, then a little long."""
    base = sinus(rng, n)
    share, coupling = rng.uniform(*often), rng.uniform(0.55, 0.8)
    rrs: list[float] = []
    for rr in base:
        if rng.random() < share:
            rrs += [rr * (coupling + rng.normal() * 0.05), rr * rng.uniform(1.0, 1.25)]
        else:
            rrs.append(rr)
    return np.array(rrs[:n])


def every_nth_early(rng: Rng, n: int, order: int) -> Floats:
    """Bigeminy, trigeminy, quadrigeminy, with a beat now and then that breaks the pattern."""
    base = sinus(rng, n)
    coupling, pause = rng.uniform(0.5, 0.75), rng.uniform(0.85, 1.0)
    rrs: list[float] = []
    for rr in base:
        early = coupling + rng.normal() * 0.02
        rrs += [rr] * (order - 2) + [rr * early, rr * (1 + pause * (1 - early))]
        rrs += [rr] * (rng.random() < 0.05)
    return np.array(rrs[:n])


def atrial_runs(rng: Rng, n: int) -> Floats:
    """Salvos of three to twenty atrial beats at twice the rate, between stretches of sinus."""
    base = sinus(rng, n, (60, 90))
    rrs: list[float] = []
    while len(rrs) < n:
        at = len(rrs)
        rrs += list(base[at : at + int(rng.integers(3, 25))])
        rrs += list(base[at] * 0.5 * (1 + 0.02 * rng.normal(size=int(rng.integers(3, 20)))))
        rrs.append(base[at] * 1.3)
    return np.array(rrs[:n])


def atrial_couplets(rng: Rng, n: int) -> Floats:
    """Single early beats and pairs of them, each for one beat in seven."""
    rrs: list[float] = []
    for rr in sinus(rng, n):
        early = rr * (0.65 + 0.05 * rng.normal(size=2))
        fate = rng.random()
        if fate < 0.15:
            rrs += [early[0], rr * 1.1]
        elif fate < 0.3:
            rrs += [*early, rr * 1.2]
        else:
            rrs.append(rr)
    return np.array(rrs[:n])


def wenckebach(rng: Rng, n: int) -> Floats:
    """Groups of three to five beats, the intervals shortening before the dropped one."""
    rr = 60 / rng.uniform(50, 110)
    rrs: list[float] = []
    while len(rrs) < n:
        rrs += [rr * (0.97 - 0.03 * k) for k in range(int(rng.integers(1, 4)))] + [rr * 1.75]
    return np.array(rrs[:n]) + rng.normal(size=n) * 0.008


def paced(rng: Rng, n: int) -> Floats:
    return 60 / rng.uniform(60, 80) + rng.normal(size=n) * 0.003


def with_pauses(rng: Rng, n: int) -> Floats:
    return sinus(rng, n, (50, 75)) * np.where(rng.random(n) < 0.04, rng.uniform(1.6, 3, n), 1)


def miscounted(rng: Rng, n: int) -> Floats:
    """Sinus rhythm of which one beat in twenty is missed or invented."""
    rrs: list[float] = []
    for rr in sinus(rng, n):
        fate = rng.random()
        if fate < 0.03:
            first = rng.uniform(0.2, 0.8)
            rrs += [rr * first, rr * (1 - first)]
        elif fate < 0.06 and rrs:
            rrs[-1] += rr
        else:
            rrs.append(rr)
    return np.array(rrs[:n])


def flutter(rng: Rng, n: int, ratios: tuple[int, ...]) -> Floats:
    """Atrial flutter: the ventricles follow every second, third or fourth atrial beat."""
    atrial = rng.uniform(0.19, 0.24)
    return atrial * rng.choice(ratios, n) + rng.normal(size=n) * 0.008


NOT_FIBRILLATION: dict[str, Callable[[Rng, int], Floats]] = {
    "sinus": sinus,
    "deep breathing": deep_breathing,
    "atrial ectopy": premature_atrial,
    "much atrial ectopy": lambda rng, n: premature_atrial(rng, n, (0.25, 0.45)),
    "atrial couplets": atrial_couplets,
    "atrial runs": atrial_runs,
    "bigeminy": lambda rng, n: every_nth_early(rng, n, 2),
    "trigeminy": lambda rng, n: every_nth_early(rng, n, 3),
    "quadrigeminy": lambda rng, n: every_nth_early(rng, n, 4),
    "Wenckebach": wenckebach,
    "paced": paced,
    "pauses": with_pauses,
    "miscounted": miscounted,
    "flutter 2:1": lambda rng, n: flutter(rng, n, (2,)),
}
FIBRILLATION: dict[str, Callable[[Rng, int], Floats]] = {
    "fibrillation": atrial_fibrillation,
    "fast": lambda rng, n: atrial_fibrillation(rng, n, (120, 160)),
    "slow": lambda rng, n: atrial_fibrillation(rng, n, (50, 70)),
}


def ventricular_fibrillation_uv(
    rng: Rng, fs_hz: float, duration_s: float, centre_hz: float = 5.0, mean_uv: float = 300.0
) -> Floats:
    """Three oscillations of wandering frequency and height, on wander and noise.

    The dominant frequency of fibrillation is 3 to 7 Hz; its height waxes and wanes within seconds.
    """
    n = round(duration_s * fs_hz)
    total = np.zeros(n)
    weight = rng.uniform(0.1, 0.9)
    parts = ((1.0, 1.0), (rng.uniform(0.6, 0.9), weight), (rng.uniform(1.15, 1.5), 0.7 * weight))
    for ratio, height in parts:
        hz = np.clip(centre_hz * ratio + wandering(rng, n, 0.7 * fs_hz, 0.5), 2, 9)
        envelope = np.abs(1 + wandering(rng, n, 0.8 * fs_hz, 0.4))
        total += height * envelope * np.sin(np.cumsum(2 * np.pi * hz / fs_hz) + rng.uniform(0, 6))
    wander = 100 * np.sin(2 * np.pi * 0.2 * np.arange(n) / fs_hz)
    return np.asarray(total * mean_uv / np.abs(total).mean() + wander + 10 * rng.normal(size=n))


def flutter_uv(fs_hz: float, duration_s: float, rate_hz: float = 4.5) -> Floats:
    """Ventricular flutter: nearly a sine, as tall as complexes."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    wave = np.sin(2 * np.pi * rate_hz * t) + 0.25 * np.sin(4 * np.pi * rate_hz * t + 0.5)
    return np.asarray(900 * wave)


def modulated_sinusoids_uv(rng: Rng, fs_hz: float, duration_s: float) -> Floats:
    """Fibrillation as two to five sinusoids, each modulated in height and frequency."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    centre_hz, total = rng.uniform(3.5, 8), np.zeros(t.size)
    for _ in range(int(rng.integers(2, 6))):
        slow = 2 * np.pi * rng.uniform(0.1, 0.6, 2)[:, None] * t + rng.uniform(0, 6, 2)[:, None]
        envelope = rng.uniform(0.3, 1) * (1 + 0.6 * np.sin(slow[0]))
        phase = 2 * np.pi * centre_hz * rng.uniform(0.7, 1.3) * t
        total += envelope * np.sin(phase + rng.uniform(0.5, 2) * np.sin(slow[1]))
    return _of_height(rng, total)


def narrow_band_uv(rng: Rng, fs_hz: float, duration_s: float) -> Floats:
    """Fibrillation as noise in a band of 1.4 Hz."""
    centre_hz = rng.uniform(3.5, 7)
    edges = (centre_hz - 0.7, centre_hz + 0.7)
    sos = signal.butter(2, edges, "bandpass", fs=fs_hz, output="sos")
    n_before = round(8 * fs_hz)
    drawn = rng.normal(size=round(duration_s * fs_hz) + n_before)
    return _of_height(rng, np.asarray(signal.sosfilt(sos, drawn))[n_before:])


def torsade_uv(rng: Rng, fs_hz: float, duration_s: float) -> Floats:
    """Torsade de pointes: the axis turns every few seconds."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    turning = np.sin(2 * np.pi * rng.uniform(0.1, 0.25) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * rng.uniform(3.3, 4.5) * t + 0.5 * np.sin(2 * np.pi * 0.3 * t)
    return _of_height(rng, turning * np.sin(phase))


def sawtooth_flutter_uv(rng: Rng, fs_hz: float, duration_s: float) -> Floats:
    """Ventricular flutter as a triangle, steeper on one side."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    wave = signal.sawtooth(2 * np.pi * rng.uniform(3.3, 5.5) * t, rng.uniform(0.3, 0.7))
    return _of_height(rng, np.asarray(wave))


def _of_height(rng: Rng, wave: Floats) -> Floats:
    """Scale to a mean height of 60 to 600 uV, and add a little noise."""
    scaled = wave / np.abs(wave).mean() * rng.uniform(60, 600)
    return np.asarray(scaled + 10 * rng.normal(size=wave.size))
