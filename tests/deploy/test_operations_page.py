"""docs/operations.md: what it has from the code is the code's, and its commands do what it says."""

import asyncio
import http.client
import json
import re
import shlex
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.cli import main
from deploy.local.influx import InfluxServer, find_influxd
from deploy.local.kafka import KafkaBroker
from deploy.operations_page import PAGE, with_parts
from ingest.codec import encode_frame
from ingest.kafka import ConsumedRecord, create_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import CHECKPOINTS, FRAMES
from processors.settings import InfluxSettings
from processors.sinks.influx import InfluxStore
from tests.waiting import until
from tests.worker.running import frames_of

TEXT: Final = PAGE.read_text("utf-8")


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    assert with_parts(TEXT) == TEXT


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for topics"):
        with_parts("nothing")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-").strip("-")
        for heading in headings
    }


def links() -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        if "://" not in target:
            yield target


def test_every_link_of_the_page_leads_somewhere() -> None:
    found = list(links())
    for target in found:
        name, _, anchor = target.partition("#")
        page = PAGE.parent / name if name else PAGE
        assert page.is_file(), target
        assert not anchor or anchor in anchors(page), target
    assert len(found) > 15


def shell_lines() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def test_every_command_of_ours_on_the_page_is_one_that_there_is_with_its_options() -> None:
    named = [
        found[1].split()
        for words in code()
        if (found := re.match(r"(?:docker compose .* live )?chevet ([a-z].*)", words))
    ]

    wrong = [fault for words in named if (fault := fault_of(words))]

    assert wrong == []
    assert len(named) > 15


def fault_of(words: list[str]) -> str | None:
    """Say what of a command there is not."""
    command: click.Command = main
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if command is main:
        return f"no command {words[0]}"
    known = {name for option in command.params for name in option.opts}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"{command.name}: {unknown}" if unknown else None


def test_a_command_that_is_none_is_told() -> None:
    assert fault_of(["dead-letter", "list"]) == "no command dead-letter"
    assert fault_of(["dead-letters", "list", "--sumary"]) == "list: ['--sumary']"
    assert fault_of(["dead-letters", "list", "--summary"]) is None


def code() -> Iterator[str]:
    """What stands in code: lines of shell, and words in backticks."""
    yield from shell_lines()
    yield from re.findall(r"`([^`\n]+)`", TEXT)


def block_of(name: str) -> list[str]:
    """The commands of a block that says that it is tested."""
    (block,) = re.findall(rf"<!-- tested: {name} -->\n```\w*\n(.*?)```", TEXT, re.DOTALL)
    return str(block).strip().splitlines()


def test_the_blocks_that_say_so_are_tested() -> None:
    assert re.findall(r"<!-- tested: (.+?) -->", TEXT) == [
        "kafka settings",
        "kafka format",
        "influx backup",
        "influx delete",
    ]


class Database:
    """One InfluxDB, asked by InfluxQL."""

    def __init__(self, server: InfluxServer) -> None:
        self._server = server

    def ask(self, statement: str) -> list[dict[str, Any]]:
        arguments = urllib.parse.urlencode({"db": self._server.database, "q": statement})
        host = urllib.parse.urlsplit(self._server.url)
        connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=30)
        try:
            connection.request("POST", f"/query?{arguments}")
            (result,) = json.loads(connection.getresponse().read())["results"]
        finally:
            connection.close()
        assert "error" not in result, result
        return list(result.get("series", []))

    def policies(self) -> dict[str, bool]:
        """The retention policies, and whether each is the default one."""
        (series,) = self.ask("SHOW RETENTION POLICIES")
        names = [series["columns"].index(name) for name in ("name", "default")]
        return {row[names[0]]: row[names[1]] for row in series["values"]}

    def n_points(self, subject: str) -> int:
        """The points of a subject in every measurement of every retention policy."""
        n = 0
        for policy in self.policies():
            asked = f'SELECT COUNT(v) FROM "{policy}"./.*/ WHERE "subject" = \'{subject}\''  # noqa: S608
            n += sum(series["values"][0][1] for series in self.ask(asked))
        return n

    async def fill(self, subjects: list[str], n_points: int) -> None:
        """Write points of each subject into each of the three places where there are some."""
        for bucket in ("chevet", "chevet/waveforms", "chevet/envelopes"):
            settings = InfluxSettings(url=self._server.url, bucket=bucket)
            store = InfluxStore(
                url=settings.url,
                bucket=settings.bucket,
                org=settings.org,
                token=settings.token.get_secret_value(),
                timeout_s=30,
            )
            now_ns = time.time_ns()
            lines = [
                f"m,subject={subject} v={i}i {now_ns - i}".encode()
                for subject in subjects
                for i in range(n_points)
            ]
            try:
                assert await store.write([b"\n".join(lines)]) == []
            finally:
                await store.close()


