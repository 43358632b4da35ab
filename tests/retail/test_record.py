from __future__ import annotations

import numpy as np
import pytest

from regulars.errors import ShapeError
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.terms import NEVER, Fate, Purpose, Reaction, Scope, empty_lines

from .scopes import ORDERS, SCOPE_FIELDS


def bought(
    made, totals, day, rows, *, bits=None, category=2, retailer=-1, broker=False, honours=True, **columns
):
    lines = empty_lines(len(rows))
    lines.consumer[:] = rows
    lines.category[:] = category
    lines.units[:] = 1
    lines.paid_cents[:] = 300
    for name, value in columns.items():
        getattr(lines, name)[:] = value
    if bits is None:
        bits = np.full((len(made.customer), 9), consents.USUAL, np.uint8)
    returned = np.zeros(len(made.customer), np.int64)
    records.purchased(
        made,
        totals,
        bits,
        day,
        lines,
        len(rows),
        retailer,
        honours,
        broker,
        returned,
        np.zeros(len(bits), np.uint8),
    )
    return returned


def test_a_customer_takes_at_most_4_kb_at_300_categories():
    assert sum(column.nbytes for column in records.new(10, 300)) <= 10 * 4 * 1024


def test_a_day_counts_once_however_many_lines_it_had():
    made, totals = records.new(3, 5), records.new_totals(5)
    bought(made, totals, 4, [1, 1, 1])
    bought(made, totals, 9, [1])
    assert made.bought[1].tolist() == [0, 0, 2, 0, 0]
    assert (made.first_day[1, 2], made.last_day[1, 2], made.visits[1]) == (4, 9, 2)
    assert made.spend_cents[1] == 1200
    assert totals.lines[2] == 4 and totals.visits[0] == 2 and totals.interval_days[2] == 5
    assert (made.bought[[0, 2]] == 0).all()


def test_kept_fades_by_4_percent_a_visit_however_long_it_takes():
    made, totals = records.new(1, 5), records.new_totals(5)
    for day, category in ((0, 2), (1, 0), (90, 0), (91, 2)):
        bought(made, totals, day, [0], category=category)
    assert made.kept[0, 2] == round(2048 * 0.96**3) + 2048
    assert made.last_nth[0, 2] == made.visits[0] == 4


def test_lately_halves_in_ten_days():
    made, totals = records.new(1, 5), records.new_totals(5)
    bought(made, totals, 0, [0])
    bought(made, totals, 10, [0])
    assert made.lately[0, 2] == 4096 + 2048


def test_days_told_out_of_order_run_nothing_over():
    made, totals = records.new(1, 5), records.new_totals(5)
    for day in range(60, 0, -1):
        bought(made, totals, day, [0])
    assert made.lately[0, 2] == 65535 and made.pace[0] == 60 * 1024 and made.kept[0, 2] > 40000


def test_a_basket_is_as_large_as_its_categories():
    made, totals = records.new(2, 5), records.new_totals(5)
    bought(made, totals, 3, [0, 0, 0, 1], category=np.array([1, 4, 1, 4]))
    assert made.small.tolist() == [2048, 4096]
    assert (totals.single / records.TOTALS_ONE).tolist() == [0, 0.5, 0, 0, 1.5]
    bought(made, totals, 5, [0], category=4)
    assert made.small[0] == round(0.9 * 2048) + 4096


def test_what_all_buy_counts_buyers_and_who_came_back_for_it():
    made, totals = records.new(3, 5), records.new_totals(5)
    for day, rows in ((0, [0, 1, 2]), (4, [1, 2]), (9, [2])):
        bought(made, totals, day, rows)
    assert (totals.buyers[2], totals.again[2], totals.bought[2]) == (3, 2, 6)


def test_neither_the_order_of_baskets_nor_the_calls_they_come_in_matter():
    rng = np.random.default_rng(4)
    one, other = (records.new(30, 8), records.new_totals(8)), (records.new(30, 8), records.new_totals(8))
    for day in range(12):
        records.turn(one[1], day)
        records.turn(other[1], day)
        who = np.repeat(rng.permutation(30)[:20], 4)
        what = rng.integers(0, 8, len(who))
        bought(*one, day, who, category=what)
        for basket in rng.permutation(20):
            lines = slice(4 * basket, 4 * basket + 4)
            bought(*other, day, who[lines], category=what[lines])
    for mine, theirs in zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True):
        assert np.array_equal(mine, theirs)


def test_the_day_joins_the_faded_counts_when_it_is_over():
    made, totals = records.new(2, 5), records.new_totals(5)
    records.turn(totals, 0)
    bought(made, totals, 0, [0, 1])
    assert totals.today[[2, 5]].tolist() == [2, 2] and not totals.faded.any()
    records.turn(totals, 7)
    records.turn(totals, 7)
    assert not totals.today.any() and totals.faded[0, 2] == totals.faded[0, 5] == records.TOTALS_ONE
    assert totals.faded[1, 2] / records.TOTALS_ONE == pytest.approx(2 * 0.5 ** (7 / 84), abs=1e-5)


