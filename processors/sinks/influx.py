"""The InfluxDB store: ready line-protocol bytes to the v2 write API.

The same path serves InfluxDB 2.x and 3.x, and 1.8 with its compatibility API. A rejected batch is
halved until the lines that caused the rejection stand alone.

Source: InfluxDB v2 API, ``POST /api/v2/write``; "partial write" answers of InfluxDB 1.x and 2.x.
"""

import asyncio
import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from processors.sinks.store import RejectedLines, StoreRefusedError, StoreUnavailableError

N_LINES_MAX: Final = 10_000
"""Lines in one request, unless one piece has more; what is beyond is sent in others."""

N_HALVINGS_MAX: Final = 400
"""Requests spent on finding the bad lines of one write; what is left is rejected in one piece."""

REASON_CHARS_MAX: Final = 1_000
"""Of what a server says of an error; the rest is cut off."""

_ACCEPTED: Final = range(200, 300)
_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_UNPROCESSABLE: Final = 422
_LINES_REFUSED: Final = frozenset({_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE})
_REFUSED: Final = frozenset({301, 302, 307, 308, 401, 403, 404, 405})
_GZIP_WINDOW_BITS: Final = 31
"""zlib's word for a gzip header around the largest window."""


class InfluxStore:
    """One bucket of one InfluxDB.

    Parameters
    ----------
    n_parallel
        Writes at once.
    gzip_level
        0: bodies are sent as they are. 1 pays where the way to the server is slow.

    Raises
    ------
    StoreRefusedError
        The URL is none.
    """

    name = "influx"

    def __init__(
        self,
        *,
        url: str,
        bucket: str,
        org: str,
        token: str,
        timeout_s: float = 10.0,
        n_parallel: int = 1,
        gzip_level: int = 0,
    ) -> None:
        if not _is_address(url):
            raise StoreRefusedError(f"{url!r} is no address of an InfluxDB: http://host:port")
        self.n_parallel = n_parallel
        self._url = url
        query = urlencode({"bucket": bucket, "org": org, "precision": "ns"})
        self._write_url = f"{url.rstrip('/')}/api/v2/write?{query}"
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "text/plain"}
        if gzip_level:
            self._headers["Content-Encoding"] = "gzip"
        self._gzip_level = gzip_level
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=n_parallel, timeout=timeout_s, retries=False
        )
        self._threads = ThreadPoolExecutor(n_parallel, thread_name_prefix="influx")

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Write the lines; give those that InfluxDB will never take.

        Raises
        ------
        StoreUnavailableError
            429, 5xx or no connection; the caller keeps the input and comes again.
        StoreRefusedError
            401, 403, 404, or sent on to another address.
        """
        rejected: list[RejectedLines] = []
        n_requests_left = N_HALVINGS_MAX
        # In order: of two lines for the same point the later one holds.
        for body in _bodies(lines):
            waiting = [body]
            while waiting:
                batch = waiting.pop()
                reason = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._post, batch
                )
                if reason is None:
                    continue
                n_requests_left -= 1
                halves = _halves(batch) if n_requests_left > 0 else ()
                if not halves:
                    rejected.append(RejectedLines(reason=reason, lines=batch))
                waiting += reversed(halves)
        return rejected

    async def close(self) -> None:
        """Close the connections; a write that was given up ends by itself."""
        self._threads.shutdown(wait=False)
        self._pool.clear()

    def _post(self, body: bytes) -> str | None:
        """Send one request; give the reason where the lines themselves were refused."""
        if self._gzip_level:
            body = zlib.compress(body, self._gzip_level, wbits=_GZIP_WINDOW_BITS)
        try:
            answer = self._pool.request(
                "POST", self._write_url, body=body, headers=self._headers, redirect=False
            )
        except (HTTPError, OSError) as error:
            raise StoreUnavailableError(f"InfluxDB at {self._url}: {error}") from error
        if answer.status in _ACCEPTED:
            return None
        message = f"{answer.status} {_explanation(answer)}"
        if answer.status in _LINES_REFUSED:
            return message
        message = f"InfluxDB at {self._url}: {message}"
        if answer.status in _REFUSED:
            raise StoreRefusedError(f"{message}; check url, org, bucket and token")
        retry_after = answer.headers.get("Retry-After", "")
        is_seconds = retry_after.isascii() and retry_after.isdigit()
        raise StoreUnavailableError(
            message, retry_after_s=float(retry_after) if is_seconds else None
        )


def _bodies(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Join pieces, in order, to bodies of at most ``N_LINES_MAX`` lines."""
    body: list[bytes] = []
    n_lines = 0
    for piece in pieces:
        n_more = piece.count(b"\n") + 1
        if body and n_lines + n_more > N_LINES_MAX:
            yield b"\n".join(body)
            body, n_lines = [], 0
        body.append(piece)
        n_lines += n_more
    if body:
        yield b"\n".join(body)


def _halves(body: bytes) -> tuple[bytes, ...]:
    """Cut a body into two of as many lines; nothing where it is one line."""
    lines = body.split(b"\n")
    half = len(lines) // 2
    return (b"\n".join(lines[:half]), b"\n".join(lines[half:])) if half else ()


def _explanation(answer: urllib3.BaseHTTPResponse) -> str:
    """Give the server's own words: ``message`` of version 2, ``error`` of version 1."""
    try:
        body = json.loads(answer.data)
        told = body.get("message") or body.get("error")
    except (AttributeError, ValueError):
        told = None
    return str(told or answer.reason or "")[:REASON_CHARS_MAX]


def _is_address(url: str) -> bool:
    # Without this, the client would look for a server of no name, for ever.
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
