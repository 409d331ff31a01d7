"""The points of the years: a day of one subject as the sink writes it, and months of trends."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from deploy.bench.frame_templates import PersonTemplates
from deploy.bench.waveforms import find_recordings, load_people
from ingest.frame import NS_PER_S, Frame
from ingest.observation import Observation
from processors.pipeline import SubjectPipeline
from processors.sinks.envelope import PartitionEnvelopes
from processors.sinks.lines import LineEncoder
from processors.sinks.trend import MINUTE_NS, PartitionTrends

SUBJECT: Final = "years-01"

PATTERN_S: Final = 600
"""Observations of so long are made by the pipeline, and come again and again: it takes longer than
the database."""

WARM_UP_S: Final = 300

TRENDS: Final = (
    # Quantity, algorithm, minutes between two points, about what it is.
    ("heart_rate", "heart_rate_fusion", 1, 72.0),
    ("spo2", "device_reading", 1, 97.0),
    ("pulse_rate", "device_reading", 1, 72.0),
    ("respiratory_rate", "respiration_fusion", 1, 15.0),
    ("body_temperature", "device_reading", 1, 36.8),
    ("rmssd", "hrv_300s", 5, 40.0),
    ("sdnn", "hrv_300s", 5, 60.0),
    ("lf_hf_ratio", "hrv_300s", 5, 1.5),
    ("ectopic_burden", "ectopy_60s", 1, 0.5),
    ("activity_counts", "activity_counts", 1, 300.0),
)
"""What the board Trends shows of ``trend``."""


class Day:
    """One subject with ECG, a pulse wave and acceleration, second by second.

    Parameters
    ----------
    start_ns
        UTC of the first second, a whole ten minutes.
    """

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        (channels,) = load_people(find_recordings()[:1])
        self._templates = PersonTemplates(channels)
        self.n_samples_per_s = sum(channel.rate_hz for channel in channels)
        self.late: Counter[str] = Counter()
        """What is in no trend."""

    def frames(self, first: int, end: int) -> Iterator[Frame]:
        """Give the Frames of these seconds."""
        for second in range(first, end):
            made_ns = self._start_ns + (second + 1) * NS_PER_S
            yield self._templates.frame(SUBJECT, second, made_ns, second)

    def pieces(self, seconds: int) -> Iterator[bytes]:
        """Give all lines, as the sink writes them."""
        encoder, envelopes = LineEncoder(), PartitionEnvelopes(Counter())
        for offset, frame in enumerate(self.frames(0, seconds)):
            yield from encoder.frame(frame)
            yield from encoder.envelopes(envelopes.frame(frame, offset))
        trends = PartitionTrends(self.late)
        for offset, record in enumerate(self._records(seconds)):
            yield from encoder.observations(record)
            yield from encoder.trends(trends.record(record, offset))

    def _records(self, seconds: int) -> Iterator[list[Observation]]:
        """Give what follows from each Frame: some minutes of it, over and over."""
        pipeline = SubjectPipeline(SUBJECT)
        pattern: list[list[Observation]] = []
        for second, frame in enumerate(self.frames(0, WARM_UP_S + PATTERN_S)):
            outputs = pipeline.process(frame)
            if second >= WARM_UP_S:
                pattern.append([one for one in outputs if isinstance(one, Observation)])
        for second in range(seconds):
            times, i = divmod(second, PATTERN_S)
            later_ns = (times * PATTERN_S - WARM_UP_S) * NS_PER_S
            yield [one._replace(t_ns=one.t_ns + later_ns) for one in pattern[i]]


def posture_pieces(start_ns: int, days: int) -> Iterator[bytes]:
    """Give the subject's posture each ten seconds: what the board reads of ``observation``."""
    series = f"observation,algorithm=posture,name=posture,subject={SUBJECT}"
    for first in range(0, days * 8_640, 8_640):
        yield "\n".join(
            f"{series} value={i // 500 % 6}.0,quality=1.0,age_s=0.0,version=1i "
            f"{start_ns + i * 10 * NS_PER_S}"
            for i in range(first, first + 8_640)
        ).encode()


def month_pieces(start_ns: int, days: int, subjects: Iterable[str]) -> Iterator[bytes]:
    """Give minutes of every quantity of the board Trends for some days."""
    rng = np.random.default_rng(1)
    for subject in subjects:
        for name, algorithm, step, level in TRENDS:
            series = f"trend,algorithm={algorithm},name={name},subject={subject}"
            for day in range(days):
                times = start_ns + (day * 1_440 + np.arange(0, 1_440, step)) * MINUTE_NS
                means = level * (1 + rng.normal(0, 0.05, times.size))
                spreads = level * rng.random((2, times.size)) / 10
                rows = zip(
                    means.tolist(),
                    (means - spreads[0]).tolist(),
                    (means + spreads[1]).tolist(),
                    rng.integers(0, 60, times.size).tolist(),
                    rng.random(times.size).tolist(),
                    times.tolist(),
                    strict=True,
                )
                yield "\n".join(
                    f"{series} mean={mean!r},min={low!r},max={high!r},n_values={60 - n}i,"
                    f"n_missing={n}i,quality={quality!r} {t_ns}"
                    for mean, low, high, n, quality, t_ns in rows
                ).encode()
        yield (
            f"observation,algorithm=heart_rate_fusion,name=heart_rate,subject={subject} "
            f"value=72.0,quality=1.0,age_s=0.0,version=1i {start_ns + days * 1_440 * MINUTE_NS - 1}"
        ).encode()
