import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import process as process_module
from deploy.local.process import (
    LOCALHOST,
    PORT_RANGE,
    ProcessIdentity,
    ServerFailedError,
    ServerMissingError,
    ServerProcess,
    find_program,
    free_ports,
    kill_process,
    log_tail,
    port_or_free,
    run_tool,
    stop_process,
)

WAIT_FOR_SIGNALS = "import signal\nopen('ready', 'w').close()\nwhile True: signal.pause()"
IGNORE_SIGTERM = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAIT_FOR_SIGNALS}"


@pytest.fixture
def make_program(tmp_path: Path) -> Callable[..., ServerProcess]:
    def make(code: str, **settings: float | bool) -> ServerProcess:
        return ServerProcess(
            name="program",
            command=[sys.executable, "-I", "-S", "-c", code],
            folder=tmp_path,
            ready=(tmp_path / "ready").exists,
            **settings,  # type: ignore[arg-type]
        )

    return make


Make = Callable[..., ServerProcess]


def wait_for_end(identity: ProcessIdentity, timeout_s: float = 20.0) -> bool:
    with identity.open() as pidfd:
        return pidfd is None or process_module._wait_for_end(pidfd, timeout_s)


def test_a_program_runs_until_it_is_stopped_and_leaves_no_process(make_program: Make) -> None:
    program = make_program(WAIT_FOR_SIGNALS)

    program.start()
    identity = program.identity
    assert identity is not None
    assert program.is_running()
    program.stop()

    assert not program.is_running()
    with pytest.raises(ProcessLookupError):
        os.kill(identity.pid, 0)


