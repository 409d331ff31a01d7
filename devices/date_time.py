"""The Date Time field (0x2A08): the device's local time, without a time zone.

Source: Bluetooth SIG, GATT Specification Supplement, Date Time.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_YEAR_MIN: Final = 1582
_YEAR_MAX: Final = 9999
_MONTHS: Final = 12
_LEAP_YEAR: Final = 2000
"""Stands in for an unknown year: 29 February is possible in it."""
_LONGEST_MONTH: Final = 1
"""Stands in for an unknown month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDateTime:
    """A date and time as a device's own clock shows it.

    Attributes
    ----------
    year, month, day
        None where the device does not know.
    hour, minute, second
        Of the day.

    Raises
    ------
    ValueError
        There is no such date or time.
    """

    year: int | None
    month: int | None
    day: int | None
    hour: int
    minute: int
    second: int

    def __post_init__(self) -> None:
        if self.year is not None and not _YEAR_MIN <= self.year <= _YEAR_MAX:
            raise ValueError(f"year {self.year} is not in {_YEAR_MIN}..{_YEAR_MAX}")
        if self.month is not None and not 1 <= self.month <= _MONTHS:
            raise ValueError(f"month {self.month} is not in 1..{_MONTHS}")
        if self.day is not None and not 1 <= self.day <= self._days_in_month():
            raise ValueError(f"there is no day {self.day} in month {self.month}")
        datetime(_LEAP_YEAR, 1, 1, self.hour, self.minute, self.second)  # noqa: DTZ001

    def to_datetime(self) -> datetime | None:
        """Give the naive local time, or None if the date is not wholly known."""
        if self.year is None or self.month is None or self.day is None:
            return None
        return datetime(  # noqa: DTZ001  # the payload has no time zone
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )

    def _days_in_month(self) -> int:
        return calendar.monthrange(self.year or _LEAP_YEAR, self.month or _LONGEST_MONTH)[1]
