"""WFDB records of every format and layout, from bytes that are written here, not by the reader."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ingest.errors import RecordingError
from ingest.recording import Recording, open_recording
from tests.ingest.wfdb_bytes import COMPRESSED, N_BITS, Stored, write

RATE_HZ = 250


def opened(path: str) -> Recording:
    return open_recording(path, beats=False)


def stored_samples(fmt: str, n: int) -> st.SearchStrategy[list[int]]:
    """Any samples that a format can store, but the lowest count: that one means none."""
    half = 1 << (N_BITS[fmt] - 1)
    numbers = st.integers(1 - half, half - 1)
    if fmt != "8":
        return st.lists(numbers, min_size=n, max_size=n)
    differences = st.lists(numbers, min_size=n, max_size=n)
    return differences.map(lambda steps: np.cumsum(steps).tolist())


@st.composite
def records(draw: st.DrawFn, fmt: str) -> tuple[list[Stored], int, bool]:
    """Give the signals of a file, what is before them in it, and if their length is stated."""
    n_frames = draw(st.integers(1, 20))
    per_frame = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    if fmt in COMPRESSED:
        per_frame = [per_frame[0]] * len(per_frame)
    signals = [
        Stored(
            samples=draw(stored_samples(fmt, n_frames * n)),
            per_frame=n,
            skew=draw(st.integers(0, 4)),
            name=f"signal {i}",
        )
        for i, n in enumerate(per_frame)
    ]
    is_stated = fmt in COMPRESSED or draw(st.booleans())
    # Two samples and three fill as many bytes.
    assume(is_stated or fmt != "310" or n_frames * sum(per_frame) % 3 != 2)
    return signals, draw(st.integers(0, 5)), is_stated


@pytest.mark.parametrize("fmt", N_BITS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_stored_in_any_format_is_read_to_the_count(fmt: str, data: st.DataObject) -> None:
    signals, n_before, is_stated = data.draw(records(fmt))
    record = "{name} {n_sig} 250" + (" {n_frames}" if is_stated else "")

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), signals, fmt, n_before=n_before, record=record)
        read = opened(path).signals

    for signal, found in zip(signals, read, strict=True):
        n, n_late = len(signal.samples), signal.skew * signal.per_frame
        expected = signal.samples[n_late:]
        assert found.counts[: len(expected)].tolist() == expected
        assert found.missing == (((len(expected), n),) if n_late else ())
        assert found.n_samples == n
        assert found.sampling_rate == RATE_HZ * signal.per_frame


@pytest.mark.parametrize("fmt", sorted(N_BITS.keys() - {"8"}))
def test_the_lowest_count_of_a_format_is_no_value(tmp_path: Path, fmt: str) -> None:
    lowest = -(1 << (N_BITS[fmt] - 1))
    samples = [1, 2, lowest, lowest, 5, -6, 7] * 3

    (signal,) = opened(write(tmp_path, [Stored(samples=samples)], fmt)).signals

    assert signal.missing == ((2, 4), (9, 11), (16, 18))
    assert signal.physical()[[0, 6, 8]].tolist() == [5.0, 35.0, 10.0]


def test_format_8_has_a_value_in_every_place(tmp_path: Path) -> None:
    samples = np.cumsum([-128] * 50).tolist()

    (signal,) = opened(write(tmp_path, [Stored(samples=samples)], "8")).signals

    assert signal.missing == ()
    assert signal.counts.tolist() == samples


def test_bits_that_format_311_does_not_use_change_nothing(tmp_path: Path) -> None:
    samples = [-512 + 1, 511, -3, 4, -5, 6]
    path = write(tmp_path, [Stored(samples=samples)], "311")
    file = Path(f"{path}.dat")
    stored = bytearray(file.read_bytes())
    stored[3] |= 0xC0
    stored[7] |= 0xC0
    file.write_bytes(stored)

    assert opened(path).signals[0].counts.tolist() == samples


def test_signals_of_several_files_and_formats_are_read_together(tmp_path: Path) -> None:
    lines = ["all 3 250 4"]
    for fmt, samples in (("212", [1, -2, 3, -4]), ("61", [5, -6, 7, -8]), ("24", [9, 0, -9, 1])):
        write(tmp_path, [Stored(samples=samples)], fmt, name=f"f{fmt}")
        lines.append((tmp_path / f"f{fmt}.hea").read_text().splitlines()[1] + f" {fmt}")
    (tmp_path / "all.hea").write_text("\n".join(lines))

    read = opened(str(tmp_path / "all")).signals

    assert [signal.name for signal in read] == ["II 212", "II 61", "II 24"]
    assert [signal.counts.tolist() for signal in read] == [
        [1, -2, 3, -4],
        [5, -6, 7, -8],
        [9, 0, -9, 1],
    ]


def test_every_format_sample_of_wfdb_adds_up_to_its_checksums(chevet_data: Path) -> None:
    folder = chevet_data / "wfdb_samples"
    names = ("binformats", "flacformats", "mixedsignals", "03700181", "test01_00s_skewframe")

    n_signals = [len(opened(str(folder / name)).signals) for name in names]

    assert n_signals == [10, 3, 6, 3, 3]


# Headers


@pytest.mark.parametrize("gain", ["0", "0/mV", "200"])
def test_an_uncalibrated_signal_has_the_gain_that_the_format_gives_it(
    tmp_path: Path, gain: str
) -> None:
    (signal,) = opened(write(tmp_path, [Stored(samples=[0, 1], gain=gain)])).signals

    assert (signal.scale, signal.unit, signal.kind) == (5.0, "uV", "ecg")


def test_a_baseline_that_is_not_stated_is_the_zero_of_the_converter(tmp_path: Path) -> None:
    path = write(tmp_path, [Stored(samples=[1024, 1025])])
    header = Path(f"{path}.hea")
    header.write_text(header.read_text().replace("200/mV 16 0", "200/mV 16 1024"))

    assert opened(path).signals[0].physical().tolist() == [0.0, 5.0]


def test_comments_time_and_counter_change_no_sample(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [Stored(samples=[1, 2, 3])],
        record="{name} {n_sig} 250/1000(5) {n_frames} 23:59:59.5 31/12/1999",
        comments=("# <age>: 69  <sex>: M", "#Produced by xform from record 101, 0:00 to 1:00"),
    )
    header = Path(f"{path}.hea")
    header.write_text("# before all\r\n\r\n" + header.read_text().replace("\n", "\r\n"))

    (signal,) = opened(path).signals

    assert signal.counts.tolist() == [1, 2, 3]
    assert signal.sampling_rate == RATE_HZ


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_microvolts_are_not_taken_for_volts(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2], gain="2/µV", name="Fläche II")])
    header = Path(f"{path}.hea")
    header.write_bytes(header.read_text().encode(encoding))

    (signal,) = opened(path).signals

    assert (signal.scale, signal.unit, signal.kind) == (0.5, "uV", "ecg")


@pytest.mark.parametrize("unit", ["[g]", "mm[Hg]"])
def test_a_unit_is_never_taken_for_a_part_of_the_name(tmp_path: Path, unit: str) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2], gain=f"2/{unit}", name="x")])

    with pytest.raises(RecordingError, match=r"made\.hea: signal 0 is in '.*', which no header"):
        opened(path)


@pytest.mark.parametrize(
    ("line", "name", "unit"),
    [
        ("made.dat 16 200/mV 12 0 1 6 ECG  lead II", "ECG  lead II", "uV"),
        ("made.dat 16 10mmHg 12 0 1 6 0 ABP\tart", "ABP", "mm[Hg]"),
        ("  made.dat\t16\t10(0)/mmHg\t12 0 1 6 0 ABP ", "ABP", "mm[Hg]"),
        ("made.dat 16 10", "signal 0", "uV"),
        ("made.dat 16", "signal 0", "uV"),
    ],
)
def test_a_line_is_read_however_its_fields_are_written(
    tmp_path: Path, line: str, name: str, unit: str
) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3])])
    Path(f"{path}.hea").write_text(f"made 1 250 3\n{line}\n")

    (signal,) = opened(path).signals

    assert (signal.name, signal.unit) == (name, unit)


def test_a_unit_that_nobody_knows_stays_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2], gain="2/m/s²", name="x")])

    assert opened(path).signals[0].unit == "{m/s²}"


def test_a_frame_rate_that_is_no_whole_number_is_exact(tmp_path: Path) -> None:
    path = write(
        tmp_path, [Stored(samples=[1] * 8, per_frame=4)], record="{name} 1 62.4725/999.56 2"
    )

    assert opened(path).signals[0].sampling_rate * 10_000 == 4 * 624_725


# What is wrong with a record is said


def test_samples_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    signals = [Stored(samples=[1, 2, 3]), Stored(samples=[1, 2, 3], name="V1", checksum=7)]

    with pytest.raises(
        RecordingError,
        match=r"made\.hea: the samples of V1 in made\.dat add up to 6, not to the checksum 7",
    ):
        opened(write(tmp_path, signals))


@pytest.mark.parametrize("checksum", [0, 6 - 65_536, 6 + 65_536])
def test_a_checksum_is_that_of_sixteen_bits_or_a_placeholder(tmp_path: Path, checksum: int) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3], checksum=checksum)])

    assert opened(path).signals[0].counts.tolist() == [1, 2, 3]


def test_samples_of_unstated_number_have_no_checksum(tmp_path: Path) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3], checksum=9)], record="{name} 1 250")

    assert opened(path).signals[0].counts.tolist() == [1, 2, 3]


@pytest.mark.parametrize("fmt", sorted(N_BITS.keys() - COMPRESSED))
def test_a_signal_file_that_is_cut_off_is_named_with_what_is_left(tmp_path: Path, fmt: str) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3, 4, 5, 6])], fmt, n_before=3)
    file = Path(f"{path}.dat")
    n_bytes = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(
        RecordingError,
        match=rf"made\.hea: the signal file .*made\.dat is cut off: it has {n_bytes - 1} of the "
        rf"{n_bytes} bytes",
    ):
        opened(path)


@pytest.mark.parametrize("fmt", sorted(COMPRESSED))
@pytest.mark.parametrize("n_bytes", [0, 3, 30, 60, -20])
def test_a_compressed_file_that_is_cut_off_is_refused(
    tmp_path: Path, fmt: str, n_bytes: int
) -> None:
    path = write(tmp_path, [Stored(samples=list(range(100)))], fmt)
    file = Path(f"{path}.dat")
    file.write_bytes(file.read_bytes()[:n_bytes])

    with pytest.raises(RecordingError, match=r"made\.hea"):
        opened(path)


def test_a_length_beyond_the_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    for n_frames, message in (
        (90_000_000, "180000000 bytes"),
        (10**15, "1000000000000000 samples"),
    ):
        path = write(tmp_path, [Stored(samples=[1, 2])], record=f"{{name}} 1 250 {n_frames}")

        with pytest.raises(RecordingError, match=message):
            opened(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("16x1:0+0", "0", "signal 0 is in format 0, which has no samples"),
        ("16x1:0+0", "33", "format 33, which is none that can be read"),
        ("made 1 250 3", "made 1 250 0", "0 samples: state how many there are"),
        ("made 1 250 3", "made 2 250 3", "2 signals are announced, 1 described"),
        ("made 1 250 3", "made 1 0 3", "sampling rate 0 Hz"),
        ("made.dat", "gone.dat", r"names a file that is missing: .*gone\.dat"),
        ("200/mV", "1e999/mV", "the scale not 0"),
    ],
)
def test_a_header_that_cannot_be_followed_is_named_with_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3])])
    header = Path(f"{path}.hea")
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))

    with pytest.raises(RecordingError, match=message):
        opened(path)


def test_compressed_samples_need_a_length(tmp_path: Path) -> None:
    path = write(tmp_path, [Stored(samples=[1, 2, 3])], "516", record="{name} 1 250")

    with pytest.raises(RecordingError, match=r"made\.hea: .*compressed must state its length"):
        opened(path)


# Segments


def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    write(tmp_path, [Stored(samples=[1, 2, 3])], name="one")
    write(tmp_path, [Stored(samples=[1, 2, 3], checksum=5)], name="two")
    (tmp_path / "all.hea").write_text("all/2 1 250 6\none 3\ntwo 3\n")

    with pytest.raises(RecordingError, match=r"all\.hea: .*two\.hea: the samples of II .* 5 of"):
        opened(str(tmp_path / "all"))


def test_a_segment_gives_no_more_than_the_record_takes_of_it(tmp_path: Path) -> None:
    write(tmp_path, [Stored(samples=[1, 2, 3], skew=1)], name="one")
    (tmp_path / "all.hea").write_text("all/3 1 250 6\none 2\none 3\n~ 1\n")

    (signal,) = opened(str(tmp_path / "all")).signals

    assert signal.counts[:4].tolist() == [2, 3, 2, 3]
    assert signal.missing == ((4, 6),)


def test_a_layout_names_signals_that_no_segment_has(tmp_path: Path) -> None:
    write(tmp_path, [Stored(samples=[1, 2, 3])], "61", name="one")
    (tmp_path / "layout.hea").write_text(
        "layout 2 250 0\n~ 0 200/mV 0 0 0 0 0 II\n~ 0 1/mmHg 0 0 0 0 0 ABP\n"
    )
    (tmp_path / "all.hea").write_text("all/2 2 250 3\nlayout 0\none 3\n")

    ecg, pressure = opened(str(tmp_path / "all")).signals

    assert ecg.counts.tolist() == [1, 2, 3]
    assert (pressure.name, pressure.missing) == ("ABP", ((0, 3),))
