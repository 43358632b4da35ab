"""One self-contained page that a person can read, print and keep: no script, no request, no second file."""

from __future__ import annotations

import calendar
import datetime
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from regulars.errors import RegularsError
from regulars.report import captions, charts, colours, permission, sweeps, table, wording
from regulars.report.estimates import VERDICTS, Lived, Player, label, verdict_shares
from regulars.report.findings import headline, warnings
from regulars.report.results import Results
from regulars.report.sensitivity import Sensitivity, sensitivity

#: Diaries shown side by side, the first of these that the run has.
DIARIES = ("considerate", "harvest", "blast", "purchases", "history", "demographics", "silence")
#: Entries of one diary that a page bears; a longer one is cut, and says so.
LONGEST_DIARY = 1500
FIRST_MOVES = 12


@dataclass(frozen=True)
class Panel:
    """One chart: ``wide`` for a desk, ``narrow`` for a phone, or one for both; ``alt`` says it in words."""

    alt: str
    wide: str
    narrow: str = ""
    title: str = ""
    policy: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """Charts that answer one question, with the sentence that says what is to be seen."""

    says: str
    panels: tuple[Panel, ...]
    legend: Mapping[str, str] = field(default_factory=dict)
    small: bool = False
    phone_legend: bool = False
    reference: str = ""


@dataclass(frozen=True)
class Entry:
    """What happened to her: its kind, the verdict if it is one, and the words."""

    kind: str
    verdict: str
    text: str


@dataclass(frozen=True)
class Month:
    """One month of the diaries: for each arm what it came to, and its days in order."""

    name: str
    sums: tuple[tuple[str, str], ...]
    days: tuple[tuple[str, tuple[tuple[str, str, tuple[Entry, ...]], ...]], ...]
    open: bool


@dataclass(frozen=True)
class Matrix:
    """Who lost how many customers to whom, a world, in one arm."""

    arm: str
    winners: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, float], ...], str], ...]


def write(results: Results, path: str | Path) -> Path:
    """Write the page of a run to ``path`` and give the path back.

    The page is written whole or not at all.

    Raises
    ------
    RegularsError
        when it cannot be written there.

    Examples
    --------
    >>> write(Results.load("runs/first"), "runs/first/report.html")  # doctest: +SKIP
    """
    path = Path(path)
    text = render(results)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise RegularsError(
            f"cannot write the page {path}: {error.strerror}. Name another file with --out"
        ) from error
    return path


def render(results: Results) -> str:
    """The page of a run as text."""
    import jinja2
    from altair.utils import schemapi

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["count"] = wording.count
    environment.finalize = _unbroken
    # The charts are our own and tested: checking each against the schema again would double the time.
    with schemapi.debug_mode(False):
        context = _context(results)
    return environment.get_template("report.html.j2").render(**context)


