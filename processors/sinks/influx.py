"""The InfluxDB store: ready line-protocol bytes through the official client's v2 write API.

The same path serves InfluxDB 2.x and 3.x, and 1.8 with its compatibility API. A rejected batch is
halved until the lines that caused the rejection stand alone.

Lines that are older than their bucket keeps them are no bad lines: the server drops them, says how
many, and stores the others. They are counted.

Source: InfluxDB v2 API, ``POST /api/v2/write``; "partial write" answers of InfluxDB 1.x and 2.x.
"""

import asyncio
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3.exceptions import HTTPError

from processors import metrics
from processors.sinks.measurements import Bucket, bucket_name, bucket_of
from processors.sinks.store import RejectedLines, StoreRefusedError, StoreUnavailableError

N_LINES_MAX: Final = 10_000
"""Lines in one request, unless one piece has more; what is beyond is sent in others."""

N_HALVINGS_MAX: Final = 400
"""Requests spent on finding the bad lines of one write; what is left is rejected in one piece."""

REASON_CHARS_MAX: Final = 1_000
"""Of what a server says of an error; the rest is cut off."""

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = 413
_UNPROCESSABLE: Final = 422
_LINES_REFUSED: Final = frozenset({_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE})
_REFUSED: Final = frozenset({301, 302, 307, 308, 401, 403, 404, 405})
HOW_TO_MAKE_BUCKETS: Final = "buckets are made by `chevet influx setup`"

_TOO_OLD: Final = re.compile(r"(?:beyond|outside) retention policy.*\bdropped=(\d+)", re.DOTALL)
"""Of 1.x, and of 2.x in its several words."""
_NO_POLICY: Final = "retention policy not found"
"""1.x says so with a 500."""
_GZIP_WINDOW_BITS: Final = 31
"""zlib's word for a gzip header around the largest window."""


class InfluxStore:
    """The buckets of one InfluxDB.

    Parameters
    ----------
    bucket
        Of what is kept for long; the others are beside it (`measurements.bucket_name`).
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
        self._client = InfluxDBClient(
            url=url,
            token=token,
            org=org,
            timeout=int(timeout_s * 1000),
            connection_pool_maxsize=n_parallel,
        )
        # Its WriteApi would compress at a level of its own, and hold the lines once more.
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]
        self._buckets = {one: bucket_name(bucket, one) for one in Bucket}
        self._org = org
        self._gzip_level = gzip_level
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
        for bucket, body in _bodies(lines):
            waiting = [body]
            while waiting:
                batch = waiting.pop()
                reason = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._post, bucket, batch
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
        self._client.close()  # type: ignore[no-untyped-call]

    def _post(self, bucket: Bucket, body: bytes) -> str | None:
        """Send one request; give the reason where the lines themselves were refused."""
        encoding = "identity"
        if self._gzip_level:
            body, encoding = zlib.compress(body, self._gzip_level, wbits=_GZIP_WINDOW_BITS), "gzip"
        try:
            self._service.post_write(  # type: ignore[no-untyped-call]
                self._org,
                self._buckets[bucket],
                body,
                precision="ns",
                content_encoding=encoding,
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            if too_old := _TOO_OLD.search(_explanation(error)):
                metrics.LINES_TOO_OLD.labels(bucket).inc(int(too_old[1]))
                return None
            if error.status in _LINES_REFUSED:
                return f"{error.status} {_explanation(error)}"
            raise _translated(error, self._client.url, self._buckets[bucket]) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailableError(f"InfluxDB at {self._client.url}: {error}") from error
        return None


def _bodies(pieces: Sequence[bytes]) -> Iterator[tuple[Bucket, bytes]]:
    """Join pieces, in order for each bucket, to bodies of at most ``N_LINES_MAX`` lines."""
    for bucket in Bucket:
        body: list[bytes] = []
        n_lines = 0
        for piece in pieces:
            if bucket_of(piece) is not bucket:
                continue
            n_more = piece.count(b"\n") + 1
            if body and n_lines + n_more > N_LINES_MAX:
                yield bucket, b"\n".join(body)
                body, n_lines = [], 0
            body.append(piece)
            n_lines += n_more
        if body:
            yield bucket, b"\n".join(body)


def _halves(body: bytes) -> tuple[bytes, ...]:
    """Cut a body into two of as many lines; nothing where it is one line."""
    lines = body.split(b"\n")
    half = len(lines) // 2
    return (b"\n".join(lines[:half]), b"\n".join(lines[half:])) if half else ()


def _explanation(error: ApiException) -> str:
    """Give the server's own words."""
    return str(error.message or error.reason or "").strip()[:REASON_CHARS_MAX]


def _translated(
    error: ApiException, url: str, bucket: str
) -> StoreUnavailableError | StoreRefusedError:
    said = _explanation(error)
    message = f"InfluxDB at {url}, bucket {bucket}: {error.status} {said}"
    if error.status == _NOT_FOUND or _NO_POLICY in said:
        return StoreRefusedError(
            f"{message}; check url, org, bucket and token: {HOW_TO_MAKE_BUCKETS}"
        )
    if error.status in _REFUSED:
        return StoreRefusedError(f"{message}; check url, org, bucket and token")
    headers: Mapping[str, str] = error.headers or {}
    retry_after = headers.get("Retry-After", "")
    is_seconds = retry_after.isascii() and retry_after.isdigit()
    return StoreUnavailableError(message, retry_after_s=float(retry_after) if is_seconds else None)


def _is_address(url: str) -> bool:
    # Without this, the client would look for a server of no name, for ever.
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
