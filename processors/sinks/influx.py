"""The InfluxDB store: ready line-protocol bytes through the official client's v2 write API.

The same path serves InfluxDB 2.x and 3.x, and 1.8 with its compatibility API. A rejected batch is
halved until the lines that caused the rejection stand alone.

Source: InfluxDB v2 API, ``POST /api/v2/write``; "partial write" answers of InfluxDB 1.x and 2.x.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from processors.sinks.store import RejectedLines, StoreRefusedError, StoreUnavailableError

N_LINES_MAX: Final = 10_000
"""Lines in one request; more are sent in several."""

N_HALVINGS_MAX: Final = 400
"""Requests spent on finding the bad lines of one write; what is left is rejected in one piece."""

_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_UNPROCESSABLE: Final = 422
_LINES_REFUSED: Final = frozenset({_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE})
_REFUSED: Final = frozenset({301, 302, 307, 308, 401, 403, 404, 405})


class InfluxStore:
    """One bucket of one InfluxDB.

    Raises
    ------
    StoreRefusedError
        The URL is none.
    """

    name = "influx"

    def __init__(
        self, *, url: str, bucket: str, org: str, token: str, timeout_s: float = 10.0
    ) -> None:
        if not _is_address(url):
            raise StoreRefusedError(f"{url!r} is no address of an InfluxDB: http://host:port")
        self._client = InfluxDBClient(
            url=url, token=token, org=org, timeout=int(timeout_s * 1000), enable_gzip=False
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._bucket = bucket
        self._org = org

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
        waiting = [
            lines[start : start + N_LINES_MAX] for start in range(0, len(lines), N_LINES_MAX)
        ]
        # In order: of two lines for the same point the later one holds.
        waiting.reverse()
        while waiting:
            batch = waiting.pop()
            reason = await asyncio.to_thread(self._post, b"\n".join(batch))
            if reason is None:
                continue
            n_requests_left -= 1
            if len(batch) == 1 or n_requests_left <= 0:
                rejected.append(RejectedLines(reason=reason, lines=b"\n".join(batch)))
            else:
                half = len(batch) // 2
                waiting += [batch[half:], batch[:half]]
        return rejected

    async def close(self) -> None:
        """Close the connections."""
        self._api.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]

    def _post(self, body: bytes) -> str | None:
        """Send one request; give the reason where the lines themselves were refused."""
        try:
            self._api.write(
                bucket=self._bucket,
                org=self._org,
                record=body,
                write_precision="ns",  # type: ignore[arg-type]
            )
        except ApiException as error:
            if error.status in _LINES_REFUSED:
                return f"{error.status} {error.message or error.reason}"
            raise _translated(error, self._client.url) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailableError(f"InfluxDB at {self._client.url}: {error}") from error
        return None


def _is_address(url: str) -> bool:
    # Without this, the client would look for a server of no name, for ever.
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _translated(error: ApiException, url: str) -> StoreUnavailableError | StoreRefusedError:
    message = f"InfluxDB at {url}: {error.status} {error.message or error.reason}"
    if error.status in _REFUSED:
        return StoreRefusedError(f"{message}; check url, org, bucket and token")
    headers: Mapping[str, str] = error.headers or {}
    retry_after = headers.get("Retry-After", "")
    is_seconds = retry_after.isascii() and retry_after.isdigit()
    return StoreUnavailableError(message, retry_after_s=float(retry_after) if is_seconds else None)
