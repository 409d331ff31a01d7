"""The script on machines that are put together from stand-ins for their programs.

What a real new Debian makes of it is seen only there; see the script's own head.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "install_services.sh"
TOOLS = ("cat", "dirname", "env", "grep", "head", "sed", "sh")
PACKAGES_IN_TEST = (
    "openjdk-17-jre-headless",
    "maven",
    "influxdb",
    "prometheus",
    "chromium",
    "nodejs",
    "npm",
)


class Machine:
    """A PATH of stand-ins, which write what is asked of them into one file."""

    def __init__(self, folder: Path) -> None:
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._calls = folder / "calls"
        self._calls.touch()
        # A tree of its own: what is installed in ours is nothing to these tests.
        self.tree = folder / "tree"
        (self.tree / "deploy").mkdir(parents=True)
        self._script = self.tree / "deploy" / SCRIPT.name
        shutil.copy(SCRIPT, self._script)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self._programs / tool).symlink_to(found)
        self.add("python", "")

    def add(self, name: str, action: str) -> None:
        program = self._programs / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>"{self._calls}"\n{action}\n', encoding="utf-8"
        )
        program.chmod(0o700)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs / "sh"), str(self._script), *arguments],
            env={"PATH": str(self._programs), "CHEVET_PYTHON": str(self._programs / "python")},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def make_debian(machine: Machine, *, uid: int) -> None:
    """A new Debian: no package installed, and after apt-get a Java."""
    machine.add("id", f"echo {uid}")
    machine.add("dpkg", "exit 1")
    machine.add("apt-cache", 'case "$2" in openjdk-17-*) ;; *) exit 1 ;; esac')
    java = machine._programs / "java"
    script = "#!/bin/sh\\necho 'openjdk version \\\"17.0.1\\\"' >&2\\n"
    machine.add("chmod", f'exec {shutil.which("chmod")} "$@"')
    machine.add(
        "apt-get",
        f"""case "$*" in *install*) printf "{script}" >"{java}" && chmod 700 "{java}" ;; esac""",
    )


def test_on_a_new_debian_everything_is_installed_and_then_kafka_is_fetched(
    machine: Machine,
) -> None:
    make_debian(machine, uid=0)

    done = machine.run()

    assert done.returncode == 0, done.stderr
    calls = [call for call in machine.calls if call.startswith(("apt-get", "python"))]
    update, install, fetch = calls
    assert update == "apt-get -q update"
    assert install.startswith("apt-get -q -y install --no-install-recommends")
    assert set(PACKAGES_IN_TEST) <= set(install.split())
    assert fetch == "python -m deploy.local.kafka --fetch"


def test_without_root_sudo_is_used_for_packages_and_for_them_alone(machine: Machine) -> None:
    make_debian(machine, uid=1000)
    machine.add("sudo", '"$@"')

    done = machine.run()

    assert done.returncode == 0, done.stderr
    sudo = [call for call in machine.calls if call.startswith("sudo")]
    assert [call.split()[1] for call in sudo] == ["apt-get", "env"]
    assert "DEBIAN_FRONTEND=noninteractive" in sudo[1]


def test_without_root_and_sudo_the_script_ends_before_it_does_anything(machine: Machine) -> None:
    make_debian(machine, uid=1000)

    done = machine.run()

    assert done.returncode == 1
    assert "run this as root or install sudo" in done.stderr
    assert not [call for call in machine.calls if call.startswith(("apt-get", "python"))]


def test_where_there_is_no_apt_the_packages_are_named(machine: Machine) -> None:
    machine.add("id", "echo 0")

    done = machine.run()

    assert done.returncode == 1
    assert "no apt-get" in done.stderr
    assert "influxdb" in done.stderr


def test_what_is_there_is_left_alone(machine: Machine) -> None:
    machine.add("dpkg", 'echo "Status: install ok installed"')
    machine.add("java", "echo 'openjdk version \"21.0.2\"' >&2")
    machine.add("apt-get", "exit 1")

    done = machine.run()

    assert done.returncode == 0, done.stderr
    assert not [call for call in machine.calls if call.startswith("apt-get")]


def test_a_package_that_was_removed_but_left_its_settings_is_installed_again(
    machine: Machine,
) -> None:
    make_debian(machine, uid=0)
    machine.add("dpkg", 'echo "Status: deinstall ok config-files"')

    machine.run()

    (install,) = [call for call in machine.calls if "install --no" in call]
    assert "influxdb" in install.split()


def test_an_old_java_gets_a_new_one_beside_it(machine: Machine) -> None:
    make_debian(machine, uid=0)
    machine.add("dpkg", 'echo "Status: install ok installed"')
    machine.add("java", "echo 'openjdk version \"1.8.0_402\"' >&2")

    machine.run()

    (install,) = [call for call in machine.calls if "install --no" in call]
    assert install.endswith(" openjdk-17-jre-headless")


def test_a_fetch_that_fails_is_the_failure_of_the_script(machine: Machine) -> None:
    make_debian(machine, uid=0)
    machine.add("python", "exit 1")

    done = machine.run()

    assert done.returncode == 1
    assert "could not be fetched" in done.stderr


def add_node_tests(machine: Machine, name: str = "grafana/streaming") -> Path:
    """A folder of tests with a lock file, and an npm that installs it."""
    folder = machine.tree / "tests" / name
    folder.mkdir(parents=True)
    (folder / "package-lock.json").write_text("{}", encoding="utf-8")
    for tool in ("mkdir", "touch"):
        machine.add(f"real-{tool}", f'exec {shutil.which(tool)} "$@"')
    machine.add("npm", "real-mkdir node_modules && real-touch node_modules/.package-lock.json")
    return folder


def make_complete(machine: Machine) -> None:
    machine.add("dpkg", 'echo "Status: install ok installed"')
    machine.add("java", "echo 'openjdk version \"21.0.2\"' >&2")


def test_nodes_packages_are_installed_once_in_every_folder_with_a_lock_file(
    machine: Machine,
) -> None:
    make_complete(machine)
    folders = [add_node_tests(machine, name) for name in ("grafana/schema", "live/oidc")]
    (machine.tree / "tests" / "grafana" / "no_node").mkdir()

    first, second = machine.run(), machine.run()

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    npm = [call for call in machine.calls if call.startswith("npm")]
    assert npm == ["npm ci --no-audit --no-fund"] * 2
    assert all((folder / "node_modules" / ".package-lock.json").is_file() for folder in folders)


def test_a_lock_file_that_is_newer_is_installed_again(machine: Machine) -> None:
    make_complete(machine)
    folder = add_node_tests(machine)
    machine.add("npm", "")
    installed = folder / "node_modules" / ".package-lock.json"
    installed.parent.mkdir()
    installed.touch()
    newer_s = installed.stat().st_mtime + 10
    os.utime(folder / "package-lock.json", (newer_s, newer_s))

    done = machine.run()

    assert done.returncode == 0, done.stderr
    assert "npm ci --no-audit --no-fund" in machine.calls


def test_an_npm_that_fails_is_the_failure_of_the_script_after_kafka(machine: Machine) -> None:
    make_complete(machine)
    add_node_tests(machine)
    machine.add("npm", "exit 1")

    done = machine.run()

    assert done.returncode == 1
    assert "tests/grafana/streaming" in done.stderr
    assert "python -m deploy.local.kafka --fetch" in machine.calls


def test_help_and_wrong_arguments_do_nothing(machine: Machine) -> None:
    helped, wrong = machine.run("--help"), machine.run("--colour")

    assert (helped.returncode, wrong.returncode) == (0, 2)
    assert "Debian" in helped.stdout
    assert machine.calls == []


def test_the_script_can_be_run_by_name() -> None:
    assert os.access(SCRIPT, os.X_OK)
