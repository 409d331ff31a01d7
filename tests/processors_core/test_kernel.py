"""Kernels: their records come back whole or not at all, and no old machine code is ever run."""

import ast
from pathlib import Path

import numpy as np
import pytest

import processors
from processors.dsp import kernel
from processors.dsp.kernel import CACHE_FOLDER, forget_old_kernels, new_record, restored_record
from processors.dsp.state import MalformedStateError

PACKAGE = Path(processors.__path__[0])
LAYOUT = np.dtype([("level", "f8", (3,)), ("n_seen", "i8")])
FINGERPRINTED = ("_kernel", "_layout")


def test_a_record_comes_back_as_it_was() -> None:
    record = new_record(LAYOUT)
    record[0]["level"][1] = 2.5
    record[0]["n_seen"] = 7

    assert restored_record(record.tobytes(), LAYOUT).tobytes() == record.tobytes()


@pytest.mark.parametrize("n_bytes", [0, LAYOUT.itemsize - 1, LAYOUT.itemsize + 8])
def test_a_record_of_another_length_is_refused(n_bytes: int) -> None:
    with pytest.raises(MalformedStateError, match="bytes"):
        restored_record(bytes(n_bytes), LAYOUT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_record_with_a_number_that_is_none_is_refused(value: float) -> None:
    record = new_record(LAYOUT)
    record[0]["level"][2] = value

    with pytest.raises(MalformedStateError, match="level"):
        restored_record(record.tobytes(), LAYOUT)


def test_the_machine_code_is_named_after_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "one_kernel.py"
    monkeypatch.setattr(kernel, "_PACKAGE", tmp_path)
    source.write_text("A = 1")
    before = kernel._sources_digest()
    source.write_text("A = 2")

    assert kernel._sources_digest() != before


def test_old_machine_code_is_removed_and_the_present_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present, old, other = (tmp_path / name for name in ("kernels-2", "kernels-1", "else"))
    for folder in (present, old, other):
        folder.mkdir()
    monkeypatch.setattr(kernel, "CACHE_FOLDER", present)

    forget_old_kernels()

    assert sorted(tmp_path.iterdir()) == [other, present]
    assert CACHE_FOLDER.name.startswith("kernels-")


def test_every_kernel_and_what_it_is_made_of_is_fingerprinted() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        has_kernels = any(
            isinstance(one, ast.FunctionDef)
            and any(isinstance(d, ast.Name) and d.id == "kernel" for d in one.decorator_list)
            for one in ast.walk(tree)
        )
        if not has_kernels:
            continue
        assert path.stem.endswith(FINGERPRINTED), f"{path.name} has kernels"
        ours = {
            one.module
            for one in ast.walk(tree)
            if isinstance(one, ast.ImportFrom) and (one.module or "").startswith("processors")
        }
        foreign = {m for m in ours if not str(m).endswith((*FINGERPRINTED, ".kernel"))}
        assert not foreign, f"{path.name} takes constants from {foreign}"
