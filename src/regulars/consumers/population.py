"""Who lives in the town: the fitted habits of every consumer, as columns and compressed rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regulars.terms import F32, I32, I64, U8

#: Basket sizes (number of categories) that a trip may have, log-spaced.
BASKET_SIZES = np.array(
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 33, 39, 46, 55, 65, 80, 100], np.float32
)
#: Upper edges, in days, of the bins of time since the last trip (the last bin is open).
GAP_EDGES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 45], np.int32)
#: Upper edges of the bins of (days since last bought / own mean interval) (the last bin is open).
AGE_EDGES = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.4, 3.2, 5.0], np.float32)
#: Upper edges, in days, of the classes of own mean interval: what is bought often is bought more regularly.
PACE_EDGES = np.array([8, 14, 24, 45], np.float32)
#: Upper edges of the bins of (days since the last large basket / own mean interval of large ones), and of (days
#: since the last trip / own mean gap).
CYCLE_EDGES = np.array([0.08, 0.16, 0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.5], np.float32)
#: A basket is large when it is meant to be of the largest of so many of her baskets.
LARGE = 0.3
#: Stores kept per consumer.
STORES = 12
#: Code of a private-life field that the source does not tell.
UNKNOWN = 255


class Habits(NamedTuple):
    """Fitted columns of N consumers, K repertoire rows (consumer x category), M loyalties (row x product)."""

    consumer: NDArray[np.uint32]  #: (N,) the name under which her luck is drawn; never changes with slicing
    trip_rate: F32  #: (N,) shopping days per day at the fitted chain
    trip_dow: F32  #: (N, 7) day-of-week factors, Monday first, mean 1
    trip_class: U8  #: (N,) rate class, 0 to 7
    gap_power: F32  #: (N,) regularity: power on the days since the last trip over her own mean gap
    drift_sigma: F32  #: (N,) stationary s.d. of the log of the weekly drift
    size_cdf: F32  #: (N, 22) cumulative probabilities of BASKET_SIZES
    size_dow: F32  #: (N, 7) shift of the log-odds of how large a basket is among hers, by weekday
    need_age: F32  #: (N, 13) her own regularity: factor on all her needs by bin of age / own interval
    row_ptr: I64  #: (N + 1,)
    row_category: NDArray[np.uint16]  #: (K,)
    row_rate: F32  #: (K,) theta, the category's need rate per unit of exposure
    row_interval: F32  #: (K,) own mean days between purchases
    row_explore: F32  #: (K,) weight of products never bought, against the loyalties of the row
    row_units: F32  #: (K,) mean units per line
    row_lines: F32  #: (K,) mean number of different products when the category is bought
    product_ptr: I64  #: (K + 1,)
    product: I32  #: (M,)
    loyalty: F32  #: (M,)
    deal: F32  #: (N,) factor on the response to discounts
    private: F32  #: (N,) log tilt towards private label
    tier: F32  #: (N,) log tilt per log of (price / category median)
    store: NDArray[np.uint16]  #: (N, STORES)
    store_cdf: F32  #: (N, STORES) cumulative shares
    store_stay: F32  #: (N,) chance that a trip goes to the store of the last one, whatever the shares
    novelty: F32  #: (N,) categories outside her rows that she enters, per unit of basket size
    coupon: F32  #: (N,) coupon proneness, the chance to bring a coupon in hand to a fitting trip
    age: U8  #: (N,) code of the age class, UNKNOWN when not told: her private life
    income: U8  #: (N,)
    kids: U8  #: (N,)
    household_size: U8  #: (N,)


class Demand(NamedTuple):
    """Fitted tables that all consumers share: C categories, P products, 53 weeks."""

    gap_hazard: F32  #: (8, 15) factor on the trip hazard by rate class and gap bin
    week_trips: F32  #: (53,) season of trips
    week_category: F32  #: (53, C) season of categories
    age_hazard: F32  #: (C, 13) factor on the need by bin of age / own interval
    pace_hazard: F32  #: (5, 13) factor on the need by class of own mean interval and bin of age
    size_factor: F32  #: (22, C) factor on the need by basket size
    size_scale: F32  #: (22,) basket size as the hazards need it, so that baskets come out as long as intended
    size_cycle: F32  #: (11,) the same for everybody, by bin of CYCLE_EDGES
    size_gap: F32  #: (11,) the same by days since the last trip over her own mean gap
    size_tier: F32  #: (22,) log tilt per log of relative price by basket size
    size_lines: F32  #: (22,) factor on the lines beyond the first of a category by basket size
    size_units: F32  #: (22,) factor on the units beyond the first of a line by basket size
    entry: F32  #: (C,) cumulative probabilities of the category that she enters for the first time
    entry_lines: F32  #: (C,) mean lines of a category that is new to her
    entry_units: F32  #: (C,) mean units per line of a category that is new to her
    more_units: F32  #: (P,) factor on the units beyond the first: some products are bought by the dozen
    #: (8,) choice coefficients: depth, display, mailer x depth, display x depth, display x mailer, mailer,
    #: display x mailer x depth, incidence power; depth as the share of the price taken off
    response: F32


@dataclass(frozen=True)
class Population:
    """A fitted population: habits, shared tables, and what is known of how they came to be."""

    habits: Habits
    demand: Demand
    household_id: NDArray[Any]  #: (N,) the source's own names
    about: dict[str, Any] = field(default_factory=dict)  #: source, date, versions, fitted and prior columns

    def __len__(self) -> int:
        return len(self.habits.consumer)

    def __repr__(self) -> str:
        return (
            f"<Population of {len(self):,} households fitted on {self.about.get('source', 'unknown data')}>"
        )


class Needs(NamedTuple):
    """What changes from day to day on the demand side."""

    last_trip: I32  #: (N,) day of the last trip to any retailer of the run
    gap: I32  #: (N,) days between her last two trips
    drift: F32  #: (N,) log drift of the trip rate this week
    drift_level: (
        F32  #: (N,) where the log drift tends, such that its exponential averages 1 over her first year
    )
    last_large: I32  #: (N,) day of the last large basket
    meant: U8  #: (N,) index of BASKET_SIZES that the last basket was meant to have
    last_store: I32  #: (N,) store of the last trip, NONE when not known
    last_bought: I32  #: (K,) day each repertoire row was last bought
    last_product: I32  #: (K,) the product that it was, NONE when not known


def rows_of(habits: Habits, consumers: I64) -> Habits:
    """The same habits for only these consumers, in this order; their luck keeps its names.

    Parameters
    ----------
    consumers : (n,) row indices, may repeat (a larger town); repeats share their luck unless renamed
    """
    per = np.diff(habits.row_ptr)[consumers]
    rows = _ranges(habits.row_ptr[consumers], per)
    per_row = np.diff(habits.product_ptr)[rows]
    cells = _ranges(habits.product_ptr[rows], per_row)
    columns: dict[str, Any] = {}
    for name, column in habits._asdict().items():
        if name == "row_ptr":
            columns[name] = np.concatenate([[0], np.cumsum(per)]).astype(np.int64)
        elif name == "product_ptr":
            columns[name] = np.concatenate([[0], np.cumsum(per_row)]).astype(np.int64)
        elif name in ("product", "loyalty"):
            columns[name] = column[cells]
        elif name.startswith("row_"):
            columns[name] = column[rows]
        else:
            columns[name] = column[consumers]
    return Habits(**columns)


def _ranges(starts: I64, lengths: I64) -> I64:
    """Concatenated ``arange(start, start + length)``."""
    total = int(lengths.sum())
    firsts = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return np.asarray(np.arange(total) + firsts, np.int64)
