"""HL7 v2.6 messages ORU^R01 in the form of IHE's PCD-01: values, and strips of waveforms.

Alarms are not in it: they have a transaction of their own (PCD-04).

Source: HL7 v2.6, chapter 7; IHE Patient Care Device Technical Framework, volume 2, PCD-01; IHE PCD
Waveform Content Module for the facets of a waveform.
"""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby
from typing import Final

from devices import codes
from devices.codes import quantity_name
from ingest.frame import NS_PER_S, WaveformBlock
from ingest.observation import Observation
from processors.exports.clinical import ClinicalRecord, devices_of
from processors.exports.codings import (
    CHEVET,
    LOINC,
    NO_UNIT,
    Coding,
    codings_of,
    label_of,
    mdc_unit,
)
from processors.exports.no_value import no_value
from processors.exports.oru_text import components, date_time, escaped, header, number, segment

AUTHORITY: Final = "CHEVET"
"""Who gives names to subjects, devices and orders."""
OWN_CODES: Final = "99CHV"
"""Our names as a coding system of HL7 v2; tables of one's own begin with 99."""
PROFILE: Final = components("IHE_PCD_001", "IHE PCD", "1.3.6.1.4.1.19376.1.6.1.1.1", "ISO")

_MONITORING: Final = components("182777000", "monitoring of patient", "SCT")
_WAVEFORMS: Final = components("69121", "MDC_OBS_WAVE_CTS", "MDC")
_MONITOR: Final = components("69965", "MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS", "MDC")
# The framework has no number for the rate; everybody sends 0.
_SAMPLE_RATE: Final = components("0", "MDC_ATTR_SAMP_RATE", "MDC")
_RESOLUTION: Final = components("2327", "MDC_ATTR_NU_MSMT_RES", "MDC")
_PER_SECOND: Final = components("264608", "MDC_DIM_PER_SEC", "MDC", "/s", "/s", "UCUM")

_REASON: Final = components("no_value_reason", "Why there is no value", OWN_CODES)
_OFFSET: Final = components("waveform_offset", "Value of count 0", OWN_CODES)

_UNVERIFIED: Final = "R"
"""No person has looked at it."""
_NOT_OBTAINED: Final = "X"
_CONTROL_ID_CHARS: Final = 20


def encode_oru(
    record: ClinicalRecord, *, created_ns: int | None = None, facility: str = ""
) -> bytes:
    """Write one message of a record, UTF-8, segments ended by carriage returns.

    Parameters
    ----------
    record
        With names and times as they are to be told.
    created_ns
        When the message is made, UTC; None: when its last value was measured, so that the same
        record gives the same bytes.
    facility
        Of the sender.

    Raises
    ------
    ValueError
        There is nothing to be told.
    """
    unique = {(*one.identity, one.channels): one for one in record.observations}
    found = sorted(unique.values(), key=lambda one: (one.t_ns, one.name, one.algorithm))
    if not found and not record.strips:
        raise ValueError(f"a message about {record.subject_id} needs an observation or a strip")
    monitors = _monitors(record)
    body = "".join(_groups(found, record, monitors))
    last_ns = max([one.t_ns for one in found[-1:]] + [cut.end_ns for cut in record.strips])
    digest = hashlib.sha256(f"{record.subject_id}\r{body}".encode()).hexdigest()
    head = header(
        {
            3: AUTHORITY,
            4: escaped(facility),
            7: date_time(last_ns if created_ns is None else created_ns),
            9: components("ORU", "R01", "ORU_R01"),
            10: digest[:_CONTROL_ID_CHARS],
            11: "P",
            12: "2.6",
            15: "AL",
            16: "NE",
            18: "UNICODE UTF-8",
            21: PROFILE,
        }
    )
    patient = segment(
        "PID",
        # Of a pseudonym's type (table 0200, S): there is no name, and none is asked for.
        {1: "1", 3: components(record.subject_id, "", "", AUTHORITY, "PI"), 5: "^^^^^^S"},
    )
    return (head + patient + body).encode()


def _monitors(record: ClinicalRecord) -> dict[str, int]:
    """Give each device a number from 2 on; 1 is Chevet, for what rests on several or on none."""
    named = {cut.block.device_id for cut in record.strips}
    for one in record.observations:
        named.update(devices_of(one.channels))
    return {device_id: i for i, device_id in enumerate(sorted(named), start=2)}


