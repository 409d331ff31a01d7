"""The script for BlueZ's virtual machine, on machines that are put together from stand-ins."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.test_install_services import Machine as ServicesMachine

SCRIPT = Path(__file__).parents[2] / "deploy" / "install_bluez.sh"
TOOLS = ("basename", "cp", "ln", "mkdir", "mktemp", "mv", "rm")
PACKAGES = {"bluez", "busybox-static", "dbus", "kmod", "qemu-system-x86"}
RELEASE = "6.99.0-7-amd64"
META_PACKAGE = f"""
[ "$1" = show ] || exit 1
echo 'Package: linux-image-amd64'
echo 'Depends: linux-image-{RELEASE} (= 6.99.7-1)'
"""


class Machine(ServicesMachine):
    """A PATH of stand-ins, and a folder for the kernel."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.home = folder / "home"
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self._programs / tool).symlink_to(found)
        self.add("id", "echo 0")

    @property
    def kernels(self) -> Path:
        return self.home / "var" / "bluez"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs / "sh"), str(SCRIPT), *arguments],
            env={"PATH": str(self._programs), "CHEVET_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def make_debian(machine: Machine, *, installed: bool, architecture: str = "amd64") -> None:
    status = "echo 'Status: install ok installed'" if installed else "exit 1"
    machine.add(
        "dpkg", f'case "$1" in --print-architecture) echo {architecture} ;; *) {status} ;; esac'
    )
    machine.add("apt-cache", META_PACKAGE)


def test_packages_are_installed_and_the_newest_kernel_is_only_downloaded(machine: Machine) -> None:
    make_debian(machine, installed=False)
    machine.add("apt-get", 'case "$*" in *download*) exit 1 ;; esac')

    done = machine.run()

    update, install, download = [call for call in machine.calls if call.startswith("apt-get")]
    assert update == "apt-get -q update"
    assert set(install.split()) >= PACKAGES
    assert "linux-image" not in install
    assert download.endswith(f" download linux-image-{RELEASE}")
    # The download failed: it is said, and nothing of it is left.
    assert done.returncode == 1
    assert f"linux-image-{RELEASE} could not be fetched" in done.stderr
    assert list(machine.kernels.iterdir()) == []


def test_what_is_there_is_left_alone(machine: Machine) -> None:
    make_debian(machine, installed=True)
    machine.add("apt-get", "exit 1")
    (machine.kernels / RELEASE).mkdir(parents=True)
    (machine.kernels / RELEASE / "vmlinuz").touch()

    done = machine.run()

    assert done.returncode == 0, done.stderr
    assert (machine.kernels / "kernel" / "vmlinuz").exists()
    assert not [call for call in machine.calls if call.startswith("apt-get")]


def test_before_a_kernel_is_fetched_the_list_of_packages_is_fresh(machine: Machine) -> None:
    make_debian(machine, installed=True)
    machine.add("apt-get", 'case "$*" in *download*) exit 1 ;; esac')

    machine.run()

    update, download = [call for call in machine.calls if call.startswith("apt-get")]
    assert update == "apt-get -q update"
    assert "download" in download


def test_another_architecture_is_named(machine: Machine) -> None:
    make_debian(machine, installed=True, architecture="arm64")
    machine.add("apt-get", "")

    done = machine.run()

    assert done.returncode == 1
    assert "arm64" in done.stderr


def test_where_there_is_no_apt_the_packages_are_named(machine: Machine) -> None:
    done = machine.run()

    assert done.returncode == 1
    assert "no apt-get" in done.stderr
    assert "qemu-system-x86" in done.stderr


def test_help_and_wrong_arguments_do_nothing(machine: Machine) -> None:
    helped, wrong = machine.run("--help"), machine.run("--colour")

    assert (helped.returncode, wrong.returncode) == (0, 2)
    assert "virtual machine" in helped.stdout
    assert machine.calls == []


def test_the_script_can_be_run_by_name() -> None:
    assert os.access(SCRIPT, os.X_OK)
