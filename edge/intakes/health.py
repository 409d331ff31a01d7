"""Observations of a Generic Health Sensor, live and stored, taken in: pure."""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import uuids
from devices.catalogue import Channel
from devices.elapsed_time import ElapsedTime, decode_current_elapsed_time
from devices.errors import DecodeError, InvalidFieldError
from devices.generic_health_sensor import decode_ghs_control_point
from devices.ghs_observation import (
    Observation,
    decode_health_observation,
    decode_stored_observation,
)
from devices.ghs_readings import (
    HealthWaveform,
    Scaling,
    health_observation_readings,
    health_observation_waveforms,
    unread_types,
)
from devices.ghs_record_access import decode_record_answer, encode_record_request
from devices.ghs_segments import SegmentAssembler
from devices.health_transfer import HealthTransfer, TakenObservations
from devices.transfer_report import MeterMemory
from edge import metrics
from edge.intakes.intake import DeviceIntake
from edge.intakes.records import StoredRecords, code_text, read_kept
from ingest.frame import NS_PER_S, PERIOD_TERM_MAX, DeviceEventKind, GapCause

RESPONSES_MAX: Final = 8
"""Answers that wait for their asker, who awaits one at a time; the oldest gives way."""
_KEPT: Final = "observations"
_COUNTS: Final = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class _Format:
    """What makes two arrays of one quantity one stream."""

    scaling: Scaling
    rate: Fraction


class HealthIntake:
    """What a sensor observes during one link.

    Parameters
    ----------
    intake
        The device's.
    """

    def __init__(self, intake: DeviceIntake) -> None:
        self._intake = intake
        self._assembler = SegmentAssembler()
        self._n_lost = 0
        self._responses: deque[int] = deque(maxlen=RESPONSES_MAX)
        self._formats: dict[str, _Format] = {}
        self._refused: set[str] = set()
        intake.expect(uuids.LIVE_HEALTH_OBSERVATIONS, self.take)
        intake.expect(uuids.GHS_CONTROL_POINT, self._take_response)
        intake.expect(uuids.CURRENT_ELAPSED_TIME, self._take_clock)

    def response(self) -> int | None:
        """Give the next answer of the control point; None: it has not come."""
        return self._responses.popleft() if self._responses else None

    def forget_responses(self) -> None:
        """Let go of answers to what was asked before."""
        self._responses.clear()

    def take(self, payload: bytes, received_ns: int) -> None:
        """Take one segment of live observations.

        Raises
        ------
        DecodeError
        """
        whole = self._assembler.process(payload)
        n_lost = self._assembler.counts.lost
        if n_lost > self._n_lost:
            metrics.SEGMENTS_LOST.labels(self._intake.device_id).inc(n_lost - self._n_lost)
        self._n_lost = n_lost
        if whole is None:
            return
        observation = decode_health_observation(whole)
        take_readings(self._intake, observation, received_ns)
        signed = self._intake.model.signed_samples
        for waveform in health_observation_waveforms(observation, signed=signed):
            self._take_waveform(waveform, received_ns)

    def _take_response(self, payload: bytes, _received_ns: int) -> None:
        self._responses.append(decode_ghs_control_point(payload))

    def _take_clock(self, payload: bytes, received_ns: int) -> None:
        """Take what the clock shows: it tells by itself when it was set."""
        time = decode_current_elapsed_time(payload).time
        self._intake.clock.compare_elapsed(time, received_ns)

    def _take_waveform(self, waveform: HealthWaveform, received_ns: int) -> None:
        name = waveform.quantity.name
        if waveform.i_column:
            name = f"{name}/{waveform.i_column}"
        if not self._intake.is_subjects(waveform.user):
            return
        if waveform.reason is not None or waveform.scaling is None:
            self._intake.streams.spoil(uuids.LIVE_HEALTH_OBSERVATIONS, GapCause.UNDECODABLE)
            self._refuse(name, str(waveform.reason), received_ns)
        elif waveform.elapsed_time is None:
            self._refuse(name, "samples without a time", received_ns)
        else:
            self._begin(name, waveform, waveform.scaling, received_ns)
            self._intake.streams.take(
                name,
                _as_counts(waveform.counts),
                device_last_ns=self._last_ns(name, waveform.elapsed_time, len(waveform.counts)),
                received_ns=received_ns,
            )

    def _begin(
        self, name: str, waveform: HealthWaveform, scaling: Scaling, received_ns: int
    ) -> None:
        """Begin a stream with its first samples, and anew where they mean something else."""
        fmt = _Format(scaling, _rate(scaling.period_s))
        if self._formats.get(name) == fmt:
            return
        self._formats[name] = fmt
        channel = Channel(
            name=name,
            quantity=waveform.quantity,
            ucum=waveform.quantity.ucum,
            scale=scaling.scale,
            offset=scaling.offset,
        )
        characteristic = uuids.LIVE_HEALTH_OBSERVATIONS
        self._intake.streams.begin(name, characteristic, (channel,), fmt.rate)
        detail = f"{name.upper()} {float(fmt.rate):g} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, received_ns, detail)

    def _last_ns(self, name: str, first: ElapsedTime, n_samples: int) -> int:
        length_ns = (n_samples - 1) * NS_PER_S / self._formats[name].rate
        return first.elapsed_ns + round(length_ns)

    def _refuse(self, name: str, why: str, received_ns: int) -> None:
        """Say once in a link why samples are not taken."""
        if name not in self._refused:
            self._refused.add(name)
            detail = f"{name.upper()}: {why}"
            self._intake.event(DeviceEventKind.STREAM_REFUSED, received_ns, detail)


