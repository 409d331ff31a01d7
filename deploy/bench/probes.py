"""How long it takes until a Frame's observations can be read from InfluxDB: asked as a reader asks.

Some Frames a second are drawn by chance. The saturation that came with such a Frame becomes an
observation of that very Frame, and everything that follows from one Frame is one record; so when
a query finds it, the Frame's observations are stored. The question is asked every few milliseconds
until then: a latency is too long by that interval at most, and by the query itself.
"""

import http.client
import json
import random
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np

from deploy.bench.frame_templates import READING_BEFORE_NS
from deploy.bench.load_plan import LoadPlan
from deploy.local.process import LOCALHOST
from devices import codes
from ingest.frame import NS_PER_S

ASK_S: Final = 0.025
"""Between two questions: the resolution of a latency."""

PROBES_PER_S: Final = 4
"""Frames a second that are asked for: 1,200 in five minutes, of which twelve are above p99."""

WAITING_MAX: Final = 100
"""Frames asked for at once; while so many are missing no more are drawn."""

GIVE_UP_S: Final = 60.0
"""A Frame whose observations are not there by then is counted as missing."""

_TIMEOUT_S: Final = 10.0
_PERCENTILES: Final = (50, 95, 99)


@dataclass(slots=True)
class Latencies:
    """What the probes have seen."""

    seconds: list[float] = field(default_factory=list)
    """Of each Frame that was found."""
    n_missing: int = 0
    """Frames whose observations did not come."""

    def percentiles_ms(self) -> dict[str, float | None]:
        """Give p50, p95 and p99; None where nothing was found. What is missing took for ever."""
        if not self.seconds:
            return {f"p{p}": None for p in _PERCENTILES}
        all_s = np.array([*self.seconds, *[GIVE_UP_S] * self.n_missing])
        values = np.percentile(all_s, _PERCENTILES)
        return {
            f"p{p}": round(1000 * float(one), 1)
            for p, one in zip(_PERCENTILES, values, strict=True)
        }


class StoredProbe:
    """Asks for Frames of a time span from a thread of its own; a context manager.

    Parameters
    ----------
    plan
        Which Frames are made, and when.
    port
        Of InfluxDB.
    from_ns, until_ns
        Only Frames made in between are drawn.
    """

    def __init__(
        self, plan: LoadPlan, *, port: int, database: str, from_ns: int, until_ns: int
    ) -> None:
        self._plan = plan
        self._port = port
        self._database = database
        self._span_ns = (from_ns, until_ns)
        self._rng = random.Random(plan.seed)  # noqa: S311
        self._waiting: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stored-probe", daemon=True)
        self.latencies = Latencies()
        self.error: str | None = None
        """Why it ended early."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether the time is over and every answer has come, or never will."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        from_ns, until_ns = self._span_ns
        next_ns = from_ns
        connection = http.client.HTTPConnection(LOCALHOST, self._port, timeout=_TIMEOUT_S)
        try:
            while not self._stop.wait(ASK_S):
                now_ns = time.time_ns()
                if now_ns >= until_ns and not self._waiting:
                    return
                if next_ns <= now_ns < until_ns:
                    self._draw(now_ns)
                    next_ns += NS_PER_S // PROBES_PER_S
                self._ask(connection)
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            self.error = f"InfluxDB cannot be asked: {error!r}"
        finally:
            connection.close()

    def _draw(self, now_ns: int) -> None:
        """Take one of the Frames of the next moment."""
        if len(self._waiting) >= WAITING_MAX:
            return
        k_first, k_end = self._plan.n_made(now_ns), self._plan.n_made(now_ns + NS_PER_S)
        if k_end > k_first:
            k = self._rng.randrange(k_first, k_end)
            self._waiting[k] = self._plan.made_ns(k)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        """Ask for all Frames that have been made, in one request."""
        now_ns = time.time_ns()
        asked = [k for k, made_ns in self._waiting.items() if made_ns <= now_ns]
        if not asked:
            return
        parameters = {"db": self._database, "q": ";".join(map(self._question, asked))}
        body = urllib.parse.urlencode(parameters)
        connection.request(
            "POST", "/query", body, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        results: list[dict[str, Any]] = json.loads(connection.getresponse().read())["results"]
        found_ns = time.time_ns()
        for k, result in zip(asked, results, strict=True):
            made_ns = self._waiting[k]
            if "series" in result:
                self.latencies.seconds.append((found_ns - made_ns) / NS_PER_S)
            elif found_ns - made_ns > GIVE_UP_S * NS_PER_S:
                self.latencies.n_missing += 1
            else:
                continue
            del self._waiting[k]

    def _question(self, k: int) -> str:
        subject_id = self._plan.subject_id(k % self._plan.n_subjects)
        t_ns = self._plan.made_ns(k) - READING_BEFORE_NS
        return (
            f'SELECT "quality" FROM "observation" WHERE "subject" = \'{subject_id}\' AND '
            f"\"name\" = '{codes.SPO2.name}' AND time = {t_ns}"
        )
