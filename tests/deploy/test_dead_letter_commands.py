"""``chevet dead-letters``: the real command on both brokers."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from deploy.local.process import free_ports
from ingest.codec import encode_dead_letter, encode_frame
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.history import open_history
from ingest.kafka import ConsumedRecord, create_topics, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import DEAD_LETTERS, FRAMES
from tests.ingest import records

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Bench:
    """A broker that others may use, too, and what this test calls its own letters."""

    kafka: KafkaSettings
    source: str

    def chevet(self, *words: str, typed: str = "") -> Result:
        """Run the command."""
        group, *rest = words
        return CliRunner().invoke(
            main,
            ["dead-letters", group, "--kafka", self.kafka.bootstrap_servers, *rest],
            input=typed,
        )

    def json(self, *words: str) -> Any:  # noqa: ANN401
        """Run the command; it must succeed."""
        said = self.chevet(*words, "--json")
        assert said.exit_code == 0, said.output
        return json.loads(said.stdout)

    def letter(self, **changes: object) -> DeadLetter:
        """Make a letter of a record that has the test's own key."""
        fields = {"source": self.source, "key": self.source.encode(), **changes}
        return records.dead_letter(**fields)

    def write(self, letters: Iterable[DeadLetter | bytes]) -> None:
        """Put letters on the topic, one after the other."""
        values = [one if isinstance(one, bytes) else encode_dead_letter(one) for one in letters]

        async def send() -> None:
            async with open_producer(self.kafka) as producer:
                for value in values:
                    await producer.send(DEAD_LETTERS, [(self.source, value)])

        asyncio.run(send())

    def listed(self, *words: str) -> list[dict[str, Any]]:
        """List this test's letters."""
        found: list[dict[str, Any]] = self.json("list", "--source", self.source, *words)["letters"]
        return found

    def frames(self) -> list[ConsumedRecord]:
        """Read what has this test's key on the topic of the Frames."""

        async def read() -> list[ConsumedRecord]:
            async with asyncio.timeout(PATIENCE_S), open_history(self.kafka, FRAMES) as history:
                return [
                    record
                    async for record in history.records()
                    if record.key == self.source.encode()
                ]

        return asyncio.run(read())


