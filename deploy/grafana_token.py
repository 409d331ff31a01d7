"""A token with which waveforms may be pushed to Grafana Live, made once and kept in a file.

``python -m deploy.grafana_token --url URL --password-file FILE --token-file FILE``: where the file
holds a token that Grafana takes, nothing is done. Else the service account ``chevet-live`` gets a
new one. It may do what an editor may, which is the least that Grafana lets push.
"""

import argparse
import base64
import http.client
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ACCOUNT: Final = "chevet-live"
ROLE: Final = "Editor"
ANSWER_S_MAX: Final = 10.0
_REFUSED: Final = frozenset({401, 403})


class GrafanaError(Exception):
    """Grafana does not answer, or not as it should; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana:
    """Grafana's HTTP API, as one of its users."""

    url: str
    authorization: str

    @classmethod
    def as_admin(cls, url: str, password: str) -> "Grafana":
        """Speak as the user ``admin``."""
        credentials = base64.b64encode(f"admin:{password}".encode()).decode("ascii")
        return cls(url=url, authorization=f"Basic {credentials}")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Send a GET, or with a body a POST; give the status and what was answered.

        Raises
        ------
        GrafanaError
        """
        request = urllib.request.Request(  # noqa: S310  # an address of the settings
            f"{self.url.rstrip('/')}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self.authorization, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise GrafanaError(f"Grafana at {self.url} does not answer: {error}") from error


def takes(url: str, token: str) -> bool:
    """Tell whether Grafana takes a token.

    Raises
    ------
    GrafanaError
    """
    status, _ = Grafana(url=url, authorization=f"Bearer {token}").ask("/api/org")
    return status == http.client.OK


def new_token(admin: Grafana) -> str:
    """Make another token of the service account, and the account where there is none.

    Raises
    ------
    GrafanaError
    """
    account = _found(admin)
    if account is None:
        made = _good(admin, "/api/serviceaccounts", {"name": ACCOUNT, "role": ROLE})
        account = int(made["id"])
    # No two tokens of an account may have one name.
    body = {"name": f"{ACCOUNT}-{secrets.token_hex(4)}"}
    return str(_good(admin, f"/api/serviceaccounts/{account}/tokens", body)["key"])


def _found(admin: Grafana) -> int | None:
    listed = _good(admin, f"/api/serviceaccounts/search?query={ACCOUNT}")
    ids = [one["id"] for one in listed.get("serviceAccounts", ()) if one["name"] == ACCOUNT]
    return int(ids[0]) if ids else None


def _good(admin: Grafana, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
    status, said = admin.ask(path, body)
    if status in _REFUSED:
        raise GrafanaError(
            f"Grafana refuses the user admin (HTTP {status}): the password in the file is that of "
            "Grafana's first start; was it changed since?"
        )
    if status not in {http.client.OK, http.client.CREATED}:
        raise GrafanaError(f"Grafana answers HTTP {status} to {path}")
    return said


def keep(token: str, file: Path) -> None:
    """Write a token so that only its owner can read it, and never half of it."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(token)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)


def run(url: str, password_file: Path, token_file: Path) -> str:
    """See to it that the file holds a token; say what was done.

    Raises
    ------
    GrafanaError, OSError
    """
    if token_file.exists() and takes(url, token_file.read_text("utf-8").strip()):
        return f"the token in {token_file} is good"
    admin = Grafana.as_admin(url, password_file.read_text("utf-8").strip())
    keep(new_token(admin), token_file)
    return f"a new token of {ACCOUNT} is in {token_file}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Give 0 when the file holds a token, 1 when that failed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana_token", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    asked = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{run(asked.url, asked.password_file, asked.token_file)}\n")
    except (GrafanaError, OSError) as error:
        sys.stderr.write(f"grafana_token: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
