"""What a run says of itself in plain words: what is fitted, how that was checked, what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regulars import draws
from regulars.consumers import priors
from regulars.retail.catalog import Catalog
from regulars.settings import Scenario
from regulars.shelf import Shelf

#: Columns of a population, in the words of a report; a line is shown when its columns were fitted or calibrated.
_FITTED = (
    (
        "trip_rate trip_dow gap_hazard drift_sigma week_trips",
        "how often each household shops: weekdays, season, gaps, drift",
    ),
    (
        "size_cdf size_dow size_cycle size_gap size_scale size_lines row_lines",
        "how large her baskets are, and when",
    ),
    (
        "row_category row_rate row_interval need_age age_hazard pace_hazard week_category",
        "which categories she needs, how often, when again",
    ),
    ("product loyalty row_explore", "which products she is loyal to, and how much she tries others"),
    ("row_units more_units size_units", "how many units, or lines of one product, she takes at once"),
    ("deal", "how she answers to discounts"),
    ("private", "how she answers to own brands"),
    ("tier", "which price levels she prefers"),
    ("novelty entry", "how readily she enters new categories"),
    ("store store_cdf store_stay", "which stores she goes to"),
    ("coupon", "how often she uses a coupon that she has"),
)
#: Figures of the check, in words, with the way they are written and the column without which they say nothing.
_CHECKED = (
    ("trips_per_day", "shopping trips a day", "{:,.0f}", ""),
    ("spend", "spent over the span of the data", "{:,.0f}", ""),
    ("lines", "purchase lines", "{:,.0f}", ""),
    ("days_per_week_median", "shopping days a week, median household", "{:.2f}", ""),
    ("zero_weeks", "household-weeks without a trip", "{:.1%}", ""),
    ("top_share", "spent by the top fifth of households", "{:.1%}", ""),
    ("categories_80", "categories that make 80% of spend, median", "{:.0f}", "row_category"),
    ("product_repeats", "products bought again in the second half-year", "{:.1%}", "product"),
    ("category_repeats", "categories bought again in the second half-year", "{:.1%}", "row_category"),
    ("first_store", "trips to the first store, median", "{:.1%}", "store"),
    ("basket_value_median", "median basket", "{:.2f}", ""),
)


def no_offers(catalog: Catalog, shelf: Shelf) -> str:
    """Why nothing could be offered on any day, with the mend, as a sentence; empty when something could be."""
    if (catalog.standing.offer >= 0).any() or (catalog.campaign_offer >= 0).any():
        return ""
    if not (shelf.depth > 0).any():
        return (
            "The data have no discount, so there was nothing to offer; give a discount column, or the shelf price "
            "before discount, and the sku and category of each line"
        )
    chosen = catalog.settings
    return (
        f"The data have no week in which {chosen.deal_products} products of a category were {chosen.deal_depth:.0%} off, "
        "so there was nothing to offer; give the sku and category of each line"
    )


def fitted(about: Mapping[str, Any]) -> list[str]:
    """What of a population was fitted or calibrated on real purchases."""
    columns = {*about.get("fitted", ()), *about.get("calibrated", ())}
    return [words for names, words in _FITTED if columns & set(names.split())]


def untold(about: Mapping[str, Any]) -> list[str]:
    """What of a population its columns could not tell, so that it is the same for everybody, or as it was elsewhere."""
    columns = set(about.get("untold", ()))
    words = [words for names, words in _FITTED if set(names.split()) <= columns]
    elsewhere = ["how far prices, displays and mailers move a choice, which is as in The Complete Journey"]
    return words + elsewhere if words else []


def checked(about: Mapping[str, Any]) -> list[str]:
    """Figures of the real panel beside those of one simulated year without contacts, on a seed not used in fitting."""
    real, simulated, untold = about.get("real", {}), about.get("simulated", {}), about.get("untold", ())
    return [
        f"{words}: real {form.format(real[name])}, simulated {form.format(simulated[name])}"
        for name, words, form, column in _CHECKED
        if name in real and name in simulated and column not in untold
    ]


def drawn(scenario: Scenario) -> dict[str, list[float]]:
    """What each world of a scenario drew from each prior that is not pinned, world by world."""
    worlds = [
        priors.draw_world(draws.stream(scenario.seed, world), scenario.priors)._asdict()
        for world in range(scenario.worlds)
    ]
    return {
        prior.name: [float(f"{world[prior.name]:.6g}") for world in worlds]
        for prior in priors.PRIORS
        if prior.kind != "fixed" and prior.name not in scenario.priors
    }


def assumed() -> list[tuple[str, str, str, float, float]]:
    """Every prior: name, meaning, source, and its 5% and 95% points to three digits."""
    return [
        (name, meaning, source, float(f"{low:.3g}"), float(f"{high:.3g}"))
        for name, meaning, source, low, high in priors.assumed()
    ]
