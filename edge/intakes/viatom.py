"""Answers of an oximeter that is asked again and again, taken in: pure.

The waveform of an answer is what the device has measured since the last one, without a time. Its
samples are counted: a count that lags behind the time between two answers by more than a quarter
of a second says how many the device has thrown away, because nobody asked in time.
"""

from collections import Counter
from itertools import groupby
from typing import Final

import numpy as np

from devices import codes, uuids
from devices.catalogue import Channel
from devices.errors import InvalidFieldError
from devices.viatom_data import ViatomMeasurement, ViatomRealTime, viatom_readings
from devices.viatom_poll import ViatomFailure, ViatomPoller, ViatomQuestion
from edge import metrics
from edge.intakes.intake import DeviceIntake
from ingest.frame import NS_PER_S, DeviceEventKind, GapCause

PERIOD_S: Final = 1.0
"""As the maker's application asks. The device measures once a second and keeps about two."""
WAVEFORM_HZ: Final = 125
_SAMPLE_NS: Final = NS_PER_S // WAVEFORM_HZ
_LAG_NS_MAX: Final = NS_PER_S // 4
"""Chosen: an answer takes tens of milliseconds, now more and now less, and it is whole chunks of a
second that a full memory throws away."""
_STREAM: Final = "pleth"
_CHANNEL: Final = Channel(name="pleth", quantity=codes.PLETH, ucum="1", scale=1.0)


class ViatomIntake:
    """What an oximeter answers during one link.

    Parameters
    ----------
    intake
        The device's.
    question
        What it is asked.
    start_ns
        When it is to be asked first, by a clock that never goes back.

    Attributes
    ----------
    poller
        Says when to write what.
    """

    def __init__(self, intake: DeviceIntake, question: ViatomQuestion, start_ns: int) -> None:
        self._intake = intake
        self._question = question
        self._failed: Counter[ViatomFailure] = Counter()
        self._last: tuple[int, int] | None = None
        self.poller = ViatomPoller(question, start_ns=start_ns, period_s=PERIOD_S)
        intake.expect(uuids.VIATOM_NOTIFY, self.take)

    def begin(self, now_ns: int) -> None:
        """Expect the waveform, if answers have one."""
        if self._question is ViatomQuestion.SENSORS:
            return
        self._intake.streams.begin(_STREAM, uuids.VIATOM_NOTIFY, (_CHANNEL,), WAVEFORM_HZ)
        detail = f"{_STREAM.upper()} {WAVEFORM_HZ} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, now_ns, detail)

    def take(self, payload: bytes, received_ns: int) -> None:
        """Take one chunk.

        Raises
        ------
        DecodeError
            It completes an answer that is not laid out as the question's is.
        """
        for measurement in self.poller.receive(payload):
            self._take(measurement, received_ns)
        if ViatomFailure.UNDECODABLE in self.note_failures():
            raise InvalidFieldError(field="reply", value=payload, why="does not fit the question")

    def note_failures(self) -> frozenset[ViatomFailure]:
        """Count the questions that have failed since the last call; give the causes."""
        failed = self.poller.n_failed - self._failed
        for cause, n_failed in failed.items():
            metrics.QUESTIONS_FAILED.labels(self._intake.device_id, cause).inc(n_failed)
        self._failed += failed
        return frozenset(failed)

    def _take(self, measurement: ViatomMeasurement, received_ns: int) -> None:
        self._intake.add_readings(viatom_readings(measurement), received_ns)
        if isinstance(measurement, ViatomRealTime):
            self._take_waveform(measurement.waveform, received_ns)

    def _take_waveform(self, waveform: tuple[int | None, ...], received_ns: int) -> None:
        end_ns = self._end_ns(len(waveform), received_ns)
        self._last = (end_ns, self._intake.steady_ns(received_ns))
        i_end = 0
        for is_mark, run in groupby(waveform, lambda sample: sample is None):
            samples = list(run)
            i_end += len(samples)
            if is_mark:
                # The place of a mark is a gap: what was there is not known.
                self._intake.streams.spoil(uuids.VIATOM_NOTIFY, GapCause.UNDECODABLE)
                continue
            self._intake.streams.take(
                _STREAM,
                np.array(samples, dtype=np.int32).reshape(-1, 1),
                device_last_ns=end_ns - (len(waveform) - i_end) * _SAMPLE_NS,
                received_ns=received_ns,
            )

    def _end_ns(self, n_samples: int, received_ns: int) -> int:
        """Give the time of the last sample, counted on from the last answer's."""
        now_ns = self._intake.steady_ns(received_ns)
        if self._last is None:
            return now_ns
        end_ns, before_ns = self._last
        lag_ns = now_ns - before_ns - n_samples * _SAMPLE_NS
        n_lost = round(lag_ns / _SAMPLE_NS) if lag_ns > _LAG_NS_MAX else 0
        return end_ns + (n_lost + n_samples) * _SAMPLE_NS
