"""Claims about rates that drift."""

import numpy as np
import pytest

from regulars.errors import ShapeError
from regulars.fitting.drift import GRID, fit_drift, foretell


def _lived(rng: np.random.Generator, households: int, weeks: int, spread: float) -> np.ndarray:
    usual = rng.normal(0.0, 0.9, (households, 1))
    away = np.empty((households, weeks))
    away[:, 0] = rng.normal(0, spread, households)
    for t in range(1, weeks):
        away[:, t] = 0.95 * away[:, t - 1] + rng.normal(0, spread * np.sqrt(1 - 0.95**2), households)
    return rng.binomial(7, 1 - np.exp(-np.exp(usual + away) / 7))


def test_the_drift_that_was_lived_is_found():
    rng = np.random.default_rng(1)
    grid = ((0.95, 0.05), (0.95, 0.4), (0.95, 0.8))
    assert fit_drift(_lived(rng, 400, 39, 0.8), grid).spread == 0.8
    assert fit_drift(_lived(rng, 400, 39, 0.4), grid).spread == 0.4


def test_the_forecast_is_right_on_average_and_beats_the_last_quarter():
    days = _lived(np.random.default_rng(2), 600, 52, 0.7)
    past, future = days[:, :39], days[:, 39:].sum(1)
    forecast = foretell(fit_drift(past, GRID[2:4]), 13)
    assert abs(forecast.mean.mean() / future.mean() - 1) < 0.06
    quarter = np.abs(past[:, -13:].sum(1) - future).mean()
    assert np.abs(forecast.median - future).mean() < 0.97 * quarter
    away = (future - forecast.mean) ** 2
    assert 0.7 < away.mean() / forecast.variance.mean() < 1.3


def test_a_household_that_stopped_is_expected_less_than_one_that_goes_on():
    days = np.zeros((2, 26), np.int64)
    days[0, :13] = 4
    days[1] = 2
    crowd = _lived(np.random.default_rng(3), 200, 26, 0.6)
    forecast = foretell(fit_drift(np.vstack([days, crowd]), GRID[2:4]), 13)
    assert forecast.mean[0] < 0.5 * forecast.mean[1]
    assert np.all(forecast.median <= forecast.mean + 1)


def test_eight_days_a_week_are_refused():
    with pytest.raises(ShapeError, match="0 to 7"):
        fit_drift(np.full((3, 4), 8))
