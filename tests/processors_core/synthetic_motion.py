"""Accelerations of made-up people whose steps, postures and falls are known, in g."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

UPRIGHT = (-1.0, 0.0, 0.0)
"""Gravity on the axes of a Polar H10 while its wearer stands."""
SUPINE = (0.0, 0.0, 1.0)
_FINE_HZ = 1200
"""A whole multiple of most rates: a walk is made once and taken at each of them."""


def rest(duration_s: float, fs_hz: float, gravity: tuple[float, ...] = UPRIGHT) -> Floats:
    """Somebody breathes, with an accelerometer's noise."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    still = np.repeat(np.array(gravity)[:, None], t.size, axis=1)
    still[2] += 0.008 * np.sin(2 * np.pi * 0.25 * t)
    return noisy(still, 0.003)


def noisy(acceleration: Floats, sd_g: float) -> Floats:
    return acceleration + np.random.default_rng(8).normal(0, sd_g, acceleration.shape)


def _phase(n_steps: int, steps_per_min: float, seed: int, jitter: float) -> Floats:
    """Step phase (1 for each step) on the fine grid; each step a little longer or shorter."""
    rng = np.random.default_rng(seed)
    step_s = 60 / steps_per_min * (1 + jitter * rng.standard_normal(n_steps))
    at_s = np.concatenate([[0], np.cumsum(step_s)])
    return np.interp(np.arange(0, at_s[-1], 1 / _FINE_HZ), at_s, np.arange(n_steps + 1))


def _taken_at(fine: Floats, fs_hz: float) -> Floats:
    t = np.arange(0, fine.shape[1] / _FINE_HZ, 1 / fs_hz)
    grid = np.arange(fine.shape[1]) / _FINE_HZ
    return np.array([np.interp(t, grid, axis) for axis in fine])


def _within_rest(moving: Floats, fs_hz: float, around_s: float) -> Floats:
    n_around = round(around_s * fs_hz)
    moving = np.pad(moving, ((0, 0), (n_around, n_around)))
    return moving + rest(moving.shape[1] / fs_hz, fs_hz)[:, : moving.shape[1]]


def chest_walk(
    n_steps: int,
    steps_per_min: float,
    fs_hz: float,
    strength: float = 1.0,
    seed: int = 1,
    jitter: float = 0.02,
    around_s: float = 10.0,
) -> Floats:
    """Somebody stands, walks ``n_steps`` and stands again; a sternum's acceleration.

    Vertical: one wave a step with its second harmonic and a heel strike; sideways one wave every
    two steps; more with the square of the cadence.
    """
    phase = _phase(n_steps, steps_per_min, seed, jitter)
    size = strength * 0.16 * (steps_per_min / 100) ** 2
    turn = 2 * np.pi * phase
    strike = np.exp(-0.5 * (((phase % 1) - 0.15) / 0.05) ** 2)
    up = size * (np.cos(turn) + 0.45 * np.cos(2 * turn + 0.9) + 0.8 * (strike - 0.125))
    ahead = 0.6 * size * np.sin(turn + 0.5)
    aside = 0.5 * size * np.sin(turn / 2)
    # upright, the device's x shows down
    return _within_rest(_taken_at(np.array([-up, aside, ahead]), fs_hz), fs_hz, around_s)


def wrist_walk(
    n_steps: int,
    steps_per_min: float,
    fs_hz: float,
    swing_deg: float = 20.0,
    seed: int = 1,
    around_s: float = 10.0,
) -> Floats:
    """Somebody stands, walks with swinging arms and stands again; a wrist's acceleration.

    A pendulum of 0.6 m that swings further forward than back, hung on a trunk that bounces.
    """
    phase = _phase(n_steps, steps_per_min, seed, 0.02)
    phase = ndimage.gaussian_filter1d(phase, 0.1 * _FINE_HZ, mode="nearest")
    turn = 2 * np.pi * phase
    size = 0.12 * (steps_per_min / 100) ** 2
    angle = np.radians(swing_deg) * (np.sin(turn / 2) + 0.25)
    angle *= 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(phase, n_steps - phase), 0, 1))
    speed = np.gradient(angle) * _FINE_HZ
    along = np.cos(angle) * (1 + size * np.cos(turn)) + 0.6 / 9.81 * speed**2
    across = np.sin(angle) * (1 + size * np.cos(turn)) + 0.6 / 9.81 * np.gradient(speed) * _FINE_HZ
    moving = _taken_at(np.array([-(along - 1), across, 0.3 * size * np.sin(turn)]), fs_hz)
    return _within_rest(moving, fs_hz, around_s)


def car_ride(duration_s: float, fs_hz: float, seed: int = 2) -> Floats:
    """Somebody sits in a car: a soft resonance of the body, wheels and engine, curves."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * _FINE_HZ)
    f = np.fft.rfftfreq(n, 1 / _FINE_HZ)
    body = 1 / np.hypot(1 - (f / 1.5) ** 2, 0.5 * f / 1.5)
    wheels = 0.7 / np.hypot(1 - (f / 11) ** 2, 0.4 * f / 11)
    gain = np.where(f > 0.3, body + wheels, 0) * (f < 25)
    axes = []
    for rms_g in (0.07, 0.04, 0.04):
        shaken = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)
        curves = 0.1 * np.sin(2 * np.pi * np.cumsum(rng.normal(0.05, 0.02, n)) / _FINE_HZ)
        axes.append(rms_g * shaken / shaken.std() + curves)
    shaken = _taken_at(np.array(axes), fs_hz)
    return shaken + rest(duration_s, fs_hz)[:, : shaken.shape[1]]


def fall(fs_hz: float, after: tuple[float, ...] = SUPINE, impact_g: float = 3.5) -> Floats:
    """Stand ten seconds, fall within half a second, lie for twenty."""
    n_fall = round(0.4 * fs_hz)
    n_blow = max(2, round(0.06 * fs_hz))
    share = np.linspace(1, 0.25, n_fall)
    falling = np.array(UPRIGHT)[:, None] * share
    lying = rest(20.0, fs_hz, after)
    blow = np.array(after)[:, None] * np.full(n_blow, impact_g)
    return np.concatenate([rest(10.0, fs_hz), falling, blow, lying], axis=1)
