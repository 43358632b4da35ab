"""The sentence above each chart, and the words for those who cannot see it, made from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from regulars.report.estimates import VERDICTS, Interval, Lived, Player, label, verdict_shares
from regulars.report.permission import UNSAID, Loss
from regulars.report.sensitivity import Sensitivity
from regulars.report.sweeps import Curve, Standing, turns
from regulars.report.wording import holds, listed, money, percent, rounded, sentence, whole

NAMES = {"profit": "profit", "profit_and_base": "profit and remaining base"}


def ranking(lived: Lived) -> str:
    """Which policies surely earn more than silence, which surely less; and with the base that remains."""
    if not any(lived.lift(player) for player in lived.players if player.policy != "silence"):
        return _against_first(lived)
    if all(lift.tied for lift in map(lived.lift, lived.players) if lift):
        return "All policies earn the same as silence."
    if max(len(lived.of(player, "profit")) for player in lived.players) == 1:
        return "One world was run, so it cannot be said whether writing surely earns more than silence."
    now = sentence(_against_silence(lived, "profit", "surely earns", "surely earn"))
    then = _against_silence(lived, "profit_and_base", "is surely worth", "are surely worth")
    return f"{now} With the base that remains, {then}." if then else now


def _against_silence(lived: Lived, metric: str, one: str, many: str) -> str:
    lifts = {player: lived.lift(player, metric) for player in lived.by(metric) if player.policy != "silence"}
    known = {label(player, lived.players): lift for player, lift in lifts.items() if lift}
    sides = {
        "more than silence": [name for name, lift in known.items() if lift.sure and lift.interval.mean > 0],
        "less": [name for name, lift in known.items() if lift.sure and lift.interval.mean < 0],
    }
    same = [name for name, lift in known.items() if lift.tied]
    unsure = [name for name, lift in known.items() if not lift.sure and not lift.tied]
    parts: list[str] = []
    for side, names in sides.items():
        if names:
            all_ = len(names) == len(known) > 2
            who = f"all {len(names)} policies that write" if all_ else listed(names)
            than = side if side != "less" else "less" if parts else "less than silence"
            parts.append(f"{who} {one if len(names) == 1 else many} {than}")
    if unsure:
        parts.append(f"of {listed(unsure)} that is not sure either way")
    if same:
        verb = (one if len(same) == 1 else many).replace("surely ", "")
        parts.append(f"{listed(same)} {verb} the same as silence")
    return "; ".join(parts)


def _against_first(lived: Lived) -> str:
    """Of whom the leader is surely ahead; for a run without silence."""
    first, *others = lived.players
    gaps = {label(other, lived.players): lived.difference(first, other, "profit") for other in others}
    sure = [name for name, gap in gaps.items() if gap and gap.sure]
    unsure = [name for name in gaps if name not in sure]
    name = label(first, lived.players)
    if not others:
        return sentence(f"{name} was lived alone")
    parts = [f"{name} is surely ahead of {listed(sure)}"] if sure else []
    if unsure:
        parts.append(
            f"against {listed(unsure)} its lead is not sure" if sure else f"the lead of {name} is not sure"
        )
    return sentence("; ".join(parts))


def estimates(lived: Lived, metric: str, currency: str) -> str:
    """Every player's figure in words."""
    parts = []
    for player in lived.by(metric):
        lift = lived.lift(player, metric)
        if player.policy == "silence" and lift:
            continue
        estimate = lift.interval if lift else lived.estimate(player, metric)
        if estimate:
            parts.append(f"{label(player, lived.players)} {_spread(estimate, currency, lift is not None)}")
    above = " above silence" if any(lived.lift(player, metric) for player in lived.players) else ""
    return sentence(f"{NAMES.get(metric, metric)}{above}: {'; '.join(parts)}")


def _spread(estimate: Interval, currency: str, signed: bool) -> str:
    mean, low, high = (
        money(value, currency, signed) for value in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} ({low} to {high})" if estimate.worlds > 1 else mean


def frequency(curves: Sequence[Curve]) -> str:
    """Where each policy's profit peaks, what both sides of it lose, and the peak with the base counted."""
    text = " ".join(_peak(curve) for curve in curves if curve.metric == "profit")
    text += " Thin lines are single worlds." if any(curve.singly for curve in curves) else ""
    worth = [curve for curve in curves if curve.metric == "profit_and_base"]
    bests = [
        f"{curve.policy} is best with {curve.best:g} allowed{_end(curve)}"
        for curve in worth
        if not curve.flat
    ]
    return f"{text} With the base that remains, {listed(bests)}." if bests else text


