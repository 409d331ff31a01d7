"""WFDB records: what wfdb-python and we ourselves read in them is what was given."""

import functools
import tempfile
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, WaveformBlock
from ingest.recorded import Recording
from ingest.recording import open_recording
from ingest.wfdb_annotations import Annotation, decode_annotations
from processors.exports.files import write_files
from processors.exports.marks import Mark
from processors.exports.tracks import ExportError, tracks_of
from processors.exports.wfdb import WfdbRecord, encode_wfdb
from tests.exports.blocks import T0_NS, block, channels, of_record


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: object, **options: object) -> Any:  # noqa: ANN401
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **options)

    return call


@quiet
def wfdb_reads(path: Path) -> Any:  # noqa: ANN401
    import wfdb

    return wfdb.rdrecord(str(path), physical=False, smooth_frames=False, return_res=32)


@quiet
def wfdb_header(path: Path) -> Any:  # noqa: ANN401
    import wfdb

    return wfdb.rdheader(str(path))


@quiet
def wfdb_annotations(path: Path) -> Any:  # noqa: ANN401
    import wfdb

    return wfdb.rdann(str(path), "atr")


def written(folder: Path, records: Sequence[WfdbRecord]) -> list[Path]:
    for record in records:
        write_files(folder, record.files)
    return [folder / record.name for record in records]


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

        (record,) = encode_wfdb(source.name, tracks, marks)
        (path,) = written(tmp_path, [record])

        read = wfdb_reads(path)
        ours = reopened(path)
        original = wfdb_header(header.with_suffix(""))
        assert read.sig_name == original.sig_name
        assert read.adc_gain == original.adc_gain
        assert read.baseline == original.baseline
        assert read.units == original.units
        assert read.fs == original.fs
        assert len(ours.signals) == len(source.signals)
        for i, (before, after) in enumerate(zip(source.signals, ours.signals, strict=True)):
            assert np.array_equal(read.e_d_signal[i], before.counts)
            assert np.array_equal(after.counts, before.counts)
            assert (after.scale, after.offset, after.unit, after.kind, after.missing) == (
                before.scale, before.offset, before.unit, before.kind, before.missing
            )  # fmt: skip
        if marks:
            known = header.with_suffix(".atr").read_bytes()
            assert decode_annotations(path.with_suffix(".atr").read_bytes()) == decode_annotations(
                known
            )
            annotations = wfdb_annotations(path)
            samples = [round((mark.t_ns - T0_NS) * 360 / NS_PER_S) for mark in marks]
            assert annotations.sample.tolist() == samples
            assert annotations.symbol == [mark.symbol for mark in marks]
        assert record.lost == ("the header's start is 456789 ns early: it has milliseconds",)


def test_the_header_says_when_it_began_and_what_is_lost(tmp_path: Path) -> None:
    (record,) = encode_wfdb("icu-1", tracks_of([block(0, [1, 2, 3], offset=2.0)]))
    (path,) = written(tmp_path, [record])

    lines = record.files["icu_1.hea"].decode().splitlines()
    assert lines[0] == "icu_1 1 250 3 00:00:00.123 01/01/2026"
    assert lines[1] == "icu_1.dat 16 200(0)/mV 16 0 1 6 0 ecg"
    assert "# chevet: sample 0 was taken at 2026-01-01T00:00:00.123456789Z" in lines
    assert "# chevet: ecg is ecg of strap-1: count * 5.0 + 2.0 uV" in lines
    assert "ecg: the offset 2.0 is read as 0.0 uV: a baseline is a whole count" in record.lost
    assert {f"# chevet: lost: {one}" for one in record.lost} <= set(lines)
    header = wfdb_reads(path)
    assert header.base_datetime.microsecond == 123_000


@given(made=channels(), name=st.text(max_size=8))
@settings(max_examples=60)
def test_any_gaps_and_rates_come_back(made: list[list[WaveformBlock]], name: str) -> None:
    tracks = tracks_of(one for of_channel in made for one in of_channel)
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), encode_wfdb(name or "x", tracks))
        read = {one.name: one for path in paths for one in reopened(path).signals}
        theirs = {
            name: (record.e_d_signal[i], record.fmt[i])
            for record in map(wfdb_reads, paths)
            for i, name in enumerate(record.sig_name)
        }

    assert len(read) == len(tracks)
    for track in tracks:
        signal = read[track.signal.name]
        assert float(signal.sampling_rate) == pytest.approx(float(track.rate), rel=1e-12)
        assert signal.scale == track.signal.scale
        counts, fmt = theirs[track.signal.name]
        known = np.flatnonzero(counts != -(1 << (int(fmt) - 1)))
        expected = np.concatenate([np.arange(begin, end) for begin, end in track.runs()])
        # Channels that begin at other times begin later in the record, each at its own sample.
        assert (known - known[0]).tolist() == expected.tolist()
        assert counts[known].tolist() == track.signal.counts[expected].tolist()
        known = np.concatenate(
            [np.arange(begin, end) for begin, end in signal.present(0, signal.n_samples)]
        )
        assert set((known - known[0]).tolist()) >= set(expected.tolist())


