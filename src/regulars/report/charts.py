"""The report's charts: each takes figures and a width in pixels, gives an Altair chart, and ``svg`` draws it.

Every chart is meant to be shown at about the width it was made for: ``NARROW`` for a phone, ``WIDE`` or
``HALF`` for a desk, so that its words stay readable on both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from regulars.report import colours
from regulars.report.estimates import VERDICTS, Interval, Lived, Player, label
from regulars.report.sensitivity import Sensitivity
from regulars.report.sweeps import Curve, Standing
from regulars.report.wording import SYMBOLS, rounded

if TYPE_CHECKING:
    import altair as alt

#: Widths in pixels: a phone's card, half a desk's card, a whole one, and one of a grid of small charts.
NARROW, HALF, WIDE, SMALL = 320, 470, 960, 300

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
#: Size of the words in a chart, in its own pixels.
WORDS = 13
#: About how wide one letter of that size is.
LETTER = 6.9
#: Weeks in one bar of losses.
BLOCK_WEEKS = 4

#: An Altair chart; of which kind, its layers decide.
Drawing: TypeAlias = Any


def svg(chart: Drawing, name: str) -> str:
    """The chart as an SVG element for a page: it scales with its box, and its ids begin with ``name``."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version="6.4")
    text = re.sub(r'\b(id="|url\(#|href="#)(?=[A-Za-z])', rf"\g<1>{name}-", text)
    text = re.sub(r' (?:xmlns(?::xlink)?|version|class|role|aria-[a-z]+|pointer-events)="[^"]*"', "", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(
        r'<svg width="(\d+)" height="(\d+)"',
        r'<svg width="\1" height="\2" aria-hidden="true" focusable="false"',
        text,
    )
    return text.replace(f'font-family="{FONT}"', "")


def ranking(lived: Lived, metric: str, width: int, currency: str) -> Drawing:
    """Every player's figure: the mean, its 95% interval and a faint dot for each world.

    Above silence, paired by world, where silence was run; else as it is.
    """
    import altair as alt

    names = [label(player, lived.players) for player in lived.players]
    means: list[dict[str, Any]] = []
    worlds: list[dict[str, Any]] = []
    lifted = all(lived.lift(player, metric) for player in lived.players)
    for player, name in zip(lived.players, names, strict=True):
        lift = lived.lift(player, metric)
        estimate = lift.interval if lift and lifted else lived.estimate(player, metric)
        if estimate is None or (lifted and player.policy == "silence"):
            continue
        row = {"name": name, "policy": player.policy}
        means.append({**row, "mean": estimate.mean, "low": estimate.low, "high": estimate.high})
        quiet = _silent(lived, player, metric) if lifted else {}
        for world, value in lived.of(player, metric).items():
            if not lifted or world in quiet:
                worlds.append({**row, "value": value - quiet.get(world, 0.0)})
    shown = [name for name in names if any(row["name"] == name for row in means)]
    y = alt.Y(
        "name:N", sort=shown, title=None, axis=alt.Axis(ticks=False, domain=False, grid=True, labelPadding=10)
    )
    axis = _money_axis(currency, width, lifted)
    layers = _intervals(means, worlds, y, _policy_colour(lived), axis, lifted, below=10)
    return finish(alt.layer(*layers), width, 34 * len(shown) + 44)


def frequency(curves: Sequence[Curve], width: int, currency: str) -> Drawing:
    """Result against contacts allowed a week, one line a policy, the best level marked.

    Around it the 95% band; the lines of single worlds where they are too few for a band that can be read.
    """
    import altair as alt

    singly = any(curve.singly for curve in curves)

    rows: list[dict[str, Any]] = [
        {"policy": c.policy, "level": level, "mean": e.mean, "low": e.low, "high": e.high}
        for c in curves
        for level, e in zip(c.levels, c.estimates, strict=True)
    ]
    bests = []
    for curve in curves:
        if curve.flat:
            continue
        at = curve.levels.index(curve.best)
        bests.append(
            {
                "policy": curve.policy,
                "level": curve.best,
                "mean": curve.estimates[at].mean,
                "best": f"{curve.best:g}",
            }
        )
    last = max(curve.levels[-1] for curve in curves)
    means = [row["mean"] for row in rows]
    ends_of = [value for curve in curves for line in curve.lines for value in line]
    if not singly:
        ends_of = [row["low"] for row in rows] + [row["high"] for row in rows]
    low, high = _domain(means, ends_of)
    height = 270
    ends = [(curve.policy, curve.policy, curve.estimates[-1].mean, "") for curve in curves]
    x = alt.X(
        "level:Q",
        title="contacts allowed a week",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(grid=False, tickCount=7 if width > NARROW else 5),
    )
    axis = _money_axis(currency, height, curves[0].over_silence)
    y, lower = (_level_axis(field, (low, high), axis) for field in ("mean", "low"))
    colour = alt.Color(
        "policy:N", legend=None, scale=_colour_scale(colours.policies(curve.policy for curve in curves))
    )
    data = _data(rows)
    around = data.mark_area(opacity=0.14, clip=True).encode(x=x, y=lower, y2="high:Q", color=colour)
    if singly:
        single = [
            {"policy": c.policy, "level": level, "mean": value, "world": world}
            for c in curves
            for world, values in enumerate(c.lines)
            for level, value in zip(c.levels, values, strict=True)
        ]
        thin = _data(single).mark_line(strokeWidth=1, opacity=0.45, clip=True)
        around = thin.encode(x=x, y=y, color=colour, detail="world:N")
    line = data.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour)
    marked = _data(bests)
    dot = marked.mark_point(filled=True, size=130, opacity=1, stroke="white", strokeWidth=1.5).encode(
        x=x, y=y, color=colour
    )
    halo = marked.mark_text(
        dy=-17, fontSize=WORDS, fontWeight=600, stroke="white", strokeWidth=5, strokeJoin="round"
    )
    word = marked.mark_text(dy=-17, fontSize=WORDS, fontWeight=600).encode(
        x=x, y=y, color=colour, text="best:N"
    )
    layers = [around, line, dot, halo.encode(x=x, y=y, text="best:N"), word]
    if low < 0 < high:
        layers.insert(0, _zero_rule(horizontal=True))
    return finish(
        alt.layer(*layers, *_end_words(ends, last, (low, high), height, width, axis)), width, height
    )


