"""Polar's measurement data service: settings asked for, streams started and stopped. A shell."""

import asyncio
import contextlib
from typing import Final

import structlog

from devices import uuids
from devices.catalogue import PmdReadings, PmdStream, Quirk
from devices.errors import DecodeError
from devices.polar_pmd import (
    GetSdkModeQuery,
    GetSettingsRequest,
    GetStatusQuery,
    PmdCommand,
    PmdMeasurement,
    PmdQuery,
    PmdResponse,
    PmdSettings,
    PmdStatus,
    PmdStopped,
    StartRequest,
    StopRequest,
    decode_indication,
    decode_settings,
    decode_start_factor,
    encode_indication,
    encode_request,
    join_parameters,
)
from devices.polar_queries import decode_measurement_status, decode_sdk_mode
from edge.clocks.clocks import Stamp
from edge.errors import DeviceRefusedError, LinkLostError
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.intakes.polar import PolarIntake
from edge.links.link import RESPONSE_S_MAX, Link
from ingest.frame import DeviceEventKind

log = structlog.get_logger()

N_RESPONSES_MAX: Final = 8
"""Parts of one answer, and stops that wait; more is a device that never ends."""
_STOPPED: Final = encode_indication(PmdStopped(measurements=()))
"""How an indication begins that says what the device has stopped."""


