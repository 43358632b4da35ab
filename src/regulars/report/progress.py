"""Progress of long work on the terminal: which arms are lived, which day, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: One begun task: its name, days lived, days in all.
Begun = tuple[str, int, int]


class Progress:
    """Says nothing; what quiet and JSON runs use."""

    def say(self, text: str) -> None:
        """Name the step that begins."""

    def note(self, text: str) -> None:
        """Tell the user something that stays, on standard error; quiet and JSON runs do, too."""
        print(text, file=sys.stderr, flush=True)

    def tell(self, begun: list[Begun], planned: int) -> None:
        """Show how far each begun task is, of ``planned`` in all."""


#: Seconds between two lines of output that is not a terminal.
LINE_S = 10.0
#: Signs of a bar.
BAR = 20


class _Lines(Progress):
    """One line a step and one now and then while arms are lived, for output that is not a terminal."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._at_first: float | None = None

    def say(self, text: str) -> None:
        self.note(text)

    def tell(self, begun: list[Begun], planned: int) -> None:
        now = time.monotonic()
        lived = sum(day / days for _, day, days in begun)
        if self._at_first is None:
            self._began, self._at_first = now, lived
        if now - self._last < LINE_S:
            return
        self._last = now
        going = [f"{name}, day {day} of {days}" for name, day, days in begun if day < days]
        left = _left(now - self._began, lived - self._at_first, planned - lived)
        self.say("; ".join([f"Living: {lived:.1f} of {planned} arms", *going[:2], *left]))


def _left(spent_s: float, lived: float, ahead: float) -> list[str]:
    """About how long the rest takes, in words; nothing before anything was lived."""
    if lived <= 0:
        return []
    left_s = spent_s * ahead / lived
    return [f"about {left_s / 60:.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"]


def _clock(seconds: float) -> str:
    """Such as "20 s", "3:27" and "1:03:27".

    Examples
    --------
    >>> [_clock(seconds) for seconds in (20.4, 207, 3807)]
    ['20 s', '3:27', '1:03:27']
    """
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}" if minutes else f"{whole} s"


class Counting:
    """How far work is that goes through many of a kind: a bar on a terminal, else a line now and then."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stderr if out is None else out
        self._terminal = self._out.isatty()
        self._what, self._shown = "", ""
        self._began = self._last = self._called = time.monotonic()

    def __call__(self, done: int, total: int, what: str) -> None:
        """So many of so many are done."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._last = what, self._called, self._called
        self._called = now
        ended = done >= total
        if not ended and now - self._last < (0.2 if self._terminal else LINE_S):
            return
        self._last = now
        rate = done / max(now - self._began, 1e-9)
        told = [f"{done:,} of {total:,} {what}"]
        if not ended:
            told += [
                f"{done / total:.0%}",
                f"{rate:,.0f} a second",
                *_left(now - self._began, done, total - done),
            ]
        text = ", ".join(told)
        if not self._terminal:
            print(text, file=self._out, flush=True)
            return
        filled = round(BAR * done / total) if total else BAR
        text = f"[{'#' * filled}{'.' * (BAR - filled)}] {text}"
        end = "\n" if ended else ""
        print(f"\r{text.ljust(len(self._shown))}", end=end, file=self._out, flush=True)
        self._shown = "" if ended else text


class _Bar(Progress):
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("Starting", total=None, detail="")
        self._last = 0.0
        self._living = False

    def say(self, text: str) -> None:
        self._bar.reset(self._task, description=text, total=None, detail="")
        self._living = False

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def tell(self, begun: list[Begun], planned: int) -> None:
        if not self._living:
            self._bar.reset(self._task, description="Living", total=planned, detail="")
            self._living = True
        if time.monotonic() - self._last < 0.1:
            return
        self._last = time.monotonic()
        going = [f"{name}, day {day}" for name, day, days in begun if day < days]
        lived = sum(day / days for _, day, days in begun)
        self._bar.update(self._task, completed=lived, detail="; ".join(going[:2]))


@contextmanager
def live_progress(shown: bool) -> Iterator[Progress]:
    """A progress bar on standard error while the block runs; nothing when not ``shown``."""
    if not shown:
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Clock(ProgressColumn):
        """Time spent, and about how much is left where that can be told."""

        def render(self, task: Task) -> Text:
            left = task.time_remaining if task.total else None
            told = [_clock(task.elapsed or 0.0), *([f"about {_clock(left)} left"] if left else [])]
            return Text(", ".join(told))

    class Detail(ProgressColumn):
        """What is lived now: the first to be shortened where the line is narrow."""

        def render(self, task: Task) -> Text:
            return Text(task.fields["detail"], "dim", no_wrap=True, overflow="ellipsis")

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20, table_column=Column(no_wrap=True)),
        Clock(table_column=Column(no_wrap=True)),
        Detail(table_column=Column()),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)
