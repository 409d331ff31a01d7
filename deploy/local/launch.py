"""Become another program that ends when its parent ends (Linux).

Run by path, without site-packages, as ``launch.py PARENT_PID FOLDER PROGRAM [ARGUMENT ...]``; a
PARENT_PID of 0 lets the program outlive its parent. The process id stays the same throughout.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``; survives exec."""


def main() -> None:
    """Tie this process to its parent, then replace it by the program."""
    parent_pid, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if parent_pid:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the request above was in force
            sys.exit("the parent process is gone")
    os.chdir(folder)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
