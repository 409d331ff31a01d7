"""HL7 v2: read back with a library of others, strictly, and the values are the same."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.exports.clinical import ClinicalRecord
from processors.exports.oru import encode_oru
from processors.exports.oru_text import components, date_time, escaped, number, segment
from processors.exports.strips import Strip
from tests.exports_fhir.cases import SUBJECT, block, observation, outputs, record
from tests.exports_fhir.er7 import fields_of, segments_of
from tests.exports_fhir.oru_checks import problems
from tests.pipeline.bedside import START_NS

N_COMPARED = 120
"""Of the thousands of a run: a strict parse of each segment takes milliseconds."""


@cache
def few() -> list[Observation]:
    observations, _ = outputs()
    every = max(1, len(observations) // N_COMPARED)
    return list(observations[::every])


def message_of(*observations: Observation, strips: Sequence[Strip] = ()) -> bytes:
    whole = ClinicalRecord(subject_id=SUBJECT, observations=observations, strips=strips)
    return encode_oru(whole)


def parsed(message: bytes) -> Any:  # noqa: ANN401 - hl7apy has no types
    return parse_message(
        message.decode(), validation_level=VALIDATION_LEVEL.STRICT, force_validation=True
    )


def observation_rows(message: Any) -> list[Any]:  # noqa: ANN401
    return [
        each.obx
        for result in message.oru_r01_patient_result
        for order in result.oru_r01_order_observation
        for each in order.oru_r01_observation
    ]


def test_a_run_is_read_back_strictly_and_the_values_are_the_same() -> None:
    rows = observation_rows(parsed(message_of(*few())))

    values = [row for row in rows if row.obx_17.to_er7()]
    expected = sorted(few(), key=lambda one: (one.t_ns, one.name, one.algorithm))
    assert len(values) == len(expected)
    for row, one in zip(values, expected, strict=True):
        assert row.obx_3.obx_3_1.value == str(one.mdc_code)
        assert row.obx_14.value == date_time(one.t_ns)
        assert row.obx_17.obx_17_1.value == f"{one.algorithm}.{one.algorithm_version}"
        if one.value is None:
            assert (row.obx_5.value, row.obx_11.value) == ("", "X")
            assert row.obx_8.value in {"NAV", "INV", "NA", "NI"}
        else:
            assert float(row.obx_5.value) == one.value
            assert row.obx_11.value == "R"


def test_the_header_says_whose_form_it_has() -> None:
    message = parsed(message_of(observation(codes.HEART_RATE, 61.0)))

    assert message.msh.msh_9.to_er7() == "ORU^R01^ORU_R01"
    assert message.msh.msh_12.to_er7() == "2.6"
    assert message.msh.msh_21.to_er7() == "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO"
    assert message.oru_r01_patient_result.oru_r01_patient.pid.pid_3.pid_3_1.value == SUBJECT


def test_a_heart_rate_is_as_the_profile_writes_it() -> None:
    text = message_of(observation(codes.HEART_RATE, 61.0)).decode()

    monitor, value, quality = (line for line in text.split("\r") if line.startswith("OBX"))

    assert monitor.startswith(
        "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|2.0.0.0|||||||X|"
    )
    assert value == (
        "OBX|2|NM|147842^MDC_ECG_HEART_RATE^MDC^8867-4^Heart rate^LN|2.0.0.1|61.0|"
        "264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^/min^UCUM|||||R|||"
        f"{date_time(START_NS)}|||device_reading.1^device_reading, version 1^99CHV|strap-1^CHEVET"
    )
    assert quality.startswith("OBX|3|NM|192544^")
    assert "|2.0.0.1.1|1.0|262656^MDC_DIM_DIMLESS^MDC^1^1^UCUM|" in quality


def test_places_in_the_device_are_unique_within_an_order() -> None:
    places: dict[str, set[str]] = {}
    order = ""
    for name, fields in segments_of(message_of(*few())):
        if name == "OBR":
            order = fields[3]
        if name == "OBX":
            found = places.setdefault(order, set())
            assert fields[4] not in found
            found.add(fields[4])
    assert len(places) > 10


def test_what_is_withheld_has_a_flag_and_our_reason() -> None:
    rows = segments_of(message_of(observation(codes.HEART_RATE, None, reason="moving")))

    value, _, reason = [fields for name, fields in rows if name == "OBX"][1:]
    assert (value[5], value[8], value[11]) == ("", "INV", "X")
    assert (reason[2], reason[5]) == ("ST", "moving")


def test_a_strip_is_its_integers_its_rate_and_its_resolution() -> None:
    cut = Strip(block=block(0, [3, -2, 0, 7, 8, 9]), missing=((2, 3),))

    rows = [fields for name, fields in segments_of(message_of(strips=[cut])) if name == "OBX"][1:]

    first, rate, resolution, second = rows[:4]
    assert (first[2], first[5], second[5]) == ("NA", "3^-2", "7^8^9")
    assert second[14] == date_time(cut.block.time_ns(3))
    assert (rate[3].split("^")[1], rate[5]) == ("MDC_ATTR_SAMP_RATE", "360.0")
    assert (resolution[3].split("^")[1], resolution[5]) == ("MDC_ATTR_NU_MSMT_RES", "5.0")
    assert first[3].startswith("131330^MDC_ECG_ELEC_POTL_II^MDC")
    assert (first[4], rate[4], resolution[4], second[4]) == (
        "2.0.0.1",
        "2.0.0.1.1",
        "2.0.0.1.2",
        "2.0.0.2",
    )


def test_a_value_of_count_zero_that_is_not_zero_is_told() -> None:
    cut = Strip(block=block(0, [3, 4], offset=-2.5))

    rows = [fields for name, fields in segments_of(message_of(strips=[cut])) if name == "OBX"]

    assert rows[-1][3].startswith("waveform_offset^")
    assert rows[-1][5] == "-2.5"


def test_the_same_record_gives_the_same_bytes() -> None:
    whole = record()
    message = encode_oru(whole)
    again = ClinicalRecord(
        subject_id=SUBJECT,
        observations=[*reversed(whole.observations), *whole.observations[:20]],
        strips=list(reversed(whole.strips)),
    )

    assert encode_oru(again) == message
    assert encode_oru(whole, created_ns=START_NS) != message
    assert message.endswith(b"\r")
    assert b"\n" not in message


def test_a_message_about_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="needs an observation or a strip"):
        message_of()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    line = segment("OBX", {3: components("a", text, "b"), 5: escaped(text)})

    fields = fields_of(line)
    cells = fields[3].split("^")

    assert [len(fields), len(cells)] == [6, 3]
    assert not set("~&\r\n") & set(line.removesuffix("\r"))
    assert unescaped(cells[1]) == text
    assert unescaped(fields[5]) == text


def unescaped(text: str) -> str:
    """By the standard: what stands between two escape characters is one character."""
    meant = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "X0D": "\r", "X0A": "\n"}
    parts = text.split("\\")
    return "".join(meant[part] if i % 2 else part for i, part in enumerate(parts))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_all_its_digits_and_no_exponent(value: float) -> None:
    text = number(value)

    assert float(text) == value
    assert set(text) <= set("-.0123456789")


def test_a_time_is_cut_to_a_tenth_of_a_millisecond() -> None:
    assert date_time(1_790_000_000 * NS_PER_S + 123_456_789) == "20260921141320.1234+0000"


def test_a_run_is_sound_in_what_the_library_does_not_know() -> None:
    assert problems(encode_oru(record())) == []


def broken(old: str, new: str) -> bytes:
    message = message_of(
        *few()[:30], observation(codes.HEART_RATE, 61.0), observation(codes.SPO2, None)
    ).decode()
    assert old in message
    return message.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\rOBR|1|", "\rOBQ|1|"),
        ("|NM|", "|N^M^X|"),
        ("\rOBX|2|", "\rOBX|two|"),
        ("|X|||||||", "||||||||"),
        ("+0000|", "+00:00 of May|"),
    ],
    ids=["segment", "components", "number", "status", "time"],
)
def test_a_message_that_is_broken_is_refused(old: str, new: str) -> None:
    with pytest.raises((HL7apyException, ValueError)):
        parsed(broken(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("147842^MDC_ECG_HEART_RATE", "147843^MDC_ECG_HEART_RATE"),
        ("^8867-4^", "^9279-1^"),
        ("|264864^MDC_DIM_BEAT_PER_MIN^", "|264865^MDC_DIM_BEAT_PER_MIN^"),
        ("|2.0.0.1|", "|9.0.0.1|"),
        (".0.0.1.1|", ".0.0.7.1|"),
    ],
    ids=["MDC", "LOINC", "unit", "device", "facet"],
)
def test_a_code_a_unit_or_a_place_that_is_broken_is_seen(old: str, new: str) -> None:
    assert problems(broken("MSH", "MSH")) == []

    assert problems(broken(old, new)) != []