@pytest.mark.parametrize(
    ("largest", "bits"), [(32_767, 16), (-32_768, 24), (8_388_607, 24), (-8_388_608, 32)]
)
def test_the_format_holds_every_count_beside_the_one_for_none(
    tmp_path: Path, largest: int, bits: int
) -> None:
    (record,) = encode_wfdb("x", tracks_of([block(0, [largest, 0]), block(5, [largest])]))
    (path,) = written(tmp_path, [record])

    read = wfdb_reads(path)

    none = -(1 << (bits - 1))
    assert read.fmt == [str(bits)]
    assert read.e_d_signal[0].tolist() == [largest, 0, none, none, none, largest]


def test_the_one_count_that_no_format_holds_is_told() -> None:
    (record,) = encode_wfdb("x", tracks_of([block(0, [-(2**31), 5])]))

    assert "ecg: 1 samples of the count -2147483648 read as missing" in record.lost


def test_rates_with_a_measure_share_a_record_and_others_do_not(tmp_path: Path) -> None:
    tracks = tracks_of(
        [
            block(0, range(500)),
            block(0, range(100), channel="acc/x", unit="[g]", scale=1 / 1024, rate=50),
            block(
                0, range(26), channel="acc/y", unit="[g]", scale=1 / 1024, rate=Fraction("25.99")
            ),
        ]
    )

    records = encode_wfdb("x", tracks)
    together, alone = map(wfdb_reads, written(tmp_path, records))

    assert [record.name for record in records] == ["x", "x_2"]
    assert (together.fs, together.samps_per_frame) == (50, [5, 1])
    assert [one.size for one in together.e_d_signal] == [500, 100]
    assert together.units == ["mV", "g"]
    assert alone.fs == 25.99


def test_a_channel_in_two_pieces_is_in_two_records_and_marks_in_theirs() -> None:
    later_ns = T0_NS + 100 * NS_PER_S
    tracks = tracks_of([block(0, range(250)), block(0, range(250), t0_ns=later_ns, scale=2.5)])
    marks = [Mark(t_ns=T0_NS + 4_000_000, symbol="N"), Mark(t_ns=later_ns, symbol="V")]

    first, second = encode_wfdb("x", tracks, marks)

    assert decode_annotations(first.files["x.atr"]).annotations == (
        Annotation(sample=1, symbol="N"),
    )
    assert decode_annotations(second.files["x_2.atr"]).annotations == (
        Annotation(sample=0, symbol="V"),
    )
    assert any("1 marks lie outside" in one for one in first.lost)


def test_a_label_with_a_duration_is_two_notes() -> None:
    mark = Mark(t_ns=T0_NS + 4_000_000, text="asleep", duration_ns=8_000_000)

    (record,) = encode_wfdb("x", tracks_of([block(0, range(9))]), [mark])

    assert decode_annotations(record.files["x.atr"]).annotations == (
        Annotation(sample=1, symbol='"', aux="asleep begins"),
        Annotation(sample=3, symbol='"', aux="asleep ends"),
    )


def test_a_text_that_does_not_fit_is_cut_and_told() -> None:
    marks = [Mark(t_ns=T0_NS, text="x" * 300), Mark(t_ns=T0_NS, text="\N{GREEK SMALL LETTER MU}")]

    (record,) = encode_wfdb("x", tracks_of([block(0, [1])]), marks)

    assert any("2 texts are cut" in one for one in record.lost)


def test_what_no_header_can_say_is_refused() -> None:
    with pytest.raises(ExportError, match="no gain and baseline"):
        encode_wfdb("x", tracks_of([block(0, [1], scale=1e-9, offset=1e9)]))
    with pytest.raises(ExportError, match="no signal"):
        encode_wfdb("x", [])
    with pytest.raises(ExportError, match="symbols are"):
        Mark(t_ns=0, symbol="X")


@given(
    scale=st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6),
    baseline=st.integers(-5000, 5000),
    unit=st.sampled_from(["uV", "1", "mm[Hg]", "[g]", "%", "{pm}", "m/s2", "Ohm"]),
)
@settings(max_examples=60)
def test_any_scale_is_read_as_it_is_or_its_loss_is_told(
    scale: float, baseline: int, unit: str
) -> None:
    tracks = tracks_of([block(0, [1, 2], scale=scale, offset=-baseline * scale, unit=unit)])

    (record,) = encode_wfdb("x", tracks)
    with tempfile.TemporaryDirectory() as folder:
        (path,) = written(Path(folder), [record])
        (signal,) = reopened(path).signals

    assert signal.unit == unit
    told = " ".join(record.lost)
    assert signal.scale == scale or "the scale" in told
    assert signal.scale == pytest.approx(scale, rel=1e-15)
    assert signal.offset == -baseline * scale or "the offset" in told


def test_a_rate_that_is_no_decimal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = tracks_of([block(0, range(700), rate=Fraction(1000, 7))])

    (record,) = encode_wfdb("x", tracks)

    assert any("the rate 1000/7 Hz is read as 142.857142857143" in one for one in record.lost)
    monkeypatch.setattr("processors.exports.wfdb.N_SAMPLES_MAX", 699)
    with pytest.raises(ExportError, match="700 samples of a signal, more than 699"):
        encode_wfdb("x", tracks)
