"""Estimators of trips find what made-up trips were made with."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from regulars.consumers.population import GAP_EDGES
from regulars.consumers.trips import EARLIEST, LATEST
from regulars.fitting.history import History, history_of
from regulars.fitting.trips import drift_strength, fit_trips, gamma_prior, walk


def made_history(shopped: np.ndarray, closed: tuple[int, ...] = ()) -> History:
    """History of (households, days) booleans, one line a trip."""
    household, day = np.nonzero(shopped)
    lines = pl.DataFrame({"household": household, "day": day}).with_columns(
        store=0, product=0, category=0, units=1, cents=100
    )
    is_open = np.ones(shopped.shape[1], bool)
    is_open[list(closed)] = False
    return history_of(lines, *shopped.shape, 0, is_open)


def _of_gaps(fitted):
    """(N, 15) what each bin of days since the last trip does to each household's hazard."""
    late = np.clip(np.append(GAP_EDGES, 60) * fitted.rate[:, None], EARLIEST, LATEST)
    return fitted.gap_hazard[fitted.rate_class] * late ** fitted.gap_power[:, None]


def test_rates_are_found_and_shrunk():
    luck = np.random.default_rng(1)
    true = luck.gamma(1.5, 0.1, 1600)
    history = made_history(luck.random((1600, 365)) < 1 - np.exp(-true[:, None]))
    fitted = fit_trips(history, 53)
    assert np.corrcoef(fitted.rate, true)[0, 1] > 0.97
    assert fitted.rate.mean() == pytest.approx(true.mean(), rel=0.03)
    seen = walk(
        history, fitted.rate, fitted.dow, fitted.week, fitted.rate_class, fitted.gap_hazard, fitted.gap_power
    )
    assert seen.by_week.sum() == pytest.approx(len(history.trip_day), rel=0.03)
    gaps, factor = np.append(GAP_EDGES, 60), _of_gaps(fitted)
    for c in range(1, 8):
        own = fitted.rate_class == c
        often = gaps * fitted.rate[own].mean() < 3  # longer gaps than three usual ones are rare
        assert factor[own].mean(0)[often] == pytest.approx(np.ones(often.sum()), abs=0.5)


def test_a_weekday_is_found():
    luck = np.random.default_rng(2)
    chance = np.where(np.arange(364) % 7 == 5, 0.3, 0.05)
    fitted = fit_trips(made_history(luck.random((300, 364)) < chance), 52)
    assert fitted.dow[:, 5].mean() > 3 * np.delete(fitted.dow, 5, 1).mean()
    assert fitted.dow.mean(1) == pytest.approx(np.ones(300))


def test_a_closed_day_counts_as_no_chance_to_shop():
    luck = np.random.default_rng(3)
    shopped = luck.random((400, 200)) < 0.2
    shopped[:, 100] = False
    history = made_history(shopped, closed=(100,))
    lines = pl.DataFrame({"household": [0] * 3, "day": [0, 1, 2]})
    assert not history.is_open[100]
    assert lines.height == 3
    closed_by_itself = history_of(
        pl.DataFrame(dict(zip(("household", "day"), np.nonzero(shopped), strict=True))).with_columns(
            store=0, product=0, category=0, units=1, cents=100
        ),
        400,
        200,
        0,
    )
    assert np.flatnonzero(~closed_by_itself.is_open).tolist() == [100]


def test_regular_shoppers_have_a_rising_gap_hazard():
    shopped = np.zeros((120, 364), bool)
    for i in range(120):
        shopped[i, i % 7 :: 7] = True
    luck = np.random.default_rng(4)
    shopped &= luck.random(shopped.shape) < 0.97
    factor = _of_gaps(fit_trips(made_history(shopped), 52))
    # Each household's regularity is drawn, so some are less sure than others.
    assert (factor[:, 6] > 2 * factor[:, 2]).all()
    assert np.median(factor[:, 6] / factor[:, 2]) > 8


def test_drift_is_told_from_none():
    luck = np.random.default_rng(5)
    steps = luck.normal(size=(600, 53))
    path = np.zeros((600, 53))
    for week in range(1, 53):
        path[:, week] = 0.96 * path[:, week - 1] + 0.28 * 0.6 * steps[:, week]
    rate = 0.2 * np.repeat(np.exp(path), 7, axis=1)[:, :365]
    strengths = [
        drift_strength(made_history(luck.random((600, 365)) < chance), np.zeros(600, np.uint8), np.ones(53))[
            0
        ]
        for chance in (1 - np.exp(-rate), np.full((600, 365), 0.2))
    ]
    assert strengths[0] > 0.02 > abs(strengths[1])


def test_counts_that_vary_by_chance_alone_get_a_tight_prior():
    luck = np.random.default_rng(6)
    shape, exposure = gamma_prior(luck.poisson(40, 500).astype(float), 365.0)
    assert shape == 50.0 and shape / exposure * 365 == pytest.approx(40, rel=0.05)
    wide, _ = gamma_prior(luck.poisson(luck.gamma(1.4, 30, 2000)).astype(float), 365.0)
    assert wide == pytest.approx(1.4, rel=0.15)