def verdict_weeks(weekly: pl.DataFrame, width: int = SMALL) -> Drawing:
    """Shares of the four verdicts week by week, of one player's contacts in all worlds together."""
    import altair as alt

    counts = (
        weekly.filter(pl.col("metric").is_in(VERDICTS))
        .group_by("week", "metric")
        .agg(pl.col("value").fill_nan(0).sum())
        .sort("week")
    )
    weeks = sorted(counts["week"].unique().to_list())
    table: dict[tuple[int, str], float] = {(w, m): v for w, m, v in counts.iter_rows()}
    rows = []
    # The last week is drawn once more at its end: a step holds from its week to the next.
    for week in [*weeks, weeks[-1] + 1]:
        values = [max(table.get((min(week, weeks[-1]), verdict), 0.0), 0.0) for verdict in VERDICTS]
        whole = sum(values)
        rows += [
            {"week": week, "verdict": verdict, "place": place, "share": value / whole if whole else 0.0}
            for place, (verdict, value) in enumerate(zip(VERDICTS, values, strict=True))
        ]
    chart = (
        _data(rows)
        .mark_area(interpolate="step-after", line=False)
        .encode(
            x=_weeks_axis(weeks[-1] + 1),
            y=alt.Y(
                "share:Q",
                title=None,
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.5, 1], grid=False, domain=False),
            ),
            color=alt.Color("verdict:N", legend=None, scale=_colour_scale(colours.VERDICTS)),
            order=alt.Order("place:Q"),
        )
    )
    return finish(chart, width, 150)


