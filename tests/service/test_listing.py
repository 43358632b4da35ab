"""What a retailer tells beside its purchases: prices and offers, products, stock, people; what is decided rests on it."""

import datetime
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars import cli
from regulars.errors import BadInput, SettingError, UnknownColumn
from regulars.retail import catalog as catalogs
from regulars.retail.decision import Reason
from regulars.service import audit, host, importing, intake, letters, listing
from regulars.service.assortment import Assortment
from regulars.service.decided import Ask
from regulars.service.engine import Engine
from regulars.service.events import Did
from regulars.service.store import open_store
from regulars.sources import listings, tables
from regulars.terms import Action, Channel

from . import customers
from .conftest import DAYS, NAMES, START, Live, at, corner_shop
from .customers import allow, another_engine, ask, buy, column, hear, holds_together, react, say, tell
from .test_importing import USUAL, file, sales, week

__all__ = ["file"]
LOUD = {"policy": "blast", "policy_settings": {"per_week": 14.0}}


def bare_shop():
    """The corner shop with nothing to offer."""
    shop = corner_shop()
    found = catalogs.from_offers(catalogs.no_offers(), NAMES, np.full(8, 300, np.float32), days=DAYS)
    return Assortment(found, shop.sku, shop.title, shop.category_of)


def bare(url, clock, **settings):
    return Live(url, clock, bare_shop(), **(LOUD | settings))


def told(tmp_path, kind, *rows, name=None, **more):
    """A file of a kind, read."""
    path = tmp_path / f"{name or kind}.csv"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return listings.read(kind, path, **more)


def date(day):
    return START + datetime.timedelta(days=day)


def take(live, *files, engine=None):
    engine = engine or live.engine
    shop = engine.shops[live.number]
    return engine.call(shop, lambda work: listing.take(work, shop, files, live.clock())).result(60)


def standing(live, day):
    """Saving by category on a day, of all that stands."""

    def read(work):
        today = live.shop.retailer.today(day, live.shop._in_stock)
        return {NAMES[c]: round(float(today.saving[c]), 4) for c in sorted(today.order)}

    return live.call(read)


PRICES = "sku,price,offer,from,until"


# ---- prices and offers -----------------------------------------------------------------------------------------------


