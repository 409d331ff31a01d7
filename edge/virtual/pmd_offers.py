"""What a virtual peripheral offers by Polar's measurement data service (PMD), and its clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.polar_frames import PMD_EPOCH_UNIX_NS, PulseInterval
from devices.polar_layouts import COUNT_BITS, FrameLayout, find_layout
from devices.polar_models import DEFAULT_TIME_NS, INTERVAL_PERIOD_S, INTERVAL_WARM_UP_S
from devices.polar_pmd import PmdMeasurement, PmdSettings, PmdSettingType, PmdStatus
from edge.virtual.player import SampleTable
from ingest.errors import RecordingError

FRAME_BYTES_MAX: Final = 229
"""What a Polar H10 sends: 73 ECG samples."""
FRAME_S: Final = 0.2
RATE_HZ_MAX: Final = 0xFFFF
HEADER_BYTES: Final = 10

_BLOCK_SAMPLES: Final = 32
_BLOCK_HEADER_BYTES: Final = 2
_PPB_PER_PPM: Final = 1000
_PPB: Final = 10**9

_REFUSALS: Final[Mapping[PmdSettingType, PmdStatus]] = {
    PmdSettingType.SAMPLE_RATE: PmdStatus.INVALID_SAMPLE_RATE,
    PmdSettingType.RESOLUTION: PmdStatus.INVALID_RESOLUTION,
    PmdSettingType.RANGE: PmdStatus.INVALID_RANGE,
    PmdSettingType.RANGE_MILLIUNIT: PmdStatus.INVALID_RANGE,
    PmdSettingType.CHANNELS: PmdStatus.INVALID_NUMBER_OF_CHANNELS,
    PmdSettingType.FACTOR: PmdStatus.INVALID_PARAMETER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOffer:
    """A stream of samples that a peripheral can start."""

    measurement: PmdMeasurement
    frame_type: int
    settings: PmdSettings
    """What is offered; ``sample_rates_hz`` has at least one."""
    channels: tuple[str, ...]
    """Names of the columns that are wired, as in the catalogue."""
    start_ns: int
    """When sample 0 is taken."""
    table_at: Callable[[int], SampleTable]
    """Samples at an offered rate, in samples per second."""
    compressed: bool = False
    """How frames are sent."""
    sdk_settings: PmdSettings | None = None
    """What is offered in SDK mode; None: nothing."""
    factor_of: Callable[[PmdSettings], float] | None = None
    """Unit per count of the layout, by the chosen settings; None: the table holds counts."""
    table_unit: float = 1.0
    """The layout's unit per step of the table, where there is a factor."""

    @property
    def layout(self) -> FrameLayout:
        """What the columns of a frame are."""
        return find_layout(self.measurement, self.frame_type, compressed=self.compressed)

    def n_per_frame(self, rate_hz: int) -> int:
        """Count the samples of a full frame: about a fifth of a second, never too long to send."""
        return max(1, min(round(FRAME_S * rate_hz), self.n_per_frame_max))

    @property
    def n_per_frame_max(self) -> int:
        """Samples that fit a frame, whatever they are."""
        n_samples = 1
        while self._bytes_of(n_samples + 1) <= FRAME_BYTES_MAX:
            n_samples += 1
        return n_samples

    def frame_bytes(self, settings: PmdSettings) -> int:
        """Count the bytes of a full frame, if compressed the most that it may have."""
        return self._bytes_of(self.n_per_frame(settings.sample_rates_hz[0]))

    def factor(self, settings: PmdSettings) -> float | None:
        """Give the unit per count as the answer to a start can state it: in 32 bits."""
        return None if self.factor_of is None else float(np.float32(self.factor_of(settings)))

    def counts(self, samples: NDArray[np.int32], settings: PmdSettings) -> NDArray[np.int32]:
        """Convert samples of the table to counts; beyond the chosen range they are clipped."""
        factor = self.factor(settings)
        if factor is None:
            return samples
        column = self.layout.columns[0]
        steps_per_count = self.layout.scale * factor / self.table_unit
        counts: NDArray[np.float64] = samples.astype(np.float64) / np.float64(steps_per_count)
        np.rint(counts, out=counts)
        np.clip(counts, column.count_min, column.count_max, out=counts)
        return counts.astype(np.int32)

    def _bytes_of(self, n_samples: int) -> int:
        if not self.compressed:
            return HEADER_BYTES + n_samples * self.layout.row_bytes
        n_bytes = HEADER_BYTES + sum(column.n_bytes for column in self.layout.columns)
        # A difference of two values takes a bit more than they do.
        delta_bits = len(self.layout.columns) * min(COUNT_BITS, self.layout.resolution_bits + 1)
        for i_first in range(0, n_samples - 1, _BLOCK_SAMPLES):
            n_deltas = min(_BLOCK_SAMPLES, n_samples - 1 - i_first)
            n_bytes += _BLOCK_HEADER_BYTES - (-n_deltas * delta_bits // 8)
        return n_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalOffer:
    """Pulse-to-pulse intervals, which a peripheral sends every few seconds after a warm-up."""

    intervals: Callable[[int, int], tuple[PulseInterval, ...]]
    """Those that end after the one instant and not after the other, oldest first."""
    name: str = "pp_interval"
    """Of the counters among the peripheral's readings."""
    warm_up_s: float = INTERVAL_WARM_UP_S
    period_s: float = INTERVAL_PERIOD_S
    measurement: PmdMeasurement = PmdMeasurement.PPI
    settings: PmdSettings = field(default_factory=PmdSettings)
    sdk_settings: None = None
    """A device in SDK mode runs no algorithm."""

    @property
    def n_per_frame_max(self) -> int:
        """Intervals that fit a frame."""
        layout = find_layout(self.measurement, 0, compressed=False)
        return (FRAME_BYTES_MAX - HEADER_BYTES) // layout.row_bytes

    def frame_bytes(self, _settings: PmdSettings) -> int:
        """Count the bytes of the longest frame."""
        return FRAME_BYTES_MAX

    def factor(self, _settings: PmdSettings) -> None:
        """Give None: intervals are milliseconds."""


Offer = StreamOffer | IntervalOffer


class DeviceClock:
    """The clock of a device: it drifts, and falls back when the device loses its power.

    Parameters
    ----------
    now_ns
        UTC at which it is right.
    drift_ppm
        How much faster than UTC it runs; its crystal paces the samples too.
    """

    def __init__(self, now_ns: int, drift_ppm: float = 0.0) -> None:
        self._drift_ppb = round(drift_ppm * _PPB_PER_PPM)
        self._utc_ns = now_ns
        self._device_ns = now_ns - PMD_EPOCH_UNIX_NS

    def device_ns(self, utc_ns: int) -> int:
        """Return device time at an instant: nanoseconds since 2000-01-01."""
        elapsed_ns = utc_ns - self._utc_ns
        return self._device_ns + elapsed_ns + elapsed_ns * self._drift_ppb // _PPB

    def rate(self, rate_hz: int) -> Fraction:
        """Return how many samples it takes in a second of UTC at a nominal rate."""
        return rate_hz * Fraction(_PPB + self._drift_ppb, _PPB)

    def reset(self, now_ns: int, device_ns: int = DEFAULT_TIME_NS) -> None:
        """Set it to another time, as the loss of power does."""
        self._utc_ns, self._device_ns = now_ns, device_ns


def whole_rate_hz(rate: Fraction, what: str) -> int:
    """Return a sampling rate as PMD can state it.

    Raises
    ------
    RecordingError
    """
    if rate.denominator != 1 or not 1 <= rate <= RATE_HZ_MAX:
        raise RecordingError(
            f"{what} has {float(rate):g} samples per second; a sensor of this kind can offer whole "
            f"numbers from 1 to {RATE_HZ_MAX} only"
        )
    return int(rate)


def refusal(offered: PmdSettings, chosen: PmdSettings) -> PmdStatus | None:
    """Return why the chosen settings are refused: one value of each kind, from those offered."""
    by_type = offered.by_type()
    for kind, values in chosen.by_type().items():
        if len(values) > 1:
            return PmdStatus.INVALID_PARAMETER
        if not set(values) <= set(by_type[kind]):
            return _REFUSALS[kind]
    return None


def completed(offered: PmdSettings, chosen: PmdSettings) -> PmdSettings:
    """Return the chosen settings, and the first that is offered of each kind not chosen."""
    return PmdSettings(
        sample_rates_hz=chosen.sample_rates_hz or offered.sample_rates_hz[:1],
        resolutions_bits=chosen.resolutions_bits or offered.resolutions_bits[:1],
        ranges=chosen.ranges or offered.ranges[:1],
        ranges_milliunit=chosen.ranges_milliunit or offered.ranges_milliunit[:1],
        n_channels=chosen.n_channels or offered.n_channels[:1],
    )
