"""Stored and live records of glucose monitors and of oximeters that keep spot-checks. Pure."""

import hashlib
from abc import abstractmethod
from dataclasses import replace
from typing import Final

from devices import uuids
from devices.continuous_glucose import (
    CgmFeature,
    CgmFeatures,
    decode_cgm_features,
    decode_cgm_measurements,
    decode_cgm_status,
)
from devices.continuous_glucose_session import CgmSessionStart, decode_cgm_session_start
from devices.errors import DecodeError, EncodeError, InvalidFieldError
from devices.glucose import SampleType
from devices.glucose_readings import cgm_readings
from devices.pulse_oximeter import MeasurementStatus, decode_plx_spot_check, encode_plx_spot_check
from devices.readings import plx_readings
from devices.record_access import decode_racp_indication, encode_racp_request
from devices.stock_transfer import StockTransfer, TakenStock
from edge import metrics
from edge.intakes.intake import DeviceIntake
from edge.intakes.records import StoredRecords, code_text, read_kept
from ingest.frame import NS_PER_S

_KEPT: Final = "stock"
_MIN_NS: Final = 60 * NS_PER_S
_DIGEST_BYTES: Final = 8


class StockRecords(StoredRecords[StockTransfer]):
    """What both kinds have in common: one transfer, and live records besides.

    Parameters
    ----------
    intake
        The device's.
    """

    def __init__(self, intake: DeviceIntake) -> None:
        kept = read_kept(intake.kept(_KEPT), TakenStock.from_text)
        super().__init__(intake, StockTransfer(kept))
        intake.keep(_KEPT, self._kept)
        intake.expect(self.characteristics[0], self._take)
        intake.expect(self.control_point, self._take_indication)

    def begin(self) -> bytes:
        """Begin a transfer where the last one left off; give the first request."""
        self._transfer = StockTransfer(self._transfer.taken)
        self._requests.clear()
        return encode_racp_request(self._transfer.begin())

    def _refusal(self) -> str:
        return code_text("response", self._transfer.response_code)

    @abstractmethod
    def _take_record(self, payload: bytes, received_ns: int) -> None:
        """Take a payload of records.

        Raises
        ------
        DecodeError
        """

    def _take(self, payload: bytes, received_ns: int) -> None:
        try:
            self._take_record(payload, received_ns)
        except DecodeError:
            self._transfer.undecodable()
            raise

    def _is_new(self, key: str, number: int | None = None) -> bool:
        is_new = self._transfer.record(key, number)
        if is_new:
            metrics.RECORDS_TAKEN.labels(self._intake.device_id).inc()
        return is_new

    def _take_indication(self, payload: bytes, _received_ns: int) -> None:
        request = self._transfer.indication(decode_racp_indication(payload))
        if request is not None:
            self._requests.append(encode_racp_request(request))

    def _kept(self) -> str:
        return self._transfer.taken.to_text()


class CgmRecords(StockRecords):
    """The records of a continuous glucose monitor, of the session that it is in."""

    characteristics = (uuids.CGM_MEASUREMENT, uuids.RECORD_ACCESS_CONTROL_POINT)
    reads = (uuids.CGM_FEATURE, uuids.CGM_SESSION_START_TIME, uuids.CGM_STATUS)

    def __init__(self, intake: DeviceIntake) -> None:
        super().__init__(intake)
        self._features: CgmFeatures | None = None
        self._session: CgmSessionStart | None = None

    def learn(self, uuid: str, payload: bytes, received_ns: int) -> None:
        """Take features, the start of the session, and the status, in this order.

        Raises
        ------
        DecodeError
        """
        if uuid == uuids.CGM_FEATURE:
            self._features = decode_cgm_features(payload)
        elif uuid == uuids.CGM_SESSION_START_TIME:
            self._begin_session(decode_cgm_session_start(payload, e2e_crc=self._e2e_crc))
        else:
            status = decode_cgm_status(payload, e2e_crc=self._e2e_crc)
            self._compare(status.time_offset_min, received_ns)

    @property
    def _e2e_crc(self) -> bool | None:
        return None if self._features is None else CgmFeature.E2E_CRC in self._features.features

    def _begin_session(self, session: CgmSessionStart) -> None:
        """Go on with the session that is known, or begin another."""
        self._session = session
        start = session.start.to_datetime()
        name = "" if start is None else start.isoformat()
        if self._transfer.taken.session != name:
            self._transfer = StockTransfer(TakenStock(session=name))

    def _compare(self, time_offset_min: int, received_ns: int) -> None:
        """Compare the monitor's clock: its status tells the minutes since the session's start.

        Where it also tells its zone, and that fits, its start is UTC to the second.
        """
        if self._session is None or self._intake.clock.compared:
            return
        now = self._session.at(time_offset_min)
        local = None if now is None else now.to_datetime()
        if local is None:
            return
        # Of the minute that it is in, the middle.
        at_ns = received_ns - _MIN_NS // 2
        zone, dst = self._session.time_zone_min, self._session.dst_offset_min
        if zone is not None and dst is not None:
            offset_ns = self._intake.clock.offset_ns(local, zone + dst)
            if abs(offset_ns - at_ns) <= _MIN_NS:
                at_ns = offset_ns
        self._intake.clock.compare(local, at_ns)

    def _take_record(self, payload: bytes, received_ns: int) -> None:
        records = decode_cgm_measurements(payload, e2e_crc=self._e2e_crc)
        minutes = sorted({one.time_offset_min for one in records})
        new_minutes = {minute for minute in minutes if self._is_new(str(minute), minute)}
        new = [one for one in records if one.time_offset_min in new_minutes]
        sample_type = SampleType.INTERSTITIAL_FLUID
        readings = cgm_readings(
            new,
            session=self._session,
            sample_type=sample_type if self._features is None else self._features.sample_type,
        )
        self._intake.add_readings(readings, received_ns, stored=not self.ended)


class SpotCheckRecords(StockRecords):
    """The spot-checks that a pulse oximeter has kept, and those that it takes."""

    characteristics = (uuids.PLX_SPOT_CHECK, uuids.RECORD_ACCESS_CONTROL_POINT)

    def _take_record(self, payload: bytes, received_ns: int) -> None:
        spot_check = decode_plx_spot_check(payload)
        status = spot_check.measurement_status
        # That it comes from storage is no content: it came live, too.
        same = replace(
            spot_check,
            measurement_status=None if status is None else status & ~MeasurementStatus.FROM_STORAGE,
        )
        try:
            content = encode_plx_spot_check(same)
        except EncodeError as error:
            # There are numbers that can be read and not be written: no oximeter measures them.
            raise InvalidFieldError(field=error.field, value=error.value, why=error.why) from error
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()
        if self._is_new(digest):
            from_storage = MeasurementStatus.FROM_STORAGE in (status or MeasurementStatus(0))
            self._intake.add_readings(plx_readings(spot_check), received_ns, stored=from_storage)
