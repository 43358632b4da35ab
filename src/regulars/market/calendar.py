"""Which week, weekday and date a day of the run is; the warm-up borrows the end of the same year."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class Calendar:
    """Days of a run counted from ``start``, day 0; negative days are the warm-up.

    Parameters
    ----------
    start : date of day 0
    weeks : weeks of shelf and season that the source knows; weeks break on Mondays
    days : days that the source covers; a longer run, and the warm-up, live the same days again
    """

    start: datetime.date
    weeks: int
    days: int

    def dow(self, day: int) -> int:
        """Day of the week, Monday 0."""
        return (self.start.weekday() + day) % 7

    def week(self, day: int) -> int:
        """Week of shelf and season, 0 to weeks - 1.

        Examples
        --------
        >>> year = Calendar(datetime.date(2017, 1, 1), 53, 365)
        >>> [year.week(day) for day in (0, 1, 7, 8, 364, -1, 365)]
        [0, 1, 1, 2, 52, 52, 0]
        """
        within = day % self.days
        return min((within + self.start.weekday()) // 7, self.weeks - 1)

    def date(self, day: int) -> datetime.date:
        """The date that a day has."""
        return self.start + datetime.timedelta(days=day)
