"""The table of codes: complete, and held against what others say of the same."""

import re

import pytest

from devices import codes, readings
from devices.ghs_units import ucum_of
from processors.exports.codings import (
    CHEVET,
    LOINC,
    MDC,
    PRESSURES,
    VITAL_SIGNS,
    codings_of,
    mdc_unit,
)
from processors.exports.no_value import REASONS, no_value
from processors.vitals.reasons import NoValueReason
from tests.exports_fhir.r4_checks import ABSENT, SAME
from tests.exports_fhir.r4_checks import PRESSURES as PRESSURE_CODES
from tests.exports_fhir.r4_checks import VITAL_SIGNS as PROFILES

EVERY = [pytest.param(row, id=name) for name, row in codes.QUANTITIES.items()]


@pytest.mark.parametrize("row", EVERY)
def test_every_name_has_a_code_of_the_nomenclature_and_ours(row: codes.Quantity) -> None:
    found = codings_of(row.name, row.mdc)

    by_system = {one.system: one for one in found}
    assert by_system[MDC].code == str(row.mdc)
    assert by_system[CHEVET].code == row.name
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("row", EVERY)
def test_what_loinc_has_no_code_for_gets_none(row: codes.Quantity) -> None:
    loinc = [one.code for one in codings_of(row.name, row.mdc) if one.system == LOINC]

    assert set(loinc) <= {row.loinc} | (
        {VITAL_SIGNS[row.name].loinc} if row.name in VITAL_SIGNS else set()
    )
    assert all(re.fullmatch(r"[0-9]{1,6}-[0-9]", code) for code in loinc)
    assert all(_check_digit(code) == code[-1] for code in loinc)


def _check_digit(code: str) -> str:
    """LOINC's check digit: modulus 10 over the digits, from the right doubled every second."""
    digits = code.partition("-")[0][::-1]
    doubled = "".join(str(int(one) * (2 if i % 2 == 0 else 1)) for i, one in enumerate(digits))
    return str(-sum(map(int, doubled)) % 10)


def test_a_reading_that_the_table_does_not_know_keeps_its_code() -> None:
    found = codings_of("mdc_131999", 131_999)

    assert [(one.system, one.code) for one in found] == [(MDC, "131999"), (CHEVET, "mdc_131999")]


def test_vital_signs_are_those_of_fhir_in_units_that_it_allows() -> None:
    for name, sign in VITAL_SIGNS.items():
        if name in PRESSURES:
            assert sign.loinc in PRESSURE_CODES
            assert sign.ucum == "mm[Hg]"
            continue
        profile, units = PROFILES[sign.loinc]
        assert (sign.profile, sign.ucum in units) == (profile, True)
        if sign.factor == 1:
            assert codes.by_name(name).ucum == sign.ucum


def test_loinc_and_the_nomenclature_mean_the_same() -> None:
    for row in codes.QUANTITIES.values():
        for one in codings_of(row.name, row.mdc):
            if one.system == LOINC and one.code in SAME:
                assert str(row.mdc) in SAME[one.code]


def test_units_of_the_nomenclature_are_the_units_of_ucum() -> None:
    for row in codes.QUANTITIES.values():
        unit = mdc_unit(row.name, row.ucum)
        if unit is not None:
            assert ucum_of(int(unit.code) & 0xFFFF) == row.ucum
            assert int(unit.code) >> 16 == 4


def test_every_reason_is_in_the_words_of_fhir_and_hl7() -> None:
    every = {*map(str, NoValueReason), *map(str, readings.NoValueReason)}

    assert every <= REASONS.keys()
    for reason in REASONS.values():
        assert reason.absent in ABSENT
        assert reason.flag in {"NI", "NA", "NAV", "NAN", "PINF", "NINF", "INV", "DEMO", "TEST"}
    assert no_value("a reason of tomorrow").absent == "unknown"
