"""The answers on one self-contained page: no script, no request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from regulars.report import charts, colours, wording
from regulars.targeting import NO_CATEGORIES, Targeting
from regulars.targeting.scores import Estimate
from regulars.targeting.tasks import WHAT, WHO, Task

_COLOURS = {WHO: colours.POLICIES["demographics"], WHAT: colours.POLICIES["purchases"]}


def write(told: Targeting, path: str | Path) -> Path:
    """Write the page to ``path`` and give the path back."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(told), "utf-8")
    return target


def render(told: Targeting) -> str:
    """The page as HTML text."""
    import jinja2

    folders = [Path(__file__).parent / "templates", Path(charts.__file__).parent / "templates"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["count"] = wording.count
    tasks = [task for task in (told.redemption, told.next_purchase) if task]
    return environment.get_template("targeting.html.j2").render(
        title=title(told),
        lede=lede(told),
        told=told,
        tasks=[
            ({**asdict(task), "says": says(task)}, _drawn(task.scores, f"task{k}"))
            for k, task in enumerate(tasks)
        ],
        guesses=_drawn({each.trait: each.score for each in told.inferences}, "guess"),
    )


def title(told: Targeting) -> str:
    """The answer in one line."""
    gaps = [
        task.differences["purchases over demographics"]
        for task in (told.redemption, told.next_purchase)
        if task
    ]
    if not gaps:
        return "What baskets give away"
    if all(gap.low > 0 for gap in gaps):
        return "You are what you buy, not who you are"
    if all(gap.high < 0 for gap in gaps):
        return "Here who you are tells more than what you buy"
    return "Neither what they buy nor who they are surely tells more"


def lede(told: Targeting) -> list[str]:
    """What was found, in a few sentences."""
    named = (("who redeems", told.redemption), ("who buys next", told.next_purchase))
    gaps = [
        f"{task.differences['purchases over demographics'].mean:+.3f} for {what}"
        for what, task in named
        if task
    ]
    found = [f"Purchases over demographics, in AUC: {wording.listed(gaps)}."] if gaps else []
    if told.inferences:
        sure = [each for each in told.inferences if each.score.low > 0.5]
        if not sure:
            but = " But beware, below: that is no reassurance." if NO_CATEGORIES in told.warnings else ""
            found.append(
                f"No trait that people told can be told from their baskets surely better than by a coin.{but}"
            )
            return found
        best = sure[0]
        found.append(
            f"Baskets give away \N{LEFT DOUBLE QUOTATION MARK}{best.trait}\N{RIGHT DOUBLE QUOTATION MARK} best: "
            f"of one who has it and one who has not, they tell which {best.score.mean:.0%} of the time."
        )
    return found


def says(task: Task) -> str:
    """One task in a sentence."""
    gap, extra = task.differences.values()
    who, what, alone = (task.scores[name].mean for name in (WHO, WHAT, task.given))
    adds = "add nothing that can be seen" if extra.low <= 0 <= extra.high else f"add {extra.mean:.3f}"
    if extra.high < 0:
        adds = f"take {-extra.mean:.3f} away"
    return (
        f"Purchases rank {task.pair} right {what:.0%} of the time, demographics {who:.0%}: a difference of "
        f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}). Both know the "
        f"{task.given.removeprefix('the ')} too, which alone has {alone:.0%}. Once purchases are known, demographics {adds}."
    )


def _drawn(scores: Mapping[str, Estimate], name: str) -> dict[str, str]:
    return {
        size: charts.svg(_intervals(scores, width), f"{name}-{size}")
        for size, width in (("wide", charts.WIDE), ("narrow", charts.NARROW))
    } if scores else {"wide": "", "narrow": ""}  # fmt: skip


def _intervals(scores: Mapping[str, Estimate], width: int) -> Any:
    """Each score with its interval, from a coin's .5 on."""
    import altair as alt

    rows = [
        {
            "name": name,
            "mean": e.mean,
            "low": e.low,
            "high": e.high,
            "colour": _COLOURS.get(name, colours.INK),
        }
        for name, e in scores.items()
    ]
    data = alt.Chart(alt.InlineData(values=rows))
    least = min([0.5, *(e.low for e in scores.values())])
    scale = alt.Scale(domain=[least, 1.0], nice=False)
    narrow = width <= charts.NARROW
    axis = alt.Axis(
        format=".2~f",
        values=[0.5, 0.75, 1.0] if narrow else [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        title="AUC" if narrow else "AUC: .5 is a coin, 1 is certain",
    )
    y = alt.Y(
        "name:N",
        sort=list(scores),
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelLimit=150 if narrow else 240),
    )
    colour = alt.Color("colour:N", scale=None)
    layers = (
        data.mark_rule(strokeWidth=3).encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", y=y, color=colour
        ),
        data.mark_point(filled=True, size=120, opacity=1, stroke="white").encode(
            x=alt.X("mean:Q", scale=scale, axis=axis), y=y, color=colour
        ),
    )
    return charts.finish(alt.layer(*layers), width, 34 * len(rows) + 56)
