"""An agent's pure part beside a simulated patient: payloads in, Frames out, truth beside both."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import uuids
from devices.catalogue import DeviceModel, find_model
from devices.polar_frames import encode_frame
from devices.polar_pmd import PmdMeasurement
from edge.clocks.clock_state import host_state, host_text
from edge.clocks.device_clock import jump_text
from edge.clocks.host_clock import HostClock, HostTime
from edge.framer import Framer
from edge.intakes.intake import DeviceIntake
from edge.intakes.polar import PolarIntake
from ingest.codec import decode_frame
from ingest.codec import encode_frame as encode_record
from ingest.frame import NS_PER_S, DeviceEventKind, Frame, Gap, WaveformBlock
from tests.edge.radio_model import LEAST_DELAY_NS, N_SAMPLES, UTC_0_NS, Packet

MS: Final = 1_000_000
COUNT_MAX: Final = 2**22
"""Counts tell their sample's number, modulo this: three bytes with a sign."""


def model() -> DeviceModel:
    found = find_model(
        local_name="Polar H10", manufacturer=None, model_number=None, service_uuids=()
    )
    assert found is not None
    return found


def ecg_payload(packet: Packet) -> bytes:
    i_first = packet.i_last + 1 - N_SAMPLES
    counts = np.arange(i_first, packet.i_last + 1, dtype=np.int32) % COUNT_MAX
    return encode_frame(
        measurement=PmdMeasurement.ECG,
        timestamp_ns=packet.device_ns,
        samples=counts.reshape(-1, 1),
    )


def acc_payload(device_last_ns: int, n_samples: int) -> bytes:
    return encode_frame(
        measurement=PmdMeasurement.ACC,
        frame_type=1,
        timestamp_ns=device_last_ns,
        samples=np.zeros((n_samples, 3), np.int32),
    )


def on_time(t_ns: int) -> int:
    return t_ns


