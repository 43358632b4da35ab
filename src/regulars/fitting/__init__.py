"""A population from real purchases: every household's habits by empirical Bayes, matched by simulation."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from importlib import metadata

import numpy as np
import polars as pl

from regulars.consumers.choice import LOG_AGE, explore_tables
from regulars.consumers.population import BASKET_SIZES, CYCLE_EDGES, Demand, Habits, Population
from regulars.errors import SettingError, ShapeError
from regulars.fitting.baskets import fit_baskets, size_rates
from regulars.fitting.calibration import calibrate
from regulars.fitting.categories import fit_categories, rows_of_history
from regulars.fitting.history import History, history_of
from regulars.fitting.loyalty import fit_products, fit_stay, fit_stores
from regulars.fitting.people import FIELDS, fit_private_life
from regulars.fitting.promotion import RESPONSE, fit_proneness, fit_tilts
from regulars.fitting.trips import fit_trips
from regulars.shelf import Shelf
from regulars.sources.panel import Panel

__all__ = ["Progress", "fit"]

#: Called with what is being done and how much of the whole is done, 0 to 1.
Progress = Callable[[str, float], None]

CALIBRATE_ROUNDS = 6

#: Where each part of Habits and Demand comes from: ``fitted`` to a household's own purchases or to all of
#: them; ``calibrated`` further by simulating and matching; ``given`` by an earlier study of the default
#: panel; ``told`` by the source. What a panel's columns cannot tell is ``untold`` in its ``about``.
ORIGIN = {
    "fitted": [
        *("trip_dow", "trip_class", "gap_power", "need_age", "row_category", "row_interval", "row_units"),
        *("product", "loyalty", "store", "store_cdf", "store_stay", "coupon"),
        *("week_trips", "week_category", "entry", "entry_lines", "entry_units", "more_units"),
    ],
    "calibrated": [
        *("trip_rate", "row_rate", "row_explore", "row_lines", "novelty", "deal", "private", "tier"),
        *(
            "gap_hazard",
            "age_hazard",
            "pace_hazard",
            "drift_sigma",
            "size_cdf",
            "size_dow",
            "size_cycle",
            "size_gap",
        ),
        *("size_tier", "size_lines", "size_units", "size_scale", "size_factor"),
    ],
    "given": ["response"],
    "told": ["age", "income", "kids", "household_size"],
}


def fit(
    panel: Panel, shelf: Shelf, *, progress: Progress | None = None, calibrate_rounds: int = CALIBRATE_ROUNDS
) -> Population:
    """Every household of a panel as an individual consumer.

    Parameters
    ----------
    panel : purchases of N households, two or more, over any number of days
    shelf : what stood on the shelf in the weeks of the panel
    progress : told what is being done and how far it is
    calibrate_rounds : how often the span is lived and compared with the real one; 0 leaves the first estimates

    Returns
    -------
    Population
        ``about`` says where each column comes from and keeps the panel's own figures for
        :func:`regulars.fitting.fidelity.quick_check`.

    Raises
    ------
    ShapeError
        when the panel has no purchases, or the shelf is of another panel.
    SettingError
        when ``calibrate_rounds`` is negative.
    """
    if calibrate_rounds < 0:
        raise SettingError(f"calibrate_rounds is {calibrate_rounds}. Give 0 or more")
    _check(panel, shelf)
    say = progress or (lambda text, done: None)
    population, history = assemble(panel, shelf, say)
    return calibrate(population, shelf, lines_of(panel), history, rounds=calibrate_rounds, say=say)


def lines_of(panel: Panel) -> pl.DataFrame:
    """Purchase lines with what the estimators need."""
    return panel.lines.join(panel.products.select("product", "category"), on="product").select(
        "household", "day", "week", "store", "product", "category", "units", cents="net_cents"
    )


def _check(panel: Panel, shelf: Shelf) -> None:
    if panel.lines.height == 0 or panel.households.height < 2:
        raise ShapeError(
            f"the panel has {panel.lines.height} lines of {panel.households.height} households. "
            "A population needs purchases of at least 2 households"
        )
    weeks, products = shelf.price.shape
    if products != panel.products.height or weeks < panel.weeks:
        raise ShapeError(
            f"the shelf has {products} products in {weeks} weeks but the panel has "
            f"{panel.products.height} in {panel.weeks}. Give the shelf of the same panel"
        )


def assemble(panel: Panel, shelf: Shelf, say: Progress) -> tuple[Population, History]:
    """First estimates of everything, before calibration, and the history that they were read from."""
    households, categories, weeks = panel.households.height, panel.categories.height, shelf.price.shape[0]
    lines = lines_of(panel)
    history = history_of(lines, households, panel.days, panel.start.weekday())
    say("trips", 0.02)
    trips = fit_trips(history, weeks)
    say("baskets", 0.06)
    shares, intended = fit_baskets(history)
    say("categories", 0.1)
    explore = explore_tables(shelf, RESPONSE)
    promoted = (explore.value / explore.usual).astype(np.float64) ** RESPONSE[7]
    rows = rows_of_history(history, categories)
    needs = fit_categories(history, rows, intended, promoted)
    say("products", 0.22)
    products = fit_products(lines, history, rows, explore)
    deal, private, tier = fit_tilts(lines, shelf, explore, households)
    store, store_cdf = fit_stores(history)
    stay = fit_stay(history, store, store_cdf)
    life, words = fit_private_life(panel.households)
    f32 = np.float32
    habits = Habits(
        consumer=np.arange(households, dtype=np.uint32),
        trip_rate=trips.rate.astype(f32),
        trip_dow=trips.dow.astype(f32),
        trip_class=trips.rate_class,
        gap_power=trips.gap_power.astype(f32),
        drift_sigma=trips.drift_sigma.astype(f32),
        size_cdf=_cumulative(shares),
        size_dow=np.zeros((households, 7), f32),
        need_age=np.exp(needs.power[:, None] * LOG_AGE).astype(f32),
        row_ptr=rows.ptr,
        row_category=rows.category.astype(np.uint16),
        row_rate=needs.rate.astype(f32),
        row_interval=needs.interval.astype(f32),
        row_explore=products.explore.astype(f32),
        row_units=products.units.astype(f32),
        row_lines=products.lines.astype(f32),
        product_ptr=products.ptr,
        product=products.product,
        loyalty=products.loyalty.astype(f32),
        deal=deal.astype(f32),
        private=private.astype(f32),
        tier=tier.astype(f32),
        store=store,
        store_cdf=store_cdf.astype(f32),
        store_stay=stay.astype(f32),
        novelty=needs.novelty.astype(f32),
        coupon=fit_proneness(panel).astype(f32),
        **life,
    )
    demand = Demand(
        gap_hazard=trips.gap_hazard.astype(f32),
        week_trips=trips.week.astype(f32),
        week_category=needs.season.astype(f32),
        age_hazard=needs.age_hazard.astype(f32),
        pace_hazard=needs.pace_hazard.astype(f32),
        size_factor=needs.size_factor.astype(f32),
        size_scale=size_rates().astype(f32),
        size_cycle=np.zeros(len(CYCLE_EDGES) + 1, f32),
        size_gap=np.zeros(len(CYCLE_EDGES) + 1, f32),
        size_tier=np.zeros(len(BASKET_SIZES), f32),
        size_lines=np.ones(len(BASKET_SIZES), f32),
        size_units=np.ones(len(BASKET_SIZES), f32),
        entry=_cumulative(needs.entry),
        entry_lines=products.category_lines.astype(f32),
        entry_units=products.category_units.astype(f32),
        more_units=products.more_units.astype(f32),
        response=np.array(RESPONSE, f32),
    )
    about = {
        "source": panel.source,
        "currency": panel.currency,
        "start": panel.start.isoformat(),
        "days": panel.days,
        "first_dow": panel.start.weekday(),
        "closed_days": np.flatnonzero(~history.is_open).tolist(),
        "households": households,
        "fitted_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "regulars": metadata.version("regulars"),
        **_origin(panel, shelf),
        "words": words,
    }
    return Population(habits, demand, panel.households["household_id"].to_numpy(), about), history


def _origin(panel: Panel, shelf: Shelf) -> dict[str, list[str]]:
    """:data:`ORIGIN` without the parts that these columns cannot tell, which stand at one value for everybody."""
    lines, products = panel.lines, panel.products
    several, varied = panel.categories.height > 1, products.height > panel.categories.height
    told = {
        "row_category row_rate row_interval need_age age_hazard pace_hazard week_category novelty entry": several,
        "size_cdf size_dow size_cycle size_gap size_scale size_factor": several,
        "product loyalty row_explore row_lines entry_lines size_lines size_tier tier": varied,
        "row_units entry_units more_units size_units": lines["units"].max() != 1,
        "deal": bool((shelf.depth > 0).any()),
        "private": products["brand_private"].n_unique() > 1,
        "store store_cdf store_stay": panel.stores.height > 1,
        "coupon": bool(panel.redemptions.height or lines["coupon_disc_cents"].sum()),
        **{
            name: panel.households[column].null_count() < panel.households.height
            for name, column in FIELDS.items()
        },
    }
    untold = [name for names, known in told.items() if not known for name in names.split()]
    kept = {origin: [name for name in names if name not in untold] for origin, names in ORIGIN.items()}
    return kept | {"untold": untold}


def _cumulative(
    shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Cumulative probabilities along the last axis, the last of them 1 exactly."""
    cdf = np.cumsum(shares, -1)
    cdf /= cdf[..., -1:]
    cdf[..., -1] = 1.0
    return cdf.astype(np.float32)
