"""The Faust worker as a process, on real Kafka: secured, fed with junk, killed."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.kafka import KafkaBroker
from devices import codes
from ingest.codec import decode_observations, encode_frame
from ingest.frame import Frame, Reading
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import DEAD_LETTERS, FRAMES, OBSERVATIONS
from tests.stored import letter_of
from tests.waiting import WAIT_S

START_NS = 1_790_000_000 * 10**9

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


def frame(subject: str, n: int) -> bytes:
    reading = Reading(
        device_id="ox-1",
        mdc_code=codes.SPO2.mdc,
        unit="%",
        value=90.0 + n % 10,
        t_ns=START_NS + n * 10**9,
    )
    return encode_frame(Frame(subject_id=subject, agent_id="a-1", sequence=n, readings=(reading,)))


@contextlib.contextmanager
def worker(settings: KafkaSettings, folder: Path, group: str) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(exist_ok=True)
    config = folder / "worker.toml"
    lines = [f'group = "{group}"', f'data_dir = "{folder}/data"', "[kafka]"]
    lines.append(f'bootstrap_servers = "{settings.bootstrap_servers}"')
    environment = {n: v for n, v in os.environ.items() if not n.startswith("CHEVET_")}
    if settings.security_protocol != "PLAINTEXT" and settings.sasl_password is not None:
        lines += [
            f'security_protocol = "{settings.security_protocol}"',
            f'sasl_mechanism = "{settings.sasl_mechanism}"',
            f'sasl_username = "{settings.sasl_username}"',
            f'ssl_ca_file = "{settings.ssl_ca_file}"',
        ]
        password = settings.sasl_password.get_secret_value()
        environment["CHEVET_KAFKA__SASL_PASSWORD"] = password
    config.write_text("\n".join(lines))
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "worker", "--config", str(config)],
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=WAIT_S)


async def observed(settings: KafkaSettings, subject: str, n_values: int) -> dict[int, float]:
    """Wait for so many different observations of a subject; give their values by time."""
    found: dict[int, float] = {}
    async with asyncio.timeout(WAIT_S), open_consumer(settings, (OBSERVATIONS,), group=None) as one:
        while len(found) < n_values:
            for record in await one.poll(timeout_s=1.0, n_records_max=500):
                for observation in decode_observations(record.payload):
                    if observation.subject_id == subject and observation.value is not None:
                        before = found.setdefault(observation.t_ns, observation.value)
                        assert before == observation.value
    return found


async def send(settings: KafkaSettings, subject: str, payloads: list[bytes]) -> None:
    async with open_producer(settings) as producer:
        await producer.send(FRAMES, [(subject, payload) for payload in payloads])


async def test_the_worker_talks_to_a_broker_with_tls_and_a_password(
    tmp_path: Path, unique_name: str
) -> None:
    with KafkaBroker(secured=True) as broker:
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            security_protocol="SASL_SSL",
            sasl_mechanism="PLAIN",
            sasl_username=broker.sasl_username,
            sasl_password=SecretStr(str(broker.sasl_password)),
            ssl_ca_file=broker.ca_file,
        )
        await create_topics(settings)
        await send(settings, unique_name, [frame(unique_name, n) for n in range(20)])
        with worker(settings, tmp_path, unique_name):
            values = await observed(settings, unique_name, 20)

    assert sorted(values) == [START_NS + n * 10**9 for n in range(20)]


async def test_junk_goes_to_the_dead_letters_and_the_rest_goes_on(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    junk = [b"", b"junk", frame(unique_name, 5)[:-3], b"\xc3\x01" + b"\0" * 8]
    payloads = [one for n in range(4) for one in (junk[n], frame(unique_name, n))]
    await send(settings, unique_name, payloads)

    with worker(settings, tmp_path, unique_name):
        values = await observed(settings, unique_name, 4)
        letters: list[bytes] = []
        async with (
            asyncio.timeout(WAIT_S),
            open_consumer(settings, (DEAD_LETTERS,), group=None) as reader,
        ):
            while not set(junk) <= set(letters):
                for record in await reader.poll(timeout_s=1.0, n_records_max=100):
                    if letter := letter_of(record):
                        assert letter.reason
                        letters.append(letter.payload)

    assert len(values) == 4
