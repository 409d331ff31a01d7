"""What an installation brings, and what it does not."""

import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"scipy", "faust", "bumble", "wfdb", "pandas", "influxdb_client", "aiohttp", "sleepecg"}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def edge_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with ``chevet[edge]`` and nothing else."""
    folder = tmp_path_factory.mktemp("edge")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "-c",
        constraints,
        f"chevet[edge] @ {wheel.as_uri()}",
    )
    return python


def test_the_wheel_has_the_five_packages_with_their_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if not name.startswith("chevet-")}

    assert packages == {"devices", "ingest", "edge", "processors", "deploy"}
    for needed in (
        "ingest/schemas/frame.1.avsc",
        "ingest/schemas/frame.2.avsc",
        "processors/sinks/live/pages/notice.html",
        "processors/sinks/live/static/index.html",
        "deploy/grafana/dashboards/bedside.json",
        "deploy/grafana/provisioning/alerting/rules.yaml",
        "deploy/local/kafka-pom.xml",
        "devices/py.typed",
    ):
        assert needed in names


@pytest.mark.slow
def test_an_edge_installation_is_small(edge_python: Path, tmp_path: Path) -> None:
    heavy = sorted(HEAVY)
    listing = f"import importlib.util as u; print(*(m for m in {heavy!r} if u.find_spec(m)))"

    assert run(edge_python, "-c", listing, cwd=tmp_path).split() == []


@pytest.mark.slow
def test_edge_help_takes_less_than_a_second_of_cpu(edge_python: Path, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = run(edge_python.with_name("chevet"), "edge", "--help", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"chevet edge --help: {cpu_s:.2f} s of CPU")
    assert "agent beside the patient" in said
    assert cpu_s < 1.0


@pytest.mark.slow
def test_the_agent_of_an_edge_installation_starts_and_names_what_it_lacks(
    edge_python: Path, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text('subject_id = "p-1"\ndevices = []\n')
    done = subprocess.run(
        [edge_python.with_name("chevet"), "edge", "run", "--config", "agent.toml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=60,
    )

    assert done.returncode == 2
    assert "list at least one under [[devices]]" in done.stderr


def test_no_installed_package_has_one_of_our_names() -> None:
    code = (
        "from importlib.metadata import packages_distributions as p\n"
        "print([(n, d) for n, d in p().items()"
        " if n in {'devices','ingest','edge','processors','deploy'} and set(d) != {'chevet'}])"
    )

    assert run(sys.executable, "-c", code).strip() == "[]"
