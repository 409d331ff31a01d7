"""Several recordings at once: the same files in any number of processes, and each fails alone."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

from deploy.analysis_options import AnalyzeOptions
from deploy.analyze_many import remove_half_written
from tests.deploy.analyzed import chevet, contents, flip_a_bit, write_ecg


def test_two_processes_write_what_one_writes_and_a_damaged_record_fails_alone(
    tmp_path: Path,
) -> None:
    records = tmp_path / "records"
    for i, name in enumerate("abc"):
        write_ecg(records, name, 20 * i)
    flip_a_bit(records / "b.dat")

    # Side by side, so that a path from there to the records is the same for both.
    outs = [tmp_path / "one", tmp_path / "two"]
    said = [
        chevet("analyze", records, "-j", n, "--annotations", out, "--observations", out)
        for n, out in zip("12", outs, strict=True)
    ]

    assert [one.exit_code for one in said] == [1, 1]
    assert contents(outs[0]) == contents(outs[1])
    names = {f"{r}{suffix}" for r in "ac" for suffix in (".parquet", ".qrs", ".run.json")}
    assert set(contents(outs[0])) == names
    for one in said:
        assert re.search(r"^chevet: .*b\.hea.*checksum", one.stderr, re.MULTILINE)
        rows = one.stdout.splitlines()
        assert [row.split()[0] for row in rows[:4]] == ["record", "a", "b", "c"]
        assert [row.split()[-1] for row in rows[1:4]] == ["ok", "failed", "ok"]
        assert rows[4].startswith("2 recordings, 1 failed, 0.0 h of signal in ")
        lines = set(re.findall(r"\] (. \w+)$", one.stderr, re.MULTILINE))
        assert lines == {"a done", "b failed", "c done"}


def test_the_summary_says_how_to_tell_equal_results(tmp_path: Path) -> None:
    record = write_ecg(tmp_path, "a")

    (first,) = json.loads(chevet("analyze", record, "--json").stdout)
    (second,) = json.loads(chevet("analyze", record, "--json", "--observations", tmp_path).stdout)

    assert first["observations_digest"] == second["observations_digest"]
    assert re.fullmatch("[0-9a-f]{64}", first["observations_digest"])
    assert (first["files"], first["manifests"]) == ([], [])
    assert second["manifests"] == [str(tmp_path / "a.run.json")]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    others = [".1.parquet.8", ".10.parquet.7", "1.parquet", "1.parquet.7", "1.run.json"]
    for name in (".1.parquet.7", ".1.qrs.7", *others):
        (tmp_path / name).write_text("")

    remove_half_written(AnalyzeOptions(observations=tmp_path), "1", 7)

    assert set(contents(tmp_path)) == set(others)


def seen(terminal: int) -> str:
    """Read what a terminal shows; nothing where nobody writes any more."""
    if not select.select([terminal], [], [], 0.05)[0]:
        return ""
    try:
        return os.read(terminal, 65_536).decode()
    except OSError:  # The last program has left it.
        return ""


def test_bars_on_a_terminal_and_ctrl_c_leaves_nothing_half_written(
    chevet_data: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "deploy.cli", "analyze", str(chevet_data / "mitdb")]
    running = subprocess.Popen(
        [*command, "--observations", str(tmp_path), "--jobs", "2"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = ""
    with running:
        # Until each of the two has begun to write.
        while len(list(tmp_path.glob(".*.parquet.*"))) < 2:
            assert running.poll() is None, shown
            shown += seen(ours)
        # As a terminal does it: to every process of the group.
        os.killpg(running.pid, signal.SIGINT)
        while running.poll() is None:
            shown += seen(ours)
        stdout = running.stdout.read() if running.stdout else b""
    os.close(ours)

    assert running.returncode == 1
    assert "0 of " in shown
    assert "Aborted!" in shown
    assert stdout == b""
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith(".")}
    finished = {name.removesuffix(".run.json") for name in left if name.endswith(".run.json")}
    assert {f"{one}.parquet" for one in finished} <= left
