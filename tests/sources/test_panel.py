"""Claims about panels and the shelf that one reveals."""

import dataclasses
import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.errors import RegularsError, ShapeError
from regulars.sources.panel import (
    SCHEMAS,
    Panel,
    count_rejects,
    empty,
    merge_lines,
    shelf_from,
    shelf_until,
    week_of,
    write_rejects,
)

MONDAY = datetime.date(2018, 1, 1)


def lines_of(*rows):
    """Lines from (week, product, units, net, discount), all of household 0, one basket each."""
    columns = [
        {
            "household": 0,
            "basket": number,
            "day": week * 7,
            "second": 0,
            "week": week,
            "store": 0,
            "product": product,
            "units": units,
            "net_cents": net,
            "retail_disc_cents": discount,
            "coupon_disc_cents": 0,
            "coupon_match_cents": 0,
        }
        for number, (week, product, units, net, discount) in enumerate(rows)
    ]
    return merge_lines(pl.DataFrame(columns, schema=SCHEMAS["lines"]))


def panel_of(lines, weeks=10, products=2, stores=3):
    frames = {name: empty(name) for name in SCHEMAS}
    frames["lines"] = lines
    frames["households"] = pl.DataFrame({"household": [0], "household_id": ["a"]}).pipe(fill, "households")
    number = pl.int_range(products, dtype=pl.UInt32, eager=True)
    frames["products"] = pl.DataFrame(
        {
            "product": number,
            "product_id": number.cast(pl.String),
            "category": number * 0,
            "brand_private": number == 1,
        }
    ).pipe(fill, "products")
    frames["categories"] = pl.DataFrame({"category": [0], "name": ["ALL"]}).pipe(fill, "categories")
    frames["stores"] = pl.DataFrame({"store": range(stores), "store_id": range(stores)}).pipe(fill, "stores")
    return Panel(start=MONDAY, days=weeks * 7, source="test", currency="USD", **frames)


def fill(frame, name):
    absent = [column for column in SCHEMAS[name] if column not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(column) for column in absent).cast(dict(SCHEMAS[name]))


def placement_of(*rows):
    schema = {
        "week": pl.UInt8,
        "product": pl.UInt32,
        "store": pl.UInt16,
        "display": pl.Boolean,
        "mailer": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2030, 1, 1)), st.integers(0, 2000))
def test_a_new_week_begins_exactly_on_mondays(start, day):
    monday = (start + datetime.timedelta(day)).weekday() == 0
    assert week_of(day, start) - week_of(day - 1, start) == int(monday)
    assert week_of(0, start) == 0


def test_a_panel_with_a_wrong_column_is_refused():
    panel = panel_of(lines_of((0, 0, 1, 100, 0)))
    with pytest.raises(ShapeError, match=r"panel\.lines .* units UInt32"):
        dataclasses.replace(panel, lines=panel.lines.with_columns(pl.col("units").cast(pl.UInt32)))
    with pytest.raises(ShapeError, match=r"panel\.stores .* store_id missing"):
        dataclasses.replace(panel, stores=panel.stores.drop("store_id"))


def test_merging_keeps_sums_and_leaves_no_product_twice_in_a_basket():
    rows = lines_of((0, 0, 1, 100, 10), (0, 1, 2, 300, 0)).with_columns(basket=pl.lit(5, pl.Int64))
    merged = merge_lines(pl.concat([rows, rows, rows]))
    sums = merged.select("product", "units", "net_cents", "retail_disc_cents")
    assert sums.rows() == [
        (0, 3, 300, 30),
        (1, 6, 900, 0),
    ]


def test_a_price_is_what_stood_on_the_shelf_before_the_discount():
    shelf = shelf_from(panel_of(lines_of((2, 0, 2, 300, 100), (5, 0, 1, 180, 0))))
    # Two for 3.00 after 1.00 off: 2.00 each, a quarter off. Carried forward, and back before the first sale.
    assert shelf.price[:, 0].tolist() == pytest.approx([2.0] * 5 + [1.8] * 5)
    assert shelf.depth[2, 0] == 0.25 and shelf.depth[5, 0] == 0


def test_a_free_item_tells_no_price_and_a_discount_never_reaches_one():
    shelf = shelf_from(
        panel_of(lines_of((0, 0, 1, 0, 0), (1, 0, 1, 200, 0), (2, 0, 1, 0, 200), (0, 1, 1, 0, 0)))
    )
    assert shelf.price[0, 0] == 2.0
    assert 0.98 < shelf.depth[2, 0] < 1
    assert shelf.price[0, 1] == 1.0


