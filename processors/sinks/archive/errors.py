"""What can go wrong with an archive.

ArchiveError
├── ArchiveUnavailableError   the disk is full or unwell: keep the input, the same may succeed later
└── ArchiveRefusedError       it never will: no archive, another format, in use by another process
"""


class ArchiveError(Exception):
    """The root of an archive's errors."""


class ArchiveUnavailableError(ArchiveError):
    """The disk is full or unwell; the same write may succeed later."""


class ArchiveRefusedError(ArchiveError):
    """The folder cannot be used, or what is asked for is not in it."""
