"""The token for Grafana Live, from a Grafana that is played: its HTTP API as its documents have it.

GET /api/org with a token that is good answers 200, else 401. GET /api/serviceaccounts/search gives
the accounts whose names hold the query; POST /api/serviceaccounts makes one (201), POST
/api/serviceaccounts/ID/tokens a token (200), whose name must be new. Both ask for the admin.
"""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana_token import ACCOUNT, ROLE, main
from deploy.local.process import free_ports

PASSWORD = "of the first start"  # noqa: S105


class PlayedGrafana(http.server.ThreadingHTTPServer):
    """What a Grafana remembers of service accounts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.accounts: list[dict[str, Any]] = [{"id": 3, "name": "chevet-live-old", "role": "x"}]
        self.tokens: dict[str, str] = {}
        self.password = PASSWORD
        self.is_unwell = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/grafana/"


class Answers(http.server.BaseHTTPRequestHandler):
    server: PlayedGrafana

    def do_GET(self) -> None:
        self._route({})

    def do_POST(self) -> None:
        self._route(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _route(self, body: dict[str, Any]) -> None:
        path = self.path.removeprefix("/grafana")
        if self.server.is_unwell:
            self._say(503, {})
        elif path == "/api/org":
            known = {f"Bearer {key}" for key in self.server.tokens.values()}
            self._say(200 if self.headers["Authorization"] in known else 401, {"id": 1})
        elif self.headers["Authorization"] != f"Basic {self._credentials()}":
            self._say(401, {})
        else:
            self._say(*self._as_admin(path, body))

    def _credentials(self) -> str:
        return base64.b64encode(f"admin:{self.server.password}".encode()).decode()

    def _as_admin(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.startswith("/api/serviceaccounts/search?query="):
            query = path.partition("=")[2]
            found = [one for one in self.server.accounts if query in one["name"]]
            return 200, {"totalCount": len(found), "serviceAccounts": found}
        if path == "/api/serviceaccounts":
            self.server.accounts.append({"id": 7, **body})
            return 201, {"id": 7, **body}
        if path == "/api/serviceaccounts/7/tokens" and body["name"] not in self.server.tokens:
            key = f"glsa_{len(self.server.tokens)}"
            self.server.tokens[body["name"]] = key
            return 200, {"id": 1, "name": body["name"], "key": key}
        return 400, {}

    def _say(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def grafana() -> Iterator[PlayedGrafana]:
    with PlayedGrafana() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return tmp_path


def run(url: str, folder: Path) -> int:
    password, token = str(folder / "password"), str(folder / "token")
    return main(["--url", url, "--password-file", password, "--token-file", token])


def test_the_first_run_makes_account_and_token_and_the_second_nothing(
    grafana: PlayedGrafana, folder: Path
) -> None:
    assert run(grafana.url, folder) == 0
    first = (folder / "token").read_text()
    assert run(grafana.url, folder) == 0

    made = [one for one in grafana.accounts if one["name"] == ACCOUNT]
    assert [one["role"] for one in made] == [ROLE]
    assert list(grafana.tokens.values()) == [first]
    assert (folder / "token").read_text() == first
    assert (folder / "token").stat().st_mode & 0o777 == 0o600


def test_a_token_that_grafana_has_forgotten_is_replaced_in_the_same_account(
    grafana: PlayedGrafana, folder: Path
) -> None:
    run(grafana.url, folder)
    grafana.tokens = dict.fromkeys(grafana.tokens, "revoked")

    assert run(grafana.url, folder) == 0

    assert (folder / "token").read_text() == "glsa_1"
    assert len([one for one in grafana.accounts if one["name"] == ACCOUNT]) == 1


def test_what_is_wrong_is_said_and_no_token_is_left(
    grafana: PlayedGrafana, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.password = "changed since"  # noqa: S105
    refused = run(grafana.url, folder)
    grafana.is_unwell = True
    unwell = run(grafana.url, folder)
    dead = run(f"http://127.0.0.1:{free_ports(1)[0]}", folder)
    (folder / "password").unlink()
    without = run(grafana.url, folder)

    assert (refused, unwell, dead, without) == (1, 1, 1, 1)
    said = capsys.readouterr().err.splitlines()
    for words, line in zip(
        ("was it changed since", "HTTP 503", "does not answer", "No such file"), said, strict=True
    ):
        assert words in line
    assert PASSWORD not in "".join(said)
    assert not (folder / "token").exists()