def test_an_unsold_week_takes_the_depth_of_its_nearest_sold_one_and_none_from_afar():
    shelf = shelf_from(panel_of(lines_of((1, 0, 1, 80, 20), (9, 0, 1, 100, 0)), weeks=20))
    assert shelf.depth[:7, 0].tolist() == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.0])
    assert shelf.depth[10:, 0].tolist() == [0.0] * 10


def test_an_unsold_week_in_the_mailer_takes_the_usual_promotion():
    sold = lines_of((0, 0, 1, 100, 0), (1, 0, 1, 60, 40), (9, 0, 1, 70, 30))
    mailed = placement_of((1, 0, 0, False, True), (2, 0, 0, False, True), (15, 0, 1, False, True))
    shelf = shelf_from(panel_of(sold, weeks=20), mailed)
    assert shelf.depth[2, 0] == pytest.approx(0.4)  # as in the mailer the week before
    assert shelf.depth[3, 0] == 0  # as out of the mailer three weeks before
    assert shelf.depth[15, 0] == pytest.approx(0.35)  # its median promotion


def test_placement_is_kept_store_by_store():
    placed = placement_of(
        (3, 1, 2, True, False), (3, 1, 0, False, True), (3, 1, 2, True, True), (4, 0, 2, True, False)
    )
    shelf = shelf_from(panel_of(lines_of((0, 0, 1, 100, 0), (0, 1, 1, 100, 0))), placed)
    assert shelf.placement_store.tolist() == [0, 2] and shelf.store_bit.tolist() == [0, -1, 1]
    row = shelf.placement_row[3, 1]
    assert (shelf.display[row].tolist(), shelf.mailer[row].tolist()) == ([0b10, 0], [0b11, 0])
    assert (shelf.placement_row >= 0).sum() == 2
    assert shelf.private.tolist() == [0, 1]


def test_placement_in_more_stores_than_a_row_has_bits_is_refused():
    panel = panel_of(lines_of((0, 0, 1, 100, 0)), stores=200)
    with pytest.raises(ShapeError, match="129 stores"):
        shelf_from(panel, placement_of(*((0, 0, store, True, False) for store in range(129))))
    shelf = shelf_from(panel, placement_of(*((0, 0, store, True, False) for store in range(128))))
    assert np.bitwise_count(shelf.display).sum() == 128
    with pytest.raises(ShapeError, match="week 10"):
        shelf_from(panel, placement_of((10, 0, 0, True, False)))


def test_a_panel_without_placement_has_none_on_its_shelf():
    shelf = shelf_from(panel_of(lines_of((0, 0, 1, 100, 0))))
    assert (shelf.placement_row == -1).all() and (shelf.store_bit == -1).all()
    assert len(shelf.display) == len(shelf.mailer) == len(shelf.placement_store) == 0


def test_the_shelf_of_the_first_days_is_what_they_alone_reveal():
    placed = placement_of((1, 0, 1, True, False), (2, 0, 2, False, True), (7, 1, 1, True, True))
    rows = [(0, 0, 1, 80, 20), (3, 0, 1, 100, 0), (5, 0, 1, 30, 70), (8, 1, 1, 500, 100)]
    whole = shelf_from(panel_of(lines_of(*rows), weeks=10), placed)
    early = panel_of(lines_of(*rows[:2]), weeks=5)
    until = shelf_until(early, whole)
    own = shelf_from(early, placed.filter(pl.col("week") < 5))
    for name in ("depth", "placement_row", "display", "mailer", "popularity", "category_product"):
        assert np.array_equal(getattr(until, name), getattr(own, name)), name
    assert np.array_equal(until.price[:, 0], own.price[:, 0])
    assert (until.price[:, 1] == 1.0).all() and not until.depth[
        :, 1
    ].any()  # of its category only product 0 is known
    cheap = panel_of(lines_of((0, 0, 1, 300, 0)), weeks=5)
    assert (shelf_until(cheap, whole).price[:, 1] == 3.0).all()


def test_rejects_are_counted_most_frequent_first_and_none_for_nothing():
    assert count_rejects({"a": 1, "b": 5, "c": 0}).rows() == [("b", 5), ("a", 1)]
    assert count_rejects({}).is_empty()


def test_rejects_that_cannot_be_written_say_so(tmp_path):
    rows = pl.DataFrame(schema=["file", "line", "kind", "field", "value", "mend"])
    with pytest.raises(RegularsError, match="Name another rejects file"):
        write_rejects(tmp_path / "no" / "folder.csv", rows)
