"""The archive: everything that came, lossless, as Parquet files that any tool reads.

``open_archive`` reads it; docs/archive.md says what stands where.
"""

from processors.sinks.archive.annotating import annotate, change_annotation, new_annotation
from processors.sinks.archive.errors import ArchiveError
from processors.sinks.archive.reader import Archive, SubjectArchive, open_archive
from processors.sinks.archive.signal import SignalValues
from processors.sinks.archive.windows import Label, Window

__all__ = [
    "Archive",
    "ArchiveError",
    "Label",
    "SignalValues",
    "SubjectArchive",
    "Window",
    "annotate",
    "change_annotation",
    "new_annotation",
    "open_archive",
]
