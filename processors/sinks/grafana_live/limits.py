"""Limits that are settings too. Nothing is imported here: every role reads the settings."""

from typing import Final

STREAM_CHARS_MAX: Final = 32
SUBJECTS_MAX: Final = 64
LATE_S: Final = 30.0
"""What is older when it comes is not live."""
AHEAD_S: Final = 10.0
"""What is further ahead of our clock is by a clock that is wrong."""
