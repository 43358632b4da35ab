"""Clocks: where they stand at the start, and what resets them."""

from __future__ import annotations

import numpy as np
import pytest

from regulars.consumers.needs import settle, start
from regulars.consumers.population import AGE_EDGES, rows_of
from regulars.errors import ShapeError
from regulars.terms import NONE, Fate, empty_lines

from .corner_shop import CATEGORIES, KEY, ROWS, made_demand, made_habits, made_town


def test_a_flat_hazard_starts_with_exponential_ages():
    needs = start(made_habits(20_000), made_demand(), KEY, 0)
    age = -1 - needs.last_bought
    assert age.min() >= 0
    assert (age < 0.9 * 30).mean() == pytest.approx(1 - np.exp(-0.9), abs=0.01)


def test_regular_needs_start_with_ages_below_their_interval():
    regular = np.full((CATEGORIES, len(AGE_EDGES) + 1), 0.01, np.float32)
    regular[:, AGE_EDGES.searchsorted(1.0) :] = 30.0
    needs = start(made_habits(5_000), made_demand(age_hazard=regular), KEY, 0)
    age = -1 - needs.last_bought
    assert (age < 1.2 * 30).mean() > 0.95
    assert age.mean() == pytest.approx(15, rel=0.15)


def test_the_start_of_one_alone_equals_hers_in_the_batch():
    habits = made_habits(50, drift_sigma=np.full(50, 0.5, np.float32))
    batch = start(habits, made_demand(), KEY, -20)
    alone = start(rows_of(habits, np.array([7])), made_demand(), KEY, -20)
    assert alone.last_trip[0] == batch.last_trip[7]
    assert alone.drift[0] == batch.drift[7] and alone.drift_level[0] == batch.drift_level[7]
    assert (alone.last_bought == batch.last_bought[7 * ROWS : 8 * ROWS]).all()


def test_only_what_came_home_resets_a_clock():
    town = made_town(made_habits(2))
    before = town.needs.last_bought.copy()
    lines = empty_lines(6)
    lines.row[:6] = [0, 1, 2, 3, 4, NONE]
    lines.fate[:5] = [Fate.SERVED, Fate.SUBSTITUTED, Fate.DELAYED, Fate.ELSEWHERE, Fate.DROPPED]
    settle(9, town.needs, lines, 6)
    assert (town.needs.last_bought[:2] == 9).all()
    assert (town.needs.last_bought[2:] == before[2:]).all()


def test_habits_whose_rows_do_not_fit_are_refused():
    habits = made_habits(3)
    with pytest.raises(ShapeError, match="3 consumers but row_ptr has 3 entries"):
        start(habits._replace(row_ptr=habits.row_ptr[:-1]), made_demand(), KEY, 0)
