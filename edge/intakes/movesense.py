"""What a Movesense sensor notifies, taken in: pure."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import uuids
from devices.catalogue import DeviceModel, GspStream
from devices.errors import InvalidFieldError
from devices.movesense import GspData, GspResponse, decode_gsp_notification
from devices.movesense_data import (
    FRAME_DECODERS,
    HEART_RATE_PATH,
    GspFrame,
    decode_gsp_heart_rate,
    decode_gsp_temperature,
)
from devices.movesense_parts import GspAssembler, GspLossCause
from devices.movesense_readings import gsp_heart_rate_readings, gsp_temperature_readings
from edge.intakes.intake import DeviceIntake
from edge.links.link_limits import NOTIFICATION_BYTES_MIN
from ingest.frame import NS_PER_S, DeviceEventKind

RESPONSES_MAX: Final = 8
"""Answers that wait for their asker, who awaits one at a time; the oldest gives way."""
STEP: Final = 2.0**-20
"""A number of 32 bits becomes a count of these steps of its unit: exactly from 8 on, and to half a
millionth below."""
_VALUE_MAX: Final = 2.0**11
"""The largest that 32 bits of such steps hold; acceleration, rotation and field stay below."""
_NS_PER_MS: Final = 10**6
_CLOCK_MS: Final = 1 << 32


class MovesenseIntake:
    """What a sensor sends under each reference during one link.

    Parameters
    ----------
    intake
        The device's.

    Attributes
    ----------
    streams, events
        Waveforms, and paths of single values, by the reference to subscribe under.
    """

    def __init__(self, intake: DeviceIntake) -> None:
        self._intake = intake
        self.streams, self.events = _references(intake.model)
        whole_bytes = {reference: row.whole_bytes for reference, row in self.streams.items()}
        self._assembler = GspAssembler({**whole_bytes, **dict.fromkeys(self.events)})
        self._responses: deque[GspResponse] = deque(maxlen=RESPONSES_MAX)
        self._cut: set[int] = set()
        self._latest_ms = 0
        self._n_wraps = 0
        intake.expect(uuids.GSP_DATA, self.take)

    def begin(self, reference: int, now_ns: int) -> None:
        """Expect the waveform that is being subscribed to."""
        row = self.streams[reference]
        self._intake.streams.begin(row.kind, uuids.GSP_DATA, row.channels, row.fs_hz)
        detail = f"{row.kind.upper()} {row.fs_hz} Hz"
        self._intake.event(DeviceEventKind.STREAM_STARTED, now_ns, detail)

    def response(self, reference: int) -> GspResponse | None:
        """Give the answer to the command of a reference, once; None: it has not come."""
        while self._responses:
            response = self._responses.popleft()
            if response.reference == reference:
                return response
        return None

    def take(self, payload: bytes, received_ns: int) -> None:
        """Take one notification.

        Raises
        ------
        DecodeError
        """
        notification = decode_gsp_notification(payload)
        if isinstance(notification, GspResponse):
            self._responses.append(notification)
            return
        n_without_rest = self._assembler.n_lost[GspLossCause.REST_MISSING]
        whole = self._assembler.process(notification)
        if self._assembler.n_lost[GspLossCause.REST_MISSING] > n_without_rest:
            self._check_length(notification.reference, payload, received_ns)
        if whole is not None:
            self._take_whole(whole, received_ns)

    def _take_whole(self, whole: GspData, received_ns: int) -> None:
        row = self.streams.get(whole.reference)
        if row is not None:
            self._take_samples(row, whole.body, received_ns)
        elif self.events[whole.reference] == HEART_RATE_PATH:
            readings = gsp_heart_rate_readings(decode_gsp_heart_rate(whole.body))
            self._intake.add_readings(readings, received_ns)
        else:
            readings = gsp_temperature_readings(decode_gsp_temperature(whole.body))
            self._intake.add_readings(readings, received_ns)

    def _take_samples(self, row: GspStream, body: bytes, received_ns: int) -> None:
        frame = FRAME_DECODERS[row.kind](body)
        counts, factor = _counts(frame)
        # The time stamp is of the first sample; those behind it follow at the nominal rate.
        length_ns = (len(counts) - 1) * NS_PER_S // row.fs_hz
        self._intake.streams.take(
            row.kind,
            counts,
            device_last_ns=self._device_ns(frame.timestamp_ms) + length_ns,
            received_ns=received_ns,
            factor=factor,
        )

    def _device_ns(self, timestamp_ms: int) -> int:
        """Give the sensor's time since it started, beyond the 49 days of its 32 bits."""
        n_wraps = self._n_wraps
        if self._latest_ms - timestamp_ms > _CLOCK_MS // 2:
            n_wraps += 1
        elif timestamp_ms - self._latest_ms > _CLOCK_MS // 2 and n_wraps:
            return ((n_wraps - 1) * _CLOCK_MS + timestamp_ms) * _NS_PER_MS
        self._n_wraps, self._latest_ms = n_wraps, timestamp_ms
        return (n_wraps * _CLOCK_MS + timestamp_ms) * _NS_PER_MS

    def _check_length(self, reference: int, payload: bytes, received_ns: int) -> None:
        """Say so once where the link is too narrow for two parts to be a whole."""
        row = self.streams.get(reference)
        if row is None or len(payload) != NOTIFICATION_BYTES_MIN or reference in self._cut:
            return
        self._cut.add(reference)
        detail = (
            f"{row.kind.upper()}: notifications end at {NOTIFICATION_BYTES_MIN} bytes; "
            f"{row.whole_bytes} are needed: the link's ATT MTU is 23"
        )
        self._intake.event(DeviceEventKind.STREAM_REFUSED, received_ns, detail)


def _references(model: DeviceModel) -> tuple[dict[int, GspStream], dict[int, str]]:
    streams = dict(enumerate(model.gsp_streams, start=1))
    return streams, dict(enumerate(model.gsp_events, start=1 + len(streams)))


def _counts(frame: GspFrame) -> tuple[NDArray[np.int32], float]:
    """Give the samples as integers, and the unit of one.

    Raises
    ------
    InvalidFieldError
        One of them is beyond anything that such a sensor measures.
    """
    if frame.samples.dtype == np.int32:
        return frame.samples.astype(np.int32), 1.0
    numbers = frame.samples.astype(np.float64)
    largest = float(np.abs(numbers).max())
    if largest >= _VALUE_MAX:
        raise InvalidFieldError(field="samples", value=largest, why="is beyond the sensor's range")
    return np.rint(numbers / STEP).astype(np.int32), STEP
