"""What a subject of the bench takes in the archive in a day: written, merged and weighed."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.bench.extrapolation import SECONDS_PER_DAY
from deploy.bench.frame_templates import FRAME_S, PersonTemplates
from deploy.bench.waveforms import load_people
from ingest.frame import NS_PER_S
from ingest.observation import AlarmEvent
from processors.pipeline import SubjectPipeline
from processors.sinks.archive.compaction import compact
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.writer import ArchiveWriter

SECONDS: Final = 1_800
"""Half an hour: what a file has but once is little then."""

COMMIT_S: Final = 300
"""As the recorder does unless told."""

START_NS: Final = 1_800_000_000 * NS_PER_S
SUBJECT: Final = "bench-000001"


def archive_bytes_per_day(records: Sequence[str], seconds: int = SECONDS) -> dict[str, int]:
    """Write so many seconds of one subject of the bench, and what follows from them.

    Parameters
    ----------
    records
        The recordings of the bench; the first is played.
    seconds
        Of Frames.

    Returns
    -------
    Bytes per day by table.

    Raises
    ------
    RecordingError, ArchiveError
    """
    (channels,) = load_people(records[:1])
    person = PersonTemplates(channels)
    pipeline = SubjectPipeline(SUBJECT)
    with tempfile.TemporaryDirectory(prefix="chevet-archive-") as name:
        folder = Path(name)
        with ArchiveWriter(folder) as writer:
            for first in range(0, seconds, COMMIT_S):
                rows = Rows(writer.number)
                for second in range(first, min(first + COMMIT_S, seconds)):
                    made_ns = START_NS + (second + 1) * FRAME_S * NS_PER_S
                    frame = person.frame(SUBJECT, second, made_ns, second)
                    rows.add_frame(frame)
                    for one in pipeline.process(frame):
                        if isinstance(one, AlarmEvent):
                            rows.add_alarm(one)
                        else:
                            rows.add_observations((one,))
                writer.commit(rows.parts())
            compact(writer, everything=True)
        return {
            kind: round(_size(folder / kind) / seconds * SECONDS_PER_DAY)
            for kind in Kind
            if (folder / kind).is_dir()
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("**/*.parquet"))