def reachable(
    shares: Mapping[Player, Sequence[Interval]], names: Mapping[Player, str], width: int
) -> Drawing:
    """Share of its customers that each player can still reach, at the end of each week."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    ends = []
    colour_of = colours.policies(player.policy for player in shares)
    for player, weeks in shares.items():
        name = names[player]
        rows.append({"name": name, "week": 0, "mean": 1.0, "low": 1.0, "high": 1.0})
        rows += [
            {"name": name, "week": week + 1, "mean": e.mean, "low": e.low, "high": e.high}
            for week, e in enumerate(weeks)
        ]
        said = rounded(weeks[-1].mean)
        # On a phone names would take the chart's room: a legend has them.
        ends.append(
            ("", player.policy, weeks[-1].mean, said)
            if width <= NARROW
            else (name, player.policy, weeks[-1].mean, f" {said}")
        )
    last = max(len(weeks) for weeks in shares.values())
    low, _ = _domain([0.9, *(row["mean"] for row in rows)], [row["low"] for row in rows])
    low = max(low, 0.0)
    height = 340 if width > NARROW else 320
    axis = alt.Axis(format="%", tickCount=5, domain=False, ticks=False)
    y, lower = (_level_axis(field, (low, 1.0), axis) for field in ("mean", "low"))
    x = _weeks_axis(last)
    colour = alt.Color(
        "name:N",
        legend=None,
        scale=_colour_scale({names[player]: colour_of[player.policy] for player in shares}),
    )
    data = _data(rows)
    band = data.mark_area(opacity=0.12, clip=True).encode(x=x, y=lower, y2="high:Q", color=colour)
    line = data.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour)
    return finish(
        alt.layer(band, line, *_end_words(ends, last, (low, 1.0), height, width, axis)), width, height
    )


def sensitivity(found: Sensitivity, width: int, currency: str) -> Drawing:
    """The lead where each prior is low (hollow) and where it is high (full), the strongest prior first."""
    import altair as alt

    rows: list[dict[str, Any]] = [
        {"name": mover.prior, "side": side, "mean": e.mean, "low": e.low, "high": e.high, "place": place}
        for mover in found.shown()
        for side, e, place in (("low", mover.low, -5), ("high", mover.high, 5))
    ]
    names = [mover.prior for mover in found.shown()]
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    domain = _domain(
        [row["mean"] for row in rows] + [0.0], [row[end] for row in rows for end in ("low", "high")]
    )
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    axis = _money_axis(currency, width, True)
    x, low = (alt.X(f"{name}:Q", title=None, scale=scale, axis=axis) for name in ("mean", "low"))
    layers: list[Any] = [_zero_rule()]
    for side, offset, fill in (("low", -5, "white"), ("high", 5, colours.POLICIES["considerate"])):
        data = _data([row for row in rows if row["side"] == side])
        ink = colours.POLICIES["considerate"]
        layers.append(
            data.mark_rule(strokeWidth=2, color=ink, yOffset=offset, clip=True).encode(
                x=low, x2="high:Q", y=y
            )
        )
        layers.append(
            data.mark_point(
                filled=True, size=70, opacity=1, fill=fill, stroke=ink, strokeWidth=2, yOffset=offset
            ).encode(x=x, y=y)
        )
    return finish(alt.layer(*layers), width, 34 * len(names) + 44)


def lost(rows: Sequence[tuple[str, str, float]], names: Sequence[str], width: int) -> Drawing:
    """Share of those within reach on day 0 who shut each player out, by reason; ``rows`` are (name, reason, share)."""
    import altair as alt

    reasons = list(dict.fromkeys(reason for _, reason, _ in rows))
    values = [
        {"name": name, "reason": reason, "share": share, "place": reasons.index(reason)}
        for name, reason, share in rows
    ]
    sums: list[dict[str, Any]] = [
        {"name": name, "share": sum(share for who, _, share in rows if who == name)} for name in names
    ]
    for row in sums:
        row["said"] = rounded(row["share"])
    longest = max(row["share"] for row in sums) or 1.0
    y = alt.Y(
        "name:N", sort=list(names), title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)
    )
    x = alt.X(
        "share:Q",
        title=None,
        stack="zero",
        scale=alt.Scale(domain=[0, longest * (1.16 if width > NARROW else 1.25)], nice=False),
        axis=alt.Axis(format="%", tickCount=4, domain=False, ticks=False),
    )
    bars = (
        _data(values)
        .mark_bar(height={"band": 0.62})
        .encode(
            x=x,
            y=y,
            color=alt.Color("reason:N", legend=None, scale=_colour_scale(colours.reasons(reasons))),
            order=alt.Order("place:Q"),
        )
    )
    words = (
        _data(sums)
        .mark_text(align="left", dx=6, fontSize=WORDS, color=colours.INK)
        .encode(x=alt.X("share:Q"), y=y, text="said:N")
    )
    return finish(alt.layer(bars, words), width, 32 * len(names) + 40)


def lost_weeks(
    rows: Sequence[tuple[int, str, float]],
    reasons: Sequence[str],
    weeks: int,
    most: float,
    width: int = SMALL,
) -> Drawing:
    """Share of those within reach on day 0 lost in each four weeks; ``rows`` are (block, reason, share)."""
    import altair as alt

    values = []
    heights: dict[int, float] = {}
    for block, reason, share in sorted(rows, key=lambda row: list(reasons).index(row[1])):
        start, end = block * BLOCK_WEEKS, min((block + 1) * BLOCK_WEEKS, weeks)
        low = heights.get(block, 0.0)
        heights[block] = low + share
        span = {"start": start + 0.25, "end": max(end - 0.25, start + 0.5)}
        values.append({**span, "reason": reason, "low": low, "high": low + share})
    chart = (
        _data(values)
        .mark_rect()
        .encode(
            x=_weeks_axis(weeks, field="start"),
            x2="end:Q",
            y=alt.Y(
                "low:Q",
                title=None,
                scale=alt.Scale(domain=[0, most * 1.05], nice=False),
                axis=alt.Axis(format=".0%" if most > 0.03 else ".1%", tickCount=3, domain=False, ticks=False),
            ),
            y2="high:Q",
            color=alt.Color("reason:N", legend=None, scale=_colour_scale(colours.reasons(reasons))),
        )
    )
    return finish(chart, width, 150)


def priors(standings: Sequence[Standing], width: int, currency: str) -> Drawing:
    """How far each policy is above the reference at each level of each swept prior, with its 95% interval."""
    import altair as alt

    means: list[dict[str, Any]] = []
    worlds: list[dict[str, Any]] = []
    for standing in standings:
        name = standing.name if standing.level is None else f"{standing.prior} {standing.name}"
        # As drawn is the same for every prior: shown once, on top.
        if any(row["name"] == name for row in means):
            continue
        for policy, gap in standing.against.items():
            spread = gap.interval
            row = {"name": name, "policy": policy}
            means.append({**row, "mean": spread.mean, "low": spread.low, "high": spread.high})
            worlds += [{**row, "value": value} for value in gap.gaps]
    order = list(dict.fromkeys(row["name"] for row in means))
    policies = list(dict.fromkeys(row["policy"] for row in means))
    y = alt.Y(
        "name:N",
        sort=order,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, grid=True, labelPadding=8, labelLimit=190),
    )
    colour = alt.Color("policy:N", legend=None, scale=_colour_scale(colours.policies(policies)))
    axis = _money_axis(currency, width - 120, True)
    one = len(policies) == 1
    layers = _intervals(means, worlds, y, colour, axis, True, below=9 if one else 0)
    if not one:
        offset = alt.YOffset("policy:N", sort=policies)
        layers[1:] = [layer.encode(yOffset=offset) for layer in layers[1:]]
    step = 32 if one else 16 * len(policies) + 8
    return finish(alt.layer(*layers), width, step * len(order) + 44)


def _intervals(
    means: Sequence[Mapping[str, Any]],
    worlds: Sequence[Mapping[str, Any]],
    y: alt.Y,
    colour: alt.Color,
    axis: alt.Axis,
    zero: bool,
    below: int,
) -> list[Any]:
    """Means with their intervals, a dot for each world ``below`` pixels under them, a line at zero first."""
    import altair as alt

    seen = [row["mean"] for row in means] + [row["value"] for row in worlds] + ([0.0] if zero else [])
    domain = _domain(seen, [row["low"] for row in means] + [row["high"] for row in means])
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    x, low, value = (
        alt.X(f"{name}:Q", title=None, scale=scale, axis=axis) for name in ("mean", "low", "value")
    )
    dots = _data(worlds).mark_point(filled=True, size=22, opacity=0.5, yOffset=below)
    bars = _data(means).mark_rule(strokeWidth=3, clip=True)
    centres = _data(means).mark_point(filled=True, size=120, opacity=1, stroke="white", strokeWidth=1.5)
    layers: list[Any] = [_zero_rule()] if zero else []
    return [
        *layers,
        dots.encode(x=value, y=y, color=colour),
        bars.encode(x=low, x2="high:Q", y=y, color=colour),
        centres.encode(x=x, y=y, color=colour),
    ]


def _data(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def finish(chart: Any, width: int, height: int) -> Drawing:
    """The chart in its outer size and in the page's hand."""
    words: dict[str, Any] = {
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": WORDS,
        "titleFontSize": WORDS,
    }
    lines = {"gridColor": colours.LINE, "domainColor": colours.LINE, "tickColor": colours.LINE}
    axis: dict[str, Any] = {**words, **lines, "labelColor": colours.INK, "titleColor": colours.FAINT}
    axis.update({"titleFontWeight": "normal", "titlePadding": 8, "labelFlush": False})
    # Set, not chained: every link of Altair's chain copies all of the data.
    chart.width, chart.height, chart.background = width, height, "transparent"
    chart.padding = {"left": 2, "top": 14, "right": 8, "bottom": 2}
    chart.autosize = {"type": "fit", "contains": "padding"}
    chart.config = {
        "aria": False,
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        "text": {"font": FONT},
    }
    return chart


