"""What discounts, displays, mailers and coupons do, and to whom: each household against what is usual."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from regulars import draws
from regulars.consumers import priors
from regulars.consumers.choice import BOOKLET_DELAY, BOOKLET_HALF_LIFE, Explore
from regulars.shelf import Shelf
from regulars.sources.panel import Panel
from regulars.terms import F64, I64

#: Choice coefficients of ``Demand.response``, found by simulating and matching on The Complete Journey of
#: 2017: depth, display, mailer x depth, display x depth, display x mailer, mailer, all three, incidence
#: power.
RESPONSE = (2.9, 0.35, 0.74, 0.35, 0.25, 0.04, -1.0, 0.5)
DEAL_WEIGHT = 8.0
PRIVATE_WEIGHT = 4.0
TIER_WEIGHT = 3.0
#: Coupons in one booklet, and the most prone that anybody is taken to be.
BOOKLET = 16
MOST_PRONE = 0.95
#: How much more of her purchases tailored coupons cover than as many drawn at random. Set by hand: redemptions by
#: type of all campaigns of The Complete Journey of 2017, sent again.
TAILORED = 1.6
#: How much more of what a booklet covers is bought by those who have it in hand than real lines show. Set by hand in
#: the same way.
RAISED = 1.2
#: A line counts as bought on a deal from this depth.
DEAL_DEPTH = 0.05
# What being on a deal multiplies the weight of a product by, in logs, for an average response.
_DEAL_STRENGTH = 0.75


def fit_tilts(lines: pl.DataFrame, shelf: Shelf, explore: Explore, households: int) -> tuple[F64, F64, F64]:
    """Response to deals, log tilt to private label, log tilt per log of relative price: (N,) each.

    Each compares a household's lines with what is usual in the same categories, shrunk to no difference.
    """
    household = lines["household"].to_numpy().astype(np.int64)
    product = lines["product"].to_numpy().astype(np.int64)
    category = lines["category"].to_numpy().astype(np.int64)
    week = lines["week"].to_numpy().astype(np.int64)
    count = np.bincount(household, minlength=households).astype(np.float64)
    on_deal = (shelf.depth[week, product] >= DEAL_DEPTH).astype(np.float64)
    deal = 1.0 + _log_odds_shift(on_deal, household, category, count, DEAL_WEIGHT) / _DEAL_STRENGTH
    private = _log_odds_shift(
        shelf.private[product].astype(np.float64), household, category, count, PRIVATE_WEIGHT
    )
    relative = explore.relative[product].astype(np.float64)
    usual = _usual(relative, category)
    away = np.bincount(household, relative - usual[category], households)
    spread = max(float(np.var(relative - usual[category])), 0.02)
    tier = away / (count + TIER_WEIGHT) / spread
    return np.clip(deal, 0.0, 2.5), np.clip(private, -3.0, 3.0), np.clip(tier, -2.0, 2.0)


def booklet_reach(panel: Panel) -> F64:
    """(campaigns,) share of a campaign's coupons that one household was sent; 1 where it was sent them all.

    A campaign of type A is a pool of which each household gets the sixteen coupons that suit its purchases (84.51,
    The Complete Journey user guide), so that they cover more of these than sixteen at random would.
    """
    count = int(panel.campaigns["campaign"].cast(pl.Int64).to_numpy().max(initial=-1)) + 1
    coupons = np.bincount(panel.coupons["campaign"].to_numpy().astype(np.int64), minlength=count)
    reach: F64 = np.ones(count)
    for campaign in panel.campaigns.filter(pl.col("type") == "A")["campaign"]:
        reach[campaign] = min(1.0, TAILORED * BOOKLET / max(coupons[campaign], 1))
    return reach


def fit_proneness(panel: Panel) -> F64:
    """(N,) chance that a fresh coupon in hand is used on a line of a product that it is good for.

    Gamma-Poisson over the chances of each household: lines, within the campaigns it was sent, of products
    that their coupons cover, each counting for as much as the booklet holds of the campaign, is still thought
    of and was opened. Without campaigns it is the rate of lines with any coupon, or a low constant.
    """
    households = panel.households.height
    chances: F64 = np.zeros(households)
    used: F64 = np.zeros(households)
    if panel.contacts.height and panel.coupon_products.height:
        covered = panel.coupon_products.join(panel.coupons.select("coupon", "campaign"), on="coupon")
        lines = (
            panel.contacts.join(panel.campaigns.select("campaign", "first_day", "last_day"), on="campaign")
            .join(panel.lines.select("household", "day", "product"), on="household")
            .filter(pl.col("day").is_between(pl.col("first_day"), pl.col("last_day")))
            .join(covered.select("campaign", "product").unique(), on=["campaign", "product"], how="semi")
        )
        world = priors.medians()
        opened = float(draws.sigmoid_column(np.array([world.open_base + world.open_mail]))[0])
        age = lines["day"].to_numpy() - np.maximum(lines["first_day"].to_numpy(), 0)
        thought_of = (1.0 - np.exp(-age / BOOKLET_DELAY)) * 0.5 ** (age / BOOKLET_HALF_LIFE)
        weight = opened * booklet_reach(panel)[lines["campaign"].to_numpy()] * thought_of * RAISED
        chances = np.bincount(lines["household"].to_numpy(), weight, households).astype(np.float64)
        used = _count(panel.redemptions["household"], households)
    elif panel.lines.height and panel.lines["coupon_disc_cents"].sum():
        trips = panel.lines.group_by("household", "day").agg(pl.col("coupon_disc_cents").sum() > 0)
        chances = _count(trips["household"], households)
        used = _count(trips.filter(pl.col("coupon_disc_cents"))["household"], households)
    shape, per = _gamma(used, chances)
    return np.minimum((shape + used) / (per + chances), MOST_PRONE)


def _count(household: pl.Series, households: int) -> F64:
    return np.bincount(household.to_numpy(), minlength=households).astype(np.float64)


def _gamma(used: F64, chances: F64) -> tuple[float, float]:
    """Gamma prior of the rate by maximum likelihood; centred on .05 and wide when nothing was used."""
    have = chances > 0
    if not have.any() or used.sum() == 0:
        return 0.1, 2.0
    k, e = used[have], chances[have]
    mean = float(k.sum() / e.sum())
    shapes = np.exp(np.linspace(np.log(0.02), np.log(20.0), 60))
    likelihood = []
    for shape in shapes:
        per = shape / mean
        terms = [math.lgamma(shape + n) - math.lgamma(shape) for n in k]
        likelihood.append(sum(terms) + float((shape * np.log(per) - (shape + k) * np.log(per + e)).sum()))
    shape = float(shapes[int(np.argmax(likelihood))])
    return shape, shape / mean


def _usual(value: F64, category: I64) -> F64:
    size = int(category.max(initial=0)) + 1
    return np.asarray(
        (np.bincount(category, value, size) + value.mean()) / (np.bincount(category, minlength=size) + 1.0)
    )


def _log_odds_shift(
    marked: F64,
    household: I64,
    category: I64,
    count: F64,
    weight: float,
) -> F64:
    """(N,) log-odds of marked lines, over those of the same categories bought by everybody."""
    usual = _usual(marked, category)
    expected = (np.bincount(household, usual[category], len(count)) + 0.5 * 1e-6) / (count + 1e-6)
    expected = np.clip(expected, 1e-3, 1 - 1e-3)
    share = (np.bincount(household, marked, len(count)) + weight * expected) / (count + weight)
    share = np.clip(share, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(share / (1 - share)) - np.log(expected / (1 - expected)))
