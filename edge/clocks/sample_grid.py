"""Where samples stand in their stream, and when: numbers by device time, times by the hull. Pure.

A sample's number is counted on the device's own clock, with the rate at which the device really
samples: counted too, over ten minutes, so that the samples lost in an hour without a link are right
to the sample where 80 ppm would be 37. A jump of the device's clock is bridged with ours.

A sample's time must lie on a grid, ``epoch + i * period``, that blocks share: whoever filters the
samples or draws them begins anew on a grid that does not go on where the last one ends, which costs
an RR interval and two or three seconds without a heart rate. So a grid is kept until it is off by
more than 2 ms. The next one begins exactly where it would have gone on, so no time is left out,
taken twice or turned back, and nobody begins anew; its period is longer or shorter such that it
comes back within a minute (by half a percent at most); then one follows that runs at the true
rate. Compared over 4 h (the radio of ``edge.clocks.clock_hull``, six runs each; after ten minutes,
the constant least delay taken off):

======================================  ================  ==============  =====================
policy                                  changes per hour  error, max, ms  error when the crystal
                                        at 20, 80 ppm     at 20, 80 ppm   moves by 10 ppm in 2 min
======================================  ================  ==============  =====================
nominal period, never corrected         0, 0              326, 1190
nominal period, set right at 2 ms       35, 142           3.3, 3.3        3.4 (times go back)
true rate, never back                   0.9, 0.9          39, 43          21
back within an hour, nothing after      0.6, 0.7          3.0, 2.7        4.6
back within a minute, then true: 1.5 ms 0.5, 0.5          1.8, 1.6        2.9
**the same, 2 ms**                      0.7, 0.4          2.7, 2.2        3.4
the same, 3 ms                          0.5, 0.5          3.4, 3.5        4.2
======================================  ================  ==============  =====================

In the first ten minutes, when the drift is not known yet, the grid changes four or five times.

Where time may leap it does: behind a gap of a second or more a grid begins where it is right; and
a grid that is a quarter of a second behind goes forward in one step, for then the host's clock was
set. One that is ahead is slowed down; if it is ahead by more than 10 s it keeps its rate until a
gap is long enough or the host is set forward, for time never goes back within a stream.
"""

from dataclasses import dataclass, replace
from typing import Final

from edge.clocks.clock_hull import LATE_NS_MAX, ClockHull
from edge.clocks.delay_window import PPT
from edge.clocks.host_clock import FAST_PPT_MAX, LEAD_KEPT_NS_MAX, LEAD_NS_MAX, HostTime
from ingest.frame import NS_PER_S, SamplePeriod

ERROR_NS_MAX: Final = 2_000_000
"""A grid is left when it is off by more."""

FAST_NS: Final = 60 * NS_PER_S
"""The next one comes back within this time, and is followed by one that runs at the true rate …"""

# … but changed by no more than FAST_PPT_MAX. A first payload that was late by 300 ms is made up for
# in a minute: with 500 ppm, as clocks are slewed, one in a hundred streams would be off for ten.

STEP_NS_MIN: Final = NS_PER_S // 4
"""A grid that is behind by so much goes forward in one step: the host's clock was set."""

FREE_NS_MIN: Final = NS_PER_S
"""Behind a gap of this length, nothing is lost by beginning where it is right …"""

FREE_ERROR_NS_MIN: Final = 1_000_000
"""… if that is worth it."""

RATE_SPAN_NS_MIN: Final = 60 * NS_PER_S
RATE_SPAN_NS: Final = 600 * NS_PER_S
"""Over this time the device's samples are counted against its own clock."""

RATE_PAUSE_NS_MAX: Final = 10 * NS_PER_S
"""Not across a longer pause: its samples were counted by the rate itself."""

RATE_RATIO_MAX: Final = 50
"""A rate that differs from the nominal one by more than 1 / 50 is not a rate."""

OLD_NS_MAX: Final = 2 * LATE_NS_MAX
"""What is older than the newest by more was not held up: the clock is another one."""

OUTAGE_NS_MAX: Final = 30 * 86_400 * NS_PER_S
"""No device streams for longer on one battery: a pause that is longer is a clock that was set."""

