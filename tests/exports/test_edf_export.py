"""EDF+ and BDF+ files: what edfio, pyedflib and we ourselves read in them is what was given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import edfio
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, SamplePeriod, WaveformBlock
from ingest.recorded import Recording
from ingest.recording import open_recording
from processors.exports.edf import EdfFile, encode_edf
from processors.exports.edf_cut import cut_into_records
from processors.exports.edf_fields import calibrate, decimal_field, shortest_fraction
from processors.exports.files import write_files
from processors.exports.marks import Mark
from processors.exports.tracks import ExportError, tracks_of
from tests.exports.blocks import T0_NS, block, channels, of_record

START_NS = T0_NS // NS_PER_S * NS_PER_S


def written(folder: Path, files: Sequence[EdfFile]) -> list[Path]:
    return write_files(folder, {one.name: one.content for one in files})


@contextmanager
def on_disk(files: Sequence[EdfFile]) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield written(Path(folder), files)


def reopened(path: Path) -> Recording:
    return open_recording(str(path), beats=False)


@pytest.mark.parametrize("database", ["mitdb", "bidmc"])
def test_every_record_comes_back_with_its_integers_and_annotations(
    chevet_data: Path, tmp_path: Path, database: str
) -> None:
    headers = sorted((chevet_data / database).glob("*.hea"))
    assert headers
    for header in headers:
        source, tracks, marks = of_record(header.with_suffix(""))

        (file,) = encode_edf(source.name, tracks, marks, subject_id="p-1")
        (path,) = written(tmp_path, [file])

        theirs = edfio.read_edf(path)
        ours = open_recording(str(path), beats=bool(marks))
        assert file.quantised == {}
        assert theirs.reserved == "EDF+C"
        with pyedflib.EdfReader(str(path)) as reader:
            third = [reader.readSignal(i, digital=True) for i in range(reader.signals_in_file)]
            marked = reader.readAnnotations()
            rates_hz = reader.getSampleFrequencies()
        for i, before in enumerate(source.signals):
            assert np.array_equal(theirs.signals[i].digital, before.counts)
            assert np.array_equal(third[i], before.counts)
            assert rates_hz[i] == pytest.approx(float(before.sampling_rate), rel=1e-6)
            after = ours.signals[i]
            assert np.array_equal(after.counts, before.counts)
            assert (after.scale, after.offset, after.unit, after.kind) == (
                before.scale, before.offset, before.unit, before.kind
            )  # fmt: skip
            assert (after.name, after.sampling_rate) == (before.name, before.sampling_rate)
        onsets_s = [(mark.t_ns - T0_NS) / NS_PER_S for mark in marks]
        said = [one for one in theirs.annotations if one.text]
        assert [one.text for one in said] == [mark.words for mark in marks]
        assert [one.onset for one in said] == pytest.approx(onsets_s, abs=1e-6)
        assert list(marked[2]) == [mark.words for mark in marks]
        if marks:
            beats_s = [at_s for at_s, mark in zip(onsets_s, marks, strict=True) if mark.is_beat]
            assert ours.beats_source == "annotations"
            assert ours.beats_s == pytest.approx(sorted(set(beats_s)), abs=1e-6)


def test_the_header_says_nobodys_name_and_when_it_began(tmp_path: Path) -> None:
    tracks = tracks_of([block(0, range(250), channel="ecg/MLII")])

    (file,) = encode_edf("x", tracks, subject_id="icu 7")
    (path,) = written(tmp_path, [file])

    read = edfio.read_edf(path)
    assert read.local_patient_identification == "icu_7 X X X"
    assert read.local_recording_identification == "Startdate 01-JAN-2026 X X Chevet"
    assert read.startdate.isoformat() == "2026-01-01"
    assert read.starttime.isoformat().startswith("00:00:00.12345")
    (signal,) = read.signals
    assert (signal.label, signal.transducer_type, signal.physical_dimension) == (
        "ECG MLII",
        "strap-1",
        "uV",
    )
    assert file.content.count(b"+0.123456789\x14\x14\0") == 1
    with pyedflib.EdfReader(str(path)) as reader:
        assert reader.getStartdatetime().isoformat().startswith("2026-01-01T00:00:00")


@given(made=channels(largest=2**23 - 1), kind=st.sampled_from(["edf", "bdf"]))
@settings(max_examples=60)
def test_any_gaps_and_rates_come_back(made: list[list[WaveformBlock]], kind: str) -> None:
    tracks = tracks_of(one for of_channel in made for one in of_channel)
    files = encode_edf("x", tracks, subject_id="p", kind=kind)  # type: ignore[arg-type]

    with on_disk(files) as paths:
        read = {one.name: one for path in paths for one in reopened(path).signals}

    quantised = {label: how for file in files for label, how in file.quantised.items()}
    assert len(read) == len(tracks)
    for track in tracks:
        signal = read[track.signal.name]
        assert signal.missing == track.signal.missing
        assert signal.sampling_rate == track.rate
        for begin, end in track.runs():
            given_counts = track.signal.counts[begin:end].astype(np.int64)
            how = quantised.get(f"ECG {track.signal.name}")
            if how is None:
                assert signal.counts[begin:end].tolist() == given_counts.tolist()
            else:
                assert kind == "edf"
                stored = signal.counts[begin:end].astype(np.int64) * how.step + how.shift
                assert np.abs(stored - given_counts).max() <= how.step / 2


@given(made=channels(largest=2**15 - 1))
@settings(max_examples=30)
def test_edfio_reads_what_has_gaps(made: list[list[WaveformBlock]]) -> None:
    tracks = tracks_of(one for of_channel in made for one in of_channel)

    with on_disk(encode_edf("x", tracks, subject_id="p")) as paths:
        read = {
            one.label: one.digital.tolist()
            for path in paths
            for one in edfio.read_edf(path).signals
        }

    assert read == {
        f"ECG {track.signal.name}": np.concatenate(
            [track.signal.counts[begin:end] for begin, end in track.runs()]
        ).tolist()
        for track in tracks
    }


def test_a_gap_is_between_two_records_and_no_sample_is_invented(tmp_path: Path) -> None:
    (file,) = encode_edf(
        "x", tracks_of([block(0, range(500)), block(725, range(250))]), subject_id="p"
    )
    (path,) = written(tmp_path, [file])

    read = edfio.read_edf(path)
    (signal,) = reopened(path).signals

    assert read.reserved == "EDF+D"
    assert (read.num_data_records, read.data_record_duration) == (3, 1)
    assert signal.missing == ((500, 725),)
    with pytest.raises(OSError, match="discontinuous"):
        pyedflib.EdfReader(str(path))


def test_signals_that_are_missing_at_other_times_are_in_other_files() -> None:
    tracks = tracks_of(
        [
            block(0, range(250), channel="ecg/I"),
            block(0, range(250), channel="ecg/II"),
            block(0, range(249), channel="ecg/V1"),
            block(0, range(50), channel="acc/x", rate=50, unit="[g]"),
        ]
    )

    first, second = encode_edf("x", tracks, subject_id="p")

    with on_disk([first, second]) as (one, other):
        assert [signal.name for signal in reopened(one).signals] == ["I", "II", "acc/x"]
        assert [signal.name for signal in reopened(other).signals] == ["V1"]
    assert (first.name, second.name) == ("x.edf", "x_2.edf")


def test_counts_beyond_16_bits_are_stated_or_go_into_a_bdf() -> None:
    tracks = tracks_of([block(0, [0, 100_000, 50_000, 7])])

    (edf,) = encode_edf("x", tracks, subject_id="p")
    (bdf,) = encode_edf("x", tracks, subject_id="p", kind="bdf")

    how = edf.quantised["ECG ecg" if "ECG ecg" in edf.quantised else "ecg"]
    assert (how.step, how.shift) == (2, 50_000)
    assert any("beyond 16 bits" in one for one in edf.lost)
    with on_disk([edf]) as (path,):
        values = reopened(path).signals[0].physical()
        assert np.abs(values - np.array([0, 500_000, 250_000, 35])).max() <= 5.0
    assert bdf.quantised == {}
    with on_disk([bdf]) as (path,):
        assert reopened(path).signals[0].counts.tolist() == [0, 100_000, 50_000, 7]
        (signal,) = edfio.read_bdf(path).signals
        assert signal.digital.tolist() == [0, 100_000, 50_000, 7]


def test_counts_that_only_lie_high_are_moved_and_none_is_rounded() -> None:
    (edf,) = encode_edf("x", tracks_of([block(0, [60_000, 90_000])]), subject_id="p")

    (how,) = edf.quantised.values()
    assert (how.step, how.shift) == (1, 75_000)


def test_labels_are_told_apart_and_kept_to_their_length() -> None:
    tracks = tracks_of(
        [
            block(0, [1], channel="ecg/a lead with a long name"),
            block(0, [2], channel="ecg/a lead with a long name too"),
        ]
    )

    (file,) = encode_edf("x", tracks, subject_id="p")

    with on_disk([file]) as (path,):
        labels = [one.label for one in edfio.read_edf(path).signals]
    assert len(set(labels)) == 2
    assert all(len(label) <= 16 for label in labels)
    assert sum("is labelled" in one for one in file.lost) == 2


def test_marks_have_texts_durations_and_their_time() -> None:
    marks = [
        Mark(t_ns=START_NS + 200_000_000, symbol="V"),
        Mark(t_ns=START_NS + 300_000_000, symbol="+", text="(AFIB"),
        Mark(t_ns=START_NS + 400_000_000, symbol="~", subtype=-1),
        Mark(
            t_ns=START_NS + 500_000_001, text="asl\x14eep \N{GREEK SMALL LETTER MU}", duration_ns=1
        ),
        Mark(t_ns=START_NS, text="before it began"),
        Mark(t_ns=START_NS + 10**12, text="behind its end"),
    ]

    (file,) = encode_edf("x", tracks_of([block(0, range(250))]), marks, subject_id="p")

    with on_disk([file]) as (path,):
        said = [one for one in edfio.read_edf(path).annotations if one.text]
    assert [one.text for one in said] == [
        "beat V",
        "+ (AFIB",
        "~ subtype -1",
        "asl eep \N{GREEK SMALL LETTER MU}",
    ]
    assert said[0].onset == pytest.approx(0.2 - 0.123456789, abs=1e-9)
    assert [one.duration for one in said] == [None, None, None, pytest.approx(1e-9)]
    assert any("2 marks lie outside" in one for one in file.lost)
    assert any("1 texts are cut off" in one for one in file.lost)


def test_what_no_header_can_say_is_refused() -> None:
    with pytest.raises(ExportError, match="begins in 1970"):
        encode_edf("x", tracks_of([block(0, [1], t0_ns=5)]), subject_id="p")
    with pytest.raises(ExportError, match="a smaller unit"):
        encode_edf("x", tracks_of([block(0, [1], scale=1e-15)]), subject_id="p")
    with pytest.raises(ExportError, match="no room"):
        encode_edf("x", tracks_of([block(0, [1], scale=1e12)]), subject_id="p")
    with pytest.raises(ExportError, match="no signal"):
        encode_edf("x", [], subject_id="p")


@given(
    value=st.fractions(-9_999_999, 99_999_999, max_denominator=10**6),
    down=st.booleans(),
)
def test_a_number_in_eight_characters_is_the_nearest_or_the_one_below(
    value: Fraction,
    down: bool,  # noqa: FBT001
) -> None:
    if value <= Fraction("-9999999.5") or value >= Fraction("99999999.5"):
        return
    text = decimal_field(value, down=down)

    assert len(text) <= 8
    assert abs(Fraction(text) - value) <= (1 if down else Fraction(1, 2))
    assert not down or Fraction(text) <= value
    if abs(value) < 1:
        assert abs(Fraction(text) - value) < Fraction(1, 10**5)


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(5.0, -5120.0), (0.125, 0.0), (1000 / 1023, 0.0), (1 / 1024, -1.0), (0.1, 3.3), (-2.5, 0.0)],
)
def test_a_scale_that_can_be_said_exactly_is(scale: float, offset: float) -> None:
    made = calibrate(
        shortest_fraction(scale),
        shortest_fraction(offset),
        counts=(-2000, 3000),
        limits=(-32_768, 32_767),
    )

    assert (float(made.scale), float(made.offset)) == (scale, offset)
    assert made.digital[0] <= -2000
    assert made.digital[1] >= 3000


def test_what_a_header_only_nearly_says_is_told() -> None:
    slower = SamplePeriod(ns_numerator=4_000_400, ns_denominator=1)
    tracks = tracks_of(
        [
            block(0, range(1000), scale=1 / 3 + 1e-9, unit="a very long unit"),
            replace(
                block(1000, range(1009), scale=1 / 3 + 1e-9, unit="a very long unit"),
                period=slower,
            ),
        ]
    )

    (file,) = encode_edf("x", tracks, subject_id="p")

    told = " ".join(file.lost)
    assert "is read with an error of" in told
    assert "the scale 0.333333334" in told
    assert "from an even rate" in told
    assert "its unit a very long unit is cut off" in told
    with on_disk([file]) as (path,):
        (signal,) = reopened(path).signals
    assert signal.scale == pytest.approx(1 / 3 + 1e-9, rel=1e-8)
    assert float(signal.sampling_rate) == pytest.approx(float(tracks[0].rate), rel=1e-6)


def test_a_unit_that_has_no_larger_one_has_its_bounds() -> None:
    with pytest.raises(ExportError, match="no room"):
        encode_edf("x", tracks_of([block(0, [1], scale=1e12, unit="%")]), subject_id="p")
    (file,) = encode_edf("x", tracks_of([block(0, [1], scale=1e9)]), subject_id="p")
    with on_disk([file]) as (path,):
        (signal,) = reopened(path).signals
    assert signal.physical().tolist() == [1e9]


@pytest.mark.parametrize("count", [-32_768, 32_767])
def test_a_signal_that_lies_on_a_limit_has_a_scale(count: int) -> None:
    (file,) = encode_edf("x", tracks_of([block(0, [count] * 3)]), subject_id="p")

    with on_disk([file]) as (path,):
        (signal,) = reopened(path).signals
    assert (signal.counts.tolist(), signal.scale, signal.offset) == ([count] * 3, 5.0, 0.0)


def test_records_have_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="too fast"):
        cut_into_records([(0, 7)], Fraction(10**8), 2)
    # A record of all its samples would last longer than a header can say.
    assert cut_into_records([(0, 10)], Fraction(1, 50_000_000), 2).frames_per_record == 1
    monkeypatch.setattr("processors.exports.edf_cut.N_RECORDS_MAX", 10)
    with pytest.raises(ExportError, match="there are 1 samples at a time"):
        cut_into_records([(0, 7), (9, 17)], Fraction(250), 2)