def test_a_kill_sends_nothing_before_sigkill(
    make_program: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIGTERM in front would let a program tidy up, now and then: no crash is like that."""
    sent: list[signal.Signals] = []
    send = process_module._send

    def spy(pidfd: int, number: signal.Signals) -> None:
        sent.append(number)
        send(pidfd, number)

    monkeypatch.setattr(process_module, "_send", spy)
    program = make_program(WAIT_FOR_SIGNALS)
    program.start()
    identity = program.identity
    assert identity is not None

    program.kill()

    assert sent == [signal.SIGKILL]
    assert not identity.is_running()


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(make_program: Make) -> None:
    program = make_program(IGNORE_SIGTERM, stop_s_max=0.05)
    program.start()
    identity = program.identity
    assert identity is not None

    program.stop()

    assert not identity.is_running()


def test_a_program_that_ends_at_once_is_reported_with_its_exit_code_and_log(
    make_program: Make,
) -> None:
    program = make_program("print('no such setting: colour'); raise SystemExit(3)")

    with pytest.raises(ServerFailedError, match=r"(?s)exit code 3.*no such setting: colour"):
        program.start()


def test_a_program_that_is_killed_while_it_starts_is_reported_with_the_signal(
    make_program: Make,
) -> None:
    program = make_program("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(ServerFailedError, match=r"signal SIGKILL\); its log is empty"):
        program.start()


def test_a_program_that_never_gets_ready_is_stopped_and_reported_with_its_log(
    make_program: Make, tmp_path: Path
) -> None:
    code = "import signal\nprint('still thinking', flush=True)\nwhile True: signal.pause()"
    program = make_program(code, start_s_max=0.5)
    program.ready = (tmp_path / "never").exists

    with pytest.raises(ServerFailedError, match=r"(?s)not ready after 0.5 s.*still thinking"):
        program.start()

    assert not program.is_running()


def test_the_reason_for_not_being_ready_is_quoted(make_program: Make) -> None:
    def refuse() -> bool:
        raise ConnectionRefusedError("nobody there")

    program = make_program(WAIT_FOR_SIGNALS, start_s_max=0.1)
    program.ready = refuse

    with pytest.raises(ServerFailedError, match="nobody there"):
        program.start()


def test_a_program_that_cannot_be_run_says_so(make_program: Make) -> None:
    program = make_program("")
    program.command = ["/nonexistent/server"]

    with pytest.raises(ServerFailedError, match="cannot run /nonexistent/server"):
        program.start()


def test_a_server_started_in_a_worker_thread_outlives_the_thread(make_program: Make) -> None:
    program = make_program(WAIT_FOR_SIGNALS)
    worker = threading.Thread(target=program.start)

    worker.start()
    worker.join()

    assert program.identity is not None
    assert not wait_for_end(program.identity, timeout_s=0.3)
    program.stop()


PARENT = """
import os, sys
from pathlib import Path
from deploy.local.process import ServerProcess
folder = Path(sys.argv[1])
program = ServerProcess(
    name="program",
    command=[sys.executable, "-I", "-S", "-c", sys.argv[2]],
    folder=folder,
    ready=(folder / "ready").exists,
    outlives_parent=sys.argv[3] == "outlives",
)
program.start()
print(program.identity.pid, flush=True)
sys.stdin.read()
"""


def start_parent(folder: Path, fate: str) -> tuple[subprocess.Popen[str], ProcessIdentity]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), IGNORE_SIGTERM, fate],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(process_module.__file__).parents[2],
    )
    assert parent.stdout is not None
    return parent, ProcessIdentity.of(int(parent.stdout.readline()))


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent, server = start_parent(tmp_path, "ends")

    with parent:
        parent.kill()

    assert wait_for_end(server)


def test_a_server_may_be_told_to_outlive_its_parent(tmp_path: Path) -> None:
    parent, server = start_parent(tmp_path, "outlives")

    with parent:
        parent.kill()

    assert not wait_for_end(server, timeout_s=0.3)
    kill_process(server)
    assert not server.is_running()


def test_a_process_that_has_our_pid_but_another_start_time_is_left_alone(
    make_program: Make,
) -> None:
    program = make_program(WAIT_FOR_SIGNALS)
    program.start()
    assert program.identity is not None
    earlier = ProcessIdentity(
        pid=program.identity.pid,
        start_ticks=program.identity.start_ticks - 1,
        boot_id=program.identity.boot_id,
    )

    stop_process(earlier)

    assert not earlier.is_running()
    assert program.is_running()
    program.stop()


def test_a_process_of_an_earlier_boot_does_not_run() -> None:
    me = ProcessIdentity.of(os.getpid())
    before = ProcessIdentity(pid=me.pid, start_ticks=me.start_ticks, boot_id="another")

    assert me.is_running()
    assert not before.is_running()


def test_an_ended_process_that_nobody_waited_for_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        identity = ProcessIdentity.of(child.pid)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert not identity.is_running()


def test_free_ports_differ_and_lie_below_the_ephemeral_range() -> None:
    ports = free_ports(50)

    assert len(set(ports)) == 50
    assert all(port in PORT_RANGE for port in ports)


def test_what_one_process_has_picked_no_other_is_given() -> None:
    """Servers of two test runs, or of two demonstrations, must not be told the same port."""
    [picked] = free_ports(1)
    asked = (
        "from deploy.local import process\n"
        f"process.PORT_RANGE = [{picked}] * 9\n"
        "print(*process.free_ports(1))"
    )

    others = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False)

    assert str(picked) not in others.stdout.decode().split()


def test_a_preferred_port_is_given_only_while_it_is_free() -> None:
    preferred = free_ports(1)[0]
    assert port_or_free(preferred) == preferred

    with socket.create_server((LOCALHOST, preferred)):
        assert port_or_free(preferred) != preferred


def test_a_missing_program_is_named_with_its_remedy() -> None:
    with pytest.raises(ServerMissingError, match=r"no-such-thing.*apt-get install it") as caught:
        find_program("no-such-thing", how_to_get_it="apt-get install it")

    assert caught.value.what == "no-such-thing"


def test_programs_are_also_found_in_the_folders_of_the_administrator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admin-tool").touch(mode=0o700)
    monkeypatch.setattr(process_module, "ADMIN_FOLDERS", (str(tmp_path),))

    found = find_program("absent", "admin-tool", how_to_get_it="", environ={"PATH": "/usr/bin"})

    assert found == tmp_path / "admin-tool"


def test_the_tail_of_a_log_is_its_last_lines_whatever_its_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100_000 + b"\n" + b"".join(b"line \xff%d\n" % i for i in range(90)))

    assert log_tail(log, n_lines=2) == "line \ufffd88\nline \ufffd89"
    assert log_tail(tmp_path / "absent") == ""


def test_a_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('bad day'); raise SystemExit(4)"]

    with pytest.raises(ServerFailedError, match=r"(?s)tool ended with exit code 4.*bad day"):
        run_tool("tool", command, folder=tmp_path, timeout_s=30.0)


def test_a_tool_that_does_not_end_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]

    with pytest.raises(ServerFailedError, match=r"tool did not end within 0.3 s"):
        run_tool("tool", command, folder=tmp_path, timeout_s=0.3)