def test_who_does_not_allow_study_is_not_counted_with_the_others():
    made, totals = records.new(2, 5), records.new_totals(5)
    bits = np.full((2, 9), consents.USUAL, np.uint8)
    bits[0, Scope.PURCHASES] = 1 << Purpose.SERVE
    bought(made, totals, 1, [0, 1], bits=bits)
    assert made.bought[:, 2].tolist() == [1, 1] and totals.lines[2] == 2
    assert totals.bought[2] == totals.buyers[2] == totals.today[2] == totals.today[5] == 1


def test_who_shares_nothing_stays_anonymous_but_is_counted():
    made, totals = records.new(2, 5), records.new_totals(5)
    before = records.copy(made)
    bits = np.zeros((2, 9), np.uint8)
    bought(made, totals, 1, [0, 1], bits=bits)
    assert all(np.array_equal(a, b) for a, b in zip(made, before, strict=True))
    assert totals.lines[2] == 2 and totals.cents[2] == 600 and totals.visits[0] == 2


def test_what_was_not_sold_is_not_written():
    made, totals = records.new(2, 5), records.new_totals(5)
    bought(made, totals, 1, [0, 1], fate=np.array([Fate.DROPPED, Fate.SUBSTITUTED]))
    assert made.bought[:, 2].tolist() == [0, 1]


def test_another_retailers_sales_reach_only_a_broker():
    made, totals = records.new(2, 5), records.new_totals(5)
    bought(made, totals, 1, [0], retailer=0, **{"broker": False})
    lines_of_another = {"retailer": 0}
    bought(made, totals, 1, [0], **lines_of_another)
    assert made.bought[0, 2] == 1
    other = empty_lines(1)
    other.consumer[0], other.category[0], other.units[0], other.retailer[0] = 1, 3, 1, 7
    bits = np.zeros((2, 9), np.uint8)
    for broker in (False, True):
        records.purchased(
            made,
            totals,
            bits,
            2,
            other,
            1,
            0,
            not broker,
            broker,
            np.zeros(2, np.int64),
            np.zeros(2, np.uint8),
        )
        assert (made.elsewhere_category[1, 0] == 3) == broker
    assert made.bought[1].sum() == 0


def test_coupons_give_back():
    made, totals = records.new(2, 5), records.new_totals(5)
    assert bought(made, totals, 1, [1], coupon_cents=75).tolist() == [0, 75]
    assert made.spend_cents[1] == 225


def test_a_fifth_wish_takes_the_place_of_the_one_that_ends_first():
    made = records.new(1, 9)
    for category, until in ((0, 50), (1, 10), (2, 60), (3, 70), (4, 80)):
        records.wished(made, np.array([0]), np.array([category]), np.array([until]))
    assert sorted(made.wish_category[0].tolist()) == [0, 2, 3, 4]


def test_a_category_that_does_not_exist_is_refused():
    made = records.new(1, 9)
    with pytest.raises(ShapeError, match="outside 0 to 8"):
        records.wished(made, np.array([0]), np.array([9]), np.array([5]))


def react(made, reaction, channel=0, category=2, before=0):
    columns = (np.array([0], np.int32), np.array([channel], np.uint8), np.array([category], np.int32))
    bits = np.array([1 << reaction], np.uint16)
    known = np.array([before], np.uint16)
    return int(records.reacted(made, *columns, known, bits | known, bits, 99)[0])


def test_leaving_a_channel_is_obeyed_at_once():
    made = records.new(1, 9)
    made.optin[0] = 0b111
    assert react(made, Reaction.UNSUBSCRIBE, channel=1) == 0b010
    assert made.optin[0] == 0b101
    assert react(made, Reaction.COMPLAIN, channel=1) == 0
    assert react(made, Reaction.BLOCK) == 0b101
    assert made.optin[0] == 0
    # She came back meanwhile: only what is told now is obeyed.
    made.optin[0] = 0b111
    assert react(made, Reaction.OPEN, before=1 << Reaction.BLOCK) == 0
    assert react(made, Reaction.BLOCK, before=1 << Reaction.BLOCK) == 0b111


def test_a_reaction_told_twice_counts_once():
    made = records.new(1, 9)
    react(made, Reaction.OPEN)
    react(made, Reaction.OPEN, before=1 << Reaction.OPEN)
    assert made.opened[0] == 1


def test_an_unlike_holds_until_its_day():
    made = records.new(1, 9)
    react(made, Reaction.UNLIKE, category=2)
    assert records.holds(made.unlike_category, made.unlike_until, 0, 2, 99)
    assert not records.holds(made.unlike_category, made.unlike_until, 0, 2, 100)


def test_every_column_belongs_to_a_scope_or_is_an_order():
    named = {field for fields in SCOPE_FIELDS.values() for field in fields}
    assert named | {"customer", *ORDERS} == set(records.Record._fields)
    assert set(SCOPE_FIELDS) == set(Scope)


def test_a_subset_keeps_its_rows_and_shares_nothing():
    made = records.new(np.array([7, 8, 9], np.uint32), 4)
    made.bought[:] = np.arange(12).reshape(3, 4)
    some = records.subset(made, np.array([2, 0]))
    assert some.customer.tolist() == [9, 7] and some.bought[0].tolist() == [8, 9, 10, 11]
    some.bought[:] = 0
    assert made.bought[2, 1] == 9
    assert (some.last_day == NEVER).all()
