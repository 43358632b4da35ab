"""The same from Python as from the command line: simulate, fit, diary."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regulars import fitting, settings
from regulars.consumers.population import Population
from regulars.market import diary as diaries
from regulars.market import run, town
from regulars.market.diary import Diary
from regulars.report.results import Results
from regulars.settings import Scenario


def simulate(
    scenario: str | Path | Scenario = "one-chain",
    *,
    folder: str | Path | None = None,
    threads: int = 0,
    sweep: bool = False,
    **changes: Any,
) -> Results:
    """Live a scenario under each of its policies, in each of its worlds.

    Parameters
    ----------
    scenario : a shipped name, the path of a TOML file, or a Scenario
    folder : where finished arms, tables and page are kept; needed for ``diary``
    threads : cores to use, 0 for all; results do not depend on it
    sweep : also run the scenario's sweeps of contact frequency and unidentified priors
    changes : fields of Scenario, such as ``days=90, worlds=2, policies=("silence", "considerate")``

    Raises
    ------
    SettingError
        when there is no such scenario, or a change names no field of it or is of another type.
    """
    chosen = scenario if isinstance(scenario, Scenario) else settings.load(scenario)
    given = {name: _plain(name, value) for name, value in changes.items() if value is not None}
    chosen = chosen.changed(**settings.typed(given, "simulate()"))
    if not sweep:
        chosen = chosen.changed(sweep=settings.SweepSettings())
    run.check(chosen, threads)
    place = town.build(chosen, shorten="days" not in given and chosen.days == Scenario.days)
    if place.calendar.days < chosen.days:
        warnings.warn(f"{place.source} covers {place.calendar.days} days: so many are lived", stacklevel=2)
    path = Path(folder) if folder is not None else None
    results = run.simulate(town.within(chosen, place), folder=path, threads=threads, place=place)
    if path is not None:
        results.save(path)
    return results


def _plain(name: str, value: Any) -> Any:
    """A value as a scenario file would have it; one name is a list of one."""
    if name in ("policies", "ablate") and isinstance(value, str):
        return (value,)
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def fit(
    source: str | Path = "complete-journey", *, columns: Mapping[str, str] | None = None, **options: Any
) -> Population:
    """A population fitted to real purchases, household by household.

    Parameters
    ----------
    source : ``complete-journey``, or the path of a CSV or Parquet file of purchases
    columns : which column of the file is which, such as ``{"date": "Day", "card": "Kunde", "net": "Amount"}``
    options : ``products``, ``date_format``, ``encoding``, ``currency``, ``decimal``, ``rejects``, as for ``regulars fit``
    """
    panel, shelf = town.read(str(source), columns=columns, **options)
    return fitting.fit(panel, shelf)


def diary(
    folder: str | Path, consumer: str | int | None = None, arm: str = "considerate", world: int = 1
) -> Diary:
    """One consumer's year in a finished run, replayed from its keys.

    ``consumer`` is the source's own name of her; None for the first of the run.
    """
    return diaries.replay(Path(folder), None if consumer is None else str(consumer), arm, world - 1)
