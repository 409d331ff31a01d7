"""A virtual machine with a kernel that has Bluetooth: built anew for each run, and ended by us.

QEMU runs without the host's virtualisation, so that it runs anywhere, CI included. The machine sees
this host's files read-only, beneath a layer in memory; it has no disk and no network.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.folders import home_folder
from deploy.local.process import find_program, log_tail

MEMORY_MIB = 1536
ICOUNT = "shift=0,sleep=on"
"""The machine's clock counts its own instructions, one in a nanosecond: a host that is slow or busy
makes the run longer and changes nothing in it. While the machine idles, time passes as on the host.
"""

POLL_S = 0.2
CRASH_LINES = 100
HOW_TO_INSTALL = "sh deploy/install_bluez.sh"
LAUNCHER = Path(__file__).parents[2] / "deploy" / "local" / "launch.py"
INIT = Path(__file__).with_name("init")
FOLDERS = ("bin", "proc", "sys", "dev", "lower", "upper", "root", "modules")

Report = dict[str, Any]


class MachineError(Exception):
    """The machine could not be built, or did not come to its end."""


class KernelCrashError(MachineError):
    """The machine's kernel crashed: no program of ours can make it, whatever it does."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine is made of.

    Parameters
    ----------
    folder
        For what it is built from, and for what it says: ``console.log`` and ``report.jsonl``.
    """

    folder: Path

    @property
    def console(self) -> Path:
        """What kernel and programs printed."""
        return self.folder / "console.log"

    @property
    def report(self) -> Path:
        """What the program wrote to its second serial line."""
        return self.folder / "report.jsonl"

    def run(self, script: str, limit_s: float, on_report: Callable[[Report], None]) -> list[Report]:
        """Start the machine, run a shell script in it, and give its reports when it has ended.

        Raises
        ------
        KernelCrashError
        MachineError
            It did not end in time, or could not be started. It has been ended then.
        """
        command = self._command(_kernel(), self._initramfs(_kernel(), script))
        # Tied to this process: whatever ends it ends the machine.
        tied = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(self.folder)]
        with (self.folder / "qemu.log").open("wb") as log:
            qemu = subprocess.Popen(
                tied + command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._follow(qemu, limit_s, on_report)
        finally:
            qemu.kill()
            qemu.wait()
        if qemu.returncode != 0:
            raise MachineError(
                f"qemu ended with {qemu.returncode}: {log_tail(self.folder / 'qemu.log')}"
            )
        if b"Kernel panic" in self.console.read_bytes():
            raise KernelCrashError(f"the kernel crashed:\n{log_tail(self.console, CRASH_LINES)}")
        return self._reports()

    def _follow(
        self, qemu: "subprocess.Popen[bytes]", limit_s: float, on_report: Callable[[Report], None]
    ) -> None:
        deadline_s = time.monotonic() + limit_s
        n_told = 0
        while qemu.poll() is None:
            for report in self._reports()[n_told:]:
                on_report(report)
                n_told += 1
            if time.monotonic() > deadline_s:
                raise MachineError(
                    f"the machine was not done in {limit_s:g} s and has been ended; it had "
                    f"reported {[one.get('scenario') for one in self._reports()]}; the end of its "
                    f"console:\n{log_tail(self.console)}"
                )
            time.sleep(POLL_S)
        for report in self._reports()[n_told:]:
            on_report(report)

    def _reports(self) -> list[Report]:
        """Read the whole lines that have come so far."""
        if not self.report.exists():
            return []
        lines = self.report.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.strip()]

    def _initramfs(self, kernel: Path, script: str) -> Path:
        """Pack what the kernel starts with: busybox, modules, init, and the script that it runs."""
        root = self.folder / "initramfs"
        for name in FOLDERS:
            (root / name).mkdir(parents=True)
        shutil.copy(_program("busybox"), root / "bin" / "busybox")
        for module in sorted((kernel / "modules").iterdir()):
            shutil.copy(module, root / "modules")
        shutil.copy(INIT, root / "init")
        (root / "init").chmod(0o755)
        (root / "command").write_text(script, encoding="utf-8")
        archive = self.folder / "initramfs.cpio"
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
        with archive.open("wb") as packed:
            subprocess.run(
                [_program("busybox"), "cpio", "-o", "-H", "newc"],
                cwd=root,
                input="\n".join(names).encode(),
                stdout=packed,
                stderr=subprocess.DEVNULL,
                check=True,
            )
        return archive

    def _command(self, kernel: Path, initramfs: Path) -> list[str]:
        return [
            _program("qemu-system-x86_64"),
            *("-accel", "tcg", "-icount", ICOUNT, "-cpu", "max", "-m", str(MEMORY_MIB)),
            *("-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"),
            *("-serial", f"file:{self.console}", "-serial", f"file:{self.report}"),
            *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(initramfs)),
            # Nothing in the machine needs protection from the rest of it, and that is dear here.
            *("-append", "console=ttyS0 quiet oops=panic panic=-1 mitigations=off"),
            *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        ]


def _kernel() -> Path:
    kernel = home_folder() / "bluez" / "kernel"
    if not (kernel / "vmlinuz").exists():
        raise MachineError(f"there is no kernel in {kernel}; run {HOW_TO_INSTALL}")
    return kernel.resolve()


def _program(name: str) -> str:
    return str(find_program(name, how_to_get_it=HOW_TO_INSTALL))