@dataclass(slots=True)
class Bedside:
    """One device's intake; true time is nanoseconds since the start."""

    wall: Callable[[int], int] = on_time
    """What the host's wall shows, at true times; UTC of the start is added."""
    boot: str = "boot-1"
    mono_0_ns: int = 5 * NS_PER_S
    """What the monotonic clock showed at the start."""
    states: dict[str, str] = field(default_factory=dict[str, str])
    frames: list[Frame] = field(default_factory=list[Frame])
    host: HostClock = field(init=False)
    framer: Framer = field(init=False)
    intake: DeviceIntake = field(init=False)
    polar: PolarIntake = field(init=False)
    _live: dict[str, str] = field(init=False)

    def start(self, at_ns: int) -> None:
        """Start an agent on what the one before has stored."""
        text = self.states.get("host_clock")
        self.host = HostClock(
            self.mono_0_ns + at_ns,
            UTC_0_NS + self.wall(at_ns),
            boot=self.boot,
            before=None if text is None else host_state(text),
        )
        self.framer = Framer("p-1", "a-1")
        self._live = dict(self.states)
        self.intake = DeviceIntake("strap-1", model(), self.framer, self._live, self.host)
        self.link(at_ns)

    def link(self, at_ns: int, *measurements: PmdMeasurement) -> None:
        """Make a link and start the streams."""
        self.polar = PolarIntake(self.intake)
        for measurement in measurements or (PmdMeasurement.ECG,):
            row = self.intake.model.pmd_stream(measurement)
            assert row is not None
            self.polar.begin(row, rate_hz=row.fs_hz, now_ns=self.told(at_ns).told_ns)

    def lose_link(self, at_ns: int) -> None:
        self.intake.end_link(self.told(at_ns).told_ns, lost=True)

    def told(self, at_ns: int) -> HostTime:
        """Read both clocks."""
        now = self.host.read(self.mono_0_ns + at_ns, UTC_0_NS + self.wall(at_ns))
        if now.stepped_ns:
            detail = jump_text(now.stepped_ns)
            self.intake.event(DeviceEventKind.HOST_CLOCK_STEPPED, now.told_ns, detail)
        return now

    def take(self, payload: bytes, at_ns: int, characteristic: str = uuids.PMD_DATA) -> None:
        assert self.intake.take(characteristic, payload, self.told(at_ns).told_ns)

    def cut(self) -> None:
        """Store what has come, and what is known of clocks and streams, in one go."""
        if self.framer.empty:
            return
        cut = self.framer.cut(len(self.frames))
        self.frames += [decode_frame(encode_record(frame)) for frame in cut]
        self.intake.streams.note_states()
        self.states = self._live | {"host_clock": host_text(self.host.state)}

    def play(self, packets: Iterable[Packet], *, n_cut: int = 3) -> None:
        """Take payloads, and cut a Frame behind every few of them."""
        for n, packet in enumerate(packets):
            self.take(ecg_payload(packet), packet.arrival_ns)
            if n % n_cut == 0:
                self.cut()
        self.cut()

    def blocks(self, channel: str = "ecg") -> list[WaveformBlock]:
        return [one for frame in self.frames for one in frame.waveforms if one.channel == channel]

    def gaps(self, channel: str = "ecg") -> list[Gap]:
        return [one for frame in self.frames for one in frame.gaps if one.channel == channel]

    def n_events(self, kind: DeviceEventKind) -> int:
        return sum(one.kind is kind for frame in self.frames for one in frame.events)


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a channel: numbers as the device counted them, and times as told."""

    i: NDArray[np.int64]
    t_ns: NDArray[np.int64]

    @classmethod
    def of_blocks(cls, blocks: Iterable[WaveformBlock]) -> "Samples":
        """Put blocks together as they came; no two samples have one time, and none goes back."""
        kept = list(blocks)
        i = np.concatenate([np.arange(one.i_first, one.i_end) for one in kept])
        t_ns = np.concatenate([one.times_ns() for one in kept])
        assert (np.diff(t_ns) > 0).all()
        return cls(i, t_ns)

    def errors_ns(self, packets: Iterable[Packet]) -> NDArray[np.float64]:
        """Hold the times against the truth; the least delay, which nobody knows, is taken off."""
        kept = list(packets)
        i_last = np.array([one.i_last for one in kept])
        true_ns = np.array([one.true_ns for one in kept])
        first_ns = true_ns[0] - (N_SAMPLES - 1) * (true_ns[1] - true_ns[0]) / N_SAMPLES
        truth_ns = np.interp(self.i, [0, *i_last], [first_ns, *true_ns])
        told_ns: NDArray[np.float64] = (self.t_ns - UTC_0_NS - LEAST_DELAY_NS).astype(np.float64)
        errors_ns: NDArray[np.float64] = told_ns - truth_ns
        return errors_ns


def assert_numbers_are_the_devices(blocks: Iterable[WaveformBlock]) -> None:
    """Hold every sample's number against what the sample itself says."""
    for one in blocks:
        expected = np.arange(one.i_first, one.i_end) % COUNT_MAX
        np.testing.assert_array_equal(one.counts, expected)


def played(packets: list[Packet], side: Bedside | None = None) -> Bedside:
    side = side or Bedside()
    side.start(0)
    side.play(packets)
    return side


def error_ms(samples: Samples, packets: list[Packet], from_s: float, to_s: float = 1e9) -> float:
    errors_ns = np.abs(samples.errors_ns(packets))
    t_s = (samples.t_ns - UTC_0_NS) / NS_PER_S
    return float(errors_ns[(from_s <= t_s) & (t_s < to_s)].max()) / MS


def delivered_in_order(packets: Iterable[Packet]) -> list[Packet]:
    """Give packets of which none arrives before an earlier one."""
    kept: list[Packet] = []
    for packet in packets:
        not_before_ns = kept[-1].arrival_ns + MS if kept else 0
        kept.append(replace(packet, arrival_ns=max(packet.arrival_ns, not_before_ns)))
    return kept
