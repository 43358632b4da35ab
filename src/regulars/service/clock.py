"""What day it is for a retailer, and what hour for a customer."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from regulars.errors import SettingError

DAY_MS = 86_400_000
#: What to send instead of a time zone that is none.
ZONE_MEND = "Send an IANA name such as Europe/Berlin"
#: Milliseconds since 1970, UTC.
Now = Callable[[], int]


def now_ms() -> int:
    """The system's clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Calendar:
    """Days of a retailer since its start, in its own time zone.

    Parameters
    ----------
    start : day 0
    zone : IANA name, such as "Europe/Berlin"

    Examples
    --------
    >>> Calendar(datetime.date(2026, 1, 1), "UTC").day(1_767_225_600_000 + 3 * 86_400_000)
    3
    """

    start: datetime.date
    zone: str = "UTC"

    def __post_init__(self) -> None:
        zone_of(self.zone)

    def day(self, at_ms: int) -> int:
        """Days since the start."""
        return (_local(at_ms, self.zone).date() - self.start).days

    def date(self, day: int) -> datetime.date:
        """The date of a day; the last there is for days beyond."""
        try:
            return self.start + datetime.timedelta(days=day)
        except OverflowError:
            return datetime.date.max

    def moment(self, date: datetime.date, hour: int) -> int:
        """Milliseconds since 1970 of an hour of a date in the retailer's zone."""
        return int(
            datetime.datetime.combine(date, datetime.time(hour), zone_of(self.zone)).timestamp() * 1000
        )

    def hour(self, at_ms: int, zone: str = "") -> int:
        """Hour of day in her zone, the retailer's when she told none."""
        return _local(at_ms, zone or self.zone).hour


@cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone by name.

    Raises
    ------
    SettingError
        when there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingError(f"there is no time zone {name!r}. Write one such as Europe/Berlin") from error


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        zone_of(name)
    except SettingError:
        return False
    return True


def _local(at_ms: int, zone: str) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ms / 1000, zone_of(zone))
