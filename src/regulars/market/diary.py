"""One consumer's year in words, lived again alone from the names of her luck."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulars import settings
from regulars.errors import RegularsError, SettingError
from regulars.market import arms, day, outcome, run, shops, town
from regulars.market.arms import Task
from regulars.market.town import Town
from regulars.report.results import Results
from regulars.retail import explain
from regulars.settings import Scenario
from regulars.terms import Action, Channel, Fate, Reaction, Scope, Verdict

#: What happened to an offer after she judged it, in the words of a diary; verdicts have their own.
_DID = {
    Reaction.CLICK: "looked closer",
    Reaction.UNLIKE: "said it does not work for her",
    Reaction.COMPLAIN: "complained",
    Reaction.UNSUBSCRIBE: "unsubscribed",
    Reaction.BLOCK: "shut the shop out",
    Reaction.WITHDRAW: "took back the data it had used",
    Reaction.DISCLOSE: "told the shop what she wants",
}
_THOUGHT = {
    Verdict.COMPELLING: "Just right.",
    Verdict.CREEPY: "How do they know that?",
    Verdict.ANNOYING: "Not again.",
    Verdict.IGNORED: "Read, and forgotten.",
}
#: Which arms stand side by side in a report, as far as a run has them.
SIDE_BY_SIDE = ("blast", "harvest", "considerate")
_SCHEMA = {"day": pl.Int32, "date": pl.String, "kind": pl.String, "text": pl.String}


@dataclass(frozen=True)
class Diary:
    """A year in words.

    Parameters
    ----------
    entries : day, date, kind ("message", "verdict", "reaction", "disclosed", "trip", "bought"), text
    counted : what the replay counted for her: trips, revenue_cents, contacts, the four verdicts, redemptions
    run_counted : what the run counted for her; equal to ``counted``
    replay_s : seconds that the replay took
    """

    household_id: str
    arm: str
    world: int
    entries: pl.DataFrame
    counted: dict[str, int]
    run_counted: dict[str, int]
    replay_s: float

    @property
    def equal(self) -> bool:
        """Whether she lived the same year again."""
        return self.counted == self.run_counted

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "consumer": self.household_id,
            "arm": self.arm,
            "world": self.world + 1,
            "equal_to_run": self.equal,
            "replay_s": round(self.replay_s, 4),
            "counted": self.counted,
            "run_counted": self.run_counted,
            "entries": self.entries.to_dicts(),
        }

    def show(self) -> None:
        """Print it to the terminal, a day a paragraph."""
        from rich.console import Console

        console = Console(highlight=False)
        console.print(
            f"[bold]Household {self.household_id}, under {self.arm}, world {self.world + 1}[/bold]\n"
        )
        styles = {"message": "cyan", "verdict": "italic", "reaction": "yellow", "disclosed": "yellow"}
        for (date,), group in self.entries.partition_by("date", as_dict=True, maintain_order=True).items():
            console.print(f"[bold]{date}[/bold]")
            for kind, text in zip(group["kind"], group["text"], strict=True):
                console.print(f"  {text}", style=styles.get(kind, ""), markup=False)
        counted = {name: value for name, value in self.counted.items() if name != "revenue_cents"}
        total = ", ".join(f"{value:,} {name}" for name, value in counted.items())
        total += f", {self.counted['revenue_cents'] / 100:,.2f} spent"
        same = (
            "equal to what the run counted" if self.equal else f"NOT what the run counted: {self.run_counted}"
        )
        console.print(f"\nThe year: {total}; {same}. Replayed in {self.replay_s:.2f} s.")


def replay(folder: Path, household_id: str | None, arm: str, world: int) -> Diary:
    """Live one consumer's year again.

    Parameters
    ----------
    folder : of a finished run
    household_id : as the source names her; None for the first of the run
    arm : name of an arm of that run
    world : from 0

    Raises
    ------
    RegularsError
        when the folder is no run, or the arm, world or household is not in it.
    """
    scenario = _scenario_of(folder)
    place = town.build(scenario)
    ids = np.asarray(place.household_id).astype(str)
    found = np.flatnonzero(ids == (ids[0] if household_id is None else household_id))
    if not len(found):
        some = ", ".join(str(name) for name in place.household_id[:5])
        raise SettingError(
            f"household {household_id!r} is not in {folder}; it has {some} ... Name one with --consumer"
        )
    return replay_one(scenario, place, folder, int(found[0]), arm, world)


def replay_one(scenario: Scenario, place: Town, folder: Path, row: int, arm: str, world: int) -> Diary:
    """The diary of one row of a town that is already laid out.

    Raises
    ------
    SettingError
        when the run has no such arm or world, or what she lived depended on everybody else.
    RegularsError
        when the arm is not finished.
    """
    if any(retailer.weeks_of_stock > 0 for retailer in scenario.retailers):
        retailers = ", ".join(
            f"{{ name = {json.dumps(retailer.name)}, policy = {json.dumps(retailer.policy)} }}"
            for retailer in scenario.retailers
        )
        raise SettingError(
            "a diary cannot be replayed where shelves run out: what was left for her depended on everybody else. "
            "Without weeks_of_stock nothing runs out; simulate a file such as stocked.toml with\n\n"
            f'name = "stocked"\nmode = "{scenario.mode}"\nretailer = [{retailers}]'
        )
    task = _task_of(scenario, arm, world)
    for policy, chosen in zip(task.arm.policies, task.arm.settings, strict=True):
        if shops.policy_of(policy, chosen, place).pace().budget_per_day is not None:
            raise SettingError(
                f"a diary cannot be replayed under {arm}, which has a budget_per_day: who was contacted depended on "
                "everybody else. Run the policy without one"
            )
    path = run.arm_file(folder, scenario, place, task)
    if not path.is_file():
        raise RegularsError(
            f"{folder} holds no finished {arm} in world {world + 1} made by this version. Run the scenario again"
        )
    lived = outcome.load(path)
    alone = town.only(place, np.array([row], np.int64))
    learned = outcome.Learned(lived.learned)
    began = time.perf_counter()
    warm = day.warm_up(scenario, alone, world)
    life = day.Life(scenario, alone, world, task.arm, warm)
    entries: dict[str, list[Any]] = {name: [] for name in _SCHEMA}
    for today in range(scenario.days):
        for r, shop in enumerate(life.shops):
            shop.restore(learned.on(r, today))
        happened = life.live(today)
        date = alone.calendar.date(today).isoformat()
        for kind, text in _tell(happened, alone, scenario):
            for name, value in zip(_SCHEMA, (today, date, kind, text), strict=True):
                entries[name].append(value)
    replay_s = time.perf_counter() - began
    return Diary(
        str(place.household_id[row]),
        arm,
        world,
        pl.DataFrame(entries, schema=_SCHEMA),
        _counts(life.tally, 0),
        _counts(lived.tally, row),
        replay_s,
    )


def with_diaries(scenario: Scenario, place: Town, folder: Path, results: Results) -> Results:
    """The results with one consumer's diary in up to three arms of the first world.

    She is the one whose judgement the arms divide most: compelling under the last of them, creepy or annoying under the
    others, and shut out there if anybody is. A diary that cannot be replayed, or is not the year that the run counted,
    is left out with a warning.
    """
    people = results.consumers.filter(pl.col("world") == 0)
    present = people["arm"].unique(maintain_order=True).to_list()
    chosen = [arm for arm in SIDE_BY_SIDE if arm in present] or present[:3]
    if scenario.mode != "arms" or not chosen:
        return results
    displeased = pl.col("creepy") + pl.col("annoying") + 20 * (pl.col("shut_out_day") >= 0)
    score = (
        people.filter(pl.col("arm").is_in(chosen))
        .group_by("consumer")
        .agg(
            pl.when(pl.col("arm") == chosen[-1])
            .then(pl.col("compelling") - displeased)
            .otherwise(displeased)
            .sum()
            .alias("divided"),
            pl.col("trips").sum(),
        )
        .filter(pl.col("trips") > 0)
        .sort("divided", "consumer", descending=[True, False])
    )
    if not score.height:
        return results
    row = int(np.searchsorted(place.habits.consumer, score["consumer"][0]))
    told = {}
    for arm in chosen:
        try:
            diary = replay_one(scenario, place, folder, row, arm, 0)
            if not diary.equal:
                raise RegularsError(
                    f"replayed she lives {diary.counted}, the run counted {diary.run_counted}"
                )
            told[arm] = diary.entries
        except RegularsError as error:
            warnings.warn(f"The page has no diary under {arm}: {error}", RuntimeWarning, stacklevel=2)
    return replace(results, diaries=told)


def _scenario_of(folder: Path) -> Scenario:
    path = folder / "scenario.json"
    try:
        return settings.from_dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise RegularsError(
            f"{folder} is no run: {path.name} is missing. Make one with `regulars simulate`"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise RegularsError(f"{path} cannot be read ({error}). Run the scenario again") from error


def _task_of(scenario: Scenario, arm: str, world: int) -> Task:
    plain = [task for task in arms.tasks(scenario) if task.arm.group == "arms"]
    for task in plain:
        if task.arm.name == arm and task.world == world:
            return task
    names = ", ".join(dict.fromkeys(task.arm.name for task in plain))
    raise SettingError(
        f"no arm {arm!r} in world {world + 1}; the run has {names} in {scenario.worlds} worlds"
    )


def _counts(tallied: Any, row: int) -> dict[str, int]:
    return {
        "trips": int(tallied.trips[row].sum()),
        "revenue_cents": int(tallied.revenue_cents[row].sum()),
        "contacts": int(tallied.verdicts[row].sum()),
        **{verdict.name.lower(): int(tallied.verdicts[row, :, verdict].sum()) for verdict in Verdict},
        "redemptions": int(tallied.redemptions[row].sum()),
    }


def _tell(happened: day.Day, place: Town, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """The day in words, in the order of the day."""
    for r, talk in enumerate(happened.talks):
        if talk is not None:
            yield from _talk(talk, scenario.retailers[r].name, place)
    for k in range(happened.trip_count):
        name = scenario.retailers[int(happened.shoppers.retailer[k])].name
        store = place.names.stores[int(happened.shoppers.store[k])]
        yield "trip", f"Shopped at {name}, store {store}."
    for k in range(happened.line_count):
        yield "bought", _line(happened.lines, k, place)


def _talk(talk: day.Talk, name: str, place: Town) -> Iterator[tuple[str, str]]:
    names = tuple(place.names.categories)
    for k in range(len(talk.messages.consumer)):
        channel = Channel(int(talk.messages.channel[k])).name.lower()
        category = int(talk.messages.category[k])
        about = place.names.categories[category] if category >= 0 else "the shop"
        if talk.decisions.action[k] == Action.OPTION:
            what = "an option that needs no data"
        else:
            saving = float(talk.messages.saving[k])
            what = f"{about}, {saving:.0%} off" if saving >= 0.01 else about
        why = explain.to_her(talk.decisions, k, names)
        yield "message", f"{name} by {channel}: {what}. {why}".strip()
        bits = int(talk.responses.reactions[k])
        if not bits & 1 << Reaction.OPEN:
            yield "verdict", "Did not open it."
            continue
        verdict = Verdict(int(talk.responses.verdict[k]))
        fit = float(talk.fit[k])
        needed = (
            "she was about to need it" if fit > 0.4 else "she might use it" if fit > 0.15 else "no need of it"
        )
        yield "verdict", f"{_THOUGHT[verdict]} ({verdict.name.lower()}; {needed})"
        did = [words for reaction, words in _DID.items() if bits & 1 << reaction]
        if did:
            kind = "disclosed" if bits & 1 << Reaction.DISCLOSE else "reaction"
            asked = f" ({Scope(int(talk.messages.asks[k])).name.lower()})" if kind == "disclosed" else ""
            yield kind, f"She {' and '.join(did)}{asked}."


def _line(lines: Any, k: int, place: Town) -> str:
    units, paid = int(lines.units[k]), int(lines.paid_cents[k]) - int(lines.coupon_cents[k])
    product = place.names.products[int(lines.product[k])]
    category = place.names.categories[int(lines.category[k])]
    fate = Fate(int(lines.fate[k]))
    if fate in (Fate.DELAYED, Fate.ELSEWHERE, Fate.DROPPED):
        then = {Fate.DELAYED: "will wait", Fate.ELSEWHERE: "got it elsewhere", Fate.DROPPED: "let it be"}[
            fate
        ]
        return f"Out: {product or category}; {then}."
    text = f"{units} x {product or category} ({category}), {paid / 100:.2f}"
    saved = units * int(lines.shelf_cents[k]) - int(lines.paid_cents[k])
    if int(lines.offer[k]) >= 0:
        text += f", coupon {int(lines.coupon_cents[k]) / 100:.2f}"
    elif saved > 0:
        text += f", {saved / 100:.2f} off"
    return text + (", instead of one that was out" if fate is Fate.SUBSTITUTED else "")
