import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars import draws, terms
from regulars.errors import SettingError
from regulars.market import stock, town

KEY = draws.stream(1)


def shop_of(wanted, on_hand, order=None):
    """Lines of one unit each for product ``wanted[i]`` by consumer i; returns who was left short, and the stock."""
    n = len(wanted)
    lines = terms.empty_lines(n)
    order = np.arange(n) if order is None else np.asarray(order)
    lines.consumer[:] = order
    lines.product[:] = np.asarray(wanted)[order]
    lines.units[:] = 1
    shelves = stock.start(np.ones((1, 3), np.float32), np.array([1.0]))
    shelves.on_hand[0] = on_hand
    scratch = [np.zeros(n, np.int64) for _ in range(3)]
    demand = np.zeros((1, 3), np.int32)
    short = stock.ration(KEY, 5, np.arange(n, dtype=np.uint32), lines, n, shelves, demand, *scratch)
    assert not demand.any()
    return {int(lines.consumer[k]) for k in scratch[2][:short]}, shelves


def test_what_is_on_hand_is_sold_and_no_more():
    short, shelves = shop_of([0] * 10 + [1] * 2, [4, 5, 0])
    assert len(short) == 6
    assert shelves.on_hand[0].tolist() == [0, 3, 0]
    assert shelves.out[0].tolist()[:2] == [1, 0]


def test_who_is_served_does_not_depend_on_the_order_of_lines():
    wanted = [0] * 12
    first, _ = shop_of(wanted, [5, 0, 0])
    other, _ = shop_of(wanted, [5, 0, 0], order=list(range(12))[::-1])
    assert first == other


@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 20), min_size=3, max_size=3))
def test_units_are_conserved(wanted, on_hand):
    short, shelves = shop_of(wanted, on_hand)
    assert len(wanted) - len(short) == sum(on_hand) - int(shelves.on_hand.sum())
    assert (shelves.on_hand >= 0).all()


def test_a_retailer_without_limits_is_never_out():
    shelves = stock.start(np.ones((2, 3), np.float32), np.array([0.0, 2.0]))
    assert shelves.on_hand[0].min() > 10**9
    assert shelves.on_hand[1].tolist() == [2, 2, 2]


def test_delivery_fills_up():
    _, shelves = shop_of([0] * 3, [3, 1, 1])
    stock.deliver(shelves)
    assert np.array_equal(shelves.on_hand, shelves.order_up_to)
    assert not shelves.out.any()


def test_what_she_does_and_what_she_takes_instead_are_never_the_same_luck():
    products = np.array([0, 1 << 20, (1 << 20) + 5, stock.MOST_PRODUCTS - 1])
    categories = np.array([0, 5, 299])
    assert not np.isin(stock.DOES | categories, products).any()
    assert ((stock.DOES | categories) < 1 << 24).all()


def test_a_town_of_too_many_products_is_refused(street, monkeypatch):
    monkeypatch.setattr(stock, "MOST_PRODUCTS", 1000)
    with pytest.raises(SettingError, match=r"67,835 products; at most 1,000 can be told apart"):
        town.build(street)
