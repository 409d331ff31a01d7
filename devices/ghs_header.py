"""The header of a Generic Health Sensor's observation: flags, and what they say is there.

Source: as in `devices.ghs_observation`. The bits of the measurement status are as ST and Realtek
have them; drafts had other numbers for some. Flag 8 is "is member of" there and in HL7's guide to
personal health devices, and was "has member" in drafts. The adopted specification has no flag for
a number of 16 bits, as some drafts had: numbers are 32 bits.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices.elapsed_time import ElapsedTime, read_elapsed_time, write_elapsed_time
from devices.ghs_tlv import Tlv, read_tlvs, write_tlvs
from devices.ghs_values import read_codes, write_codes
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter


class _Flag(IntFlag):
    OBSERVATION_TYPE = 1 << 0
    TIME_STAMP = 1 << 1
    DURATION = 1 << 2
    STATUS = 1 << 3
    OBSERVATION_ID = 1 << 4
    PATIENT = 1 << 5
    SUPPLEMENTAL = 1 << 6
    DERIVED_FROM = 1 << 7
    IS_MEMBER_OF = 1 << 8
    TLVS = 1 << 9


_DEFINED_FLAGS: Final = 0x03FF
_DEFINED_STATUS: Final = 0xC0FF


class ObservationStatus(IntFlag):
    """What a sensor says of a measurement; bits 8 to 13 are reserved."""

    INVALID = 1 << 0
    QUESTIONABLE = 1 << 1
    NOT_AVAILABLE = 1 << 2
    CALIBRATING = 1 << 3
    TEST_DATA = 1 << 4
    EARLY_ESTIMATE = 1 << 5
    MANUALLY_ENTERED = 1 << 6
    SETTING = 1 << 7
    THRESHOLD_ERROR = 1 << 14
    THRESHOLDING_DISABLED = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationHeader:
    """What is said about an observation, or in a bundle about all of them.

    Attributes
    ----------
    observation_type
        What is observed: MDC code, 32 bits. None where the bundle says it, or nobody.
    time
        When, or when it began, by the device's clock; None if not sent.
    duration_s
        How long; None if not sent.
    status
        None if not sent.
    observation_id
        By which others refer to it; None if not sent.
    patient
        Which of the sensor's users, by the sensor's own number; None if not sent.
    supplemental
        MDC codes, such as the place on the body.
    derived_from, is_member_of
        Observation ids.
    tlvs
        Further attributes.
    """

    observation_type: int | None = None
    time: ElapsedTime | None = None
    duration_s: MedFloat | None = None
    status: ObservationStatus | None = None
    observation_id: int | None = None
    patient: int | None = None
    supplemental: tuple[int, ...] = ()
    derived_from: tuple[int, ...] = ()
    is_member_of: tuple[int, ...] = ()
    tlvs: tuple[Tlv, ...] = ()


def read_header(reader: PayloadReader) -> ObservationHeader:
    """Read the flags, and what they say."""
    flags = _Flag(reader.u16("flags") & _DEFINED_FLAGS)
    has = {flag: flag in flags for flag in _Flag}
    return ObservationHeader(
        observation_type=reader.u32("observation_type") if has[_Flag.OBSERVATION_TYPE] else None,
        time=read_elapsed_time(reader, "time_stamp") if has[_Flag.TIME_STAMP] else None,
        duration_s=reader.float_("measurement_duration") if has[_Flag.DURATION] else None,
        status=_read_status(reader) if has[_Flag.STATUS] else None,
        observation_id=reader.u32("observation_id") if has[_Flag.OBSERVATION_ID] else None,
        patient=reader.u8("patient") if has[_Flag.PATIENT] else None,
        supplemental=read_codes(reader, "supplemental") if has[_Flag.SUPPLEMENTAL] else (),
        derived_from=read_codes(reader, "derived_from") if has[_Flag.DERIVED_FROM] else (),
        is_member_of=read_codes(reader, "is_member_of") if has[_Flag.IS_MEMBER_OF] else (),
        tlvs=read_tlvs(reader) if has[_Flag.TLVS] else (),
    )


def write_header(writer: PayloadWriter, header: ObservationHeader) -> None:
    """Write the flags, and what they say."""
    writer.u16("flags", _flags(header))
    _write_what_and_when(writer, header)
    _write_who(writer, header)
    _write_references(writer, header)


def inherit(own: ObservationHeader, bundle: ObservationHeader) -> ObservationHeader:
    """Give what is said of an observation in a bundle; see `ObservationBundle.unbundled`."""
    return ObservationHeader(
        observation_type=_first(own.observation_type, bundle.observation_type),
        time=own.time or bundle.time,
        duration_s=bundle.duration_s if own.duration_s is None else own.duration_s,
        status=_both(own.status, bundle.status),
        observation_id=own.observation_id,
        patient=_first(own.patient, bundle.patient),
        supplemental=own.supplemental or bundle.supplemental,
        derived_from=own.derived_from or bundle.derived_from,
        is_member_of=own.is_member_of or bundle.is_member_of,
        tlvs=own.tlvs or bundle.tlvs,
    )


def _first(own: int | None, of_bundle: int | None) -> int | None:
    return of_bundle if own is None else own


def _both(
    own: ObservationStatus | None, of_bundle: ObservationStatus | None
) -> ObservationStatus | None:
    if own is None or of_bundle is None:
        return of_bundle if own is None else own
    return own | of_bundle


def _write_what_and_when(writer: PayloadWriter, header: ObservationHeader) -> None:
    if header.observation_type is not None:
        writer.u32("observation_type", header.observation_type)
    if header.time is not None:
        write_elapsed_time(writer, "time_stamp", header.time)
    if header.duration_s is not None:
        writer.float_("measurement_duration", header.duration_s)
    if header.status is not None:
        writer.u16("measurement_status", header.status)


def _write_who(writer: PayloadWriter, header: ObservationHeader) -> None:
    if header.observation_id is not None:
        writer.u32("observation_id", header.observation_id)
    if header.patient is not None:
        writer.u8("patient", header.patient)


def _write_references(writer: PayloadWriter, header: ObservationHeader) -> None:
    lists = {
        "supplemental": header.supplemental,
        "derived_from": header.derived_from,
        "is_member_of": header.is_member_of,
    }
    for field, codes in lists.items():
        if codes:
            write_codes(writer, field, codes)
    if header.tlvs:
        write_tlvs(writer, header.tlvs)


def _read_status(reader: PayloadReader) -> ObservationStatus:
    return ObservationStatus(reader.u16("measurement_status") & _DEFINED_STATUS)


def _flags(header: ObservationHeader) -> int:
    present = {
        _Flag.OBSERVATION_TYPE: header.observation_type is not None,
        _Flag.TIME_STAMP: header.time is not None,
        _Flag.DURATION: header.duration_s is not None,
        _Flag.STATUS: header.status is not None,
        _Flag.OBSERVATION_ID: header.observation_id is not None,
        _Flag.PATIENT: header.patient is not None,
        _Flag.SUPPLEMENTAL: bool(header.supplemental),
        _Flag.DERIVED_FROM: bool(header.derived_from),
        _Flag.IS_MEMBER_OF: bool(header.is_member_of),
        _Flag.TLVS: bool(header.tlvs),
    }
    return sum(flag for flag, is_set in present.items() if is_set)