PERIOD_DENOMINATOR_MAX: Final = 100_000
PERIOD_NUMERATOR_MAX: Final = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedStamp:
    """The time stamp of a payload's last sample, and what the hull makes of it."""

    device_ns: int
    steady_ns: int
    """On the host's line that never steps."""
    t_ns: int
    """UTC."""
    drift_ppt: int
    """UTC gained per device time, in 1e-12."""
    segment: int
    """Number of the segment of the device's clock."""
    seen_late: bool = False
    """The clock was set some payloads before this segment was begun."""


def map_stamp(device_ns: int, hull: ClockHull, now: HostTime) -> MappedStamp:
    """Map a time stamp of a packet that came now, and that the hull has taken in."""
    steady_ns = hull.host_ns(device_ns)
    return MappedStamp(
        device_ns=device_ns,
        steady_ns=steady_ns,
        t_ns=steady_ns + now.correction_ns,
        drift_ppt=hull.drift_ppt + now.rate_ppt,
        segment=hull.segment,
        seen_late=hull.segments[-1].seen_late,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRate:
    """Device time per sample, as counted, and the count that is under way."""

    span_ns: int
    n_samples: int
    """Together the rate: ``span_ns / n_samples``."""
    counted: bool
    """Whether that was counted over a whole span; else it is the best so far."""
    i_anchor: int
    anchor_ns: int
    """Sample and device time where the present count began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """All that must survive a restart of the agent to go on numbering a stream."""

    nominal: SamplePeriod
    epoch_ns: int
    """UTC of sample 0, had the present grid been there from the start."""
    period: SamplePeriod
    i_next: int
    device_last_ns: int
    steady_last_ns: int
    """Newest sample on the device's clock, and on the host's that never steps."""
    segment: int
    aim_ns: int
    """How far the grid was behind when it was begun in order to come back; 0: it was not."""
    rate: SampleRate
    ended: bool = False
    """The stream was stopped on purpose: nothing was on the air since, a next one begins anew."""

    def time_ns(self, i_sample: int) -> int:
        """UTC of a sample on the present grid."""
        return self.epoch_ns + self.period.offset_ns(i_sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPlacement:
    """Where the samples of one payload stand."""

    i_first: int
    t0_ns: int
    period: SamplePeriod
    n_missing: int = 0
    """Samples lost just before."""
    gap_t0_ns: int = 0
    """UTC of the first of them, on the grid before."""
    error_ns: int = 0
    """UTC of the last sample as mapped, minus its time on the grid."""
    clock_jumped: bool = False
    grid_changed: bool = False
    duplicate: bool = False
    """The payload, or one after it, was seen before: its samples do not count again."""


class SampleGrid:
    """The numbering and timing of one channel group whose samples come in the same payloads.

    Parameters
    ----------
    nominal
        The period that the device was asked for; another one begins a new numbering.
    state
        Where an earlier one stood. A new numbering does not begin before its end, unless that lies
        more than a day ahead: then the host's clock was wrong.
    """

    def __init__(self, nominal: SamplePeriod, state: GridState | None = None) -> None:
        self._nominal = nominal
        self._state: GridState | None = None
        self._not_before_ns = 0
        if state is None:
            return
        if state.nominal == nominal and not state.ended:
            self._state = state
        else:
            self._not_before_ns = state.time_ns(state.i_next)

    @property
    def state(self) -> GridState | None:
        """What to keep for the next start; None before the first payload."""
        return self._state

    def n_silent(self, steady_ns: int, least_ns: int) -> int:
        """Count the samples that nobody has sent until now; 0 within ``least_ns`` of the last one.

        Parameters
        ----------
        steady_ns
            Now, on the host's line that never steps.
        least_ns
            A shorter pause is the stream's own, or the radio's.
        """
        state = self._state
        if state is None or steady_ns - state.steady_last_ns < least_ns:
            return 0
        rate = state.rate
        return _n_within(steady_ns - state.steady_last_ns, rate.span_ns, rate.n_samples)

    def goes_on(self, device_ns: int, n_samples: int) -> bool:
        """Tell whether a payload's stamp is a payload's length behind the newest: none is missing.

        Parameters
        ----------
        device_ns
            Of its last sample, on the device's clock.
        n_samples
            At least 1.
        """
        state = self._state
        if state is None:
            return False
        length_ns = n_samples * state.rate.span_ns // state.rate.n_samples
        off_ns = abs(device_ns - state.device_last_ns - length_ns)
        return off_ns * RATE_RATIO_MAX <= length_ns

    def place(
        self, stamp: MappedStamp, n_samples: int, *, host_slipped: bool = False
    ) -> GridPlacement:
        """Give the next payload's samples their numbers and times.

        Parameters
        ----------
        stamp
            Of the last of them.
        n_samples
            At least 1.
        host_slipped
            If clocks disagree about the pause before them, it is ours that was wrong.
        """
        state = self._state
        if state is None:
            return self._begin(stamp, n_samples)
        pause_ns = stamp.device_ns - state.device_last_ns
        jumped = stamp.segment != state.segment or pause_ns < -OLD_NS_MAX
        if not jumped and pause_ns <= 0:
            return GridPlacement(i_first=state.i_next, t0_ns=0, period=state.period, duplicate=True)
        slipped = jumped and host_slipped and 0 < pause_ns <= OUTAGE_NS_MAX
        # What seemed to go on while a clock that was set was not seen yet, did not.
        by_device = (
            not jumped
            or slipped
            or (not stamp.seen_late and self.goes_on(stamp.device_ns, n_samples))
        )
        n_missing = _n_lost(state, stamp, n_samples, by_device=by_device)
        i_first = state.i_next + n_missing
        i_last = i_first + n_samples - 1
        rate = _recounted(state, stamp, i_last, jumped=jumped)
        grid = replace(state, rate=rate)
        if not slipped:
            grid = _steered(grid, stamp, i_first, i_last)
        self._state = replace(
            grid,
            i_next=i_last + 1,
            device_last_ns=stamp.device_ns,
            steady_last_ns=stamp.steady_ns,
            segment=stamp.segment,
        )
        return GridPlacement(
            i_first=i_first,
            t0_ns=grid.time_ns(i_first),
            period=grid.period,
            n_missing=n_missing,
            gap_t0_ns=state.time_ns(state.i_next),
            error_ns=stamp.t_ns - grid.time_ns(i_last),
            clock_jumped=jumped,
            grid_changed=(grid.epoch_ns, grid.period) != (state.epoch_ns, state.period),
        )

    def _begin(self, stamp: MappedStamp, n_samples: int) -> GridPlacement:
        rate = SampleRate(
            span_ns=self._nominal.ns_numerator,
            n_samples=self._nominal.ns_denominator,
            counted=False,
            i_anchor=n_samples - 1,
            anchor_ns=stamp.device_ns,
        )
        period = _period(rate, stamp.drift_ppt)
        t0_ns = stamp.t_ns - period.offset_ns(n_samples - 1)
        if self._not_before_ns - t0_ns <= LEAD_KEPT_NS_MAX:
            t0_ns = max(t0_ns, self._not_before_ns)
        self._state = GridState(
            nominal=self._nominal,
            epoch_ns=t0_ns,
            period=period,
            i_next=n_samples,
            device_last_ns=stamp.device_ns,
            steady_last_ns=stamp.steady_ns,
            segment=stamp.segment,
            aim_ns=0,
            rate=rate,
        )
        return GridPlacement(i_first=0, t0_ns=t0_ns, period=period)


def _n_lost(state: GridState, stamp: MappedStamp, n_samples: int, *, by_device: bool) -> int:
    """Count the samples lost before a payload: by the device's clock, or by ours if it jumped."""
    if by_device:
        pause_ns = stamp.device_ns - state.device_last_ns
        return max(0, _n_within(pause_ns, state.rate.span_ns, state.rate.n_samples) - n_samples)
    pause_ns = stamp.steady_ns - state.steady_last_ns
    period = _period(state.rate, stamp.drift_ppt)
    n_lost = _n_within(pause_ns, period.ns_numerator, period.ns_denominator) - n_samples
    # Our clock has the delay of this payload in it: what is less than half a payload is that.
    return n_lost if 2 * n_lost > n_samples else 0


def _n_within(pause_ns: int, span_ns: int, n_samples: int) -> int:
    """Count the samples of a pause, to the nearest, at a rate of ``n_samples`` in ``span_ns``."""
    return (2 * pause_ns * n_samples + span_ns) // (2 * span_ns)


def _recounted(state: GridState, stamp: MappedStamp, i_last: int, *, jumped: bool) -> SampleRate:
    """Count on, or anew behind a pause; take over the count when it has become a rate."""
    rate = state.rate
    if jumped or stamp.device_ns - state.device_last_ns > RATE_PAUSE_NS_MAX:
        return replace(rate, i_anchor=i_last, anchor_ns=stamp.device_ns)
    span_ns, n_samples = stamp.device_ns - rate.anchor_ns, i_last - rate.i_anchor
    if span_ns < (RATE_SPAN_NS if rate.counted else RATE_SPAN_NS_MIN):
        return rate
    nominal = state.nominal
    expected_ns = n_samples * nominal.ns_numerator // nominal.ns_denominator
    plausible = abs(span_ns - expected_ns) * RATE_RATIO_MAX <= expected_ns
    if plausible:
        rate = replace(rate, span_ns=span_ns, n_samples=n_samples)
    if span_ns < RATE_SPAN_NS:
        return rate
    return replace(rate, counted=plausible, i_anchor=i_last, anchor_ns=stamp.device_ns)


def _steered(state: GridState, stamp: MappedStamp, i_first: int, i_last: int) -> GridState:
    """Give the grid for a payload: the present one as long as it is good enough."""
    error_ns = stamp.t_ns - state.time_ns(i_last)
    free_ns = state.time_ns(i_first) - state.time_ns(state.i_next)
    if (free_ns >= FREE_NS_MIN and abs(error_ns) > FREE_ERROR_NS_MIN) or error_ns > STEP_NS_MIN:
        period = _period(state.rate, stamp.drift_ppt)
        t0_ns = stamp.t_ns - period.offset_ns(i_last) + period.offset_ns(i_first)
        t0_ns = max(t0_ns, state.time_ns(state.i_next))
        return _joined(state, period, i_first, t0_ns, aim_ns=0)
    aim = _aim(error_ns, state.aim_ns, _gain_ppt(state, stamp.drift_ppt))
    if aim is None:
        return state
    closing_ppt, aim_ns = aim
    period = _period(state.rate, stamp.drift_ppt + closing_ppt)
    return _joined(state, period, i_first, state.time_ns(i_first), aim_ns=aim_ns)


def _aim(error_ns: int, aim_ns: int, gain_ppt: int) -> tuple[int, int] | None:
    """Decide how fast a new grid should come back, and from where; None: the present one stays.

    Parameters
    ----------
    error_ns
        How far the grid is behind.
    aim_ns
        How far it was behind when it was begun in order to come back; 0: it was not.
    gain_ppt
        How fast it catches up, as the drift is known now.
    """
    if error_ns < -LEAD_NS_MAX:
        return None if aim_ns < -LEAD_NS_MAX else (0, error_ns)
    if aim_ns and aim_ns >= -LEAD_NS_MAX:
        if (error_ns > 0) != (aim_ns > 0):
            return 0, 0  # it has come back
        wanted_ppt = _fast_ppt(abs(error_ns))
        if (gain_ppt if error_ns > 0 else -gain_ppt) * 2 >= wanted_ppt:
            return None
    elif abs(error_ns) <= ERROR_NS_MAX:
        return None
    return _fast_ppt(error_ns), error_ns


def _fast_ppt(error_ns: int) -> int:
    return max(-FAST_PPT_MAX, min(FAST_PPT_MAX, error_ns * PPT // FAST_NS))


def _joined(
    state: GridState, period: SamplePeriod, i_first: int, t0_ns: int, *, aim_ns: int
) -> GridState:
    """Begin a grid at a sample and a time."""
    epoch_ns = t0_ns - period.offset_ns(i_first)
    return replace(state, epoch_ns=epoch_ns, period=period, aim_ns=aim_ns)


def _period(rate: SampleRate, gain_ppt: int) -> SamplePeriod:
    """Give the period that a counted rate has on a clock that gains on the device's."""
    denominator = PERIOD_NUMERATOR_MAX * rate.n_samples // (2 * rate.span_ns)
    denominator = max(1, min(PERIOD_DENOMINATOR_MAX, denominator))
    numerator = rate.span_ns * (PPT + gain_ppt) * denominator // (rate.n_samples * PPT)
    numerator = max(denominator, min(PERIOD_NUMERATOR_MAX, numerator))
    return SamplePeriod(ns_numerator=numerator, ns_denominator=denominator)


def _gain_ppt(state: GridState, drift_ppt: int) -> int:
    """Give how fast the present grid gains on the samples' true times."""
    true = _period(state.rate, drift_ppt)
    ours = state.period.ns_numerator * true.ns_denominator
    theirs = true.ns_numerator * state.period.ns_denominator
    return (ours - theirs) * PPT // theirs
