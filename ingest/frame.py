"""The Frame: all that one agent knows about one subject for one flush interval.

A Frame is one Kafka record. Samples stay the integers that the sensor sent; a sample's place in
its stream is an integer too, so that its time is exact and the same however the stream was cut.
"""

import math
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.errors import MalformedRecordError
from ingest.frame_limits import (
    N_BLOCKS_MAX,
    N_CLOCKS_MAX,
    N_EVENTS_MAX,
    N_GAPS_MAX,
    N_LEDGER_MAX,
    N_LOSSES_MAX,
    N_READINGS_MAX,
    N_SAMPLES_MAX,
    check_number,
)

PERIOD_TERM_MAX: Final = 10**12
"""Bound of a sample period's terms: products with ``N_SAMPLES_MAX`` stay within 64 bits."""

INDEX_MAX: Final = 2**53
TOTAL_MAX: Final = 2**62
"""Most samples that a ledger counts: several numberings of a channel, one after the other."""

TIME_NS_MAX: Final = 2**62

NAME_CHARS_MAX: Final = 1_024
"""Longest identifier, channel, unit or quantity: each stands once in every point of a store."""

TEXT_CHARS_MAX: Final = 4_000
"""Longest reason or detail."""

_COUNT_MAX: Final = 2**31

NS_PER_S: Final = 1_000_000_000


def check_names(**names: str) -> None:
    """Refuse a name that is longer than any real one.

    Raises
    ------
    MalformedRecordError
    """
    if sum(map(len, names.values())) > NAME_CHARS_MAX:  # else none of them is too long
        _check_lengths(names, NAME_CHARS_MAX)


def check_texts(**texts: str) -> None:
    """Refuse a text that is longer than anybody writes.

    Raises
    ------
    MalformedRecordError
    """
    _check_lengths(texts, TEXT_CHARS_MAX)


def _check_lengths(texts: dict[str, str], n_chars_max: int) -> None:
    for name, text in texts.items():
        if len(text) > n_chars_max:
            raise MalformedRecordError(
                f"{name} of {len(text)} characters; at most {n_chars_max} are allowed"
            )


def check_time(name: str, t_ns: int) -> None:
    """Refuse a time before 1970 or after 2116.

    Raises
    ------
    MalformedRecordError
    """
    if not 0 <= t_ns <= TIME_NS_MAX:
        raise MalformedRecordError(f"{name} {t_ns} is not within 0 to {TIME_NS_MAX}")


class GapCause(StrEnum):
    """Why samples are missing. The closed set of causes in which every loss is counted."""

    RADIO_LOSS = "radio_loss"
    """Notifications were lost while the link was up."""
    LINK_LOST = "link_lost"
    """The link to the peripheral was down."""
    AGENT_DOWN = "agent_down"
    """No agent was running."""
    UNDECODABLE = "undecodable"
    """A payload could not be decoded."""
    OVERFLOW = "overflow"
    """A bounded queue was full."""
    SPOOL_FULL = "spool_full"
    """The spool was full and the oldest frames were dropped."""
    SPOOL_AGE = "spool_age"
    """The spool had kept the frames for as long as it may."""
    SPOOL_DAMAGED = "spool_damaged"
    """The spool's file was damaged and the frames could not be read again."""