class PolarSpeaker:
    """Starts the streams of a device's row, each in the settings that the device offers."""

    def __init__(self, link: Link, intake: DeviceIntake, inbox: Inbox) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._streams = PolarIntake(intake)
        self._responses: asyncio.Queue[bytes] = asyncio.Queue(N_RESPONSES_MAX)
        self._stops: asyncio.Queue[bytes] = asyncio.Queue(N_RESPONSES_MAX)
        self._started: dict[int, StartRequest] = {}

    async def open(self) -> None:
        """Subscribe to the service, its control point first, and start the streams.

        Answers come as indications of the control point: subscribed to late, they would be lost.

        Raises
        ------
        DeviceRefusedError
            The device has no such service. One stream that it cannot give does not cost the
            others.
        LinkLostError
        """
        if not self._link.offers(uuids.PMD_CONTROL_POINT) or not self._link.offers(uuids.PMD_DATA):
            raise DeviceRefusedError("no measurement data service, though its model has one")
        await self._link.notify(uuids.PMD_CONTROL_POINT, self._take_response)
        await self._link.notify(uuids.PMD_DATA, self._inbox.door(self._intake, uuids.PMD_DATA))
        if Quirk.SDK_MODE_NEEDS_STREAMS_OFF in self._intake.model.quirks:
            await self._leave_sdk_mode()
        model = self._intake.model
        rows: list[PmdStream | PmdReadings] = [*model.pmd_streams, *model.pmd_readings]
        for row in rows:
            try:
                await self._start(row)
            except DeviceRefusedError as error:
                log.error("stream_refused", device_id=self._intake.device_id, error=str(error))
                self._intake.withdraw(row.measurement.name.lower())
                self._note_refused(f"{row.measurement.name}: {error}")

    async def attend(self) -> None:
        """Say nothing more, and note what the device stops by itself: charger, battery, button."""
        while True:
            payload = await self._stops.get()
            with contextlib.suppress(DecodeError):
                indication = decode_indication(payload)
                if isinstance(indication, PmdStopped):
                    for measurement in indication.measurements:
                        name = getattr(measurement, "name", str(measurement))
                        self._note_refused(f"{name}: stopped by the device")

    async def restart(self, name: str) -> bool:
        """Stop a stream and start it with the settings that it had."""
        rows = [r for r in self._intake.model.pmd_streams if r.measurement.name.lower() == name]
        if not rows:
            return False
        request = self._started.get(rows[0].measurement)
        if request is None:
            raise DeviceRefusedError(f"{name} was never granted")
        with contextlib.suppress(DeviceRefusedError):  # it may have stopped by itself
            await self._request(StopRequest(measurement=request.measurement))
        response = await self._request(request)
        try:
            factor = decode_start_factor(response.parameters)
        except DecodeError as error:
            raise DeviceRefusedError(f"settings not understood: {error!r}") from error
        self._streams.set_factor(request.measurement, factor)
        return True

    async def close(self) -> None:
        """Stop what was started: a strap left running would empty its battery."""
        for measurement in reversed(list(self._started)):
            # A start that was never answered may have been refused, and its stop is, too.
            with contextlib.suppress(DeviceRefusedError):
                await self._request(StopRequest(measurement=measurement))
        self._started.clear()

    def _note_refused(self, detail: str) -> None:
        self._intake.event(DeviceEventKind.STREAM_REFUSED, self._inbox.now_ns(), detail[:200])

    async def _leave_sdk_mode(self) -> None:
        """Switch SDK mode off: somebody has left it on, and in it there is no heart rate.

        It can be switched only while nothing runs.
        """
        try:
            answer = await self._request(GetSdkModeQuery())
            if not decode_sdk_mode(answer.parameters):
                return
            running = await self._request(GetStatusQuery())
            for row in decode_measurement_status(running.parameters):
                if row.online:
                    await self._request(StopRequest(measurement=row.measurement))
            await self._request(StopRequest(measurement=PmdMeasurement.SDK_MODE))
        except (DecodeError, DeviceRefusedError) as error:
            # Firmware without the mode does not know the question.
            log.info("sdk_mode_unknown", device_id=self._intake.device_id, error=str(error))
        else:
            log.warning("sdk_mode_left", device_id=self._intake.device_id)

    async def _start(self, row: PmdStream | PmdReadings) -> None:
        try:
            settings = await self._settings(row)
            # The intake must know the stream before its first frame arrives.
            if isinstance(row, PmdStream):
                rate_hz = row.true_rate_hz(settings.sample_rates_hz[0])
                self._streams.begin(row, rate_hz=rate_hz, now_ns=self._inbox.now_ns())
            else:
                stated_hz = settings.sample_rates_hz[0] if settings.sample_rates_hz else None
                self._streams.begin_readings(row, rate_hz=stated_hz, now_ns=self._inbox.now_ns())
            response = await self._request_start(
                StartRequest(measurement=row.measurement, settings=settings)
            )
            self._streams.set_factor(row.measurement, decode_start_factor(response.parameters))
        except (DecodeError, IndexError) as error:
            raise DeviceRefusedError(f"settings not understood: {error!r}") from error

    async def _settings(self, row: PmdStream | PmdReadings) -> PmdSettings:
        """Choose from what is offered; what has no settings is not asked for any."""
        if row.settings == PmdSettings():
            return row.settings
        offered = await self._request(GetSettingsRequest(measurement=row.measurement))
        return chosen_settings(row.settings, decode_settings(offered.parameters))

    async def _request_start(self, request: StartRequest) -> PmdResponse:
        """Start a stream; one that runs already is stopped first, so that its settings are ours."""
        # Noted before the answer: whoever is interrupted in between still has to stop it.
        self._started[request.measurement] = request
        try:
            return await self._request(request)
        except DeviceRefusedError:
            try:
                await self._request(StopRequest(measurement=request.measurement))
                return await self._request(request)
            except DeviceRefusedError:
                del self._started[request.measurement]
                raise

    async def _request(self, request: PmdCommand) -> PmdResponse:
        """Write to the control point and wait for the whole answer.

        Raises
        ------
        DeviceRefusedError
            The answer is an error, or none that can be understood.
        LinkLostError
        """
        while not self._responses.empty():
            self._responses.get_nowait()
        await self._link.write(uuids.PMD_CONTROL_POINT, encode_request(request))
        parts = [await self._response(request)]
        while parts[-1].more and len(parts) < N_RESPONSES_MAX:
            parts.append(await self._response(request))
        status = parts[0].status
        if status != PmdStatus.SUCCESS:
            name = PmdStatus(status).name if status in set(PmdStatus) else str(status)
            raise DeviceRefusedError(f"{request}: {name}")
        return PmdResponse(
            op_code=parts[0].op_code,
            measurement=parts[0].measurement,
            status=status,
            parameters=join_parameters(*parts),
        )

    async def _response(self, request: PmdCommand) -> PmdResponse:
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                while True:
                    indication = decode_indication(await self._responses.get())
                    if isinstance(indication, PmdResponse) and _answers(indication, request):
                        return indication
        except TimeoutError as error:
            if self._link.lost.is_set():
                raise LinkLostError("the link was lost while a request waited") from error
            raise DeviceRefusedError(f"{request}: no answer in {RESPONSE_S_MAX} s") from error
        except DecodeError as error:
            raise DeviceRefusedError(f"{request}: answer not understood: {error}") from error

    def _take_response(self, payload: bytes, _arrival: Stamp) -> None:
        # Who waits for an answer and who waits for a stop are two.
        queue = self._stops if payload[:1] == _STOPPED else self._responses
        if not queue.full():
            queue.put_nowait(payload)


def _answers(response: PmdResponse, request: PmdCommand) -> bool:
    """Tell whether a response is to a request; that to a query is known by its op code alone."""
    if response.op_code != request.op_code:
        return False
    return isinstance(request, PmdQuery) or response.measurement == request.measurement


def chosen_settings(wanted: PmdSettings, offered: PmdSettings) -> PmdSettings:
    """Take one value of each offered setting: the wanted one where it is offered, else the first.

    A recording behind a virtual strap offers its own rate only, and an old firmware may lack one
    of the catalogue's.
    """

    def choose(wanted_values: tuple[int, ...], values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for value in wanted_values if value in values)[:1] or values[:1]

    return PmdSettings(
        sample_rates_hz=choose(wanted.sample_rates_hz, offered.sample_rates_hz),
        resolutions_bits=choose(wanted.resolutions_bits, offered.resolutions_bits),
        ranges=choose(wanted.ranges, offered.ranges),
        ranges_milliunit=choose(wanted.ranges_milliunit, offered.ranges_milliunit),
        n_channels=choose(wanted.n_channels, offered.n_channels),
    )
