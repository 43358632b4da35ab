"""What a run says: the answer in a sentence, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regulars.report import captions, wording
from regulars.report.estimates import Difference, Lived, Player, Run, label
from regulars.report.sensitivity import sensitivity
from regulars.report.sweeps import REFERENCE, Standing, frequency, is_number, priors, turns

#: Who keeps more customers is asked only of policies that send at least this part of what the other sends.
COMPARABLE = 0.2
#: Fewer worlds than this and an interval is mostly the width of Student's t.
FEW_WORLDS = 4


@dataclass(frozen=True)
class Headline:
    """The answer of a run: one sentence, and the figures behind it in a few more."""

    title: str
    lede: tuple[str, ...]


def headline(run: Run) -> Headline:
    """Who earns most, who keeps the customers, and how sure that is."""
    lived = Lived(run)
    if not lived.players:
        return Headline("Nothing was lived", ("The run holds no arm, so there is nothing to compare.",))
    first = lived.players[0]
    worth = (lived.by("profit_and_base") or [first])[0]
    spoken = _Spoken(run, lived)
    lede = [spoken.lead(first, "profit")]
    if lived.of(worth, "profit_and_base"):
        lede.append(spoken.lead(worth, "profit_and_base"))
    lede.extend(spoken.permission())
    return Headline(_title(run, lived, first, worth), tuple(wording.sentence(each) for each in lede))


def _title(run: Run, lived: Lived, first: Player, worth: Player) -> str:
    span = wording.span(run.about["days"])
    name = _capital(label(first, lived.players))
    if len(lived.players) == 1:
        return f"{name} was lived alone: there is nothing to compare it with"
    level = lived.tied(first, "profit")
    if len(level) == len(lived.players):
        same = (
            "All policies lived the same" if not lived.senders() else f"All policies earn the same in {span}"
        )
        return f"{same}: nothing was sent" if not lived.senders() else same
    if len(level) > 1:
        names = _capital(wording.listed([label(each, lived.players) for each in level]))
        return f"{names} earn the same in {span}, ahead of the others"
    gap = lived.difference(first, lived.players[1], "profit")
    others = lived.by("profit_and_base", [p for p in lived.players if p != worth])
    total = lived.difference(worth, others[0], "profit_and_base") if others else None
    sure = bool(gap and gap.sure)
    earns = f"{name} earns most in {span}" if sure else f"{name} is ahead in {span}, but not surely"
    if not total or total.tied:
        return earns
    if worth != first:
        return f"{earns}; {label(worth, lived.players)} leads once the customers who remain are counted"
    peers = lived.by("reachable_share", _peers(lived, first))
    kept = [lived.mean(peer, "reachable_share") for peer in peers]
    if len(peers) > 1 and peers[0] == first and kept[0] > kept[1]:
        return f"{earns} and keeps the most customers" if sure else f"{earns}; it keeps the most customers"
    return f"{earns}; it still leads once the customers who remain are counted"


def warnings(run: Run) -> list[str]:
    """What a person must know before she acts on the ranking, in plain sentences; the gravest first."""
    lived = Lived(run)
    found = [*_offer_warnings(run, lived), *_ranking_warnings(run, lived)]
    found += [*_prior_warnings(run), *_frequency_warnings(run), *_permission_warnings(lived)]
    found += _data_warnings(run, lived)
    return [wording.sentence(each) for each in found]


def _offer_warnings(run: Run, lived: Lived) -> list[str]:
    """That there was nothing to offer, and that policies lived the same."""
    found = [str(run.about["no_offers"])] if run.about.get("no_offers") else []
    level = lived.tied(lived.players[0], "profit") if lived.players else []
    if len(lived.players) > 1 and len(level) == len(lived.players):
        why = "" if lived.senders() else ": nothing was sent"
        found.append(f"all policies lived the same{why}, so this run cannot tell them apart")
    elif len(level) > 1:
        names = wording.listed([label(each, lived.players) for each in level])
        found.append(f"{names} earn the same in every world, so this run cannot tell them apart")
    return found


def _ranking_warnings(run: Run, lived: Lived) -> list[str]:
    default = _default(lived)
    found = []
    for metric in ("profit", "profit_and_base") if default else ():
        ordered = lived.by(metric)
        if len(ordered) < 2 or default not in ordered:
            continue
        name = label(default, lived.players)
        level = lived.tied(ordered[0], metric)
        if default in level and len(level) > 1:
            continue
        if ordered[0] != default:
            gap = lived.difference(ordered[0], default, metric)
            leader = label(ordered[0], lived.players)
            more = "earns" if metric == "profit" else "is worth"
            if gap:
                found.append(
                    f"{name} does not lead by {_measure(run, metric)}: {leader} {more} {_more(gap)} more, "
                    f"ahead {wording.holds(gap.holds, gap.interval.worlds)}"
                )
        else:
            gap = lived.difference(default, ordered[1], metric)
            if gap and not gap.sure and gap.interval.worlds > 1:
                found.append(
                    f"{name} leads by {_measure(run, metric)}, but not surely: it is ahead of "
                    f"{_names(lived, ordered[1], metric)} {wording.holds(gap.holds, gap.interval.worlds)}, "
                    "and the 95% interval of the difference holds zero"
                )
    return found


def _prior_warnings(run: Run) -> list[str]:
    swept = priors(run)
    if not swept:
        return [
            "the priors that no data can tell were not swept in this run: the ranking holds only for those "
            "drawn, and another draw may turn it"
        ]
    found: dict[tuple[str, str], list[str]] = {}
    for metric in ("profit", "profit_and_base"):
        for prior, rows in turns([row for row in swept if row.metric == metric]).items():
            names = wording.listed([*dict.fromkeys(row.leader for row in rows)])
            leaders = "; ".join(
                f"{leader} leads {_at([row for row in rows if row.leader == leader])}"
                for leader in dict.fromkeys(row.leader for row in rows)
            )
            sentence = f"the ranking of {names} turns with {prior}: {leaders}"
            found.setdefault((prior, sentence), []).append(_measure(run, metric))
    lived = max((row.ahead.interval.worlds for row in swept), default=0)
    few = f", in the {lived} worlds swept" if 1 < lived < Lived(run).worlds else ""
    turned = [f"{sentence} (by {wording.listed(by)}{few})" for (_, sentence), by in found.items()]
    return turned + _unsure_warnings(run, swept, lived) + _drawn_warnings(run)


def _unsure_warnings(run: Run, swept: Sequence[Standing], worlds: int) -> list[str]:
    """That leads at the levels of the swept priors are not sure; one world is warned of elsewhere."""
    said: dict[str, list[str]] = {}
    for metric in dict.fromkeys(row.metric for row in swept):
        rows = [row for row in swept if row.metric == metric]
        if worlds > 1 and not all(row.ahead.sure for row in rows):
            said.setdefault(captions.sure_leads(rows), []).append(_measure(run, metric))
    return [
        f"at the levels tried of the priors that no data can tell, {leads} by {wording.listed(by)}: "
        f"they were swept in {worlds} worlds"
        for leads, by in said.items()
    ]


def _drawn_warnings(run: Run) -> list[str]:
    """Priors with which the default policy leads in most worlds on one side, and in few on the other."""
    found = []
    for metric in ("profit", "profit_and_base"):
        each = sensitivity(run, metric)
        for mover in each.movers if each else ():
            least, most = sorted((mover.leads_low, mover.leads_high))
            if each and mover.stands_out and least < 0.5 < most:
                sides = {mover.leads_low: "low", mover.leads_high: "high"}
                found.append(
                    f"by {_measure(run, metric)}, that {each.reference} leads hangs on {mover.prior}: it leads in "
                    f"{wording.percent(most)} of the worlds where that is {sides[most]}, in "
                    f"{wording.percent(least)} where it is {sides[least]}"
                )
    return found


def _peers(lived: Lived, player: Player) -> list[Player]:
    """The policies that send at least a fifth as much as this one (itself too): who hardly writes loses nobody."""
    least = COMPARABLE * lived.mean(player, "contacts_per_week")
    return [other for other in lived.senders() if lived.mean(other, "contacts_per_week") >= least]


def _at(rows: Sequence[Standing]) -> str:
    drawn = ["as drawn" for row in rows if row.level is None]
    swept = [_level(row) for row in rows if row.level is not None]
    return wording.listed([*drawn, *([f"at {wording.listed(swept)}"] if swept else [])])


def _level(row: Standing) -> str:
    return row.name if is_number(row.name) else f"{row.name} ({row.level:.3g})"


def _frequency_warnings(run: Run) -> list[str]:
    found = []
    for curve in frequency(run, ["profit"]):
        if curve.interior or curve.flat or curve.stops_itself:
            continue
        end = "the most" if curve.best == curve.levels[-1] else "the fewest"
        found.append(
            f"no best frequency of {curve.policy} was found: its profit is highest where {end} contacts tried are allowed, "
            f"{curve.best:g} a week ({curve.best_sent:.1f} sent)"
        )
    return found


def _permission_warnings(lived: Lived) -> list[str]:
    """That a policy which sends at least a fifth as much as the default one surely keeps more customers."""
    default = _default(lived)
    ordered = lived.by("reachable_share", _peers(lived, default) if default else [])
    if default is None or default not in ordered or ordered[0] == default:
        return []
    gap = lived.difference(ordered[0], default, "reachable_share")
    if gap is None or not gap.sure:
        return []
    best, mine = (wording.rounded(lived.mean(each, "reachable_share")) for each in (ordered[0], default))
    return [
        f"{label(default, lived.players)} does not keep the most customers within reach: "
        f"{label(ordered[0], lived.players)} keeps {best}, {label(default, lived.players)} {mine}"
    ]


def _data_warnings(run: Run, lived: Lived) -> list[str]:
    found = []
    counts = {player: len(lived.of(player, "profit")) for player in lived.players}
    most = lived.worlds
    if most == 1:
        found.append("only one world was run, so no interval can be given and nothing here is sure")
    elif most < FEW_WORLDS:
        found.append(f"only {most} worlds were run: the intervals are wide, run more before you decide")
    for player, worlds in counts.items():
        if worlds < most:
            found.append(f"{label(player, lived.players)} was lived in {worlds} of {most} worlds only")
    one_chain = len({player.retailer for player in lived.players}) == 1
    if one_chain and lived.players and all(player.policy != "silence" for player in lived.players):
        found.append("silence was not run, so nothing can be said of what a policy adds")
    found += _stated_warnings(run)
    if lived.gaps:
        player, metric, world = lived.gaps[0]
        found.append(
            f"{len(lived.gaps)} figures are missing or not finite and were left out, the first one "
            f"{metric} of {player.arm} in world {world + 1}"
        )
    return found


def _stated_warnings(run: Run) -> list[str]:
    """What the run says of itself: stopped early, a mechanism taken out, a prior pinned."""
    about, found = run.about, []
    finished, planned = about.get("finished"), about.get("planned")
    if finished is not None and planned is not None and finished < planned:
        found.append(f"the run was stopped: {finished} of {planned} arms were finished")
    if about.get("ablate"):
        found.append(f"taken out of the consumers in this run: {wording.listed(list(about['ablate']))}")
    pinned = [f"{name} at {value:.3g}" for name, value in (about.get("pinned") or {}).items()]
    if pinned:
        found.append(f"pinned, the same in every world: {wording.listed(pinned)}")
    return found


class _Spoken:
    """Sentences about one run's players."""

    def __init__(self, run: Run, lived: Lived) -> None:
        self.run, self.lived = run, lived
        self.currency = str(run.about.get("currency") or "")

    def lead(self, player: Player, metric: str) -> str:
        """How far the player is ahead of the next one by one metric, and how sure that is."""
        lived = self.lived
        level = lived.tied(player, metric)
        every = len(level) == len(lived.players) and len(level) > 1
        name = "every policy" if every else _names(lived, player, metric)
        amount = wording.money(lived.mean(player, metric), self.currency)
        each = " each" if len(level) > 1 and not every else ""
        if metric == "profit":
            opening = f"{name}{each} earned {amount} in {wording.span(self.run.about['days'])}"
        else:
            comes = "come" if each else "comes"
            opening = f"with the value of the customers who remain, {name}{each} {comes} to {amount}"
        others = [other for other in lived.by(metric) if other not in level]
        gap = lived.difference(player, others[0], metric) if others else None
        if not gap:
            return opening
        spread = gap.interval
        more = wording.money(spread.mean, self.currency)
        low, high = (wording.money(bound, self.currency, signed=True) for bound in (spread.low, spread.high))
        share = f" ({wording.percent(gap.share)})" if gap.share is not None else ""
        sure = f" (95% interval {low} to {high})" if spread.worlds > 1 else ""
        rival = _names(lived, others[0], metric)
        return f"{opening}, {more}{share} more than {rival}, {wording.holds(gap.holds, spread.worlds)}{sure}"

    def permission(self) -> list[str]:
        """Who keeps its customers within reach, and who burns permission."""
        lived = self.lived
        senders = lived.senders()
        busiest = max(senders, key=lambda player: lived.mean(player, "contacts_per_week"), default=None)
        peers = _peers(lived, busiest) if busiest else []
        kept, burnt = lived.by("reachable_share", peers), lived.by("shut_out_share", senders)
        if not kept or not burnt:
            return []
        keeper, burner = kept[0], burnt[0]
        share = self._share(keeper, "reachable_share")
        keeps = f"{label(keeper, lived.players)} keeps {share} of those it could reach at first"
        if lived.mean(burner, "shut_out_share") <= 0:
            return [f"{keeps}; no policy was shut out by anyone"]
        if burner == keeper:
            return [f"{keeps} and is shut out by {self._share(burner, 'shut_out_share')}"]
        lost = self._share(burner, "shut_out_share")
        burns = f"{label(burner, lived.players)} burns the most permission"
        who = "write" if len(peers) == len(senders) else "write more than now and then"
        return [f"of the policies that {who}, {keeps}; {burns}: {lost} of them shut it out for good"]

    def _share(self, player: Player, metric: str) -> str:
        return wording.rounded(self.lived.mean(player, metric))


def _names(lived: Lived, player: Player, metric: str) -> str:
    """The player, with those who are the same as it in every world; many are only counted."""
    level = [label(each, lived.players) for each in lived.tied(player, metric)]
    if len(level) > 3:
        return f"{level[0]} and the {len(level) - 1} others that are level with it"
    return wording.listed(level)


def _default(lived: Lived) -> Player | None:
    """The considerate player, when there is exactly one."""
    chosen = [player for player in lived.players if player.policy == REFERENCE]
    return chosen[0] if len(chosen) == 1 else None


def _measure(run: Run, metric: str) -> str:
    year = run.about["days"] in (365, 366)
    if metric == "profit":
        return "first-year profit" if year else f"profit in {run.about['days']} days"
    return "profit plus the value of the customers who remain"


def _more(gap: Difference) -> str:
    return wording.percent(gap.share) if gap.share is not None else f"{gap.interval.mean:,.0f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
