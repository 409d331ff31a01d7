"""EDF, EDF+ and BDF files: exact integers in, and errors that say where and what to do."""

import contextlib
import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.edf_annotations import decode_annotations, is_beat
from ingest.edf_header import decode_header
from ingest.edf_recording import _read_samples
from ingest.errors import RecordingError
from ingest.fractions_near import simplest_within
from ingest.recording import Recording, open_recording, recording_name
from ingest.signal_kinds import labelled
from tests.ingest.edf_bytes import Stored, edf, tal, write

ECG = Stored(samples=[1, -2, 300, -2000, 2000, 0], n_per_record=2)
AIR = Stored(
    samples=[5, 6, 7], n_per_record=1, label="Resp nasal", dimension="mV", physical=("-1", "1")
)


def opened(path: str) -> Recording:
    return open_recording(path, beats=False)


def test_samples_are_the_integers_of_the_file_and_their_meaning_is_exact(tmp_path: Path) -> None:
    recording = opened(write(tmp_path, edf([ECG, AIR], duration="0.5")))

    ecg, air = recording.signals
    assert recording.name == "made"
    assert recording.source.startswith("EDF file made.edf")
    assert (ecg.name, ecg.kind, ecg.unit) == ("II", "ecg", "uV")
    assert ecg.counts.tolist() == ECG.samples
    assert (ecg.scale, ecg.offset, ecg.sampling_rate) == (0.5, 0.0, Fraction(4))
    assert (air.name, air.kind, air.unit) == ("Resp nasal", "resp", "uV")
    assert air.counts.tolist() == AIR.samples
    assert (air.scale, air.offset, air.sampling_rate) == (0.5, 0.0, Fraction(2))
    assert ecg.missing == air.missing == ()


def test_bdf_has_integers_of_three_bytes(tmp_path: Path) -> None:
    samples = [-(2**23), 2**23 - 1, -1, 65_536]
    one = Stored(samples=samples, n_per_record=2, label="V5", digital=("-8388608", "8388607"))

    (signal,) = opened(write(tmp_path, edf([one], width=3), "made.bdf")).signals

    assert signal.counts.tolist() == samples
    assert signal.kind == "ecg"


@pytest.mark.parametrize(
    ("label", "dimension", "name", "kind"),
    [
        ("ECG II", "uV", "II", "ecg"),
        ("EKG", "mV", "EKG", "ecg"),
        ("ECG1", "mV", "ECG1", "ecg"),
        ("MLII", "mV", "MLII", "ecg"),
        ("aVR", "uV", "aVR", "ecg"),
        ("EEG Fp1", "uV", "EEG Fp1", "other"),
        ("Fpz-Cz", "uV", "Fpz-Cz", "other"),
        ("SaO2", "%", "SaO2", "other"),
        ("Pleth", "", "Pleth", "pleth"),
        ("Resp chest", "uV", "Resp chest", "resp"),
        ("acc x", "g", "acc x", "acc"),
    ],
)
def test_labels_say_what_a_signal_is(label: str, dimension: str, name: str, kind: str) -> None:
    assert labelled(label, dimension, 100.0) == (name, kind)


def test_a_rate_that_was_rounded_is_the_simplest_that_it_can_be(tmp_path: Path) -> None:
    one = Stored(samples=[0] * 13_000, n_per_record=13_000)

    (signal,) = opened(write(tmp_path, edf([one], duration="36.11111"))).signals

    assert signal.sampling_rate == 360


def test_a_duration_with_room_to_spare_is_taken_at_its_word(tmp_path: Path) -> None:
    one = Stored(samples=[0] * 3, n_per_record=3)

    (signal,) = opened(write(tmp_path, edf([one], duration="0.3"))).signals
    assert signal.sampling_rate == 10
    (signal,) = opened(write(tmp_path, edf([one], duration="1.00001"))).signals
    assert signal.sampling_rate == Fraction(300_000, 100_001)


