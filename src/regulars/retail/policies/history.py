"""What was really sent: the campaigns of the past, to those who got them, on the day they began."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numba import njit

from regulars.errors import BadInput, SettingError
from regulars.retail.catalog import Catalog, Today
from regulars.retail.consent import View
from regulars.retail.contact_rules import UNLIMITED, ContactRules
from regulars.retail.decision import (
    Copy,
    Decisions,
    Draws,
    Reason,
    blank,
    first,
    put_grounds,
    put_offer,
)
from regulars.retail.policies import Policy
from regulars.retail.record import U32
from regulars.terms import F32, I32, Basis, Channel


def _nothing() -> I32:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class HistorySettings:
    """What was sent, one row each; make it with :func:`sent`.

    Attributes
    ----------
    day : (n,) rising
    customer : (n,) the names of the luck, as in ``Record.customer``
    offer, category, last_day : (n,) of the campaign's bundle
    saving : (n,)
    """

    day: I32 = field(default_factory=_nothing)
    customer: U32 = field(default_factory=lambda: np.zeros(0, np.uint32))
    offer: I32 = field(default_factory=_nothing)
    category: I32 = field(default_factory=_nothing)
    last_day: I32 = field(default_factory=_nothing)
    saving: F32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if len({len(column) for column in vars(self).values()}) != 1:
            raise SettingError("the columns of what was sent differ in length. Make them with history.sent")
        if len(self.day) and (np.diff(self.day) < 0).any():
            raise SettingError("the days of what was sent do not rise. Make them with history.sent")


def sent(contacts: pl.DataFrame, campaigns: pl.DataFrame, catalog: Catalog) -> dict[str, object]:
    """Settings of the policy from the frames of a panel: ``make("history", **sent(...))``.

    Parameters
    ----------
    contacts : campaign, household (the index that names her luck)
    campaigns : campaign, first_day, last_day
    catalog : that knows each campaign's bundle

    Notes
    -----
    A campaign that was running when the catalog begins is sent on its first day. One that has no coupons, or
    had ended by then, is not sent.
    """
    joined = contacts.join(campaigns.select("campaign", "first_day", "last_day"), on="campaign", how="left")
    if joined["first_day"].null_count():
        raise BadInput("contacts", None, "campaign", "unknown campaign", "Each needs a row in campaigns")
    campaign = joined["campaign"].to_numpy().astype(np.int64)
    known = campaign < len(catalog.campaign_offer)
    offer = np.where(known, catalog.campaign_offer[np.where(known, campaign, 0)], -1)
    day = np.maximum(joined["first_day"].to_numpy(), catalog.first_day)
    keep = (offer >= 0) & (joined["last_day"].to_numpy() >= day)
    customer = joined["household"].to_numpy()[keep].astype(np.uint32)
    offer, day = offer[keep].astype(np.int32), day[keep].astype(np.int32)
    order = np.lexsort((offer, customer, day))
    offers = catalog.offers
    return {
        "day": day[order],
        "customer": customer[order],
        "offer": offer[order],
        "category": offers.category[offer[order]],
        "last_day": offers.last_day[offer[order]],
        "saving": offers.saving[offer[order]],
    }


class History(Policy):
    """Replays; reads nothing."""

    name = "history"
    Settings = HistorySettings
    copy = Copy(revealed=0.1, justification=0.2, obtrusiveness=0.2, control=0.2)
    channels = 1 << Channel.MAIL

    def pace(self) -> ContactRules:
        """As it was: several letters may come on one day."""
        return UNLIMITED

    def slots(self, day: int) -> int:
        """As many as somebody got on this day."""
        a, b = np.searchsorted(self.settings.day, [day, day + 1])
        return 255 if b > a else 0

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """To each what she got."""
        s = self.settings
        a, b = np.searchsorted(s.day, [view.day, view.day + 1])
        order = np.argsort(view.customer, kind="stable")
        out = blank(int(b - a))
        columns = (s.customer[a:b], s.offer[a:b], s.category[a:b], s.last_day[a:b], s.saving[a:b])
        return first(out, _decide(out, view, today, order, *columns, self.copy))


_CAMPAIGN = int(Reason.CAMPAIGN)
_BASIS = int(Basis.NOTHING)
_MAIL = int(Channel.MAIL)


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, order, customer, offer, category, last_day, saving, copy):
    names = view.customer[order]
    m, ahead = 0, 0
    for j in range(len(customer)):
        place = np.searchsorted(names, customer[j])
        if place >= len(names) or names[place] != customer[j]:
            continue
        k = order[place]
        ahead = ahead + 1 if m > 0 and out.customer[m - 1] == k else 0
        if ahead >= view.room[k]:
            continue
        why = (np.int64(_BASIS), np.int64(_CAMPAIGN), np.int64(0))
        put_offer(out, m, k, today, copy, np.int64(_MAIL), np.int64(max(category[j], 0)), why)
        out.offer[m] = offer[j]
        out.category[m] = category[j]
        out.saving[m] = saving[j]
        out.last_day[m] = last_day[j]
        grounds = (np.float64(0.1), np.float64(0.0), np.float64(0.0), np.float64(0.0))
        put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
        m += 1
    return m