def _money_axis(currency: str, room: int, signed: bool) -> alt.Axis:
    """An axis of money in short, as +$20k; about one tick for every 85 pixels."""
    import altair as alt

    symbol = SYMBOLS.get(currency)
    before = json.dumps(symbol or "")
    after = json.dumps("" if symbol else f" {currency}".rstrip())
    sign = "datum.value > 0 ? '+' : datum.value < 0 ? '\N{MINUS SIGN}' : ''"
    if not signed:
        sign = "datum.value < 0 ? '\N{MINUS SIGN}' : ''"
    short = "replace(format(abs(datum.value), '~s'), 'G', 'B')"
    return alt.Axis(
        labelExpr=f"({sign}) + {before} + {short} + {after}",
        tickCount=max(3, room // 85),
        domain=False,
        ticks=False,
        labelOverlap="greedy",
        labelSeparation=8,
    )


def _level_axis(field: str, domain: tuple[float, float], axis: alt.Axis) -> alt.Y:
    """The same height for every layer of a chart: without it a band would pull the scale down to zero."""
    import altair as alt

    return alt.Y(
        f"{field}:Q", title=None, scale=alt.Scale(domain=list(domain), nice=False, zero=False), axis=axis
    )


def _weeks_axis(weeks: int, field: str = "week") -> alt.X:
    import altair as alt

    step = 13 if weeks > 30 else max(1, weeks // 4)
    return alt.X(
        f"{field}:Q",
        title="week",
        scale=alt.Scale(domain=[0, weeks], nice=False),
        axis=alt.Axis(values=list(range(0, weeks + 1, step)), grid=False, format="d", titlePadding=5),
    )


def _zero_rule(horizontal: bool = False) -> Drawing:
    mark = _data([{"zero": 0}]).mark_rule(color=colours.FAINT, strokeWidth=1)
    return mark.encode(y="zero:Q") if horizontal else mark.encode(x="zero:Q")


def _colour_scale(chosen: Mapping[str, str]) -> alt.Scale:
    import altair as alt

    return alt.Scale(domain=list(chosen), range=list(chosen.values()))


def _policy_colour(lived: Lived) -> alt.Color:
    import altair as alt

    chosen = colours.policies(player.policy for player in lived.players)
    return alt.Color("policy:N", legend=None, scale=_colour_scale(chosen))


def _silent(lived: Lived, player: Player, metric: str) -> Mapping[int, float]:
    for other in lived.players:
        if other.policy == "silence" and other.retailer == player.retailer:
            return lived.of(other, metric)
    return {}


def _domain(seen: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """Room for all that must be seen, and for the ends of intervals as far as they leave it legible.

    With two worlds an interval is thirteen times as wide as the worlds are apart: it may leave the chart.
    """
    least, most = min(seen), max(seen)
    span = (most - least) or abs(most) or 1.0
    low = max(min([least, *ends]), least - 0.4 * span)
    high = min(max([most, *ends]), most + 0.4 * span)
    return low - 0.05 * span, high + 0.1 * span


def _room(words: Sequence[str]) -> int:
    return int(22 + LETTER * max(len(word) for word in words))


def _end_words(
    ends: Sequence[tuple[str, str, float, str]],
    at: float,
    domain: tuple[float, float],
    height: int,
    width: int,
    axis: alt.Axis,
) -> list[alt.Chart]:
    """Names at the right ends of lines, pushed apart where they would overlap, each tied to its line.

    ``ends`` are (name, policy, value, further words).
    """
    import altair as alt

    low, high = domain
    inner = height - 60
    per_value = inner / (high - low)
    ordered = sorted(ends, key=lambda end: -end[2])
    wanted = [(high - value) * per_value for _, _, value, _ in ordered]
    placed = spread(wanted, WORDS + 4.0, -8.0, inner + 8.0)
    chosen = colours.policies(policy for _, policy, _, _ in ends)
    plot = max(width - 60 - _room([name + more for name, _, _, more in ends]), 60)
    tie = 8 * at / plot
    words, ties = [], []
    for (name, policy, value, more), y in zip(ordered, placed, strict=True):
        row = {"policy": policy, "x": at, "x2": at + tie, "y": value, "y2": high - y / per_value}
        words.append({**row, "words": f"{name}{more}"})
        ties.append(row)
    colour = alt.Color("policy:N", legend=None, scale=_colour_scale(chosen))
    names = (
        _data(words)
        .mark_text(align="left", baseline="middle", dx=4, fontSize=WORDS, clip=False)
        .encode(x=alt.X("x2:Q"), y=_level_axis("y2", domain, axis), text="words:N", color=colour)
    )
    lines = (
        _data(ties)
        .mark_rule(strokeWidth=1, clip=False)
        .encode(x=alt.X("x:Q"), x2="x2:Q", y=_level_axis("y", domain, axis), y2="y2:Q", color=colour)
    )
    return [lines, names]


def spread(wanted: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Places near the wanted ones (in rising order), ``gap`` apart or more, within ``least`` and ``most``.

    Examples
    --------
    >>> spread([10.0, 12.0, 50.0], 10.0, 0.0, 100.0)
    [6.0, 16.0, 50.0]
    """
    groups: list[tuple[float, int]] = []  # middle and number of words pushed together
    for place in wanted:
        groups.append((place, 1))
        while len(groups) > 1:
            (above, n), (below, m) = groups[-2:]
            if below - above >= gap * (n + m) / 2:
                break
            groups[-2:] = [((above * n + below * m) / (n + m), n + m)]
    places = []
    for middle, n in groups:
        half = gap * (n - 1) / 2
        middle = min(max(middle, least + half), most - half)
        places += [middle - half + gap * i for i in range(n)]
    return places


def against(picture: Mapping[str, Any], colour: Mapping[str, str], width: int = SMALL) -> Drawing:
    """Real as bars, simulated as a line over them; ``picture`` has labels, real, simulated and percent."""
    import altair as alt

    labels = picture["labels"]
    rows = [
        {"label": label, "real": real, "simulated": simulated}
        for label, real, simulated in zip(labels, picture["real"], picture["simulated"], strict=True)
    ]
    every = max(1, -(-len(labels) // 8))
    shown = [label for at, label in enumerate(labels) if at % every == 0]
    x = alt.X(
        "label:N", sort=list(labels), title=picture["x"],
        axis=alt.Axis(values=shown, labelAngle=0, ticks=False, grid=False),
    )  # fmt: skip
    form = ".0%" if picture["percent"] else "~s"
    axis = alt.Axis(format=form, tickCount=4, domain=False, ticks=False, title=None)
    data = _data(rows)
    bars = data.mark_bar(opacity=0.28).encode(
        x=x, y=alt.Y("real:Q", axis=axis), color=alt.value(colour["real"])
    )
    line = data.mark_line(strokeWidth=2.5, point={"size": 22, "filled": True}).encode(
        x=x, y=alt.Y("simulated:Q", axis=axis), color=alt.value(colour["simulated"])
    )
    return finish(alt.layer(bars, line), width, 190)
