"""The same from Python as from the command line: simulate, fit, diary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from regulars import fitting, settings
from regulars.consumers.population import Population
from regulars.errors import SettingError
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
        when there is no such scenario, or a change names no field of it.
    """
    chosen = scenario if isinstance(scenario, Scenario) else settings.load(scenario)
    known = {field.name for field in fields(Scenario)}
    for name in changes:
        if name not in known:
            raise SettingError(f"{name!r} is no field of a scenario; it has {', '.join(sorted(known))}")
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    if not sweep:
        changes["sweep"] = settings.SweepSettings()
    path = Path(folder) if folder is not None else None
    results = run.simulate(chosen.changed(**changes), folder=path, threads=threads)
    if path is not None:
        results.save(path)
    return results


def fit(
    source: str | Path = "complete-journey", *, columns: Mapping[str, str] | None = None, **options: Any
) -> Population:
    """A population fitted to real purchases, household by household.

    Parameters
    ----------
    source : ``complete-journey``, or the path of a CSV or Parquet file of purchases
    columns : which column of the file is which, such as ``{"date": "Day", "card": "Kunde", "net": "Amount"}``
    options : ``products``, ``date_format``, ``rejects``, as for ``regulars fit``
    """
    panel, shelf = town.read(str(source), columns=columns, **options)
    return fitting.fit(panel, shelf)


def diary(folder: str | Path, consumer: str | int, arm: str = "considerate", world: int = 1) -> Diary:
    """One consumer's year in a finished run, replayed from its keys; ``consumer`` is the source's own name of her."""
    return diaries.replay(Path(folder), str(consumer), arm, world - 1)
