"""Requests to Grafana's push endpoint: one at a time, each once.

======================= =====================================================================
Grafana                 what is done
======================= =====================================================================
2xx                     the next one follows
429, 5xx, silence       nothing is sent for as long as it says (``Retry-After``), or for
                        0.5 s, 1 s, 2 s … to 15 s
401, 403                the token is read again; another one is tried at once, else as above
other 4xx, 3xx          as above, and an error in the log: somebody has to mend the settings
======================= =====================================================================

Source: Grafana HTTP API, ``POST /api/live/push/:streamId``.
"""

import asyncio
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

import aiohttp

ANSWER_CHARS_MAX: Final = 300
TOKEN_BYTES_MAX: Final = 10_000
RETRY_AFTER_S_MAX: Final = 60.0

_SAID_NO: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

Answer = Literal["taken", "too_many", "unwell", "unreachable", "token_refused", "refused"]
"""What became of a request; the labels of a metric."""

ANSWERS: Final[tuple[Answer, ...]] = (
    "taken",
    "too_many",
    "unwell",
    "unreachable",
    "token_refused",
    "refused",
)


class TokenError(Exception):
    """The token's file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What Grafana answered, in short and in words."""

    answer: Answer
    text: str = ""
    retry_after_s: float | None = None


def read_token(file: Path) -> str:
    """Read the token of a service account.

    Raises
    ------
    TokenError
    """
    try:
        with file.open("rb") as opened:
            token = opened.read(TOKEN_BYTES_MAX + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"token_file {file} cannot be read: {error}") from error
    if not token or len(token) > TOKEN_BYTES_MAX or not token.isprintable() or " " in token:
        raise TokenError(
            f"token_file {file} must hold the token of a Grafana service account and nothing else"
        )
    return token


class PushClient:
    """Pushes bodies to one stream of one Grafana.

    Raises
    ------
    TokenError
        There is no token to begin with.
    """

    def __init__(
        self,
        *,
        url: str,
        stream: str,
        token_file: Path,
        timeout_s: float,
        ssl_ca_file: Path | None = None,
    ) -> None:
        self._url = f"{url.rstrip('/')}/api/live/push/{stream}"
        self._token_file = token_file
        self._token = read_token(token_file)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._ca_file = ssl_ca_file
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "PushClient":
        """Open the connections.

        Raises
        ------
        OSError
            The file of authorities cannot be used.
        """
        trust: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            trust = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file)
        connector = aiohttp.TCPConnector(limit=1, ssl=trust)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def push(self, payload: bytes) -> Outcome:
        """Send one body, once."""
        if self._session is None:
            raise RuntimeError("the client has not been entered")
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "text/plain; charset=utf-8",
        }
        try:
            async with self._session.post(
                self._url, data=payload, headers=headers, allow_redirects=False
            ) as answer:
                # An answer that is not read to its end costs the connection.
                said = (await answer.content.read(ANSWER_CHARS_MAX)).decode("utf-8", "replace")
                return self._outcome(answer.status, answer.headers.get("Retry-After"), said)
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(answer="unreachable", text=str(error) or type(error).__name__)

    async def renew_token(self) -> bool:
        """Read the token again; tell whether it is another one.

        Raises
        ------
        TokenError
        """
        token = await asyncio.to_thread(read_token, self._token_file)
        is_other = token != self._token
        self._token = token
        return is_other

    def _outcome(self, status: int, retry_after: str | None, said: str) -> Outcome:
        text = f"{status} from {self._url}: {said.strip()}"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome(answer="taken")
        pause_s = _seconds(retry_after)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Outcome(answer="too_many", text=text, retry_after_s=pause_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Outcome(answer="unwell", text=text, retry_after_s=pause_s)
        if status in _SAID_NO:
            return Outcome(answer="token_refused", text=text, retry_after_s=pause_s)
        return Outcome(answer="refused", text=text, retry_after_s=pause_s)


def _seconds(retry_after: str | None) -> float | None:
    """Read a pause in seconds; one that is given as a date counts as none."""
    said = (retry_after or "").strip()
    if not (said.isascii() and said.isdigit()):
        return None
    return min(RETRY_AFTER_S_MAX, float(said[:10]))