class HealthRecords(StoredRecords[HealthTransfer]):
    """What a sensor has kept while nobody heard it.

    Parameters
    ----------
    intake
        The device's.
    """

    characteristics = (uuids.STORED_HEALTH_OBSERVATIONS, uuids.RECORD_ACCESS_CONTROL_POINT)
    _CHANGED = frozenset({MeterMemory.RESET})

    def __init__(self, intake: DeviceIntake) -> None:
        kept = read_kept(intake.kept(_KEPT), TakenObservations.from_text)
        super().__init__(intake, HealthTransfer(kept))
        self._assembler = SegmentAssembler()
        intake.keep(_KEPT, self._kept)
        intake.expect(uuids.STORED_HEALTH_OBSERVATIONS, self._take_segment)
        intake.expect(uuids.RECORD_ACCESS_CONTROL_POINT, self._take_answer)

    def begin(self) -> bytes:
        """Begin a transfer where the last one left off; give the first request."""
        self._transfer = HealthTransfer(self._transfer.taken)
        self._requests.clear()
        return encode_record_request(self._transfer.begin())

    def _refusal(self) -> str:
        return code_text("answer", self._transfer.answer_code)

    def _kept(self) -> str:
        return self._transfer.taken.to_text()

    def _take_segment(self, payload: bytes, received_ns: int) -> None:
        whole = self._assembler.process(payload)
        if whole is None:
            return
        try:
            stored = decode_stored_observation(whole)
        except DecodeError:
            self._transfer.undecodable()
            raise
        if not self._transfer.record(stored):
            return
        metrics.RECORDS_TAKEN.labels(self._intake.device_id).inc()
        take_readings(self._intake, stored.observation, received_ns, stored=True)
        signed = self._intake.model.signed_samples
        waveforms = health_observation_waveforms(stored.observation, signed=signed)
        if waveforms:
            # A stream's samples are numbered as they are taken; these are from before it.
            dropped = metrics.READINGS_DROPPED.labels(self._intake.device_id, "stored_waveform")
            dropped.inc(len(waveforms))

    def _take_answer(self, payload: bytes, _received_ns: int) -> None:
        request = self._transfer.answer(decode_record_answer(payload))
        if request is not None:
            self._requests.append(encode_record_request(request))


def take_readings(
    intake: DeviceIntake, observation: Observation, received_ns: int, *, stored: bool = False
) -> None:
    """Take the numbers of an observation; count what else it holds that is not read."""
    readings = health_observation_readings(observation)
    intake.add_readings(readings, received_ns, stored=stored)
    n_unread = len(unread_types(observation))
    if n_unread:
        metrics.READINGS_DROPPED.labels(intake.device_id, "unknown_quantity").inc(n_unread)


def _rate(period_s: float) -> Fraction:
    """Give the exact rate of a period as it is written, such as 50 for 0.02.

    Raises
    ------
    InvalidFieldError
        No Frame can state it.
    """
    period = Fraction(str(period_s))
    numerator, denominator = (period * NS_PER_S).as_integer_ratio()
    if not denominator <= numerator <= PERIOD_TERM_MAX:
        raise InvalidFieldError(field="period", value=period_s, why="is no period of samples")
    return 1 / period


def _as_counts(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give counts as a Frame holds them.

    Raises
    ------
    InvalidFieldError
        They have more than 32 bits and a sign.
    """
    least, most = int(counts.min()), int(counts.max())
    if least < _COUNTS.min or most > _COUNTS.max:
        raise InvalidFieldError(field="samples", value=(least, most), why="do not fit 32 bits")
    return counts.astype(np.int32).reshape(-1, 1)
