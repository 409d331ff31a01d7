"""One open page: what it has still to be sent, and never more than it may hold."""

from collections import deque
from collections.abc import Callable
from typing import Final

from processors.sinks.live.protocol import Dropped, encode_text

TEXTS_MAX: Final = 1_024
"""Text messages that wait for one page. Beyond, the page is given up: when it comes back it gets
the state as it is, which is better than an old story."""
SAMPLE_BYTES_MAX: Final = 1 << 20
"""Bytes of samples that wait for one page: a minute of sixteen traces. Beyond, oldest first."""
SAMPLE_AGE_S_MAX: Final = 15
"""Samples that waited longer have left the screen before they would be drawn."""

_NS_PER_S: Final = 1_000_000_000


class Subscription:
    """The bounded queue of one page. ``on_ready`` is called when there is something to take."""

    def __init__(self, subject_id: str, on_ready: Callable[[], None]) -> None:
        self.subject_id = subject_id
        self.n_samples_dropped = 0
        """Sample messages that this page was too slow for."""
        self.overrun = False
        """True once the page fell so far behind that it must start again."""
        self._on_ready = on_ready
        self._texts: deque[str] = deque()
        self._samples: deque[tuple[int, bytes]] = deque()
        self._n_sample_bytes = 0
        self._n_dropped_told = 0

    def push_text(self, text: str) -> None:
        """Queue a text message."""
        if len(self._texts) >= TEXTS_MAX:
            self.overrun = True
            self._texts.clear()
            self._samples.clear()
            self._n_sample_bytes = 0
        if not self.overrun:
            self._texts.append(text)
        self._on_ready()

    def push_samples(self, payload: bytes, now_ns: int) -> int:
        """Queue a binary message; return how many older ones had to make room for it."""
        if self.overrun:
            return 0
        self._samples.append((now_ns, payload))
        self._n_sample_bytes += len(payload)
        n_dropped = 0
        while self._is_beyond(now_ns):
            self._n_sample_bytes -= len(self._samples.popleft()[1])
            n_dropped += 1
        self.n_samples_dropped += n_dropped
        self._on_ready()
        return n_dropped

    def take(self) -> tuple[list[str], list[bytes]]:
        """Take all that waits. The texts go first: they name the channels of the samples."""
        texts = list(self._texts)
        samples = [payload for _, payload in self._samples]
        self._texts.clear()
        self._samples.clear()
        self._n_sample_bytes = 0
        if self.n_samples_dropped > self._n_dropped_told:
            self._n_dropped_told = self.n_samples_dropped
            texts.append(encode_text(Dropped(n_messages=self.n_samples_dropped)))
        return texts, samples

    @property
    def n_waiting(self) -> int:
        """Messages that wait."""
        return len(self._texts) + len(self._samples)

    def _is_beyond(self, now_ns: int) -> bool:
        if len(self._samples) <= 1:
            return False
        age_ns = now_ns - self._samples[0][0]
        return self._n_sample_bytes > SAMPLE_BYTES_MAX or age_ns > SAMPLE_AGE_S_MAX * _NS_PER_S
