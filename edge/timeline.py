"""Where samples stand in their stream, and when: pure, from device time stamps.

A stream is numbered from its first sample, lost ones included. Loss shows as a step of the
device's own time stamps, so it is counted exactly, across a lost link and a restarted agent too.
"""

from dataclasses import dataclass
from typing import Final

from ingest.frame import NS_PER_S, SamplePeriod

JUMP_NS_MIN: Final = 2 * NS_PER_S
"""Device and host may disagree by this much about a pause; beyond it, the device's clock jumped."""

JUMP_RATIO: Final = 500e-6
"""… plus this share of the pause: worse crystals than 500 ppm are not sold."""

ENVELOPE_NS: Final = 60 * NS_PER_S
"""Window in which the least delay is taken as the radio's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """All that must survive a restart of the agent to go on numbering a stream."""

    epoch_ns: int
    """UTC of sample 0."""
    i_next: int
    period: SamplePeriod
    device_last_ns: int
    """Device time of the last sample."""
    received_last_ns: int
    """UTC at which the last payload arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the samples of one payload stand."""

    i_first: int
    t0_ns: int
    n_missing: int
    """Samples lost just before."""
    clock_jumped: bool = False
    duplicate: bool = False
    """The payload, or one after it, was seen before: its samples do not count again."""


class Timeline:
    """The numbering of one channel group whose samples come in the same payloads."""

    def __init__(self, period: SamplePeriod, state: StreamState | None = None) -> None:
        self._period = period
        # Another rate is another grid: numbering begins anew.
        self._state = state if state is not None and state.period == period else None
        self._envelope = DelayEnvelope()

    @property
    def state(self) -> StreamState | None:
        """What to keep for the next start; None before the first payload."""
        return self._state

    @property
    def envelope(self) -> "DelayEnvelope":
        """How the device's clock compares with the host's."""
        return self._envelope

    def place(self, *, device_last_ns: int, n_samples: int, received_ns: int) -> Placement:
        """Give the next payload's samples their numbers and times.

        Parameters
        ----------
        device_last_ns
            Time stamp of the payload's last sample on the device's clock.
        n_samples
            At least 1.
        received_ns
            UTC at which the payload arrived.
        """
        if self._state is None:
            placement = self._begin(n_samples, received_ns)
        else:
            placement = self._continue(self._state, device_last_ns, n_samples, received_ns)
        if placement.duplicate:
            return placement
        self._state = StreamState(
            epoch_ns=placement.t0_ns - self._period.offset_ns(placement.i_first),
            i_next=placement.i_first + n_samples,
            period=self._period,
            device_last_ns=device_last_ns,
            received_last_ns=received_ns,
        )
        if placement.clock_jumped:
            self._envelope = DelayEnvelope()
        t_last_ns = self._state.epoch_ns + self._period.offset_ns(self._state.i_next - 1)
        self._envelope.add(device_last_ns, t_last_ns, received_ns)
        return placement

    def _begin(self, n_samples: int, received_ns: int) -> Placement:
        """Take the last sample of the very first payload as taken when the payload came."""
        t0_ns = received_ns - self._period.offset_ns(n_samples - 1)
        return Placement(i_first=0, t0_ns=t0_ns, n_missing=0)

    def _continue(
        self, state: StreamState, device_last_ns: int, n_samples: int, received_ns: int
    ) -> Placement:
        device_pause_ns = device_last_ns - state.device_last_ns
        host_pause_ns = received_ns - state.received_last_ns
        allowance_ns = JUMP_NS_MIN + int(JUMP_RATIO * abs(host_pause_ns))
        if abs(device_pause_ns - host_pause_ns) <= allowance_ns:
            if device_pause_ns <= 0:
                return Placement(i_first=state.i_next, t0_ns=0, n_missing=0, duplicate=True)
            return self._on_grid(state, device_pause_ns, n_samples)
        if device_pause_ns == 0:
            return Placement(i_first=state.i_next, t0_ns=0, n_missing=0, duplicate=True)
        return self._after_jump(state, n_samples, received_ns)

    def _on_grid(self, state: StreamState, device_pause_ns: int, n_samples: int) -> Placement:
        period_ns = self._period.ns_numerator / self._period.ns_denominator
        n_missing = max(0, round(device_pause_ns / period_ns) - n_samples)
        i_first = state.i_next + n_missing
        return Placement(
            i_first=i_first,
            t0_ns=state.epoch_ns + self._period.offset_ns(i_first),
            n_missing=n_missing,
        )

    def _after_jump(self, state: StreamState, n_samples: int, received_ns: int) -> Placement:
        """Trust the host for the length of the pause, and begin a new grid behind the old one."""
        period_ns = self._period.ns_numerator / self._period.ns_denominator
        t_next_ns = state.epoch_ns + self._period.offset_ns(state.i_next)
        t0_ns = max(received_ns - self._period.offset_ns(n_samples - 1), t_next_ns)
        n_missing = max(0, round((t0_ns - t_next_ns) / period_ns))
        return Placement(
            i_first=state.i_next + n_missing,
            t0_ns=t0_ns,
            n_missing=n_missing,
            clock_jumped=True,
        )


class DelayEnvelope:
    """The least delay between a sample's time and its arrival, then and now.

    The radio only ever adds delay, so the least delay of a minute hardly varies; its slow change
    is the drift between the two clocks.
    """

    def __init__(self) -> None:
        self._first: tuple[int, int] | None = None
        self._window_start_ns = 0
        self._window_least_ns = 0
        self._latest: tuple[int, int] | None = None
        self._offset_ns = 0

    def add(self, device_ns: int, mapped_ns: int, received_ns: int) -> None:
        """Take in one payload: device time, the UTC it was mapped to, and UTC of its arrival."""
        self._offset_ns = mapped_ns - device_ns
        delay_ns = received_ns - mapped_ns
        if self._latest is None or mapped_ns - self._window_start_ns >= ENVELOPE_NS:
            self._first = self._first or self._latest
            self._window_start_ns, self._window_least_ns = mapped_ns, delay_ns
        self._window_least_ns = min(self._window_least_ns, delay_ns)
        self._latest = (self._window_start_ns, self._window_least_ns)

    @property
    def offset_ns(self) -> int:
        """UTC minus device time, as samples are being mapped."""
        return self._offset_ns

    @property
    def drift_ppm(self) -> float:
        """Drift of the device's sample grid against the host; 0 until two minutes were seen."""
        if self._first is None or self._latest is None:
            return 0.0
        elapsed_ns = self._latest[0] - self._first[0]
        return 1e6 * (self._latest[1] - self._first[1]) / elapsed_ns if elapsed_ns else 0.0

    @property
    def uncertainty_ns(self) -> int:
        """How far the mapping may be off: the least delay of the present window."""
        return abs(self._window_least_ns)