class DeviceEventKind(StrEnum):
    """What happened to a device."""

    CONNECTED = "connected"
    """The detail is the model's name in the catalogue of devices: what is derived may depend on it,
    as saturation on the sensor's calibration and posture on how it is worn."""
    LINK_LOST = "link_lost"
    STREAM_STARTED = "stream_started"
    STREAM_STOPPED = "stream_stopped"
    """The agent stopped it on purpose: what comes later is a new stream, without a gap between."""
    STREAM_REFUSED = "stream_refused"
    STREAM_STALLED = "stream_stalled"
    """It fell silent though the link stands; the detail says for how long, and what is done."""
    LEFT_ALONE = "left_alone"
    """It failed again and again and is not tried for the time that the detail says."""
    BOND_LOST = "bond_lost"
    """It has forgotten the key it was paired with: somebody has to enrol it again."""
    CLOCK_JUMPED = "clock_jumped"
    """The device's clock was set, or began anew; the detail says how far, forward is positive."""
    HOST_CLOCK_STEPPED = "host_clock_stepped"
    """The agent's clock was set by more than 0.25 s; the detail says how far."""
    CONTACT_LOST = "contact_lost"
    CONTACT_FOUND = "contact_found"
    BATTERY_LOW = "battery_low"
    CLOCK_SET = "clock_set"
    """The agent has set the device's own clock; the detail says how wrong it was."""
    RECORDS_TAKEN = "records_taken"
    """What a device had stored was taken over; the detail says how many."""
    RECORDS_LOST = "records_lost"
    """Stored records will never come: the detail says how many at most, and why."""
    TRANSFER_FAILED = "transfer_failed"
    """Stored records could not be taken over wholly; the agent asks again at the next link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePeriod:
    """The exact time between two samples, ``ns_numerator / ns_denominator`` nanoseconds.

    360 Hz is ``25_000_000 / 9``: no float could say it. A period is at least one nanosecond, so
    that no two samples have the same time: one would overwrite the other in a store.
    """

    ns_numerator: int
    ns_denominator: int

    def __post_init__(self) -> None:
        if not 1 <= self.ns_denominator <= self.ns_numerator <= PERIOD_TERM_MAX:
            raise MalformedRecordError(
                f"sample period {self.ns_numerator}/{self.ns_denominator} ns: it must be at least "
                f"1 ns, and both terms within 1 to {PERIOD_TERM_MAX}"
            )

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return NS_PER_S * self.ns_denominator / self.ns_numerator

    def offset_ns(self, i_sample: int) -> int:
        """Nanoseconds from sample 0 to sample ``i_sample``, rounded down."""
        return i_sample * self.ns_numerator // self.ns_denominator


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformBlock:  # noqa: PLW1641  # an array has no hash
    """Consecutive samples of one channel of one device.

    ``i_first`` counts the samples of the stream since its first one, lost samples included: where
    ``i_first`` is greater than the sum of what came before, samples are missing. The time of
    sample ``i`` is ``epoch_ns + period.offset_ns(i)``, whichever block it travelled in.
    """

    device_id: str
    channel: str
    """Name of the channel within the device: ``ecg``, ``acc/x``, ``ecg/MLII``."""
    mdc_code: int
    """IEEE 11073-10101 code of the quantity."""
    unit: str
    """UCUM unit of ``counts * scale + offset``."""
    scale: float
    offset: float
    i_first: int
    t0_ns: int
    """UTC of the first sample, nanoseconds since 1970."""
    period: SamplePeriod
    counts: NDArray[np.int32]
    """Raw integers as the sensor sent them, shape ``(n_samples,)``."""
    received_ns: int | None = None
    """UTC of the arrival of the block's first payload at the agent; None where nothing was received
    by radio (a replayed recording). Never used for processing: it measures latency only."""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id, channel=self.channel, unit=self.unit)
        check_time("t0_ns", self.t0_ns)
        if self.counts.dtype != np.int32 or self.counts.ndim != 1:
            raise MalformedRecordError(
                f"{self.channel}: counts must be one row of int32, not {self.counts.dtype} "
                f"of shape {self.counts.shape}"
            )
        if not 1 <= self.counts.size <= N_SAMPLES_MAX:
            raise MalformedRecordError(
                f"{self.channel}: {self.counts.size} samples; 1 to {N_SAMPLES_MAX} are allowed"
            )
        if not 0 <= self.i_first <= INDEX_MAX:
            raise MalformedRecordError(
                f"{self.channel}: i_first {self.i_first} is not within 0 to {INDEX_MAX}"
            )
        largest = abs(self.scale) * _COUNT_MAX + abs(self.offset)
        if self.scale == 0.0 or not math.isfinite(largest):
            raise MalformedRecordError(
                f"{self.channel}: scale {self.scale} and offset {self.offset} give no values"
            )

    def __eq__(self, other: object) -> bool:
        # Without this, comparing two blocks would ask an array for its truth.
        if not isinstance(other, WaveformBlock):
            return NotImplemented
        return np.array_equal(self.counts, other.counts) and all(
            getattr(self, one.name) == getattr(other, one.name)
            for one in fields(self)
            if one.name != "counts"
        )

    @property
    def n_samples(self) -> int:
        """Samples in the block."""
        return int(self.counts.size)

    @property
    def i_end(self) -> int:
        """Index of the sample after the last."""
        return self.i_first + self.n_samples

    @property
    def epoch_ns(self) -> int:
        """UTC of the stream's sample 0."""
        return self.t0_ns - self.period.offset_ns(self.i_first)

    def time_ns(self, i_sample: int) -> int:
        """UTC of sample ``i_sample`` of the stream, nanoseconds since 1970."""
        return self.epoch_ns + self.period.offset_ns(i_sample)

    def times_ns(self) -> NDArray[np.int64]:
        """UTC of every sample of the block, shape ``(n_samples,)``, strictly rising."""
        # Whole periods first, so that the products stay within 64 bits for any index.
        numerator, denominator = self.period.ns_numerator, self.period.ns_denominator
        remainder = self.i_first * numerator % denominator
        steps = np.arange(self.n_samples, dtype=np.int64) * numerator + remainder
        return self.t0_ns + steps // denominator

    def physical(self) -> NDArray[np.float64]:
        """Convert to values in ``unit``, shape ``(n_samples,)``."""
        return self.counts.astype(np.float64) * self.scale + self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One decoded scalar of a device, with its time."""

    device_id: str
    mdc_code: int
    unit: str
    """UCUM."""
    value: float | None
    """None where the device said that it has no value; ``reason`` then says why."""
    t_ns: int
    """UTC, nanoseconds since 1970."""
    reason: str | None = None
    status_bits: int = 0
    """The device's own status field, as sent; from bit 48 on, `ingest.reading_marks`."""
    received_ns: int | None = None

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id, unit=self.unit)
        check_texts(reason=self.reason or "")
        check_time("t_ns", self.t_ns)
        if (self.value is None) == (self.reason is None):
            raise MalformedRecordError(
                f"reading {self.mdc_code}: exactly one of value and reason, not "
                f"{self.value!r} and {self.reason!r}"
            )
        if self.value is not None and not math.isfinite(self.value):
            raise MalformedRecordError(f"reading {self.mdc_code}: {self.value} is not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRelation:
    """How a device's clock relates to UTC, as the agent knew it when it made the Frame.

    With ``device_ns`` it is a coincident time stamp: the device's time and UTC of one moment.
    """

    device_id: str
    offset_ns: int
    """UTC minus device time."""
    drift_ppm: float
    """UTC gained per device time: positive where the device's clock is slow."""
    uncertainty_ns: int
    device_ns: int | None = None
    """What the device's clock showed when it was so far from UTC, as nanoseconds since 1970; None
    in Frames of version 1, which did not say."""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id)
        if not math.isfinite(self.drift_ppm):
            raise MalformedRecordError(f"{self.device_id}: drift {self.drift_ppm} is not finite")
        if self.device_ns is not None:
            check_time("device_ns", self.device_ns)
            check_time("UTC of device_ns", self.device_ns + self.offset_ns)

    def utc_ns(self, device_ns: int) -> int | None:
        """UTC when the device's clock showed ``device_ns``, of which this is the nearest relation.

        None where it is not known, in Frames of version 1. A device's clock that was set in
        between (``DeviceEventKind.CLOCK_JUMPED``) was another clock before.
        """
        if self.device_ns is None:
            return None
        gained_ns = (device_ns - self.device_ns) * Fraction(self.drift_ppm) / 10**6
        return device_ns + self.offset_ns + round(gained_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Samples of one channel that will never come, and why."""

    device_id: str
    channel: str
    cause: GapCause
    i_first: int
    n_samples: int
    t0_ns: int
    """UTC of the first missing sample."""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id, channel=self.channel)
        check_time("t0_ns", self.t0_ns)
        if not 0 <= self.i_first <= INDEX_MAX or not 1 <= self.n_samples <= INDEX_MAX:
            raise MalformedRecordError(
                f"gap of {self.n_samples} samples at {self.i_first} in {self.channel}: "
                f"0 to {INDEX_MAX} are allowed, and not of 0 samples"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """Something that happened to a device."""

    device_id: str
    kind: DeviceEventKind
    t_ns: int
    detail: str = ""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id)
        check_texts(detail=self.detail)
        check_time("t_ns", self.t_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLedger:
    """Totals of one channel since the agent's spool was made, as of a Frame.

    ``on_air`` comes from the numbering of the samples, the others from counting them. What is lost
    stands beside it, by cause: ``ChannelLoss``.
    """

    device_id: str
    channel: str
    on_air: int
    """Samples that the device took for the agent, lost ones included, as the agent knows it."""
    decoded: int
    framed: int
    spooled: int
    """Written to disk; some of them may have given way since."""
    acknowledged: int
    """Stored by the broker."""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id, channel=self.channel)
        totals = (self.on_air, self.decoded, self.framed, self.spooled, self.acknowledged)
        _check_totals(self.channel, *totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLoss:
    """Samples of one channel that will never come, for one cause, as of a Frame."""

    device_id: str
    channel: str
    cause: GapCause
    n_dropped: int
    """Decoded, and given up by the agent."""
    n_in_gaps: int
    """Never decoded."""

    def __post_init__(self) -> None:
        check_names(device_id=self.device_id, channel=self.channel)
        _check_totals(self.channel, self.n_dropped, self.n_in_gaps)


def _check_totals(channel: str, *totals: int) -> None:
    if not all(0 <= total <= TOTAL_MAX for total in totals):
        raise MalformedRecordError(
            f"ledger of {channel}: {totals}; 0 to {TOTAL_MAX} samples are allowed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One subject, one agent, one flush interval, all channels."""

    subject_id: str
    """A keyed pseudonym; never a name."""
    agent_id: str
    sequence: int
    """Counts the frames of this agent for this subject, from 0, without holes."""
    waveforms: tuple[WaveformBlock, ...] = ()
    readings: tuple[Reading, ...] = ()
    clocks: tuple[ClockRelation, ...] = ()
    gaps: tuple[Gap, ...] = ()
    events: tuple[DeviceEvent, ...] = field(default=())
    ledger: tuple[ChannelLedger, ...] = ()
    """Totals of every channel, about once a minute."""
    losses: tuple[ChannelLoss, ...] = ()

    def __post_init__(self) -> None:
        if not self.subject_id or not self.agent_id:
            raise MalformedRecordError("a frame needs a subject_id and an agent_id")
        check_names(subject_id=self.subject_id, agent_id=self.agent_id)
        if self.sequence < 0:
            raise MalformedRecordError(f"sequence {self.sequence} is negative")
        check_number("waveforms", len(self.waveforms), N_BLOCKS_MAX)
        check_number("readings", len(self.readings), N_READINGS_MAX)
        check_number("clocks", len(self.clocks), N_CLOCKS_MAX)
        check_number("gaps", len(self.gaps), N_GAPS_MAX)
        check_number("events", len(self.events), N_EVENTS_MAX)
        check_number("ledger", len(self.ledger), N_LEDGER_MAX)
        check_number("losses", len(self.losses), N_LOSSES_MAX)
        check_number("samples", self.n_samples, N_SAMPLES_MAX)

    @property
    def n_samples(self) -> int:
        """Samples in all blocks."""
        return sum(block.n_samples for block in self.waveforms)
