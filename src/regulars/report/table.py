"""The ranking as a table: in a terminal of 80 columns, in a notebook, and as rows of words for the page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from regulars.report import wording
from regulars.report.estimates import Difference, Interval, Lived, Run, label, verdict_shares
from regulars.report.findings import headline, warnings
from regulars.report.wording import Money

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DASH = "\N{EN DASH}"
#: Why unsubscribes are more than the customers lost.
UNSUBSCRIBES = (
    "Unsubscribes count channels, and a customer may have three (e-mail, app, SMS): who leaves one of them can still "
    "be reached on another."
)


@dataclass(frozen=True)
class Row:
    """One policy of the ranking, in words; ``holds``: worlds in which it is ahead of the row below."""

    name: str
    policy: str
    profit: str
    profit_range: str
    profit_margin: tuple[str, str]
    lift: str
    lift_range: str
    lift_margin: tuple[str, str]
    base: str
    worth: str
    worth_range: str
    contacts: str
    verdicts: dict[str, str]
    shares: dict[str, float]
    unsubscribes: str
    shut_out: str
    reachable: str
    holds: str
    sends: bool


def rows(run: Run) -> list[Row]:
    """The ranking by mean profit, every figure written out."""
    lived = Lived(run)
    currency = str(run.about.get("currency") or "")
    lifts = {player: lived.lift(player) for player in lived.players}
    profits = Money.fitting(currency, [lived.mean(player, "profit") for player in lived.players])
    bases = Money.fitting(currency, [lived.mean(player, "base_value") for player in lived.players])
    worths = Money.fitting(currency, [lived.mean(player, "profit_and_base") for player in lived.players])
    gains = Money.fitting(currency, [lift.interval.mean for lift in lifts.values() if lift])
    found = []
    for place, player in enumerate(lived.players):
        lift = lifts[player] if player.policy != "silence" else None
        below = lived.players[place + 1] if place + 1 < len(lived.players) else None
        ahead = lived.difference(player, below, "profit") if below else None
        shares = verdict_shares(lived, player)
        sends = lived.mean(player, "contacts") > 0
        found.append(
            Row(
                name=label(player, lived.players),
                policy=player.policy,
                profit=_said(lived.estimate(player, "profit"), profits),
                profit_range=_range(lived.estimate(player, "profit"), profits),
                profit_margin=_margin(lived.estimate(player, "profit"), profits),
                lift=gains.say(lift.interval.mean, signed=True) if lift else DASH,
                lift_range=_range(lift.interval if lift else None, gains, signed=True),
                lift_margin=_margin(lift.interval if lift else None, gains, signed=True),
                base=_said(lived.estimate(player, "base_value"), bases),
                worth=_said(lived.estimate(player, "profit_and_base"), worths),
                worth_range=_range(lived.estimate(player, "profit_and_base"), worths),
                contacts=f"{lived.mean(player, 'contacts_per_week'):.2f}" if sends else DASH,
                verdicts={name: wording.rounded(share) if sends else DASH for name, share in shares.items()},
                shares=shares,
                unsubscribes=wording.count(lived.mean(player, "unsubscribes")) if sends else DASH,
                shut_out=wording.rounded(lived.mean(player, "shut_out_share")),
                reachable=wording.rounded(lived.mean(player, "reachable_share")),
                holds=_holds(ahead),
                sends=sends,
            )
        )
    return found


def text(run: Run, width: int = 80) -> str:
    """The ranking and what to beware of, as plain text of at most ``width`` columns."""
    from io import StringIO

    from rich.console import Console

    stream = StringIO()
    show(run, Console(file=stream, width=width, no_color=True, highlight=False))
    return stream.getvalue()


def show(run: Run, console: Console | None = None) -> None:
    """Print the ranking in two tables, money and permission, and the warnings under them."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    ranking = rows(run)
    answer = headline(run)
    console.print()
    console.print(Text(answer.title, style="bold"))
    console.print()
    lifted = any(row.lift != DASH for row in ranking)
    money = _grid(
        "Money", ["profit", *(["over silence"] if lifted else []), "base left", "with base", "holds in"]
    )
    permission = _grid(
        "Permission", ["a week", "comp.", "creepy", "annoy.", "ign.", "unsubs", "shut out", "reach"]
    )
    for row in ranking:
        profit, lift = (f"{mean} {margin}".rstrip() for mean, margin in (row.profit_margin, row.lift_margin))
        money.add_row(row.name, profit, *([lift] if lifted else []), row.base, row.worth, row.holds)
        judged = row.verdicts.values()
        permission.add_row(row.name, row.contacts, *judged, row.unsubscribes, row.shut_out, row.reachable)
    console.print(money)
    console.print()
    console.print(permission)
    console.print()
    lived = Lived(run)
    interval = ", \N{PLUS-MINUS SIGN} 95% interval" if lived.worlds > 1 else ""
    start = reached(lived)
    of = (
        f"those within reach at the start ({start} of {run.about['consumers']:,})"
        if start
        else "all consumers"
    )
    note = (
        f"Means over {_worlds(run)}{interval}. Holds in: worlds in which a policy "
        "earns more than the one below it. Base left: what the run changed in next year's margin by trust and by being "
        "shut out, and what leave to contact is worth. Comp., creepy, annoy., ign.: verdicts on contacts. A week "
        f"(contacts each), shut out and reach: of {of}. {UNSUBSCRIBES}"
    )
    console.print(Text(note, style="dim"))
    for warning in warnings(run):
        console.print()
        console.print(Text.assemble(("! ", "bold yellow"), warning))
    console.print()


