"""Basket sizes: what was meant is found behind the scatter."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from regulars.consumers.choice import LEAST
from regulars.consumers.population import BASKET_SIZES
from regulars.fitting.baskets import fit_baskets, size_rates
from regulars.fitting.history import history_of


def history_of_sizes(sizes: list[list[int]]):
    rows = [(i, day, c) for i, own in enumerate(sizes) for day, size in enumerate(own) for c in range(size)]
    household, day, category = zip(*rows, strict=True)
    lines = pl.DataFrame({"household": household, "day": day, "category": category}).with_columns(
        store=0, product=pl.col("category"), units=1, cents=100
    )
    return history_of(lines, len(sizes), max(len(own) for own in sizes), 0)


def test_baskets_come_out_as_long_as_meant():
    rates = size_rates()
    luck = np.random.default_rng(1)
    for size, rate in zip(BASKET_SIZES, rates, strict=True):
        found = np.maximum(luck.poisson(rate, 40_000), min(size, LEAST))
        assert found.mean() == pytest.approx(size, rel=0.03)


def test_large_and_small_households_keep_their_sizes():
    luck = np.random.default_rng(1)
    meant = [2] * 30 + [20] * 30
    sizes = [np.maximum(luck.poisson(size, 80), 1).tolist() for size in meant]
    shares, intended = fit_baskets(history_of_sizes(sizes))
    means = shares @ BASKET_SIZES
    assert shares.sum(1) == pytest.approx(np.ones(60))
    assert means[:30] == pytest.approx(np.full(30, 2.2), abs=0.5)
    assert means[30:] == pytest.approx(np.full(30, 20.0), abs=2.0)
    assert len(intended) == 60 * 80