@pytest.fixture(
    params=["embedded_broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)],
    ids=["embedded", "kafka"],
)
def bench(request: pytest.FixtureRequest, unique_name: str) -> Bench:
    broker = request.getfixturevalue(request.param)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    asyncio.run(create_topics(kafka))
    return Bench(kafka, unique_name)


def reasons(letters: list[dict[str, Any]]) -> list[str]:
    return [letter["reason"] for letter in letters]


def test_the_newest_letters_are_listed_first_and_no_more_than_asked_for(bench: Bench) -> None:
    bench.write(bench.letter(offset=n, reason=f"reason {n}") for n in range(6))

    newest = bench.listed("--limit", "3")
    found = bench.json("list", "--source", bench.source, "--limit", "3")

    assert reasons(newest) == ["reason 5", "reason 4", "reason 3"]
    assert (newest[0]["topic"], newest[0]["partition"], newest[0]["offset"]) == (FRAMES.name, 3, 5)
    assert found["n_matching"] == 6 <= found["n_read"]


def test_filters_leave_out_what_does_not_match(bench: Bench) -> None:
    bench.write(
        [
            bench.letter(reason="no header"),
            bench.letter(reason="Unknown schema", topic="chevet.alarms"),
            b"junk",
        ]
    )

    assert reasons(bench.listed("--reason", "UNKNOWN")) == ["Unknown schema"]
    assert reasons(bench.listed("--topic", "chevet.frames")) == ["no header"]
    assert len(bench.listed("--since", "1h")) == 2
    assert bench.listed("--since", "2100-01-01") == []
    junk = bench.json("list", "--source", "unreadable", "--limit", "1000")["letters"]
    assert "no dead letter" in junk[0]["reason"]


def test_the_list_is_a_table_without_commands_to_the_terminal(bench: Bench) -> None:
    bench.write([bench.letter(reason="bell \a and \x1b[2J", offset=17)])

    said = bench.chevet("list", "--source", bench.source)

    head, row = said.stdout.splitlines()
    assert head.split() == ["ID", "TIME", "SOURCE", "RECORD", "BYTES", "REASON"]
    assert row.endswith(f"{bench.source}  chevet.frames[3]@17  2      bell \\x07 and \\x1b[2J")
    assert said.stderr.startswith("1 of 1 that match")


def test_a_summary_counts_by_reason(bench: Bench) -> None:
    bench.write(bench.letter(reason=f"{n} bytes; at most 8 are allowed") for n in range(4))
    bench.write([bench.letter(reason="no header")])

    found = bench.json("list", "--summary", "--source", bench.source)
    text = bench.chevet("list", "--summary", "--source", bench.source).stdout

    assert [(kind["n"], kind["reason"]) for kind in found["kinds"]] == [
        (4, "# bytes; at most # are allowed"),
        (1, "no header"),
    ]
    assert found["kinds"][0]["newest_id"] == bench.listed()[1]["id"]
    assert text.splitlines()[1].startswith("4 ")


def test_everything_that_is_known_of_a_letter_is_shown(bench: Bench, tmp_path: Path) -> None:
    payload = encode_frame(records.frame(records.block(), subject_id="p-7"))[:-2]
    bench.write([bench.letter(reason="cut short", payload=payload, n_bytes_cut=2)])
    [listed] = bench.listed()
    out = tmp_path / "record.bin"

    text = bench.chevet("show", listed["id"], "--out", str(out)).stdout
    again = bench.chevet("show", listed["id"], "--out", str(out))
    dumped = bench.chevet("show", listed["id"]).stdout
    said = bench.json("show", listed["id"])

    for words in (
        "cut short",
        f"key      {bench.source}",
        "made     2027-01-15T08:00:00Z",
        f"{len(payload)}, and 2 that were cut off",
        "frame.2 (subject_id p-7",
        "holds only a part of the record",
    ):
        assert words in text
    assert out.read_bytes() == payload
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert f"00000000  {payload[:8].hex(' ')}  " in dumped
    assert (said["schema"], said["leading_fields"]["subject_id"]) == ("frame.2", "p-7")
    assert "not a frame.2" in said["trouble"]


def test_a_letter_that_is_not_there_is_named(bench: Bench) -> None:
    for place in ("0:999999999", "999:0"):
        said = bench.chevet("show", place)

        assert said.exit_code == 1
        assert f"no dead letter {place}" in said.stderr


def test_a_record_is_sent_again_with_its_bytes_and_its_key(bench: Bench) -> None:
    payload = encode_frame(records.frame(records.block(), subject_id=bench.source))
    bench.write(
        [
            bench.letter(payload=payload, offset=1),
            # As version 1 left it: the key is the subject that the record names.
            bench.letter(payload=payload, offset=2, key=None, timestamp_ms=None),
        ]
    )
    places = [letter["id"] for letter in bench.listed()]

    said = bench.chevet("requeue", *places, places[0])

    assert (said.exit_code, said.stdout) == (0, "2 records sent to chevet.frames\n")
    found = bench.frames()
    assert [record.payload for record in found] == [payload] * 2
    assert len({record.partition for record in found}) == 1


def test_what_cannot_be_sent_is_said_and_the_rest_is_sent(bench: Bench) -> None:
    bench.write(
        [
            bench.letter(offset=1, payload=b"one"),
            bench.letter(offset=2, content=LetterContent.LINES, payload=b"waveform v=1i 5"),
        ]
    )
    places = [letter["id"] for letter in bench.listed()]

    named = bench.chevet("requeue", *places, "0:999999999")
    matching = bench.chevet("requeue", "--all", "--source", bench.source, "--dry-run")

    assert named.exit_code == 1
    assert "1 records sent to chevet.frames" in named.stdout
    assert "1 letters not sent: it holds lines that the store rejected" in named.stdout
    assert "there is no dead letter 0:999999999" in named.stdout
    assert matching.exit_code == 0
    assert "1 records would be sent" in matching.stdout
    assert [record.payload for record in bench.frames()] == [b"one"]


def test_many_are_sent_only_when_somebody_says_yes_and_each_record_once(bench: Bench) -> None:
    letters = [bench.letter(offset=n, payload=str(n).encode()) for n in range(12)]
    # The sink has refused the same records.
    bench.write([*letters, *(replace(one, reason="sink") for one in letters)])
    chosen = ("--all", "--source", bench.source)

    dry = bench.json("requeue", *chosen, "--dry-run")
    refused = bench.chevet("requeue", *chosen, typed="n\n")
    unasked = bench.frames()
    agreed = bench.chevet("requeue", *chosen, "--reason", "sink", typed="y\n")
    done = bench.json("requeue", *chosen, "--yes")

    assert (dry["n_records"], dry["n_repeated"], dry["by_topic"]) == (12, 12, {FRAMES.name: 12})
    assert refused.exit_code == 1
    assert "Send 12 records to chevet.frames?" in refused.stderr
    assert unasked == []
    assert agreed.exit_code == 0
    assert (done["n_records"], done["n_repeated"]) == (12, 12)
    assert [int(record.payload) for record in bench.frames()] == [*range(12), *range(12)]


def test_nothing_to_send_is_no_failure(bench: Bench) -> None:
    said = bench.chevet("requeue", "--all", "--source", bench.source)

    assert said.exit_code == 0
    assert "no dead letter matches" in said.stdout


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("requeue",), "give the IDs of letters, or --all"),
        (("requeue", "3:17", "--all"), "give the IDs of letters, or --all"),
        (("requeue", "3:17", "--reason", "x"), "go with --all"),
        (("requeue", "17"), "such as 3:17"),
        (("show", "17"), "such as 3:17"),
        (("list", "--since", "yesterday"), "2026-01-31T08:00"),
        (("list", "--limit", "0"), "--limit"),
    ],
)
def test_wrong_words_end_with_2(words: tuple[str, ...], what: str) -> None:
    said = CliRunner().invoke(main, ["dead-letters", *words])

    assert said.exit_code == 2, said.output
    assert what in said.stderr


def test_a_broker_that_is_not_there_ends_with_1() -> None:
    [port] = free_ports(1)

    said = CliRunner().invoke(main, ["dead-letters", "list", "--kafka", f"127.0.0.1:{port}"])

    assert said.exit_code == 1
    assert f"127.0.0.1:{port}" in said.stderr