@given(
    low=st.fractions(Fraction(1, 1000), 1000, max_denominator=10**6),
    width=st.fractions(0, Fraction(1, 10), max_denominator=10**6),
)
def test_the_simplest_fraction_lies_within_and_none_is_simpler(
    low: Fraction, width: Fraction
) -> None:
    found = simplest_within(low, low + width)

    assert low <= found <= low + width
    for denominator in range(1, min(found.denominator, 50)):
        assert -(-low * denominator // 1) > (low + width) * denominator // 1


def test_gaps_of_edf_plus_are_missing_samples(tmp_path: Path) -> None:
    lists = [tal("+0.25", ""), tal("+1.25", ""), tal("+4.75", "")]
    fast = Stored(samples=range(12), n_per_record=4)
    slow = Stored(samples=[7, 8, 9], n_per_record=1, label="Resp")

    recording = opened(write(tmp_path, edf([fast, slow], lists=lists, reserved="EDF+D")))

    ecg, resp = recording.signals
    assert ecg.missing == ((8, 18),)
    assert ecg.counts[:8].tolist() == list(range(8))
    assert ecg.counts[18:].tolist() == [8, 9, 10, 11]
    # 2.5 samples at one per second: the next whole one.
    assert resp.missing in (((2, 4),), ((2, 5),))
    assert resp.counts[[0, 1, -1]].tolist() == [7, 8, 9]


def test_a_duration_that_was_cut_off_is_taken_from_when_the_records_begin(tmp_path: Path) -> None:
    n = 2_000
    rate = Fraction("129.97431")
    at_s = [i / rate for i in (*range(n), 10 * n)]
    lists = [tal(f"+{float(one):.9f}", "") for one in at_s]
    one = Stored(samples=[0] * (n + 1), n_per_record=1)

    content = edf([one], lists=lists, reserved="EDF+D", duration="0.007693")
    (signal,) = opened(write(tmp_path, content)).signals

    assert float(signal.sampling_rate) == pytest.approx(float(rate), rel=1e-9)
    assert signal.missing == ((n, 10 * n),)


def test_a_continuous_file_is_continuous_whatever_its_records_say(tmp_path: Path) -> None:
    lists = [tal("+0", ""), tal("+9", ""), tal("+11", "")]

    recording = opened(write(tmp_path, edf([ECG], lists=lists, reserved="EDF+C")))

    assert recording.signals[0].missing == ()
    assert recording.signals[0].counts.tolist() == ECG.samples


def test_beats_are_those_that_are_marked_as_such(tmp_path: Path) -> None:
    lists = [
        tal("+0.5", "") + tal("+0.75", "beat N") + tal("+0.9", "Lights off", duration="30"),
        tal("+1.5", "") + tal("+1.25", "R-wave", "noise") + tal("+2.0", "beat V"),
        tal("+2.5", "") + tal("+99", "beat N") + tal("+0.1", "beat N"),
    ]
    path = write(tmp_path, edf([ECG], lists=lists, reserved="EDF+C"))

    recording = open_recording(path)

    assert recording.beats_s is not None
    assert recording.beats_s.tolist() == [0.25, 0.75, 1.5]
    assert recording.beats_source == "annotations"
    assert opened(path).beats_s is None


@pytest.mark.parametrize("text", ["Sleep stage R", "N", "Lights off", "beat", "W", "RR"])
def test_what_is_no_beat_is_not_taken_for_one(text: str) -> None:
    assert not is_beat(text)


def test_a_file_that_was_never_closed_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    content = edf([ECG], announced=-1)

    assert opened(write(tmp_path, content)).signals[0].n_samples == 6
    assert opened(write(tmp_path, content[:-1])).signals[0].n_samples == 4


def _changed(content: bytes, at: int, text: bytes) -> bytes:
    return content[:at] + text + content[at + len(text) :]


PLAIN = edf([ECG, AIR])
PLUS = edf([ECG], lists=[tal("+0", ""), tal("+1", ""), tal("+2", "")], reserved="EDF+D")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends at byte 0, within its header"),
        (PLAIN[:255], "ends at byte 255, within its header"),
        (PLAIN[:700], "ends at byte 700, within its header, which has 768"),
        (PLAIN[:-1], r"ends at byte 785, within data record 2 of 3"),
        (PLAIN + b"\0", "786 bytes|787 bytes"),
        (b"RIFF" + PLAIN[4:], "an EDF begins with '0'"),
        (_changed(PLAIN, 184, b"512     "), r"has 512 bytes \(at byte 184\), but 2 signals"),
        (_changed(PLAIN, 236, b"x       "), "number of data records is 'x'"),
        (_changed(PLAIN, 236, b"-2      "), "number of data records is '-2'"),
        (_changed(PLAIN, 236, b"0       ")[:768], "holds no data record"),
        (_changed(PLAIN, 244, b"0       "), "lasts 0 s"),
        (_changed(PLAIN, 244, b"1,5     "), "a decimal number with a point"),
        (_changed(PLAIN, 244, b"1e999999"), "a decimal number with a point"),
        (_changed(PLAIN, 252, b"0   "), "whole number of 1 at least"),
        (_changed(PLAIN, 252, b"\xb2   "), "number of signals is"),
        (_changed(PLAIN, 256 + 2 * 104, b"1000    "), r"of signal 0 \(ECG II\) are 1000 to 1000"),
        (_changed(PLAIN, 256 + 2 * 120, b"2000    "), r"counts 2000 to 2000"),
        (_changed(PLAIN, 256 + 2 * 216, b"0       "), "samples in a data record of signal 0"),
        (PLUS.replace(b"+1\x14", b"+0\x14"), "record 1 begins at 0 s, before the one in front"),
        (PLUS.replace(b"+1\x14", b"1+\x14"), "data record 1: b'1.*is no annotation"),
        (PLUS.replace(b"+1\x14\x14", b"+1\x14 "), "data record 1: .*is no annotation"),
        (PLUS.replace(b"+1\x14\x14", b"\0\0\0\0"), "data record 1 does not say when it begins"),
        (PLUS.replace(b"EDF Annotations", b"EDF annotations"), "no signal of annotations"),
        (edf([], lists=[tal("+0", "")], reserved="EDF+C"), "has no signal"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(RecordingError, match=message) as raised:
        open_recording(path)

    assert "made" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.edf cannot be read: No such file"):
        open_recording(str(tmp_path / "absent.edf"))
    with pytest.raises(RecordingError, match="no recording"):
        open_recording("a\0b.edf")


def test_a_gap_of_years_takes_no_memory(tmp_path: Path) -> None:
    lists = [tal("+0", ""), tal("+1", ""), tal("+999999999999", "")]
    path = write(tmp_path, edf([ECG], lists=lists, reserved="EDF+D"))

    with pytest.raises(RecordingError, match=r"would have \d+ samples"):
        open_recording(path)


def test_too_long_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.recorded.N_SAMPLES_MAX", 5)

    with pytest.raises(RecordingError, match="ECG II has 6 samples, more than 5"):
        open_recording(write(tmp_path, PLAIN))


def test_samples_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.edf_recording._CHUNK_BYTES", 7)

    recording = opened(write(tmp_path, PLAIN))

    assert [one.counts.tolist() for one in recording.signals] == [ECG.samples, AIR.samples]


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused() -> None:
    with pytest.raises(RecordingError, match="became shorter while record 0"):
        _read_samples(io.BytesIO(b"\0" * 5), decode_header(PLAIN[:768]), 3)


def _open(content: bytes, suffix: str = "edf") -> Recording | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(RecordingError):
            return opened(str(path))
    return None


@given(content=st.binary(max_size=600), begin=st.sampled_from([b"", b"0       ", PLAIN[:256]]))
@settings(max_examples=60)
def test_any_bytes_give_a_recording_or_an_error(content: bytes, begin: bytes) -> None:
    _open(begin + content)


@given(
    at=st.integers(0, max(len(PLAIN), len(PLUS)) - 1),
    byte=st.integers(0, 255),
    source=st.sampled_from([PLAIN, PLUS]),
)
@settings(max_examples=150)
def test_any_damaged_byte_gives_a_recording_or_an_error(at: int, byte: int, source: bytes) -> None:
    at %= len(source)

    _open(source[:at] + bytes([byte]) + source[at + 1 :])


@pytest.mark.parametrize("source", [PLAIN, PLUS])
def test_no_truncated_file_is_taken_for_a_whole_one(source: bytes) -> None:
    assert _open(source) is not None
    assert all(_open(source[:n]) is None for n in (*range(0, len(source), 7), len(source) - 1))


@given(
    runs=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=5),
    n_per_record=st.integers(1, 5),
    width=st.sampled_from([2, 3]),
)
@settings(max_examples=60)
def test_any_gaps_are_found_where_they_are(
    runs: Sequence[tuple[int, int]], n_per_record: int, width: int
) -> None:
    lists: list[bytes] = []
    missing: list[tuple[int, int]] = []
    at = 0
    for gap, n in runs:
        if gap and lists:
            missing.append((at * n_per_record, (at + gap) * n_per_record))
        at += gap if lists else 0
        for _ in range(n):
            lists.append(tal(f"+{at}.5", ""))
            at += 1
    one = Stored(samples=range(len(lists) * n_per_record), n_per_record=n_per_record)
    family = "EDF" if width == 2 else "BDF"

    recording = _open(edf([one], lists=lists, reserved=f"{family}+D", width=width), family.lower())

    assert recording is not None
    (signal,) = recording.signals
    assert signal.missing == tuple(missing)
    known = np.concatenate([signal.counts[a:b] for a, b in signal.present(0, signal.n_samples)])
    assert known.tolist() == list(one.samples)


@given(st.binary(max_size=60))
def test_any_annotations_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(RecordingError):
        decode_annotations(content)


@pytest.mark.parametrize(
    ("spec", "name"),
    [("a/101", "101"), ("a/101.hea", "101"), ("x.EDF", "x"), ("x.1.csv", "x.1"), ("x.1", "x.1")],
)
def test_a_recording_is_named_by_its_file(spec: str, name: str) -> None:
    assert recording_name(spec) == name


def test_edfio_and_pyedflib_read_the_same(tmp_path: Path) -> None:
    import edfio
    import pyedflib

    rng = np.random.default_rng(1)
    samples = rng.integers(-2000, 2001, 400).tolist()
    lists = [tal(f"+{i}", "") for i in range(4)]
    made: list[Any] = [Stored(samples=samples, n_per_record=100)]
    path = write(tmp_path, edf(made, lists=lists, reserved="EDF+C"))

    (ours,) = opened(path).signals
    (theirs,) = edfio.read_edf(path).signals
    with pyedflib.EdfReader(path) as reader:
        third = reader.readSignal(0, digital=True)

    assert ours.counts.tolist() == theirs.digital.tolist() == third.tolist() == samples
    np.testing.assert_allclose(ours.physical(), theirs.data, rtol=1e-12, atol=1e-9)
