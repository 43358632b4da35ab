"""The page and the table of a scorecard: how like the real panel the simulated one lives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regulars.report import charts
from regulars.report.colours import INK, POLICIES
from regulars.report.page import Figure, Panel

if TYPE_CHECKING:
    from rich.console import Console

REAL, SIMULATED = INK, POLICIES["considerate"]
#: Features named as giving the simulation away.
WORST = 6
#: Columns from which on a terminal shows the table with its worlds and roles.
WIDE_TERMINAL = 120
_MARKS = {True: "inside", False: "outside", None: "not measured"}


def headline(found: Mapping[str, Any]) -> str:
    """The answer in one sentence."""
    about = found["about"]
    if not about["measured"]:
        return "None of the twenty rows can be measured on these data"
    rest = f", {20 - about['measured']} cannot be measured" if about["measured"] < 20 else ""
    return f"{about['inside']} of {about['measured']} rows lie inside{rest}"


def number(value: float | None) -> str:
    """A figure in few digits; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 20:
        return f"{value:.1f}".removesuffix(".0")
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.01 or value == 0 else f"{value:.5f}"


def band(target: list[float | None]) -> str:
    """A target in words: from and to, or one bound."""
    low, high = target
    if low is None and high is None:
        return number(None)
    if low == -1 and high is not None:  # as low as it can be
        return f"at most {number(high)}"
    if high is None or high >= 1e6:
        return f"above {number(low)}"
    return f"{number(low)} to {number(high)}"


def measure(part: Mapping[str, Any], key: str = "measured") -> str:
    """A figure of a part that was measured: what JSON cannot hold of it is infinite."""
    return "\N{INFINITY}" if part["inside"] is not None and part[key] is None else number(part[key])


def spread(part: Mapping[str, Any]) -> str:
    """From which to which the worlds reach; empty where nothing was measured."""
    return "" if part["inside"] is None else f"{measure(part, 'low')} to {measure(part, 'high')}"


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What else was found, one sentence each."""
    said = []
    apart = found["two_sample"]
    if apart:
        peers = f"; a Gaussian copula is told apart with {apart['copula']:.2f}, two real halves with {apart['floor']:.2f}"
        said.append(
            f"A classifier tells simulated from real households with an AUC of {apart['auc']:.2f} "
            f"(.50 is chance, at most {apart['target']:.2f} is wanted){peers if 'copula' in apart else ''}."
        )
    history = found["history"]
    for name, called in (("held_out", "on campaigns the fit has not seen"), ("all", "on all campaigns")):
        part = history.get(name) if history else None
        if part:
            said.append(
                f"Redemptions {called}: {part['simulated']:,.0f} simulated, {part['real']:,.0f} real; rank correlation "
                f"over campaigns {part['rank_correlation']:.2f}; the top tenth makes {part['top_share']:.0%}."
            )
    held = found["holdout"]
    if held:
        trips, spend = held["trips"], held["spend"]
        said.append(
            f"Weeks {held['weeks'][0]} to {held['weeks'][1]}, held out: trips {trips['ratio'] - 1:+.1%}, "
            f"spend {spend['ratio'] - 1:+.1%} against what came; AUC {held['two_sample']['auc']:.2f}."
        )
    return said


def show(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the scorecard."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console(highlight=False)
    console.print(f"\n[bold]{headline(found)}[/bold]\n")
    wide = console.width >= WIDE_TERMINAL
    names = ("", "fact", "target", "real", "measured", "worlds", "", "role")
    shown = [k for k, name in enumerate(names) if wide or name not in ("worlds", "role")]
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for k in shown:
        left = names[k] in ("fact", "role", "")
        grid.add_column(names[k], justify="left" if left else "right", no_wrap=names[k] != "fact")
    for row in found["rows"]:
        for k, part in enumerate(row["parts"]):
            cells = (
                str(row["row"]) if k == 0 else "", part["fact"], band(part["target"]), number(part["real"]),
                measure(part), spread(part), _MARKS[part["inside"]], row["role"] if k == 0 else "",
            )  # fmt: skip
            grid.add_row(*(cells[k] for k in shown))
            if part["why_not"]:
                grid.add_row("", f"  {part['why_not']}")
            elif part["held_out"]:
                later = part["held_out"]
                cells = (
                    "", "  held out", band(later["target"]), number(later["real"]), number(later["measured"]), "",
                    _MARKS[later["inside"]], "",
                )  # fmt: skip
                grid.add_row(*(cells[k] for k in shown))
    console.print(grid)
    if any(row["role"] == "mechanism" and row["inside"] is not None for row in found["rows"]):
        console.print(
            "A row is inside when the median of its worlds is; a mechanism when at least half of its worlds are.",
            style="dim",
        )
    if not wide:
        console.print("How far the worlds lie apart: the page, --json, or a wider terminal.", style="dim")
    console.print()
    for sentence in sentences(found):
        console.print(sentence)
    if found["two_sample"]:
        named = ", ".join(f["meaning"] for f in found["two_sample"]["features"][:WORST])
        console.print(f"Most telling: {named}.")


def write(found: Mapping[str, Any], path: str | Path) -> Path:
    """Write the page of a scorecard, whole or not at all, and give its path back."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(render(found), encoding="utf-8")
    draft.replace(path)
    return path


def render(found: Mapping[str, Any]) -> str:
    """The page as text: no script, no request, no second file."""
    import jinja2
    from altair.utils import schemapi

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["band"] = band
    environment.filters["measure"] = measure
    environment.filters["spread"] = spread
    with schemapi.debug_mode(False):
        shown = Figure("", tuple(_panel(picture) for picture in found["pictures"]), small=True)
    return environment.get_template("fidelity.html.j2").render(
        title=headline(found), sentences=sentences(found), rows=found["rows"], figure=shown, about=found["about"],
        marks=_MARKS, two_sample=found["two_sample"], worst=WORST, history=found["history"],
        colours={"real": REAL, "simulated": SIMULATED},
    )  # fmt: skip


def _panel(picture: Mapping[str, Any]) -> Panel:
    drawn = charts.svg(
        charts.against(picture, {"real": REAL, "simulated": SIMULATED}), f"p-{picture['name']}"
    )
    labels = picture["labels"]
    real, simulated = (labels[picture[k].index(max(picture[k]))] for k in ("real", "simulated"))
    alt = (
        f"{picture['title']}: {picture['y']} by {picture['x']}. Highest at {real} in the real panel, "
        f"at {simulated} in the simulated one."
    )
    return Panel(alt, drawn, title=picture["title"], note=f"{picture['y']}, by {picture['x']}")
