"""Why this, why not those, why nothing: in her words and in the manager's.

An explanation replays the decision for one customer, on a copy, from the same view that the policy saw. So it
shows nothing that she withheld, and it changes nothing but the ledger, which tells her that somebody asked and what
was opened to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.retail import contact_rules, policies
from regulars.retail.catalog import Among
from regulars.retail.consent import allowed
from regulars.retail.decision import Decisions, Draws, Reason
from regulars.retail.predicted_verdict import label
from regulars.retail.retailer import Retailer
from regulars.terms import U8, Channel, Purpose, Scope, Verdict, small_names


@dataclass(frozen=True)
class Considered:
    """One category that could have been offered.

    Attributes
    ----------
    category, name : which
    saving : share of the price, 0 when nothing stands
    reason : why it was said, or what ruled it out
    said : whether it was said
    words : the reason in plain words
    """

    category: int
    name: str
    saving: float
    reason: Reason
    said: bool
    words: str


@dataclass(frozen=True)
class Explanation:
    """One decision about one customer, or one silence.

    Attributes
    ----------
    day : when
    reason : why this, or why nothing
    to_her : a sentence for the consumer
    to_manager : a sentence for the manager
    used : the scopes that the choice drew on
    opened : the scopes that she allowed and the policy could see
    predicted : probability of each verdict, by name; empty for silence
    propensity : probability of this choice, 1 for silence
    candidates : every category, what was said first
    """

    day: int
    reason: Reason
    to_her: str
    to_manager: str
    used: tuple[str, ...]
    opened: tuple[str, ...]
    predicted: dict[str, float]
    propensity: float
    candidates: tuple[Considered, ...]


def why(
    retailer: Retailer,
    row: int,
    day: int,
    hour: int = 10,
    *,
    in_stock: NDArray[np.bool_] | None = None,
    among: Among | None = None,
    cutoff: int | None = None,
) -> tuple[Explanation, ...]:
    """Explain what a retailer would tell this customer now; one explanation a message, or one for silence.

    To explain a day that has passed, give the retailer as it stood before that day: from a copy, or with
    ``Retailer.restore`` and the record of then.
    """
    alone = retailer.subset([row])
    (kept_from,) = contact_rules.why_not(
        alone.record,
        alone.consent.bits,
        alone._everybody,
        day,
        hour,
        alone.rules,
        channels=alone.policy.channels,
        honours_consent=alone.honours_consent,
    )
    slots = policies.slots(alone.policy, day)
    if kept_from is None and not slots:
        kept_from = Reason.NOT_TODAY
    if kept_from is not None:
        _note(retailer, row, day, np.zeros((1, len(Scope)), np.uint8))
        return (_silence(day, kept_from, (), ()),)
    _, view = alone._view(day, alone._everybody, hour, slots)
    _note(retailer, row, day, view.present)
    opened = tuple(scope.name for scope in Scope if view.present[0, scope])
    decisions = alone.decide(day, hour=hour, in_stock=in_stock, among=among, cutoff=cutoff, send=False)
    today = alone.today(day, in_stock, among)
    ruled = policies.asked(alone.policy, "candidates", view, today, Draws(alone.key, day))
    saving = today.saving
    if among is not None:
        every = alone.today(day, in_stock)
        shut = (today.offer < 0) & (every.offer >= 0)
        ruled = np.where(shut, Reason.NOT_A_CANDIDATE, ruled)
        saving = np.where(shut, every.saving, saving)
    names = alone.catalog.names
    said = {int(c): Reason(r) for c, r in zip(decisions.category, decisions.reason, strict=True)}
    candidates = tuple(
        Considered(
            category=c,
            name=names[c],
            saving=round(float(saving[c]), 3),
            reason=said.get(c, Reason(int(ruled[c]))),
            said=c in said,
            words=said_words(said[c]) if c in said else _RULED_OUT[Reason(int(ruled[c]))],
        )
        for c in sorted(
            range(len(names)), key=lambda c: (c not in said, int(ruled[c]) != Reason.OUTRANKED, c)
        )
    )
    if not len(decisions.number):
        rationed = alone.ruled_out[contact_rules.RATIONED] > 0
        return (_silence(day, Reason.RATIONED if rationed else Reason.NOTHING_FITS, opened, candidates),)
    return tuple(
        Explanation(
            day=day,
            reason=Reason(int(decisions.reason[k])),
            to_her=to_her(decisions, k, names),
            to_manager=to_manager(decisions, k, names),
            used=tuple(scope.name for scope in Scope if int(decisions.scopes[k]) >> scope & 1),
            opened=opened,
            predicted={v.name.lower(): round(float(decisions.predicted[k, v]), 4) for v in Verdict},
            propensity=float(decisions.propensity[k]),
            candidates=candidates,
        )
        for k in range(len(decisions.number))
    )


def _note(retailer: Retailer, row: int, day: int, present: U8) -> None:
    """Write the question into the ledger, with the scopes opened to answer it."""
    rows = np.array([row], np.int32)
    covert = present & ~allowed(retailer.consent.bits[rows], Purpose.PERSONALIZE)
    context = f"why of {retailer.policy.name} {retailer.policy.version}"
    retailer.ledger.explained(day, rows, present, covert, context)


def to_her(decisions: Decisions, k: int, names: tuple[str, ...]) -> str:
    """Decision ``k`` in the consumer's words.

    It never says more than the decision used: no data, no claim.
    """
    reason = int(decisions.reason[k])
    if reason == Reason.OPTION:
        words = "Here is a service that needs no data from you and keeps none."
    else:
        name = names[int(decisions.category[k])].lower() if decisions.category[k] >= 0 else "several things"
        words = _SAID[reason].format(
            name=name, every=_days(decisions.interval[k]), since=_days(decisions.elapsed[k])
        )
        if decisions.saving[k] > 0:
            words += f" You save about {round(100 * float(decisions.saving[k]))}%."
    if decisions.asks[k] != 255:
        told = _SCOPES[int(decisions.asks[k])]
        what = "what you want and when" if told == "stated" else f"your {told}"
        words += f" If you tell us {what}, that comes first, and you get something for it."
        words += " You can take it back."
    return words


def to_manager(
    decisions: Decisions, k: int, names: tuple[str, ...], labels: NDArray[np.integer[Any]] | None = None
) -> str:
    """Decision ``k`` in the manager's words; ``labels`` are those of all decisions, when they are known already."""
    name = names[int(decisions.category[k])] if decisions.category[k] >= 0 else "no category"
    found = label(decisions.predicted[k : k + 1])[0] if labels is None else labels[k]
    chance = round(100 * float(decisions.predicted[k, Verdict.COMPELLING]), 1)
    used = named(int(decisions.scopes[k]))
    saving = round(100 * float(decisions.saving[k]))
    return (
        f"{_REASONS[int(decisions.reason[k])]}: {name} by {_CHANNELS[int(decisions.channel[k])]}, saving {saving}%,"
        f" predicted {_VERDICTS[int(found)]} ({chance}% compelling),"
        f" chosen with probability {float(decisions.propensity[k]):.3g},"
        f" using {', '.join(used) or 'no data'}."
    )