def _groups(
    found: list[Observation], record: ClinicalRecord, monitors: dict[str, int]
) -> Iterator[str]:
    number_of_order = 0
    for second, together in groupby(found, key=lambda one: one.t_ns // NS_PER_S):
        number_of_order += 1
        rows = list(together)
        name = f"{record.subject_id}-{second}"
        span_ns = (rows[0].t_ns, rows[-1].t_ns)
        yield _order(number_of_order, name, _MONITORING, span_ns)
        yield from _Rows(monitors).values(rows)
    for cut in sorted(record.strips, key=lambda one: (one.block.t0_ns, one.block.channel)):
        number_of_order += 1
        name = f"{record.subject_id}-{cut.block.t0_ns}-{cut.block.channel}"
        yield _order(number_of_order, name, _WAVEFORMS, (cut.block.t0_ns, cut.end_ns))
        yield from _Rows(monitors).waveforms(cut.present())


def _order(i: int, name: str, service: str, span_ns: tuple[int, int]) -> str:
    begin_ns, end_ns = span_ns
    fields = {1: str(i), 3: components(name, AUTHORITY), 4: service}
    return segment("OBR", fields | {7: date_time(begin_ns), 8: date_time(end_ns)})


class _Rows:
    """The OBX segments under one OBR: a device, its metrics, and the facets of each."""

    def __init__(self, monitors: dict[str, int]) -> None:
        self._monitors = monitors
        self._n_rows = 0
        self._n_metrics: dict[int, int] = {}

    def values(self, rows: list[Observation]) -> Iterator[str]:
        """Write observations."""
        for one in rows:
            named = devices_of(one.channels)
            device_id = named[0] if len(named) == 1 else ""
            yield from self._monitor(device_id)
            place = self._next_place(device_id)
            yield self._value(one, place, device_id)
            yield self._quality(one, place)
            if one.reason is not None:
                fields = {2: "ST", 3: _REASON, 4: f"{place}.2", 5: escaped(one.reason)}
                yield self._row(fields | {11: _UNVERIFIED})

    def waveforms(self, blocks: Iterator[WaveformBlock]) -> Iterator[str]:
        """Write the stretches of a strip that came: what is missing is between them."""
        for block in blocks:
            yield from self._monitor(block.device_id)
            place = self._next_place(block.device_id)
            name = quantity_name(block.mdc_code)
            unit = _unit(name, block.unit)
            yield self._row(
                {
                    2: "NA",
                    3: _code(name, block.mdc_code),
                    4: place,
                    5: "^".join(map(str, block.counts.tolist())),
                    6: unit,
                    11: _UNVERIFIED,
                    14: date_time(block.t0_ns),
                    18: components(block.device_id, AUTHORITY),
                }
            )
            period = Fraction(block.period.ns_numerator, block.period.ns_denominator)
            rate = number(float(NS_PER_S / period))
            yield self._facet(f"{place}.1", _SAMPLE_RATE, rate, _PER_SECOND)
            yield self._facet(f"{place}.2", _RESOLUTION, number(block.scale), unit)
            if block.offset:
                yield self._facet(f"{place}.3", _OFFSET, number(block.offset), unit)

    def _row(self, fields: dict[int, str]) -> str:
        self._n_rows += 1
        return segment("OBX", {1: str(self._n_rows), **fields})

    def _facet(self, place: str, code: str, value: str, unit: str) -> str:
        return self._row({2: "NM", 3: code, 4: place, 5: value, 6: unit, 11: _UNVERIFIED})

    def _monitor(self, device_id: str) -> Iterator[str]:
        """Write the row of a device when it is first met."""
        i = self._monitors.get(device_id, 1)
        if i not in self._n_metrics:
            self._n_metrics[i] = 0
            equipment = components(device_id or AUTHORITY.lower(), AUTHORITY)
            yield self._row({3: _MONITOR, 4: f"{i}.0.0.0", 11: "X", 18: equipment})

    def _next_place(self, device_id: str) -> str:
        i = self._monitors.get(device_id, 1)
        self._n_metrics[i] += 1
        return f"{i}.0.0.{self._n_metrics[i]}"

    def _value(self, one: Observation, place: str, device_id: str) -> str:
        method = (
            f"{one.algorithm}.{one.algorithm_version}",
            f"{one.algorithm}, version {one.algorithm_version}",
            OWN_CODES,
        )
        fields = {
            2: "NM",
            3: _code(one.name, one.mdc_code),
            4: place,
            6: _unit(one.name, one.unit),
            11: _UNVERIFIED,
            14: date_time(one.t_ns),
            17: components(*method),
        }
        if device_id:
            fields[18] = components(device_id, AUTHORITY)
        if one.value is not None:
            return self._row(fields | {5: number(one.value)})
        reason = no_value(one.reason or "unknown")
        return self._row(fields | {8: reason.flag, 11: _NOT_OBTAINED})

    def _quality(self, one: Observation, place: str) -> str:
        row = codes.SIGNAL_QUALITY
        unit = _unit(row.name, row.ucum)
        return self._facet(f"{place}.1", _code(row.name, row.mdc), number(one.quality), unit)


def _code(name: str, mdc_code: int) -> str:
    """Write MDC's code, and LOINC's or ours beside it."""
    found = codings_of(name, mdc_code)
    reference_id = next(one.display for one in found if one.code == str(mdc_code))
    loinc = [one for one in found if one.system == LOINC]
    # Of two LOINC codes the second is the finer one; the first is for those who look for FHIR's.
    other = loinc[-1] if loinc else Coding(CHEVET, name, label_of(name))
    system = "LN" if loinc else OWN_CODES
    label = reference_id or name
    return components(str(mdc_code), label, "MDC", other.code, other.display, system)


def _unit(name: str, ucum: str) -> str:
    """Write a unit as the nomenclature has it, and UCUM's beside it."""
    ucum = ucum or NO_UNIT
    unit = mdc_unit(name, ucum)
    if unit is None:
        return components(ucum, ucum, "UCUM")
    return components(unit.code, unit.display, "MDC", ucum, ucum, "UCUM")
