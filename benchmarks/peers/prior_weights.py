"""The relevance that went before: twelve features of a customer's record, with weights that nobody had fitted."""

from __future__ import annotations

import numpy as np

from regulars.retail.catalog import Today
from regulars.retail.record import Record

HALF_LIFE_DAYS = 30


def odds(record: Record, today: Today, recent: np.ndarray) -> np.ndarray:
    """(N, C) log-odds that each customer buys from each category within a week.

    Parameters
    ----------
    recent : (N, C) days on which she bought from it, with a half-life of 30 days, as of today
    """
    bought = record.bought.astype(np.float64)
    visits = np.maximum(record.visits.astype(np.float64), 1.0)[:, None]
    span = record.last_day.astype(np.float64) - record.first_day
    interval = np.maximum((span + 2.0 * today.interval) / (bought + 1.0), 1.0)
    elapsed = np.maximum(today.day - record.last_day.astype(np.float64), 0.0)
    ratio = elapsed / interval
    own = 0.25 * np.log1p(bought) + 0.9 * np.log1p(recent) + 0.9 * np.minimum(1.0, bought / visits)
    own += 0.9 * np.minimum(1.0, ratio**2) - 0.9 * np.log(np.maximum(ratio, 1.0))
    own += -0.6 * (elapsed <= 1.0) + 0.45 * np.log(30 / interval)
    popular = -4.6 + 0.35 * (np.log(today.popular + 1e-4) + 5.0)
    return np.asarray(np.where(bought > 0, popular + own, popular), np.float32)