def _end(curve: Curve) -> str:
    end = "the most tried" if curve.best == curve.levels[-1] else "the fewest tried"
    said = [*([] if curve.interior else [end]), *([] if curve.sure else ["not surely"])]
    return f" ({', '.join(said)})" if said else ""


def _peak(curve: Curve) -> str:
    name = curve.policy
    if curve.flat:
        return sentence(f"{name} earns the same however often it may write")
    worlds = len(curve.best_by_world)
    sides = _beside(curve)
    if not curve.interior and curve.stops_itself:
        return sentence(
            f"{name} stops by itself: of {curve.best:g} contacts a week allowed it sends {curve.best_sent:.1f}, and "
            f"earns most so; {sides}"
        )
    if not curve.interior:
        end = "most" if curve.best == curve.levels[-1] else "fewest"
        return sentence(
            f"{name} earns most where the {end} contacts tried are allowed, {curve.best:g} a week "
            f"({curve.best_sent:.1f} sent), so its best is not known; {sides}"
        )
    low, high = min(curve.best_by_world.values()), max(curve.best_by_world.values())
    across = f" ({low:g} to {high:g} across worlds)" if low != high else ""
    text = (
        f"{name} earns most with {curve.best:g} contacts a week allowed{across}, {curve.best_sent:.1f} sent; "
        f"{sides}"
    )
    if curve.interior_worlds < worlds:
        text += f"; it peaks between the levels tried {holds(curve.interior_worlds, worlds)}"
    return sentence(text)


def _beside(curve: Curve) -> str:
    """What the levels tried beside the best one lose, of the gain over silence where that is known; how sure that is."""
    sides = [side for side in (curve.below, curve.above) if side]
    gain = all(side.of_gain is not None for side in sides)
    losses = [(side.of_gain if gain else side.share) or 0.0 for side in sides]
    of = f" of its {'gain over silence' if gain else 'profit'}"
    said = [
        f"{side.level:g} allowed loses {percent(loss)}{'' if place else of}"
        for place, (side, loss) in enumerate(zip(sides, losses, strict=True))
    ]
    unsure = [f"{side.level:g}" for side in sides if not side.sure]
    if not unsure:
        return listed(said)
    doubt = (
        "not surely"
        if len(sides) == 1
        else "neither surely"
        if len(unsure) == 2
        else f"{unsure[0]} not surely"
    )
    return f"{listed(said)}, {doubt}"


def curve_words(curves: Sequence[Curve], currency: str) -> str:
    """Every point of the curves in words."""
    parts = []
    for curve in curves:
        points = ", ".join(
            f"{level:g} a week ({sent:.1f} sent) {money(estimate.mean, currency, curve.over_silence)}"
            for level, sent, estimate in zip(curve.levels, curve.sent, curve.estimates, strict=True)
        )
        parts.append(f"{curve.policy}: {points}")
    above = " above silence" if curves and curves[0].over_silence else ""
    return sentence(
        f"{NAMES.get(curves[0].metric, curves[0].metric)}{above} by contacts allowed a week. {'. '.join(parts)}"
    )


def verdicts(lived: Lived) -> str:
    """Whose contacts are judged best and worst."""
    senders = lived.senders()
    if not senders:
        return "Nobody was contacted."
    shares = {player: verdict_shares(lived, player) for player in senders}
    best, worst = (max(senders, key=lambda p: sign * shares[p]["compelling"]) for sign in (1, -1))
    text = f"Of 100 contacts, {_per_100(lived, shares, best, 'compelling')} are compelling"
    if worst != best:
        text += f", {_per_100(lived, shares, worst, 'compelling')}"
    most = [max(senders, key=lambda p: shares[p][verdict]) for verdict in ("creepy", "annoying")]
    worst_of = {
        "the creepiest": (most[0], shares[most[0]]["creepy"]),
        "the most annoying": (most[1], shares[most[1]]["annoying"]),
    }
    said = [
        f"{_name(lived, player)} is {what} ({rounded(share)})"
        for what, (player, share) in worst_of.items()
        if share > 0 and len(senders) > 1
    ]
    if said:
        text += f". {listed(said)}"
    return ". ".join(sentence(part).rstrip(".") for part in text.split(". ")) + "."


def _name(lived: Lived, player: Player) -> str:
    return label(player, lived.players)


