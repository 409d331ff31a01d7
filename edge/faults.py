"""An error that nobody foresaw, told without what it says: its text may quote a device. Pure."""

import traceback
from pathlib import Path
from typing import Final

PLACES_MAX: Final = 12
"""Of the calls that led to an error so many are told, the innermost first."""


def trace_of(error: BaseException) -> str:
    """Name an error's class and where it came from; of several errors at once the first.

    Returns
    -------
    str
        ``ValueError at intakes/polar.py:88 take < edge/inbox.py:66 decode``.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    calls = traceback.extract_tb(error.__traceback__)[-PLACES_MAX:]
    places = [f"{'/'.join(Path(c.filename).parts[-2:])}:{c.lineno} {c.name}" for c in calls]
    return f"{type(error).__name__} at {' < '.join(reversed(places)) or 'no place'}"
