"""The annotation file format: there and back, as wfdb reads and writes it, and hostile bytes."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.wfdb_annotations import (
    CODES,
    Annotation,
    AnnotationFileError,
    decode_annotations,
    encode_annotations,
)

annotations = st.lists(
    st.builds(
        Annotation,
        sample=st.one_of(st.integers(0, 5000), st.integers(0, 2**31 - 1)),
        symbol=st.sampled_from([*sorted(CODES), "[15]", "[47]"]),
        subtype=st.integers(-128, 127),
        chan=st.integers(0, 255),
        num=st.integers(-128, 127),
        aux=st.text(st.characters(max_codepoint=255), max_size=40),
    ).filter(lambda one: not one.aux.startswith("## ")),
    max_size=30,
).map(lambda found: sorted(found, key=lambda one: one.sample))


@contextlib.contextmanager
def quiet_wfdb() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb

        yield wfdb


@given(annotations, st.none() | st.sampled_from([125.0, 128.0, 360.0, 99.5]))
def test_what_is_written_is_read_again(written: list[Annotation], fs_hz: float | None) -> None:
    read = decode_annotations(encode_annotations(written, fs_hz), exactly=True)

    assert list(read.annotations) == written
    assert read.fs_hz == fs_hz


@given(st.binary(max_size=200))
def test_any_bytes_give_annotations_or_a_typed_error(content: bytes) -> None:
    with contextlib.suppress(AnnotationFileError):
        decode_annotations(content)


def test_a_file_that_is_cut_off_is_refused_with_the_place() -> None:
    content = encode_annotations([Annotation(sample=5, symbol="N")])

    with pytest.raises(AnnotationFileError, match="byte 2"):
        decode_annotations(content[:-2])


@pytest.mark.parametrize(
    "unwritable",
    [
        [Annotation(sample=-1, symbol="N")],
        [Annotation(sample=7, symbol="N"), Annotation(sample=6, symbol="N")],
        [Annotation(sample=7, symbol="X")],
        [Annotation(sample=7, symbol="[1]")],
        [Annotation(sample=7, symbol="[50]")],
        [Annotation(sample=7, symbol="N", subtype=128)],
        [Annotation(sample=7, symbol="N", chan=-1)],
        [Annotation(sample=7, symbol="N", num=-129)],
        [Annotation(sample=7, symbol="+", aux="(" * 256)],
    ],
)
def test_what_the_format_cannot_hold_is_refused(unwritable: list[Annotation]) -> None:
    with pytest.raises(AnnotationFileError):
        encode_annotations(unwritable)


def test_wfdb_reads_what_we_write(tmp_path: Path) -> None:
    written = [
        Annotation(sample=0, symbol="N"),
        Annotation(sample=1023, symbol="V", chan=1),
        Annotation(sample=3000, symbol="+", chan=255, num=-128, aux="(AFIB"),
        Annotation(sample=900_000, symbol="~", subtype=0x30, num=3),
        Annotation(sample=900_000, symbol="Q"),
    ]
    (tmp_path / "101.qrs").write_bytes(encode_annotations(written, 360))

    with quiet_wfdb() as wfdb:
        read = wfdb.rdann(str(tmp_path / "101"), "qrs")

    assert read.fs == 360
    assert read.sample.tolist() == [one.sample for one in written]
    assert read.symbol == [one.symbol for one in written]
    assert read.subtype.tolist() == [one.subtype for one in written]
    assert read.chan.tolist() == [one.chan for one in written]
    assert read.num.tolist() == [one.num for one in written]
    assert read.aux_note == [one.aux for one in written]


def test_we_read_what_wfdb_writes(tmp_path: Path) -> None:
    import numpy as np

    with quiet_wfdb() as wfdb:
        wfdb.wrann(
            "101",
            "atr",
            np.array([18, 1100, 500_000]),
            symbol=["+", "N", "["],
            aux_note=["(AFIB", "", ""],
            chan=np.array([0, 1, 1]),
            num=np.array([0, 2, 0]),
            fs=250,
            write_dir=str(tmp_path),
        )

    read = decode_annotations((tmp_path / "101.atr").read_bytes())

    assert read.fs_hz == 250
    assert read.annotations == (
        Annotation(sample=18, symbol="+", aux="(AFIB"),
        Annotation(sample=1100, symbol="N", chan=1, num=2),
        Annotation(sample=500_000, symbol="[", chan=1),
    )


def test_the_arrhythmia_database_is_read_as_wfdb_reads_it(chevet_data: Path) -> None:
    for path in sorted((chevet_data / "mitdb").glob("*.atr"))[:4]:
        ours = decode_annotations(path.read_bytes(), exactly=True).annotations
        with quiet_wfdb() as wfdb:
            theirs = wfdb.rdann(str(path.with_suffix("")), "atr")
        assert [one.sample for one in ours] == theirs.sample.tolist()
        assert [one.symbol for one in ours] == theirs.symbol
        assert [one.subtype for one in ours] == theirs.subtype.tolist()
        assert [one.chan for one in ours] == theirs.chan.tolist()
        assert [one.num for one in ours] == theirs.num.tolist()
        assert [one.aux for one in ours] == theirs.aux_note