def _per_100(lived: Lived, shares: Mapping[Player, Mapping[str, float]], player: Player, verdict: str) -> str:
    return f"{shares[player][verdict] * 100:.0f} of {_name(lived, player)}"


def verdict_words(lived: Lived, player: Player, weekly: pl.DataFrame) -> str:
    """The shares of one player's contacts, and how the compelling ones went over the run."""
    shares = verdict_shares(lived, player)
    parts = ", ".join(f"{rounded(shares[verdict])} {verdict}" for verdict in VERDICTS)
    start, end = _compelling(weekly, first=True), _compelling(weekly, first=False)
    trend = f"; compelling goes from {rounded(start)} in the first quarter to {rounded(end)} in the last"
    return sentence(f"{_name(lived, player)}, shares of contacts by week: {parts}{trend}")


def _compelling(weekly: pl.DataFrame, first: bool) -> float:
    rows = weekly.filter(pl.col("metric").is_in(VERDICTS))
    weeks = rows["week"].unique().sort().to_list()
    quarter = max(len(weeks) // 4, 1)
    part = rows.filter(pl.col("week").is_in(weeks[:quarter] if first else weeks[-quarter:]))
    whole = float(part["value"].sum())
    return float(part.filter(pl.col("metric") == "compelling")["value"].sum()) / whole if whole else 0.0


def reachable(weeks: Mapping[Player, Sequence[Interval]], lived: Lived, found: Mapping[Player, Loss]) -> str:
    """Who can still reach its customers at the end, who cannot, and how early that was lost."""
    senders = [player for player in lived.senders() if player in weeks]
    if not senders:
        return "Nobody was contacted, so everybody can still be reached."
    ordered = sorted(senders, key=lambda player: -weeks[player][-1].mean)
    best, worst = ordered[0], ordered[-1]
    text = f"at the end {_name(lived, best)} still reaches {rounded(weeks[best][-1].mean)} of those it could reach at first"
    if worst != best:
        text += f", {_name(lived, worst)} {rounded(weeks[worst][-1].mean)}"
        half = found[worst].half_said if worst in found else None
        if half:
            text += f"; half of those whom {_name(lived, worst)} lost were gone by week {half}"
    return sentence(text)


def reachable_words(weeks: Mapping[Player, Sequence[Interval]], lived: Lived) -> str:
    """Every end of the curves in words."""
    ordered = sorted(weeks, key=lambda player: -weeks[player][-1].mean)
    parts = [f"{_name(lived, player)} {rounded(weeks[player][-1].mean)}" for player in ordered]
    return (
        f"Share of those within reach on day 0 who still are, week by week. At the end: {', '.join(parts)}."
    )


def lost(found: Mapping[Player, Loss], lived: Lived) -> str:
    """Who lost most, and why."""
    ordered = sorted((p for p in found if found[p].share > 0), key=lambda player: -found[player].share)
    if not ordered:
        return "Nobody shut anyone out."
    parts = []
    for player in ordered[:2]:
        loss = found[player]
        reason, share = max(loss.by_reason.items(), key=lambda item: item[1])
        parts.append(
            f"{_name(lived, player)} lost {rounded(loss.share)} of those it could reach at first, "
            f"{rounded(share / loss.share)} of them because {because(reason)}"
        )
    return sentence("; ".join(parts))


def because(reason: str) -> str:
    """A reason for leaving as the end of a sentence."""
    known = {
        "creepy": "its messages were creepy",
        "annoying": "its messages were annoying",
        "too many": "there were too many messages",
        "ignored": "its messages meant nothing to them",
        UNSAID: "of something they did not say",
    }
    return known.get(reason, f"of this: {reason}")


def lost_words(found: Mapping[Player, Loss], lived: Lived) -> str:
    """Every bar in words."""
    parts = []
    for player, loss in found.items():
        why = ", ".join(f"{reason} {rounded(share)}" for reason, share in loss.by_reason.items())
        parts.append(f"{_name(lived, player)} {rounded(loss.share)}" + (f" ({why})" if why else ""))
    return f"Share lost of those within reach on day 0, by reason: {'; '.join(parts)}."


def priors(standings: Sequence[Standing]) -> str:
    """With which priors the leader changes, by profit and by profit and base."""
    texts = []
    for metric in dict.fromkeys(standing.metric for standing in standings):
        rows = [standing for standing in standings if standing.metric == metric]
        turned = turns(rows)
        by = "first by profit" if metric == "profit" else "with the remaining base"
        by = "by profit" if metric == "profit" else by
        if turned:
            texts.append(f"{by}, the leader changes with {listed(list(turned))}")
        else:
            texts.append(f"{by}, {rows[0].leader} leads at every level tried")
        texts[-1] += f" ({sure_leads(rows)})"
    swept = sorted(
        {row.reference for row in standings} | {policy for row in standings for policy in row.against}
    )
    return sentence(f"among {listed(swept)}: {'; '.join(texts)}")


def sure_leads(standings: Sequence[Standing]) -> str:
    """How many of the leads are sure."""
    sure, of = sum(row.ahead.sure for row in standings), len(standings)
    if sure in (0, of):
        return "no lead is sure" if not sure else "every lead is sure"
    return f"{sure} of {of} leads {'is' if sure == 1 else 'are'} sure"


def sample(about: Mapping[str, Any], worlds: int, of: int) -> str:
    """In how many worlds and by how many consumers a sweep was lived, and what it cannot be compared with."""
    some, whole = about.get("sweep_consumers") or about["consumers"], about["consumers"]
    lived = f" Lived {holds(worlds, of)}"
    if some < whole:
        lived += f", by {some:,} of the {whole:,} consumers, the same in each world, and scaled to all"
    if some >= whole and worlds == of:
        return f"{lived}."
    others = [*(["people"] if some < whole else []), *(["worlds"] if worlds < of else [])]
    return (
        f"{lived}: fewer {listed(others)} than in the table of policies, so compare these figures with each "
        "other, not with that table."
    )


def prior_words(standings: Sequence[Standing], currency: str) -> str:
    """Every dot in words."""
    parts = []
    for row in standings:
        level = "as drawn" if row.level is None else f"{row.prior} {row.name}"
        for policy, gap in row.against.items():
            parts.append(f"{level}: {policy} {_spread(gap.interval, currency, True)}")
    measure = NAMES.get(standings[0].metric, standings[0].metric)
    return f"{sentence(f'{measure} above {standings[0].reference}')} {'; '.join(dict.fromkeys(parts))}."


def moves(table: pl.DataFrame, worlds: int = 0) -> str:
    """Who lost most customers to whom, and why; ``worlds`` were run, 0: those in the table."""
    worlds = worlds or max(table["world"].n_unique(), 1)
    table = table.with_columns(pl.col("won_by").fill_null("nobody"), pl.col("reason").fill_null(UNSAID))
    losers = table.group_by("lost_by").len().sort("len", "lost_by", descending=[True, False])
    loser, n = losers.row(0)
    theirs = table.filter(pl.col("lost_by") == loser)
    winner = theirs.group_by("won_by").len().sort("len", "won_by", descending=[True, False])["won_by"][0]
    reason = theirs.group_by("reason").len().sort("len", "reason", descending=[True, False])["reason"][0]
    share = theirs.filter(pl.col("won_by") == winner).height / n
    went = {
        "nobody": "and no other shop won {} of them",
        "elsewhere": "and {} of them shop at none of these since",
        "too early to tell": "and for {} of them it is too early to tell who won them",
    }.get(winner, f"{{}} of them to {winner}")
    return sentence(
        f"{loser} lost the most customers, {whole([n / worlds])[0]:,} a world, {went.format(rounded(share))}, "
        f"most often because {because(reason)}"
    )


def sensitivity(found: Sequence[Sensitivity]) -> str:
    """In how many worlds the reference leads, and which priors that hangs on."""
    parts = []
    for each in found:
        by = NAMES.get(each.metric, each.metric)
        out = [mover.prior for mover in each.movers if mover.stands_out]
        hangs = (
            f"its lead hangs most on {listed(out[:3])}" if out else "no prior moves its lead beyond chance"
        )
        parts.append(
            sentence(
                f"by {by}, {each.reference} leads in {percent(each.leads)} of {each.worlds} worlds, "
                f"ahead of the best other policy by {100 * each.relative:.1f}% on average; {hangs}"
            )
        )
    return " ".join(parts)


def sensitivity_words(each: Sensitivity) -> str:
    """Every prior shown, in words."""
    rows = [
        f"{mover.prior}: leads in {percent(mover.leads_low)} of worlds where it is low, "
        f"{percent(mover.leads_high)} where it is high"
        for mover in each.shown()
    ]
    return sentence("; ".join(rows))
