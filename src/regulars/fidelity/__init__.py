"""How like the real panel a simulated one lives: twenty rows, held-out weeks, history replayed, a two-sample test."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from regulars.fidelity import campaigns, demand, holdout, lived, mechanisms, people, scorecard
from regulars.fidelity.pictures import pictures
from regulars.fidelity.two_sample import SEEDS, tell_apart
from regulars.market import town
from regulars.settings import Scenario, SweepSettings
from regulars.shelf import Shelf
from regulars.sources.panel import Panel, left_out

__all__ = ["Settings", "measure"]

#: Day on which the campaigns that the replay was not fitted on begin: 1 August of a common year.
REPLAY_DAY = 212
#: Fewest days of purchases for which whole-year figures say anything.
LEAST_DAYS = 182
#: Most days that are lived, and so compared: the calendar of a town has no more.
YEAR = 365


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes
    ----------
    worlds : simulated years, each with its own luck and its own draw of what no data tells
    seed : of all luck
    holdout : weeks that a second fit does not see, such as ``40-52``; empty for none
    consumers : how many live rows 16 and 18, 0 for all
    """

    worlds: int = 4
    seed: int = 1
    holdout: str = ""
    consumers: int = 600


def measure(
    source: str = town.COMPLETE_JOURNEY,
    settings: Settings | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    products: Path | None = None,
    date_format: str | None = None,
    encoding: str | None = None,
    currency: str | None = None,
    decimal: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The scorecard of a source, as plain values.

    Parameters
    ----------
    source : ``complete-journey`` or a path of purchases
    settings : what is measured
    columns, products, date_format, encoding, currency, decimal : how to read purchases of one's own, as for
        ``regulars fit``
    say : told each step that takes long
    note : told what the user should know of the data

    Returns
    -------
    dict
        ``rows``, ``two_sample``, ``history``, ``holdout``, ``pictures`` and ``about``
    """
    chosen = settings or Settings()
    scenario = Scenario(
        source=source, columns=dict(columns or {}), products=str(products or ""), date_format=date_format or "",
        encoding=encoding or "", currency=currency or "", decimal=decimal or "",
        worlds=chosen.worlds, seed=chosen.seed, policies=("silence",), sweep=SweepSettings(),
    )  # fmt: skip
    panel, shelf = town.read(
        source, columns=columns, products=products, date_format=date_format, encoding=encoding, currency=currency,
        decimal=decimal, say=say, note=note,
    )  # fmt: skip
    for line in left_out(panel):
        note(f"  {line}")
    span = holdout.span_of(chosen.holdout, panel.days) if chosen.holdout else None
    whole = panel, shelf
    if panel.days > YEAR:
        note(f"{panel.source} covers {panel.days} days: the first {YEAR} are fitted, lived and compared")
        panel, shelf = first_days(panel, shelf, YEAR)
    scenario = scenario.changed(days=panel.days)
    place = town.build(scenario, say=say, note=note, given=(panel, shelf))
    truth = lived.real(panel)
    has_campaigns = panel.contacts.height > 0 and panel.redemptions.height > 0
    say("Living the year again")
    years = _each(chosen.worlds, lambda world: lived.year(scenario, place, world))
    silent = (
        _each(chosen.worlds, lambda world: lived.year(scenario, place, world, "silence"))
        if has_campaigns
        else []
    )
    say("Measuring purchases")
    real = _figures(panel, shelf, truth)
    worlds = _each(len(years), lambda world: _figures(panel, shelf, years[world]))
    for world, (sent, quiet) in enumerate(zip(years, silent, strict=False)):
        worlds[world] |= campaigns.exposure(panel, sent, quiet)
    for world in range(chosen.worlds):
        say(f"Measuring mechanisms in world {world + 1} of {chosen.worlds}")
        worlds[world] |= mechanisms.mechanisms(scenario, place, world, chosen.consumers)
    replay = _replay(panel, shelf, scenario, chosen, say) if has_campaigns else {}
    held = _held(*whole, span, chosen, say) if span else {}
    say("Telling simulated from real")
    first_dow = panel.start.weekday()
    apart = tell_apart(truth, years[: len(SEEDS)], shelf, first_dow)
    rows = scorecard.score(real, worlds, held.pop("rows", {}), source == town.COMPLETE_JOURNEY)
    return {
        "rows": rows,
        "two_sample": apart,
        "history": replay,
        "holdout": held,
        "pictures": pictures(truth, years, replay),
        "about": {
            "source": panel.source,
            "currency": panel.currency,
            "households": panel.households.height,
            "days": panel.days,
            "days_of_source": whole[0].days,
            "worlds": chosen.worlds,
            "seed": chosen.seed,
            "inside": sum(row["inside"] is True for row in rows),
            "measured": sum(row["inside"] is not None for row in rows),
        },
    }


def first_days(panel: Panel, shelf: Shelf, days: int) -> tuple[Panel, Shelf]:
    """Panel and shelf of its first days, with those households that bought in them."""
    known = holdout.cut(panel, shelf, days)
    early, goods = known.panel, known.seen
    bought = early.lines["household"].unique().implode()
    here = early.households.filter(pl.col("household").is_in(bought))
    number = here.select("household", here=pl.int_range(pl.len(), dtype=pl.UInt32))

    def renamed(frame: pl.DataFrame) -> pl.DataFrame:
        found = frame.join(number, on="household", maintain_order="left")
        return found.with_columns(household=pl.col("here")).select(frame.columns)

    own = replace(
        early, households=renamed(early.households), lines=renamed(early.lines), contacts=renamed(early.contacts),
        redemptions=renamed(early.redemptions),
    )  # fmt: skip
    return own, goods


def _each(count: int, work: Callable[[int], Any]) -> list[Any]:
    """One result a world; kernels and frames free the interpreter, so threads share the cores."""
    with ThreadPoolExecutor(min(max(count, 1), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, range(count)))


def _figures(panel: Panel, shelf: Shelf, year: lived.Year) -> dict[str, float]:
    """Rows 1 to 15, where the panel can tell them."""
    names = [str(name) for name in panel.categories["name"]]
    found: dict[str, float] = {}
    if year.days >= LEAST_DAYS:
        found |= demand.demand(year, shelf, panel.products["manufacturer"].to_numpy(), names, (0, year.days))
    if panel.contacts.height and panel.redemptions.height:
        found |= campaigns.rates(panel, year) | people.redemption_auc(panel, year)
    return found | people.inference_auc(panel, year)


def _replay(
    panel: Panel, shelf: Shelf, scenario: Scenario, chosen: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    """Campaigns sent again to a population that saw nothing from August on."""
    if panel.days <= REPLAY_DAY:
        return {}
    known = holdout.cut(panel, shelf, REPLAY_DAY)
    say("Fitting on the first seven months")
    population, fingerprint = town.fitted(known.panel, known.seen, say)
    here = holdout.onward(population, len(known.ahead.price))
    place = town.settle(scenario, panel, known.ahead, here, fingerprint, known.seen)
    say("Sending the campaigns again")
    years = _each(chosen.worlds, lambda world: lived.year(scenario, place, world))
    return campaigns.replay(panel, years, REPLAY_DAY)


def _held(
    panel: Panel, shelf: Shelf, span: holdout.Span, chosen: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    known = holdout.cut(panel, shelf, span.first)
    say(f"Fitting on the weeks before week {span.weeks[0]}")
    population, _ = town.fitted(known.panel, known.seen, say)
    say(f"Living weeks {span.weeks[0]} to {span.weeks[1]}")
    years = [holdout.forecast(population, known, span, world, chosen.seed) for world in range(chosen.worlds)]
    told = holdout.compare(panel, known.ahead, span, years)
    first_dow = panel.start.weekday()
    late = pl.col("day").is_between(span.first, span.end - 1)
    truth = lived.real(panel)
    shift = span.first
    window = lived.Year(
        truth.lines.filter(late).with_columns(day=pl.col("day") - shift),
        truth.redemptions.clear(), truth.households, span.end - shift,
    )  # fmt: skip
    moved = [
        lived.Year(y.lines.with_columns(day=pl.col("day") - shift), y.redemptions, y.households, window.days)
        for y in years
    ]
    told["two_sample"] = tell_apart(
        window, moved[: len(SEEDS)], known.ahead, (first_dow + shift) % 7, peers=False
    )
    return told
