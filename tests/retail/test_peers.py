"""The published next-basket methods that the benchmark compares with."""

import sys
from pathlib import Path

import numpy as np

from regulars.retail.next_need import Purchases


def test_of_items_bought_as_often_the_later_one_is_first_and_popularity_comes_after(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from peers import baskets

    # One customer: 40 baskets with item 0 and then 40 with item 1, and a last one; item 2 is nobody's.
    item = np.array([0] * 40 + [1] * 40 + [2])
    n = len(item)
    nothing = np.zeros(n, np.int64)
    history = Purchases(np.array([0, n]), np.arange(n), np.arange(n + 1), item, nothing, nothing)
    personal = baskets.top_frequent(history, 4)
    assert personal[0, 1] > personal[0, 0] > personal[0, 2]
    # Another, who bought only item 0, makes it the popular one: the later one of her own still comes first.
    both = Purchases(
        np.array([0, n, 2 * n]), np.tile(np.arange(n), 2), np.arange(2 * n + 1), np.concatenate([item, 0 * item]),
        np.tile(nothing, 2), np.tile(nothing, 2),
    )  # fmt: skip
    joined = baskets.group_top_frequent(both, 4, baskets.top_frequent(both, 4))
    assert joined[0, 1] > joined[0, 0] > 1
    assert joined[1, 0] > joined[1, 1] > joined[1, 3]
    sys.modules.pop("peers", None)