def reached(lived: Lived) -> str:
    """How many customers are within reach at the start, the mean over worlds; of retailers, from and to."""
    starts = [lived.estimate(player, "reachable_start") for player in lived.players]
    said = [wording.count(round(start.mean)) for start in sorted(starts, key=_mean) if start]
    return f"{said[0]} to {said[-1]}" if len(set(said)) > 1 else "".join(said[:1])


def _mean(estimate: Interval | None) -> float:
    return estimate.mean if estimate else 0.0


def _grid(title: str, heads: list[str]) -> Table:
    from rich import box
    from rich.table import Table

    grid = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    grid.add_column("policy", overflow="fold")
    for head in heads:
        grid.add_column(head, justify="right", no_wrap=True)
    return grid


def html(run: Run) -> str:
    """A small table for a notebook, with the answer above it; it takes the notebook's own colours."""
    ranking = rows(run)
    lifted = any(row.lift != DASH for row in ranking)
    heads = (
        "policy",
        "profit",
        "95% interval",
        *(["over silence"] if lifted else []),
        "base left",
        "a week",
        "shut out",
        "in reach",
    )
    cell = "padding:.25em .8em;text-align:right;font-variant-numeric:tabular-nums"
    left = cell.replace("right", "left")
    line = "border-top:1px solid rgba(128,128,128,.35)"
    head = "".join(
        f'<th scope="col" style="{cell if i else left};font-weight:600">{escape(name)}</th>'
        for i, name in enumerate(heads)
    )
    body = []
    for row in ranking:
        figures = (
            row.profit,
            row.profit_range,
            *([row.lift] if lifted else []),
            row.base,
            row.contacts,
            row.shut_out,
            row.reachable,
        )
        cells = "".join(f'<td style="{cell};{line}">{escape(figure)}</td>' for figure in figures)
        name = f'<th scope="row" style="{left};{line};font-weight:400">{escape(row.name)}</th>'
        body.append(f"<tr>{name}{cells}</tr>")
    notes = len(warnings(run))
    caption = f"Means over {_worlds(run)}" + (f"; {notes} warnings in the report" if notes > 1 else "")
    return (
        f'<div><p style="margin:.4em 0;font-weight:600">{escape(headline(run).title)}</p>'
        f'<table style="border-collapse:collapse;font-size:90%"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
        f'<p style="margin:.4em 0;opacity:.75;font-size:85%">{escape(caption)}</p></div>'
    )


def _worlds(run: Run) -> str:
    most = Lived(run).worlds
    return "the one world that was run: no interval can be given" if most == 1 else f"{most} worlds"


def _said(estimate: Interval | None, scale: Money) -> str:
    return scale.say(estimate.mean) if estimate else DASH


def _holds(ahead: Difference | None) -> str:
    """Worlds ahead of the row below; a tie is a tie."""
    if ahead is None:
        return DASH
    return "tied" if ahead.tied else f"{ahead.holds} of {ahead.interval.worlds}"


def _range(estimate: Interval | None, scale: Money, signed: bool = False) -> str:
    if estimate is None or estimate.worlds < 2:
        return DASH
    low, high = (scale.say(bound, signed, bare=True) for bound in (estimate.low, estimate.high))
    return f"{low.removesuffix(scale.unit)} to {high}" if scale.unit else f"{low} to {high}"


def _margin(estimate: Interval | None, scale: Money, signed: bool = False) -> tuple[str, str]:
    """The mean and, where there is more than one world, the half width of its interval."""
    if estimate is None:
        return DASH, ""
    mean = scale.say(estimate.mean, signed)
    if estimate.worlds < 2:
        return mean, ""
    half = scale.say((estimate.high - estimate.low) / 2, bare=True).removesuffix(scale.unit)
    return mean, f"\N{PLUS-MINUS SIGN}{half}"