def silent_words(reason: Reason) -> tuple[str, str]:
    """Why nothing was said, in her words and in the manager's."""
    return _SILENT[reason]


@cache
def named(scopes: int) -> tuple[str, ...]:
    """Bits of Scope in words."""
    return tuple(scope.name.lower() for scope in Scope if scopes >> scope & 1)


def said_words(reason: Reason) -> str:
    """Why something was said, short."""
    return _SAID_SHORT.get(reason, _SAID[reason]).split(".")[0].format(name="it")


def _silence(
    day: int, reason: Reason, opened: tuple[str, ...], candidates: tuple[Considered, ...]
) -> Explanation:
    return Explanation(day, reason, _SILENT[reason][0], _SILENT[reason][1], (), opened, {}, 1.0, candidates)


_NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve").split()


def _days(days: float) -> str:
    """A number of days in words: nine days, 3 weeks."""
    count = round(float(days))
    if count < 0:
        return "some time"
    if count == 1:
        return "one day"
    if count > 21:
        return f"{round(count / 7)} weeks"
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else count} days"


#: Where no days are at hand.
_SAID_SHORT = {Reason.DUE: "You buy it regularly, and it is time."}
_SAID: dict[int, str] = {
    Reason.WISHED: "You said that you want {name}.",
    Reason.DUE: "You buy {name} about every {every}, and it has been {since}.",
    Reason.FAVOURITE: "You often buy {name}.",
    Reason.POPULAR: "Many customers buy {name}.",
    Reason.MARGIN: "This offer of {name} goes to everybody.",
    Reason.PEOPLE_LIKE_HER: "People of your age buy {name} more than others.",
    Reason.ELSEWHERE: "You seem to buy {name} elsewhere.",
    Reason.INFERRED: "We think that {name} suits you.",
    Reason.CAMPAIGN: "You are on the list of this campaign.",
    Reason.OPTION: "A service that needs no data.",
    Reason.OWN: "We chose {name} for you.",
}

_REASONS, _CHANNELS, _VERDICTS, _SCOPES = map(small_names, (Reason, Channel, Verdict, Scope))

_RULED_OUT = {
    Reason.NO_OFFER: "no offer stands today",
    Reason.UNLIKED: "she asked not to hear of it",
    Reason.NOT_BOUGHT: "she never bought it here",
    Reason.REPEATED: "she heard of it days ago",
    Reason.NOT_COMPELLING: "it would not be welcome enough",
    Reason.OUTRANKED: "others come first",
    Reason.NOT_SHORTLISTED: "others fit far better",
    Reason.NOT_A_CANDIDATE: "it is not among the candidates that were asked about",
}

_SILENT = {
    Reason.NO_PERMISSION: ("You did not allow us to contact you.", "no consent to contact"),
    Reason.NOT_REACHABLE: (
        "You chose not to hear from us this way.",
        "no opt-in on the channels that were asked for",
    ),
    Reason.QUIET: ("It is late where you are.", "quiet hours"),
    Reason.GAP: ("You heard from us just now.", "within the minimum gap"),
    Reason.CAP_DAY: ("You have heard enough for today.", "cap of the day reached"),
    Reason.CAP_WEEK: ("You have heard enough this week.", "cap of the week reached"),
    Reason.CAP_MONTH: ("You have heard enough this month.", "cap of the month reached"),
    Reason.NOT_TODAY: ("Nothing is sent today.", "the policy's schedule has no slot today"),
    Reason.RATIONED: ("Not everybody could be written to today.", "the day's budget went to others"),
    Reason.NOTHING_FITS: ("Nothing fits you well enough today.", "no candidate passed"),
}