def run(command: str, server: InfluxServer, backup: Path) -> None:
    """Run a command of the page, with this server's address and a folder of ours."""
    words = shlex.split(command)
    places = {
        "influxd": str(find_influxd()),
        "127.0.0.1:8088": server.backup_address,
        "/backup/influxdb": str(backup),
    }
    assert set(places) <= set(words), command
    done = subprocess.run(
        [places.get(word, word) for word in words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_what_was_backed_up_is_what_is_restored_and_what_is_deleted_is_gone(
    tmp_path: Path,
) -> None:
    backup, restore = block_of("influx backup")
    (delete,) = block_of("influx delete")
    with InfluxServer() as first:
        before = Database(first)
        await before.fill(["icu-1", "icu-2"], 500)
        assert [before.n_points(one) for one in ("icu-1", "icu-2")] == [1500, 1500]
        run(backup, first, tmp_path / "backup")
        policies = before.policies()

    with InfluxServer() as second:
        after = Database(second)
        after.ask('DROP DATABASE "chevet"')
        run(restore, second, tmp_path / "backup")
        # The command ends a moment before the server has read all that it was given.
        await until(lambda: [after.n_points(one) for one in ("icu-1", "icu-2")] == [1500, 1500])
        assert after.policies() == policies

        after.ask(delete.replace("SUBJECT", "icu-1"))

        assert [after.n_points(one) for one in ("icu-1", "icu-2")] == [0, 1500]
    print("restored 3000 of 3000 points; of the deleted subject 0 are left, of the other 1500")


async def test_a_brokers_folder_that_was_copied_while_it_stood_still_has_everything(
    tmp_path: Path,
) -> None:
    """Topics with their settings, records, and how far a group has read."""
    frames = frames_of(["icu-1"], 30)
    folder, copy = tmp_path / "kafka", tmp_path / "copy"
    with KafkaBroker(data_dir=folder) as first:
        settings = KafkaSettings(bootstrap_servers=first.bootstrap_servers, n_partitions=1)
        await create_topics(settings)
        async with open_producer(settings) as producer:
            await producer.send(FRAMES, [(one.subject_id, encode_frame(one)) for one in frames])
            await producer.send(CHECKPOINTS, [("a", b"state")])
        async with open_consumer(settings, (FRAMES,), group="chevet-sink") as consumer:
            read = await consumer.poll(timeout_s=30, n_records_max=10)
            await consumer.commit()
        assert read

    await asyncio.to_thread(shutil.copytree, folder, copy)
    shutil.rmtree(folder)

    with KafkaBroker(data_dir=copy) as second:
        settings = KafkaSettings(bootstrap_servers=second.bootstrap_servers, n_partitions=1)
        assert await create_topics(settings) == []
        async with open_consumer(settings, (FRAMES,), group="chevet-sink") as consumer:
            rest: list[ConsumedRecord] = []
            while len(read) + len(rest) < len(frames):
                rest += await consumer.poll(timeout_s=30, n_records_max=500)
        payloads = [record.payload for record in (*read, *rest)]
        assert payloads == [encode_frame(one) for one in frames]
        assert await end_of(settings, CHECKPOINTS.name) == 1


async def end_of(settings: KafkaSettings, topic: str) -> int:
    client = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers)
    await client.start()
    try:
        place = TopicPartition(topic, 0)
        ends = await client.end_offsets([place])
        return int(ends[place])
    finally:
        await client.stop()