def _unbroken(value: Any) -> Any:
    """Words with every sign tied to its amount, so that no line ends between them; drawings stay as they are."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return re.sub(rf"([{wording.MINUS}+\N{{PLUS-MINUS SIGN}}])(?=\S)", "\\1\N{WORD JOINER}", value)


def _context(results: Results) -> dict[str, Any]:
    lived = Lived(results)
    about = results.about
    currency = str(about.get("currency") or "")
    found = permission.losses(results, lived)
    chosen = _chosen_diaries(results)
    return {
        "answer": headline(results),
        "warnings": warnings(results),
        "rows": table.rows(results),
        "worlds": lived.worlds,
        "compete": len({player.retailer for player in lived.players}) > 1,
        "lifted": any(lived.lift(player) for player in lived.players),
        "reached": table.reached(lived),
        "unsubscribes": table.UNSUBSCRIBES,
        "about": about,
        "policies": about.get("policies") or {},
        "colours": colours.policies([*(p.policy for p in lived.players), *chosen]),
        "verdicts": colours.VERDICTS,
        "ranking": _ranking(lived, currency) if lived.players else None,
        "frequency": _frequency(results, currency),
        "sent": _sent(results),
        "judged": _judged(results, lived),
        "reachable": _reachable(results, lived, found),
        "lost": _lost(results, lived, found),
        "priors": _priors(results, currency),
        "sensitivity": _sensitivity(results, currency),
        "meanings": _meanings(about),
        "moves": _moves(results),
        "arms": chosen,
        "months": _months({arm: results.diaries[arm] for arm in chosen}),
        "cut": any(results.diaries[arm].height > LONGEST_DIARY for arm in chosen),
        "command": about.get("command") or _command(about),
        "facts": _facts(about),
    }


def _both(name: str, chart: Any, wide: int) -> dict[str, str]:
    """The chart for a desk and for a phone."""
    return {
        "wide": charts.svg(chart(wide), f"{name}-w"),
        "narrow": charts.svg(chart(charts.NARROW), f"{name}-n"),
    }


def _ranking(lived: Lived, currency: str) -> Figure:
    panels = []
    above = " above silence" if any(lived.lift(player) for player in lived.players) else ""
    for metric, title in (("profit", "Profit"), ("profit_and_base", "Profit and remaining base")):
        if not any(lived.of(player, metric) for player in lived.players):
            continue

        def chart(width: int, metric: str = metric) -> Any:
            return charts.ranking(lived, metric, width, currency)

        drawn = _both(f"rank-{metric}", chart, charts.HALF)
        panels.append(Panel(captions.estimates(lived, metric, currency), **drawn, title=f"{title}{above}"))
    return Figure(captions.ranking(lived), tuple(panels))


def _frequency(results: Results, currency: str) -> Figure | None:
    curves = sweeps.frequency(results)
    panels = []
    for metric, title in (("profit", "Profit"), ("profit_and_base", "Profit and remaining base")):
        chosen = [curve for curve in curves if curve.metric == metric]
        if not chosen:
            continue

        def chart(width: int, chosen: Sequence[sweeps.Curve] = chosen) -> Any:
            return charts.frequency(chosen, width, currency)

        above = " above silence" if chosen[0].over_silence else ""
        drawn = _both(f"freq-{metric}", chart, charts.HALF)
        panels.append(Panel(captions.curve_words(chosen, currency), **drawn, title=f"{title}{above}"))
    if not panels:
        return None
    worlds = max(len(curve.best_by_world) for curve in curves)
    return Figure(captions.frequency(curves) + _sample(results, worlds), tuple(panels))


def _sample(results: Results, worlds: int) -> str:
    return captions.sample(results.about, worlds, Lived(results).worlds)


def _sent(results: Results) -> dict[str, Any]:
    """Contacts made per customer and week: the policies, and for each level allowed what each of them sent."""
    curves = sweeps.frequency(results, ["profit"])
    sent = [dict(zip(curve.levels, curve.sent, strict=True)) for curve in curves]
    levels = sorted({level for made in sent for level in made})
    rows = [
        (f"{level:g}", [f"{made[level]:.1f}" if level in made else "" for made in sent]) for level in levels
    ]
    return {"policies": [curve.policy for curve in curves], "rows": rows}


def _weekly(results: Results, player: Player) -> pl.DataFrame:
    return results.weekly.filter((pl.col("arm") == player.arm) & (pl.col("retailer") == player.retailer))


def _judged(results: Results, lived: Lived) -> Figure | None:
    panels = []
    for place, player in enumerate(lived.senders()):
        weekly = _weekly(results, player)
        if weekly.filter(pl.col("metric").is_in(VERDICTS)).is_empty():
            continue
        share = verdict_shares(lived, player)["compelling"]
        rate = lived.mean(player, "contacts_per_week")
        panels.append(
            Panel(
                captions.verdict_words(lived, player, weekly),
                charts.svg(charts.verdict_weeks(weekly), f"verdict-{place}"),
                title=label(player, lived.players),
                policy=player.policy,
                note=f"{rate:.2f} a week each, {wording.rounded(share)} compelling",
            )
        )
    if not panels:
        return None
    return Figure(captions.verdicts(lived), tuple(panels), colours.VERDICTS, small=True)


def _reachable(results: Results, lived: Lived, found: Mapping[Player, permission.Loss]) -> Figure | None:
    weeks = permission.reachable_weeks(results, lived)
    if not weeks:
        return None
    names = {player: label(player, lived.players) for player in weeks}
    drawn = _both("reach", lambda width: charts.reachable(weeks, names, width), charts.WIDE)
    panel = Panel(captions.reachable_words(weeks, lived), **drawn)
    colour = colours.policies(player.policy for player in weeks)
    legend = {names[player]: colour[player.policy] for player in weeks}
    return Figure(captions.reachable(weeks, lived, found), (panel,), legend, phone_legend=True)


def _lost(
    results: Results, lived: Lived, found: Mapping[Player, permission.Loss]
) -> tuple[Figure, Figure] | None:
    ordered = sorted((p for p in found if found[p].share > 0), key=lambda player: -found[player].share)
    if not ordered:
        return None
    names = {player: label(player, lived.players) for player in ordered}
    why = permission.reasons(found)
    bars = [
        (names[player], reason, found[player].by_reason.get(reason, 0.0))
        for player in ordered
        for reason in why
    ]
    drawn = _both("lost", lambda width: charts.lost(bars, list(names.values()), width), charts.WIDE)
    whole = Figure(
        captions.lost(found, lived),
        (Panel(captions.lost_words({player: found[player] for player in ordered}, lived), **drawn),),
        colours.reasons(why),
    )
    weeks = -(-int(results.about["days"]) // 7)
    most = max(sum(_block(found[p], block).values()) for p in ordered for block, _ in found[p].by_block)
    panels = []
    for place, player in enumerate(ordered):
        rows = [(block, reason, share) for (block, reason), share in sorted(found[player].by_block.items())]
        said, half = f"{wording.rounded(found[player].share)} lost", found[player].half_said
        said += f", half by week {half}" if half else ""
        panels.append(
            Panel(
                f"{names[player]}: share lost every four weeks of those within reach on day 0; {said}.",
                charts.svg(charts.lost_weeks(rows, why, weeks, most), f"when-{place}"),
                title=names[player],
                policy=player.policy,
                note=said,
            )
        )
    return whole, Figure(
        "Lost every four weeks, as a share of those within reach on day 0", tuple(panels), small=True
    )


def _block(loss: permission.Loss, block: int) -> dict[str, float]:
    return {reason: share for (at, reason), share in loss.by_block.items() if at == block}


def _priors(results: Results, currency: str) -> Figure | None:
    standings = sweeps.priors(results)
    if not standings:
        return None
    panels = []
    for metric, title in (("profit", "Profit"), ("profit_and_base", "Profit and remaining base")):
        chosen = [standing for standing in standings if standing.metric == metric]
        if not chosen:
            continue

        def chart(width: int, chosen: Sequence[sweeps.Standing] = chosen) -> Any:
            return charts.priors(chosen, width, currency)

        drawn = _both(f"prior-{metric}", chart, charts.HALF)
        who = wording.listed(list(chosen[0].against))
        title = f"{title}: {who} above {chosen[0].reference}"
        panels.append(Panel(captions.prior_words(chosen, currency), **drawn, title=title))
    rivals = list(dict.fromkeys(policy for standing in standings for policy in standing.against))
    worlds = max(standing.ahead.interval.worlds for standing in standings)
    return Figure(
        captions.priors(standings) + _sample(results, worlds),
        tuple(panels),
        legend=colours.policies(rivals) if len(rivals) > 1 else {},
        reference=standings[0].reference,
    )


def _sensitivity(results: Results, currency: str) -> Figure | None:
    found = [each for metric in captions.NAMES if (each := sensitivity(results, metric))]
    panels = []
    for each in found:

        def chart(width: int, each: Sensitivity = each) -> Any:
            return charts.sensitivity(each, width, currency)

        drawn = _both(f"sensitivity-{each.metric}", chart, charts.HALF)
        title = f"Lead by {captions.NAMES[each.metric]}"
        panels.append(Panel(captions.sensitivity_words(each), **drawn, title=title))
    return Figure(captions.sensitivity(found), tuple(panels)) if panels else None


def _meanings(about: Mapping[str, Any]) -> dict[str, str]:
    """Prior to what it means, for those that were assumed."""
    return {str(row[0]): str(row[1]) for row in about.get("assumed") or () if len(row) > 1}


def _moves(results: Results) -> dict[str, Any] | None:
    table_ = results.moves
    if table_.is_empty():
        return None
    nobody = "nobody"
    named = table_.with_columns(pl.col("won_by").fill_null(nobody), pl.col("reason").fill_null("unsaid"))
    world = named["world"].sort()[0]
    first = named.filter(pl.col("world") == world).sort("day", maintain_order=True)
    start = _start(results.about)
    retailers = list(results.totals["retailer"].unique())
    worlds = Lived(results).worlds
    by_arm = named.partition_by("arm", as_dict=True)
    matrices = [_matrix(part, str(arm), retailers, worlds) for (arm,), part in by_arm.items()]
    return {
        "says": captions.moves(table_, worlds),
        "matrices": matrices,
        "first": [
            (_date(start, day), household, lost_by, won_by, reason)
            for household, day, lost_by, won_by, reason in first.select(
                "household_id", "day", "lost_by", "won_by", "reason"
            )
            .head(FIRST_MOVES)
            .iter_rows()
        ],
        "world": world + 1,
        "more": max(first.height - FIRST_MOVES, 0),
    }


def _matrix(moves: pl.DataFrame, arm: str, retailers: Sequence[str], worlds: int) -> Matrix:
    counts = {(a, b): n / worlds for a, b, n in moves.group_by("lost_by", "won_by").len().iter_rows()}
    names = sorted({*retailers, *(loser for loser, _ in counts)})
    winners = [*names, *sorted({winner for _, winner in counts} - set(names))]
    most = max(counts.values())
    rows = []
    for loser in names:
        means = [counts.get((loser, winner), 0.0) for winner in winners]
        whole = wording.whole(means)
        cells = [
            ("" if loser == winner else f"{n:,}", mean / most)
            for winner, n, mean in zip(winners, whole, means, strict=True)
        ]
        rows.append((loser, tuple(cells), f"{sum(whole):,}"))
    return Matrix(arm, tuple(winners), tuple(rows))


def _chosen_diaries(results: Results) -> list[str]:
    there = [arm for arm in DIARIES if arm in results.diaries]
    return [*there, *(arm for arm in results.diaries if arm not in there)][:3]


def _months(diaries: Mapping[str, pl.DataFrame]) -> list[Month]:
    """The diaries month by month; the first month in which she hears from anyone is open."""
    years: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for arm, diary in diaries.items():
        for date, kind, text in diary.head(LONGEST_DIARY).select("date", "kind", "text").iter_rows():
            years.setdefault(str(date)[:7], {}).setdefault(arm, []).append((str(date), str(kind), str(text)))
    months: list[Month] = []
    for key in sorted(years):
        entries = years[key]
        heard = any(kind == "message" for each in entries.values() for _, kind, _ in each)
        months.append(
            Month(
                name=_month(key),
                sums=tuple((arm, _sum(entries.get(arm, []))) for arm in diaries),
                days=tuple((arm, _days(entries.get(arm, []))) for arm in diaries),
                open=heard and not any(month.open for month in months),
            )
        )
    return months


def _sum(entries: Sequence[tuple[str, str, str]]) -> str:
    messages = sum(kind == "message" for _, kind, _ in entries)
    good = sum(kind == "verdict" and verdict_of(text) == "compelling" for _, kind, text in entries)
    if not messages:
        return "no messages"
    return f"{messages} message{'s' if messages > 1 else ''}, {good} compelling"


#: So many things bought or needed on a day are named on the page.
LISTED = 4


def _days(entries: Sequence[tuple[str, str, str]]) -> tuple[tuple[str, str, tuple[Entry, ...]], ...]:
    """Entries by day as (date, said, entries); what was needed and bought on a day is one entry each.

    Of a long list the first few are named; `regulars diary` has them all.
    """
    days: dict[str, list[Entry]] = {}
    lists: dict[str, list[str]] = {}
    for date, kind, text in entries:
        day = days.setdefault(date, [])
        if kind in ("bought", "need"):
            lists[date] = [*lists[date], text] if day and day[-1].kind == kind else [text]
            said = Entry(kind, "", _shortened(lists[date]))
            day[-1:] = [said] if len(lists[date]) > 1 else [*day[-1:], said]
        else:
            verdict = verdict_of(text) if kind == "verdict" else ""
            day.append(Entry(kind, verdict, _without_verdict(kind, text)))
    return tuple((date, _day(date), tuple(day)) for date, day in days.items())


def _shortened(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def verdict_of(text: str) -> str:
    """The verdict that a diary's text begins with or names; empty when it names none.

    Examples
    --------
    >>> verdict_of("annoying: the third mail this week"), verdict_of("nothing")
    ('annoying', '')
    """
    words = text.lower()
    named = [(words.find(verdict), verdict) for verdict in VERDICTS if verdict in words]
    return min(named)[1] if named else ""


def _without_verdict(kind: str, text: str) -> str:
    """The words after the verdict, which is shown as a chip of its own."""
    verdict = verdict_of(text) if kind == "verdict" else ""
    if verdict and text.lower().startswith(verdict):
        text = text[len(verdict) :].lstrip(" :;,.-")
    elif verdict:
        text = text.replace(f"({verdict}; ", "(").replace(f" ({verdict})", "")
    return text[:1].upper() + text[1:]


def _month(key: str) -> str:
    try:
        return f"{calendar.month_name[int(key[5:7])]} {key[:4]}"
    except (ValueError, IndexError):
        return key


def _day(date: str) -> str:
    try:
        day = datetime.date.fromisoformat(date)
    except ValueError:
        return date
    return f"{day.day} {calendar.month_abbr[day.month]}"


def _start(about: Mapping[str, Any]) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(about.get("start")))
    except ValueError:
        return None


def _date(start: datetime.date | None, day: int) -> str:
    return f"day {day}" if start is None else _day((start + datetime.timedelta(days=day)).isoformat())


def _command(about: Mapping[str, Any]) -> str:
    parts = [f"--{name} {about[name]}" for name in ("seed", "worlds", "days")]
    parts += [f"--ablate {name}" for name in about.get("ablate") or ()]
    parts += [f"--prior {name}={value}" for name, value in (about.get("pinned") or {}).items()]
    return f"regulars simulate {about['scenario']} {' '.join(parts)}"


def _facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run says of itself, as pairs of a word and a figure."""
    rejects = about.get("rejects") or {}
    versions = about.get("versions") or {}
    speed = about.get("ns_per_consumer_day")
    wall = about.get("wall_s")
    facts = [
        ("Scenario", about["scenario"]),
        ("Source", about.get("source")),
        ("Start", about.get("start")),
        ("Seed", about["seed"]),
        ("State hash", about.get("state_hash")),
        (
            "Time taken",
            f"{wall:.1f} s on {about.get('threads') or '?'} threads" if wall is not None else None,
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("Rows left out", "; ".join(f"{n:,} {kind}" for kind, n in rejects.items()) or "none"),
        ("Speed", f"{speed:,.0f} ns a consumer and day" if speed is not None else None),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]
