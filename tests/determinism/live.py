"""A live run: virtual sensors, an agent that is killed once, and the recorder."""

from pathlib import Path

from deploy.local.process import free_ports
from ingest.placed_consumer import Place
from processors.sinks.archive.writer import ArchiveWriter, read_state
from tests.determinism.stage import Processes, Stage, ends_of
from tests.waiting import until

WORN = ("Strap", "Oximeter", "Armband", "Thermometer")
N_RATES = 5
"""Heart rates before the agent is killed, and as many after it."""


class LiveRun:
    """One person with everything on, from the air to the archive."""

    def __init__(self, on: Stage, folder: Path, subject_id: str, processes: Processes) -> None:
        self._on = on
        self._folder = folder
        self._processes = processes
        self._servers = on.settings.bootstrap_servers
        self.subject_id = subject_id
        self.archive = folder / "archive"

    async def run(self, record: str) -> None:
        """Play until there are heart rates; end with every Frame in the archive."""
        start = self._processes.start
        begin, _ = await ends_of(self._on.settings)
        with ArchiveWriter(self.archive) as writer:
            writer.commit((), begin)
        recorder = start("record", "--config", str(self._recorder_settings()))
        statistics = self._folder / "sensors.json"
        [port] = free_ports(1)
        person = f"strap={record},oximeter={record},armband=heartpy,thermometer"
        words = ("--person", person, "--port", str(port), "--statistics", str(statistics))
        sensors = start("sensors", *words)
        await until(statistics.exists, "the sensors are on the air")
        agent = start("edge", "run", "--config", str(self._agent_settings(port)))
        await self._until_rates(N_RATES)
        agent.kill_and_start()
        await self._until_rates(self._n_rates() + N_RATES)
        await agent.stop()
        await sensors.stop()
        frames, _ = await ends_of(self._on.settings)
        mine = {place: end for place, end in frames.items() if end > begin[place]}
        await until(lambda: _reach(self._recorded(), mine), "all is recorded")
        await recorder.stop()

    async def _until_rates(self, n: int) -> None:
        await until(lambda: self._n_rates() >= n, f"there are {n} heart rates")

    def _n_rates(self) -> int:
        return self._on.heard.n_rates(self.subject_id)

    def _recorded(self) -> dict[Place, int]:
        offsets = read_state(self.archive)["offsets"]
        return {(topic, int(p)): end for topic, ends in offsets.items() for p, end in ends.items()}

    def _recorder_settings(self) -> Path:
        path = self._folder / "recorder.toml"
        path.write_text(
            f'archive = "{self.archive}"\ngroup = "{self._on.group}-recorder"\ncommit_s = 0.5\n'
            f'[kafka]\nbootstrap_servers = "{self._servers}"\n'
        )
        return path

    def _agent_settings(self, port: int) -> Path:
        devices = "".join(f'[[devices]]\nname = "Chevet Virtual {one} 0001"\n' for one in WORN)
        path = self._folder / "agent.toml"
        path.write_text(
            f'subject_id = "{self.subject_id}"\nagent_id = "bedside"\n'
            f'spool_path = "{self._folder / "agent" / "spool.sqlite"}"\n'
            'radio_backend = "edge.virtual.bleak_bumble:backend"\n'
            f'radio_transport = "tcp-client:127.0.0.1:{port}"\n'
            # One computer plays everybody: slowness is not the agent's loss.
            "reconnect_s_max = 2.0\ndrain_s = 30.0\nstream_silence_periods = 50\n"
            f'{devices}[kafka]\nbootstrap_servers = "{self._servers}"\n'
        )
        return path


def _reach(reached: dict[Place, int], ends: dict[Place, int]) -> bool:
    return all(reached.get(place, 0) >= end for place, end in ends.items())