def test_what_is_told_is_decided_on_by_every_engine_from_the_next_decision_on(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(5)
    hear(live, *(allow(f"user-{k}", 5) for k in range(6)))
    with another_engine(live) as other:
        engines = (live.engine, other)
        assert all(say(live, f"user-{k}", engine=engines[k]).stored.action == Action.SILENCE for k in (0, 1))
        assert say(live, "nobody", engine=other).for_everybody == -1
        prices = told(tmp_path, "prices", PRICES, f"p4,5.00,3.50,{date(4)},{date(7)}")
        assert take(live, prices) == {"prices": 1, "offers": 1}
        for k in (2, 3):
            stored = say(live, f"user-{k}", engine=engines[k % 2]).stored
            assert (NAMES[stored.category], round(stored.saving, 4), stored.last_day) == ("coffee", 0.3, 7)
        everybody = say(live, "nobody", engine=other)
        assert everybody.terms[0] == 2 and everybody.terms[2] == 7
        clock.set(8)
        assert say(live, "user-4", engine=other).stored.action == Action.SILENCE
    # Those from before it was told, those on it, and those after rest on what stood then.
    assert holds_together(live) == 5
    live.close()


def test_a_decision_made_again_rests_on_the_shelf_of_its_time(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(5)
    hear(live, *(allow(f"user-{k}", 5) for k in range(4)))
    said = []
    for k, (sku, offer) in enumerate((("p0", 2.0), ("p0", 1.0), ("p2", 1.0))):
        take(live, told(tmp_path, "prices", PRICES, f"{sku},4.00,{offer},,{date(5)}"))
        take(live, told(tmp_path, "products", "sku,name,category", f"new-{k},New {k},Tea"))
        said.append(say(live, f"user-{k}").stored)
        live.call(lambda work, product=2 * k: live.shop.set_stock(work, {product: 0}, {}))
    assert [s.shelf for s in said] == [2, 4, 6]
    assert holds_together(live) == 3
    # A version on which nobody decided is gone, the others are kept.
    kept = live.call(lambda work: [v for v in range(1, 7) if work.shelf(live.number, v) is not None])
    assert kept == [2, 3, 4, 5, 6] and holds_together(live) == 3
    live.close()
    again = Engine(open_store(url), clock)
    assert len(again.shops[live.number].assortment.sku) == 19
    again.close()


def test_a_version_that_no_decision_rests_on_is_dropped(url, clock, tmp_path):
    live = bare(url, clock)
    for day in range(3):
        take(live, told(tmp_path, "prices", "sku,price", f"p0,{day + 1}"))
    assert live.call(lambda work: [work.shelf(live.number, v) is None for v in (1, 2, 3)]) == [
        True,
        True,
        False,
    ]
    # What is overruled on every day that is left is not told for ever.
    assert live.call(lambda work: len(live.shop.told.prices.product)) == 1
    live.close()


def test_a_version_is_kept_for_a_decision_about_the_day_before_it(url, clock, tmp_path):
    """Whoever asks may name a moment of yesterday; what was decided for it rests on what is told today."""
    live = bare(url, clock)
    clock.set(5, 8)
    hear(live, allow("ada", 4))
    take(live, told(tmp_path, "prices", PRICES, f"p0,4.00,2.00,{date(4)},{date(6)}"))
    asked = Ask(-1, None, at(4, 12), "", ask("ada").names)
    (answer,) = live.engine.decide(live.shop, [asked]).result(60)
    assert answer.stored.shelf == 1
    for price in (3, 5):
        take(live, told(tmp_path, "prices", "sku,price", f"p0,{price}"))
    with another_engine(live) as other:
        shop = other.shops[live.number]
        assert other.call(shop, lambda work: audit.replayed(shop, work, answer.id)).result(60) == []
    live.close()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(-4, 9),
            st.integers(0, 9),
            st.sampled_from([catalogs.UNTOLD, -1, 200]),
        ),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_a_price_that_a_later_one_overrules_is_dropped(told, before):
    days = [(product, first, first + length, offer) for product, first, length, offer in told]
    columns = zip(*((p, f, u, 300 + k, o) for k, (p, f, u, o) in enumerate(days)), strict=True)
    rows = pl.DataFrame(list(columns) or [[]] * 5, schema=dict.fromkeys(catalogs.Prices._fields, pl.Int32))
    left = [
        300 + k for k, (product, first, until, offer) in enumerate(days)
        if until >= 2 and not any(
            p == product and (
                (f <= max(first, 2) and u >= until and (o != catalogs.UNTOLD or offer == catalogs.UNTOLD))
                or (f == first and u >= 2 and o >= 0 and offer >= 0 and k < before <= later)
            )
            for later, (p, f, u, o) in enumerate(days) if later > k
        )
    ]  # fmt: skip
    assert listing._overruled(rows, 2, before)["price_cents"].to_list() == left


YEAR_OF_PRICES = """
import resource, sys
import numpy as np, polars as pl
from regulars.service import listing

week = np.tile(np.arange(53, dtype=np.int32) * 7, 4_000)
product = np.repeat(np.arange(4_000, dtype=np.int32), 53)
cents = np.full(len(week), 200, np.int32)
rows = pl.DataFrame([product, week, week + 6, cents, cents], schema=listing.Prices._fields)
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = most()
assert listing._overruled(rows, 0, 0).height == rows.height
print((most() - before) * (1 if sys.platform == "darwin" else 1024) // rows.estimated_size())
"""


def test_a_year_of_weekly_prices_takes_no_room_for_every_pair_of_its_weeks():
    found = subprocess.run([sys.executable, "-c", YEAR_OF_PRICES], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 50


def test_an_import_that_fails_changes_nothing_of_what_is_decided(url, clock, tmp_path):
    live = bare(url, clock)
    prices = told(tmp_path, "prices", PRICES, f"p4,5.00,3.50,,{date(7)}")

    def broken(work):
        listing.take(work, live.shop, [prices], clock())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        live.call(broken)
    assert standing(live, 1) == {} and live.call(lambda work: work.tenant(live.number).shelf) == 0
    live.close()


def test_of_two_prices_for_a_day_the_later_counts(url, clock, tmp_path):
    live = bare(url, clock)
    take(
        live,
        told(tmp_path, "prices", PRICES, f"p0,4.00,3.00,{date(1)},{date(9)}", f"p2,4,3,{date(1)},{date(9)}"),
    )
    # A file without a column of offers says nothing of them; a cell left empty ends one.
    take(live, told(tmp_path, "prices", "sku,price", "p0,6.00"))
    assert standing(live, 2) == {"milk": 0.5, "bread": 0.25}
    take(
        live,
        told(
            tmp_path, "prices", PRICES, f"p0,6.00,,{date(3)},{date(4)}", f"p2,4.00,2.00,{date(5)},{date(5)}"
        ),
    )
    assert [standing(live, day) for day in (2, 3, 4, 5, 6, 9, 10)] == [
        {"milk": 0.5, "bread": 0.25}, {"bread": 0.25}, {"bread": 0.25}, {"milk": 0.5, "bread": 0.5},
        {"milk": 0.5, "bread": 0.25}, {"milk": 0.5, "bread": 0.25}, {},
    ]  # fmt: skip
    # Told later, it is the same offer with another last day; within one file two of one first day both stand.
    take(live, told(tmp_path, "prices", PRICES, f"p2,4.00,3.00,{date(1)},{date(6)}"))
    assert [standing(live, day)["bread"] for day in (5, 6)] == [0.25, 0.25]
    assert "bread" not in standing(live, 7) and standing(live, 7) == standing(live, 9) == {"milk": 0.5}
    month, week = f"p10,4.00,3.00,{date(2)},{date(20)}", f"p10,4.00,2.00,{date(2)},{date(8)}"
    take(live, told(tmp_path, "prices", PRICES, month, week))
    assert [standing(live, day)["candy"] for day in (8, 9, 20)] == [0.5, 0.25, 0.25]
    live.close()


def test_a_category_whose_offers_are_told_has_no_guessed_deals_from_then_on(url, clock, tmp_path):
    live = Live(url, clock, **LOUD)
    assert standing(live, 3)["coffee"] == 0.3
    take(
        live,
        told(
            tmp_path, "prices", PRICES, f"p4,5.00,4.50,{date(5)},{date(6)}", f"p0,4.00,,{date(5)},{date(6)}"
        ),
    )
    assert "coffee" not in standing(live, 7) and standing(live, 4)["coffee"] == 0.3
    assert standing(live, 5)["coffee"] == 0.1 and "milk" not in standing(live, 5)
    assert standing(live, 7)["bread"] == 0.3
    live.close()


def test_an_offer_whose_products_are_all_gone_does_not_stand(url, clock, tmp_path):
    live = bare(url, clock)
    take(live, told(tmp_path, "prices", PRICES, f"p4,5.00,4.00,,{date(6)}"))
    take(live, told(tmp_path, "stock", "sku,in_stock", "p5,yes", "p4,no"))
    # Its sister on hand is not what the offer is good for.
    assert standing(live, 1) == {}
    take(live, told(tmp_path, "stock", "sku,in_stock", "p4,yes"))
    assert standing(live, 1) == {"coffee": 0.2}
    live.close()


def test_only_what_is_on_hand_is_named_and_makes_up_the_saving(url, clock, tmp_path):
    """Three coffees, two at a tenth off and one at half; the letter and the answer name what can be had."""
    live = bare(url, clock)
    take(live, told(tmp_path, "products", "sku,name,category", "p-new,New,coffee"))
    rows = [f"{sku},5.00,{offer},,{date(9)}" for sku, offer in (("p4", 4.5), ("p5", 2.5), ("p-new", 4.52))]
    take(live, told(tmp_path, "prices", PRICES, *rows))
    clock.set(2)
    hear(live, *(allow(f"user-{k}", 1) for k in range(3)))
    for user, gone, products, saving in (
        ("user-0", (), ["p5"], 0.5),
        ("user-1", ("p5",), ["p4", "p-new"], 0.098),
        ("user-2", ("p5", "p4"), ["p-new"], 0.098),
    ):
        take(live, told(tmp_path, "stock", "sku,in_stock", "p-new,yes", *(f"{sku},no" for sku in gone)))
        answer = say(live, user)
        assert answer.products == products and round(answer.stored.saving, 4) == saving
    everybody = say(live, "nobody")
    assert everybody.products == ["p-new"] and everybody.for_everybody >= 0
    assert holds_together(live) == 3
    live.close()


def test_offers_stand_beyond_the_days_that_purchases_reached(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(DAYS + 200)
    take(live, told(tmp_path, "prices", PRICES, f"p4,5.00,4.00,,{date(DAYS + 203)}"))
    assert standing(live, DAYS + 203) == {"coffee": 0.2} and standing(live, DAYS + 204) == {}
    live.close()


# ---- products, stock -------------------------------------------------------------------------------------------------


def test_a_product_that_is_new_is_bought_under_its_category_at_once(url, clock, tmp_path):
    live = bare(url, clock)
    hear(live, allow("ada"))
    with another_engine(live) as other:
        products = told(
            tmp_path,
            "products",
            "sku,name,category",
            "brie,Brie,CHEESE",
            "p0,Milk,milk",
            "p1,Milk,tea",
            "x,X,lamps",
        )
        assert take(live, products) == {"products": 1}
        hear(live, buy("ada", 0, "brie"), engine=other)
        say(live, "ada", engine=other)
    assert column(live, "ada", "bought")[NAMES.index("cheese")] == 1
    rows = products.rejected()
    assert rows["kind"].to_list() == ["products: other category", "products: new category"]
    assert rows["line"].to_list() == [4, 5] and rows["value"].to_list() == ["tea", "lamps"]
    live.close()


def test_stores_are_added_up_and_words_count(url, clock, tmp_path):
    live = bare(url, clock)
    rows = [
        "sku,quantity,store",
        "p0,0,a",
        "p0,2,b",
        "p1,No,a",
        "p2,yes,a",
        "p3,-4,a",
        "p4,many,a",
        "p9x,1,a",
    ]
    stock = told(tmp_path, "stock", *rows)
    assert take(live, stock) == {"stock": 4, "out": 2}
    units = {product: units for product, units, _ in live.call(lambda work: work.on_hand(live.number))}
    assert units == {0: 2, 1: 0, 2: 1, 3: 0}
    assert stock.rejected()["kind"].to_list() == ["stock: not a number", "stock: unknown product"]
    live.close()


@pytest.mark.parametrize(
    ("cells", "decimal", "units"),
    [
        (["1,200", "3"], None, [1200, 3]),
        (["1,200,000", "3"], None, [1_200_000, 3]),
        (["1.200,5", "3"], None, [1201, 3]),
        (["1.200", "3"], ",", [1200, 3]),
        (["1,200", "3"], ",", [2, 3]),
        (["yes", "1,200", "no"], None, [1, 1200, 0]),
        (["1.5", "2"], None, [2, 2]),
    ],
)
def test_stock_is_read_as_amounts_are(tmp_path, cells, decimal, units):
    rows = [f'p{k},"{cell}"' for k, cell in enumerate(cells)]
    stock = told(tmp_path, "stock", "sku,stock", *rows, decimal=decimal)
    assert stock.kept["stock"].to_list() == units and not stock.rejected().height


def test_stock_that_could_be_thousands_or_not_is_asked_about(tmp_path):
    with pytest.raises(BadInput, match=r"1200 or 1\.200.*--decimal"):
        told(tmp_path, "stock", "sku;stock", "p0;1.200", "p1;3")


# ---- what is wrong ---------------------------------------------------------------------------------------------------

WRONG = {
    "p9x,1,,,": ("unknown product", "sku"),
    ",1,,,": ("missing sku", "sku"),
    "p0,,,,": ("missing price", "price"),
    "p0,free,,,": ("not a number", "price"),
    "p0,0,,,": ("price of nothing", "price"),
    "p0,-1,,,": ("negative price", "price"),
    "p0,1,2,,": ("offer above the price", "offer"),
    "p0,2,1,,": ("missing until", "until"),
    "p0,2,1,2026-01-09,2026-01-08": ("ends before it begins", "until"),
    "p0,2,1,2025-01-09,2025-12-31": ("over", "until"),
    "p0,2,1,,2036-01-08": ("far date", "until"),
    "p0,2,1,,soon": ("bad date", "until"),
}


def test_each_row_that_cannot_be_used_is_told_with_its_place_and_mend(url, clock, tmp_path):
    live = bare(url, clock)
    prices = told(tmp_path, "prices", PRICES, *WRONG, f"p2,2,1,,{date(3)}")
    assert take(live, prices) == {"prices": 1, "offers": 1}
    found = [
        (row["kind"].removeprefix("prices: "), row["field"])
        for row in prices.rejected().iter_rows(named=True)
    ]
    assert found == list(WRONG.values())
    assert prices.rejected()["line"].to_list() == list(range(2, 2 + len(WRONG)))
    assert set(prices.rejected()["file"]) == {"prices.csv"} and all(prices.rejected()["mend"])
    live.close()


def test_columns_are_asked_for_by_file(tmp_path):
    with pytest.raises(UnknownColumn, match=r"'price' is not in prices.csv.*--columns prices.price=Preis"):
        told(tmp_path, "prices", "sku,Preis", "p0,1", prefix="prices.")
    assert told(tmp_path, "prices", "sku,Preis", "p0,1", columns={"price": "Preis"}).kept[
        "price"
    ].to_list() == [1.0]
    with pytest.raises(UnknownColumn, match="Map it, or phone"):
        told(tmp_path, "people", "card", "ada")


# ---- people ----------------------------------------------------------------------------------------------------------


def people_into(live, told, granted=()):
    return importing.add_people(
        lambda work_on: live.call(work_on),
        live.shop,
        told,
        importing.granted_by(granted),
        live.clock(),
        lambda *_: None,
    )


def test_letters_have_the_address_of_whoever_allows_it(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(2)
    hear(live, allow("ada", 1), allow("bob", 1, purchases=True), tell("bob", 1))
    rows = [
        "card,email",
        "ada,Ada@Example.org",
        "bob,bob@example.org",
        "eva,eva@example.org",
        "x,nowhere",
        ",y@example.org",
    ]
    people = told(tmp_path, "people", *rows)
    assert people_into(live, people) == {"people": 1, "people_again": 0, "people_withheld": 2}
    assert people.rejected()["kind"].to_list() == ["people: no email", "people: missing card"]
    take(live, told(tmp_path, "prices", PRICES, f"p4,5.00,4.00,,{date(6)}"))
    letters.write(live.engine, live.shop, "email", "tomorrow", 10, tmp_path / "letters.csv")
    text = (tmp_path / "letters.csv").read_text()
    assert "ada,Ada@Example.org" in text and "bob@" not in text and "eva" not in text
    # Whoever writes the letter knows what the offer is good for.
    assert all(line.endswith(",p4") for line in text.splitlines()[1:])
    live.close()


def test_whoever_is_new_allows_what_is_vouched_for(url, clock, tmp_path):
    live = bare(url, clock)
    rows = ["card,email,timezone", "ada,home@example.org,Europe/Berlin", "bob,home@example.org,"]
    assert people_into(live, told(tmp_path, "people", *rows), ["contact.email"]) == {
        "people": 2, "people_again": 0, "people_withheld": 0,
    }  # fmt: skip
    # One address of two is nobody's reason to be merged.
    names = live.call(lambda work: live.shop.known_as(work, work.everybody(live.number)))
    assert sorted(each["user"] for each in names.values()) == ["ada", "bob"]
    assert {each["email"] for each in names.values()} == {"home@example.org"}
    assert int(column(live, "ada", "optin")) == 1 << Channel.EMAIL
    live.close()


def rows_of_people(tmp_path, *rows, columns="card,email,phone,timezone"):
    return told(tmp_path, "people", columns, *rows)


def became(live, tmp_path, *rows, granted=("contact.email",)):
    """How many of these people were taken, known already and withheld."""
    return tuple(people_into(live, rows_of_people(tmp_path, *rows), granted).values())


def erase(live, user):
    who = customers.number(live, user)
    live.call(lambda work: intake.erase(work, live.shop, [who], 0))


def last_known_as(live, user):
    who = customers.number(live, user)
    return live.call(lambda work: live.shop.known_as(work, [who]))[who]


def test_another_card_is_no_way_around_a_refusal(url, clock, tmp_path):
    live = bare(url, clock)
    hear(live, tell("ada", email="ada@x.org"), tell("eva", phone="+49 30 901820"))
    hear(live, allow("ada", contact=False, purchases=True), allow("eva", contact=True, contact__sms=False))
    hear(live, tell("bob", email="bob@x.org"), allow("bob", contact__email=True))
    everybody = live.call(lambda work: work.everybody(live.number))
    rows = ["c1,Ada@X.org ,,", "c2,new@x.org,+4930901820,"]
    assert became(live, tmp_path, *rows, granted=("contact.email", "contact.sms")) == (0, 0, 2)
    assert live.call(lambda work: work.everybody(live.number)) == everybody
    # Nor is the card of somebody else who may be written to.
    assert became(live, tmp_path, "bob,ada@x.org,,") == (0, 0, 1)
    assert last_known_as(live, "bob")["email"] == "bob@x.org"
    # Whom her owner lets be written to may be shared, and what she allows later counts.
    assert became(live, tmp_path, "c3,bob@x.org,,") == (1, 0, 0)
    hear(live, allow("ada", contact__email=True))
    assert became(live, tmp_path, "c1,ada@x.org,,") == (1, 0, 0)
    live.close()


def test_only_an_address_at_which_she_may_be_written_to_is_kept(url, clock, tmp_path):
    live = bare(url, clock)
    rows = ["c1,a@x.org,+4930901821,", "c2,,+4930901822,"]
    for word in ("contact.measure", "contact", "contact.app", "purchases"):
        assert became(live, tmp_path, *rows, granted=(word,)) == (0, 0, 2), word
    assert became(live, tmp_path, *rows) == (1, 0, 1)
    assert last_known_as(live, "c1") == {"user": "c1", "email": "a@x.org"}
    hear(live, allow("c1", contact__sms=True))
    assert became(live, tmp_path, *rows) == (1, 0, 1)
    assert last_known_as(live, "c1")["phone"] == "+4930901821"
    live.close()


def test_whoever_blocked_everything_gets_no_new_address(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(5)
    hear(live, allow("ada", 5), allow("bob", 5), tell("ada", 5, email="ada@x.org"))
    take(live, told(tmp_path, "prices", PRICES, f"p4,5.00,3.50,{date(4)},{date(7)}"))
    for user, reaction in (("ada", "block"), ("bob", "unsubscribe")):
        hear(live, react(user, say(live, user, channel=Channel.EMAIL).id, reaction, day=5))
    rows = ["ada,other@x.org,,Europe/Berlin", "bob,bob@x.org,,", "c1,ada@x.org,,"]
    assert became(live, tmp_path, *rows) == (0, 0, 3)
    assert last_known_as(live, "ada")["email"] == "ada@x.org" and "email" not in last_known_as(live, "bob")
    live.close()


def test_whoever_was_erased_is_not_brought_back_by_an_import(url, clock, tmp_path):
    live = bare(url, clock)
    rows = ["ada,ada@x.org,,", "bob,bob@x.org,,"]
    assert became(live, tmp_path, *rows) == (2, 0, 0)
    erase(live, "ada")
    assert became(live, tmp_path, *rows, "c1,ADA@x.org,,") == (0, 1, 2)
    assert customers.number(live, "ada") == -1 and customers.number(live, "c1") == -1
    # Nor long after, when what was heard only lately is forgotten.
    clock.set(90)
    say(live, "bob")
    assert became(live, tmp_path, *rows) == (0, 1, 1) and customers.number(live, "ada") == -1
    # She may come back herself.
    hear(live, tell("ada", 90))
    assert became(live, tmp_path, *rows) == (0, 1, 1)
    hear(live, allow("ada", 90, contact__email=True))
    assert became(live, tmp_path, *rows) == (1, 1, 0)
    assert last_known_as(live, "ada")["email"] == "ada@x.org"
    live.close()


def test_what_stands_already_is_not_told_again(url, clock, tmp_path):
    live = bare(url, clock)
    rows = ["ada,a@x.org,,Europe/Berlin", "bob,bob@x.org,,Europe/Rome", "bob,bob@x.org,,"]
    assert became(live, tmp_path, *rows) == (3, 0, 0)
    before = [customers.events_of(live, user) for user in ("ada", "bob")]
    # Two rows of one who is new allow once.
    assert [sum(event.did == Did.ALLOWED for event in each) for each in before] == [1, 1]
    assert became(live, tmp_path, *rows) == (0, 3, 0)
    assert [customers.events_of(live, user) for user in ("ada", "bob")] == before
    changed = ["ada,b@x.org,,Europe/Berlin", "ada,b@x.org,,", "bob,bob@x.org,,Asia/Tokyo"]
    assert became(live, tmp_path, *changed) == (2, 1, 0)
    assert last_known_as(live, "ada")["email"] == "b@x.org"
    live.close()


def test_a_row_of_people_with_a_time_zone_that_is_none_is_left_out(url, clock, tmp_path):
    """Her quiet hours would be the retailer's without anybody knowing."""
    live = bare(url, clock)
    listing = rows_of_people(tmp_path, "ada,a@x.org,,Mars/X", "bob,b@x.org,,Asia/Tokyo", "eva,e@x.org,,")
    assert people_into(live, listing, ("contact.email",))["people"] == 2
    (row,) = listing.sieve.rejected().to_dicts()
    assert (row["line"], row["kind"], row["value"]) == (2, "no time zone", "Mars/X")
    assert "Europe/Berlin" in row["mend"]
    live.close()


def test_letters_go_to_the_address_that_was_told_last(url, clock, tmp_path):
    live = bare(url, clock)
    clock.set(2)
    hear(live, allow("ada", 1))
    for email in ("a@x.org", "b@x.org", "a@x.org"):
        hear(live, tell("ada", 1, email=email))
    assert last_known_as(live, "ada")["email"] == "a@x.org"
    assert became(live, tmp_path, "ada,b@x.org,,") == (1, 0, 0)
    assert became(live, tmp_path, "ada,a@x.org,,") == (1, 0, 0)
    take(live, told(tmp_path, "prices", PRICES, f"p4,5.00,4.00,,{date(6)}"))
    letters.write(live.engine, live.shop, "email", "tomorrow", 10, tmp_path / "letters.csv")
    text = (tmp_path / "letters.csv").read_text()
    assert "ada,a@x.org" in text and "b@x.org" not in text
    live.close()


def test_addresses_are_sealed(clock, tmp_path):
    live = bare(f"sqlite:///{tmp_path}/store.db", clock)
    hear(live, allow("ada", 0))
    people_into(live, told(tmp_path, "people", "card,email", "ada,canary-home@example.org"))
    live.close()
    for path in tmp_path.glob("store.db*"):
        assert b"canary-home" not in path.read_bytes()


# ---- the whole import ------------------------------------------------------------------------------------------------


def bring(url, panel, *files, name="mine", day=datetime.date(2026, 3, 21)):
    shown = []
    noon = int(datetime.datetime.combine(day, datetime.time(12), datetime.UTC).timestamp() * 1000)
    importing.bring(
        url, name, panel, USUAL, None, None, lambda text: None, shown.append, listings=files, count=lambda *_: None,
        now=lambda: noon,
    )  # fmt: skip
    return shown[0]


OFFERED = ("sku,price,offer,from,until", "milk,2.50,2.00,2026-03-21,2026-03-29")


def test_a_retailer_is_set_up_with_all_that_it_tells(url, tmp_path):
    panel = sales(tmp_path / "a.csv", week())
    files = [
        told(tmp_path, "prices", *OFFERED, "lamp,9,8,,2026-03-25"),
        told(tmp_path, "products", "sku,category", "milk,ALL", "lamp,Lamps", "rug,"),
        told(tmp_path, "stock", "sku,stock", "bread,0", "lamp,2"),
        told(tmp_path, "people", "card,email", "anna,anna@example.org"),
    ]
    found = bring(url, panel, *files)
    assert {name: found[name] for name in ("products", "prices", "offers", "stock", "out", "people")} == {
        "products": 1, "prices": 2, "offers": 2, "stock": 2, "out": 1, "people": 1,
    }  # fmt: skip
    assert set(found["keys"]) and "2 categories with an offer today" in found["outlook"]
    assert found["rejects"] == {"products: missing category": 1}
    # And each by itself later.
    later = bring(
        url, None, told(tmp_path, "prices", "sku,price,offer,until", "bread,2,1,2026-03-28"), name=""
    )
    assert later["retailer"] == "mine" and (later["prices"], later["offers"]) == (1, 1)
    assert bring(url, panel)["again"] == 4


def test_placement_tells_which_discounts_stood_in_weeks_without_a_sale(file, tmp_path):
    rows = [
        f"2026-03-{day:02d},{card},{sku},2.00,{discount},1,{card}-{day}"
        for day, discount in ((1, 0), (9, 1), (20, 0))
        for card in ("anna", "bob")
        for sku in ("milk", "bread", "eggs")
        if day != 20 or sku == "milk"
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["date,card,sku,net,discount,quantity,basket", *rows]) + "\n")
    panel = tables.read(path)
    placement = told(tmp_path, "placement", "sku,mailer,from,until", *(f"{s},front,2026-03-09,2026-03-15" for s in
                     ("milk", "bread", "eggs")), "soap,x,2026-03-09,", "milk,x,2026-05-01,")  # fmt: skip
    frame = listing.placement_of(panel, placement)
    assert sorted(set(frame["week"])) == [2] and set(frame["mailer"]) == {True} and not frame["display"].any()
    assert placement.rejected()["kind"].to_list() == [
        "placement: unknown product",
        "placement: outside the purchases",
    ]
    assert importing.shelf_from(panel).depth[3].sum() > 0  # the nearest week's
    with_it = importing.shelf_from(panel, frame)
    assert with_it.depth[3].sum() == 0 and with_it.depth[2].sum() > 0
    bring(file, panel, placement)
    with pytest.raises(SettingError, match="--placement goes with the purchases of a retailer that is new"):
        bring(file, None, placement)


def test_no_offers_is_said_with_the_mend_at_the_end_of_an_import_and_at_the_start_of_serve(
    file, tmp_path, monkeypatch, capsys
):
    found = bring(file, sales(tmp_path / "a.csv", week()))
    assert "no offer today or on the 7 days after it" in found["outlook"]
    assert "regulars import --prices prices.csv --retailer mine --store sqlite:///" in found["outlook"]
    monkeypatch.setattr(host.uvicorn.Server, "run", lambda server: None)
    said = []
    host.run(file, "127.0.0.1", 0, 1, False, said.append)
    assert any("no offer today" in each for each in said)
    ends = bring(file, None, told(tmp_path, "prices", OFFERED[0], "milk,2.50,2.00,2026-03-21,2026-03-24"))
    assert "1 category with an offer today; none after 2026-03-24" in ends["outlook"]
    begins = bring(
        file, None, told(tmp_path, "prices", OFFERED[0], "milk,2.50,,,", "milk,2.5,2,2026-03-24,2026-03-30")
    )
    assert "no offer before 2026-03-24" in begins["outlook"]


def test_whoever_is_not_there_cannot_be_told_of(file, tmp_path):
    prices = told(tmp_path, "prices", *OFFERED)
    for _ in range(2):
        with pytest.raises(SettingError, match="no retailer yet"):
            bring(file, None, prices, name="")
        open_store(file).close()
    with pytest.raises(SettingError, match=r"no retailer 'mine'.*regulars import sales.csv --retailer mine"):
        bring(file, None, prices)


NOTHING_USED = {
    "prices": (["sku,price", "beer,2", "wine,3"], r"p\.csv, line 2, sku: 'beer' .*All 2 rows .*2 unknown product"),
    "stock": (["sku,stock", "milk,some"], r"line 2, stock: 'some' .*The only row was left out \(1 not a number\)"),
    "products": (["sku,category", "beer,", "wine,"], r"line 2, category: '' .*Fill it in\. All 2 rows"),
    "people": (["card,email", "anna,nowhere"], r"line 2, email: 'nowhere' .*The only row"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOTHING_USED)
def test_a_file_of_which_no_row_can_be_used_is_refused_when_all_else_was_done(file, tmp_path, capsys, kind):
    rows, said = NOTHING_USED[kind]
    sales(tmp_path / "a.csv", week())
    (tmp_path / "p.csv").write_text("\n".join(rows) + "\n", "utf-8")
    given = {kind: tmp_path / "p.csv", "rejects": tmp_path / "rejects.csv"}
    if kind != "products":  # of which purchases beside them are read more strictly
        with pytest.raises(BadInput, match=said):
            cli.imports.import_(tmp_path / "a.csv", "new", file, **given)
        assert "told this once" in capsys.readouterr().out
        cli.live.verify(store=file, retailer="new")
    bring(file, sales(tmp_path / "a.csv", week()))
    capsys.readouterr()
    with pytest.raises(BadInput, match=said):
        cli.imports.import_(None, "mine", file, **given)
    assert f"of {kind}, " in capsys.readouterr().out
    assert len((tmp_path / "rejects.csv").read_text().splitlines()) == len(rows)
    if kind == "prices":  # the other file counts
        (tmp_path / "s.csv").write_text("sku,stock\nmilk,0\n")
        with pytest.raises(BadInput, match=said):
            cli.imports.import_(None, "mine", file, **given, stock=tmp_path / "s.csv")
        assert "1 of them is sold out" in capsys.readouterr().out


def test_a_file_that_tells_what_is_known_is_not_refused(file, tmp_path):
    bring(file, sales(tmp_path / "a.csv", week()))
    assert bring(file, None, told(tmp_path, "products", "sku,category", "milk,ALL"))["products"] == 0


def test_the_command_takes_every_file_and_lists_what_it_left_out(file, tmp_path, capsys):
    sales(tmp_path / "a.csv", week("2026-03-21,anna,milk,oops,1,late"))
    soon = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)).isoformat()
    (tmp_path / "p.csv").write_text(f"sku,Preis,offer,until\nmilk,2.5,2,{soon}\nbeer,1,,\n")
    out = tmp_path / "rejects.csv"
    cli.imports.import_(
        tmp_path / "a.csv",
        "mine",
        file,
        prices=tmp_path / "p.csv",
        columns=["prices.price=Preis"],
        rejects=out,
    )
    told = capsys.readouterr().out
    assert (
        "left out: 1 row of prices, unknown product" in told
        and "1 of them is an offer" in told
        and "told this once" in told
    )
    assert "with an offer today" in told
    lines = out.read_text().splitlines()
    assert (
        len(lines) == 3
        and lines[1].startswith("a.csv,")
        and "p.csv,3,prices: unknown product,sku,beer" in lines[2]
    )
    cli.imports.import_(
        None, None, file, prices=tmp_path / "p.csv", columns=["price=Preis"], json=True, rejects=out
    )
    assert json.loads(capsys.readouterr().out)["offers"] == 1
    assert len(out.read_text().splitlines()) == 2
    with pytest.raises(SettingError, match="there is nothing to import"):
        cli.imports.import_(None, "mine", file)
    with pytest.raises(SettingError, match="would overwrite"):
        cli.imports.import_(None, "mine", file, prices=out, rejects=out)
    with pytest.raises(SettingError, match="no --stock among"):
        cli.imports.import_(None, "mine", file, prices=tmp_path / "p.csv", columns=["stock.sku=x"])


def test_whoever_is_nobody_is_shown_what_was_told(file, tmp_path):
    bring(file, sales(tmp_path / "a.csv", week()), told(tmp_path, "prices", *OFFERED))
    with cli.stores.live_engine(file, "mine") as (engine, shop):
        now = engine.now = lambda: at(80)
        answer = engine.decide(shop, [Ask(-1, None, now())]).result(60)[0]
        assert answer.stored.reason == Reason.NO_PERMISSION
        assert answer.terms[2] == (datetime.date(2026, 3, 29) - shop.calendar.start).days
