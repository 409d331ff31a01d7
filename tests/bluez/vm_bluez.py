"""The agent on the stock BlueZ, in a virtual machine: one run, and what must hold of it.

`make test-bluez` runs this, by name; it is not among the tests of `make test` (docs/testing.md).
"""

import sys
from collections import Counter
from pathlib import Path

import pytest

from deploy.local.process import log_tail
from ingest.recording import open_recording
from tests.bluez.bonding import SECRET
from tests.bluez.carried import save
from tests.bluez.machine import CRASH_LINES, KernelCrashError, Machine, Report

LIMIT_S = 900.0
"""Of the whole run, which takes about 100 s on a machine that does nothing else."""

N_CRASHES_MAX = 15
"""Linux 6.1.192 of Debian 12 can crash when BlueZ closes the socket of a link that has just ended
(list_del corruption in hci_chan_del). That says nothing of the agent, so the machine runs again;
each crash is printed with its trace."""

ROOT = Path(__file__).parents[2]
N_SENSORS = 5
ECG_RECORD = "mitdb/101"
PLETH_RECORD = "bidmc/bidmc01"

SCRIPT = """
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
dbus-daemon --system --fork
for one in /usr/libexec/bluetooth/bluetoothd /usr/lib/bluetooth/bluetoothd; do
    if [ -x "$one" ]; then "$one" -n & break; fi
done
cd '{root}' && '{python}' -m tests.bluez.inside '{folder}'
"""

pytestmark = [pytest.mark.data, pytest.mark.timeout(N_CRASHES_MAX * LIMIT_S + 60.0)]


@pytest.fixture(scope="session")
def reports(chevet_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Run all scenarios in one machine; give what each of them counted."""
    recordings = tmp_path_factory.mktemp("recordings")
    for name, record in (("ecg", ECG_RECORD), ("pleth", PLETH_RECORD)):
        save(open_recording(str(chevet_data / record)), recordings / f"{name}.npz")
    script = SCRIPT.format(root=ROOT, python=sys.executable, folder=recordings)

    for n_crashes in range(1, N_CRASHES_MAX + 1):
        machine = Machine(tmp_path_factory.mktemp("bluez"))
        try:
            found = {one["scenario"]: one for one in machine.run(script, LIMIT_S, show)}
        except KernelCrashError as error:
            show({"scenario": "crash", "n_crashes": n_crashes, "error": str(error)})
            continue
        tail = log_tail(machine.console, CRASH_LINES)
        assert "done" in found, f"the program ended early:\n{tail}"
        return found
    pytest.fail(f"the machine's kernel crashed {N_CRASHES_MAX} times", pytrace=False)


def show(report: Report) -> None:
    print(f"\n{report}", file=sys.__stderr__, flush=True)


@pytest.fixture
def agent(reports: dict[str, Report]) -> Report:
    return sound(reports["agent"])


def sound(report: Report) -> Report:
    """Give a report, unless its scenario did not come to its end."""
    if "error" in report:
        pytest.fail(f"{report['scenario']} ended early:\n{report['error']}", pytrace=False)
    return report


def test_the_stock_scanner_hears_every_sensor_with_its_services(reports: dict[str, Report]) -> None:
    scan = sound(reports["scan"])

    assert sorted(scan["heard"]) == scan["wanted"]
    assert len(scan["wanted"]) == N_SENSORS
    assert all(scan["heard"].values())


def test_every_sample_is_stored_or_in_a_gap_with_its_cause(agent: Report) -> None:
    uneven = [one for one in agent["balances"] if not one["even"]]

    assert uneven == []
    assert agent["sequences"]
    stored = Counter({one["device"]: one["stored"] for one in agent["balances"]})
    assert min(stored.values()) > 0


def test_after_all_links_are_lost_at_once_every_sensor_comes_back(agent: Report) -> None:
    # Once at the start, once after the loss of all links, once after that of the adapter.
    assert set(agent["n_connections"].values()) == {3}
    assert [one["link_lost"] for one in agent["events"].values()] == N_SENSORS * [2]


def test_what_is_missing_is_missing_for_the_lost_links_alone(agent: Report) -> None:
    causes: set[str] = set()
    for one in agent["balances"]:
        causes |= one["missing"].keys()

    assert causes == {"link_lost"}


def test_an_agent_that_stops_stops_the_streams_and_hangs_up(agent: Report) -> None:
    assert set(agent["connected"].values()) == {False}
    assert set(agent["n_streams_running"].values()) == {0}


def test_indications_arrive_too(agent: Report) -> None:
    # What was indicated as a link ended may have arrived without its confirmation.
    n_sent, n_unconfirmed = agent["n_temperatures_sent"], agent["n_temperatures_unconfirmed"]
    assert 0 < n_sent <= agent["n_temperatures"] <= n_sent + n_unconfirmed


def test_a_sensor_that_comes_after_the_adapter_is_back_is_found(agent: Report) -> None:
    assert agent["latecomer_connected"]


@pytest.mark.parametrize("kind", ["legacy", "secure_connections"])
def test_a_peripheral_is_paired_with(reports: dict[str, Report], kind: str) -> None:
    pairing = sound(reports["pairing"])[kind]

    assert pairing["n_pairings"] == 1
    assert pairing["after_pairing"] == SECRET.hex()
    assert pairing["n_encrypted_links"] >= 1


def test_a_bond_is_used_again_without_pairing_again(reports: dict[str, Report]) -> None:
    pairing = sound(reports["pairing"])["secure_connections"]

    assert pairing["with_the_bond"] == SECRET.hex()
    assert pairing["n_encrypted_links"] == 2
    assert pairing["n_pairings_with_the_bond"] == 1


def test_an_adapter_that_comes_later_or_was_away_for_a_moment_is_taken_into_use(
    reports: dict[str, Report],
) -> None:
    plugging = sound(reports["plugging"])

    assert plugging["n_connections"] == [n + 1 for n in plugging["n_before"]]


def test_a_device_that_shows_a_passkey_is_paired_with_by_who_types_it(
    reports: dict[str, Report],
) -> None:
    passkey = sound(reports["passkey"])

    assert "passkey" in passkey["question"]
    assert "was the passkey right" in passkey["refused"]
    assert passkey["n_pairings"] == 1
    assert passkey["with_the_bond"] == SECRET.hex()
