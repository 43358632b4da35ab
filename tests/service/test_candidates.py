"""Whoever asks may say what there is room for: an offer is one of the candidates, or none is made."""

import json

import msgspec
import numpy as np
import pytest

from regulars.retail import catalog as catalogs
from regulars.retail.catalog import Among
from regulars.service import audit, letters, listing, remote
from regulars.service.assortment import Assortment
from regulars.service.decided import ANYTHING, Ask, Limit, Stored
from regulars.sources import listings
from regulars.terms import NONE, OfferKind, Offers

from .conftest import DAYS, NAMES, Clock, Live, at, corner_shop
from .customers import EVERYTHING, allow, another_engine, ask, buy, hear, holds_together
from .desk import iso, open_desk, order

#: She buys all of it, so that each is a sensible offer.
FAVOURITES = ("p0", "p2", "p4", "p6")
CATEGORY = {sku: NAMES[int(sku[1:]) // 2] for sku in (f"p{k}" for k in range(16))}
#: A shop whose policy speaks as often as it may.
OFTEN = {"policy_settings": {"per_week": 14, "min_gap_days": 0}}


def coupons():
    """A shop where every offer is good for one product: p0 in milk is the better of two, p2 and p5 stand alone."""
    of = np.array([0, 1, 2, 5])
    n = len(of)
    bits = (np.uint64(1) << of.astype(np.uint64)).reshape(n, 1)
    offers = Offers(
        kind=np.full(n, OfferKind.COUPON, np.uint8), category=(of // 2).astype(np.int32),
        saving=np.array([0.4, 0.3, 0.3, 0.3], np.float32), saving_cents=np.zeros(n, np.int32),
        first_day=np.zeros(n, np.int32), last_day=np.full(n, DAYS - 1, np.int32),
        bits_row=np.arange(n, dtype=np.int32), product_bits=bits,
    )  # fmt: skip
    plain = corner_shop()
    found = catalogs.from_offers(offers, NAMES, np.full(len(NAMES), 300, np.float32), days=DAYS)
    return Assortment(found, plain.sku, plain.title, plain.category_of)


@pytest.fixture
def often(tmp_path):
    opened = open_desk(tmp_path, **OFTEN)
    yield opened
    opened.close()


@pytest.fixture
def printed(tmp_path):
    opened = open_desk(tmp_path, assortment=coupons(), **OFTEN)
    yield opened
    opened.close()


def limited_to(live, sku):
    return Limit((live.shop.product_of[sku],), ())


def bought(desk, user="anna"):
    desk.allow(user)
    for day in (1, 3, 5, 7, 9):
        for sku in FAVOURITES:
            desk.send(order(user, sku, f"{day} {sku}", timestamp=iso(at(day))))


def offers(desk, candidates, user="anna", days=range(10, 40)):
    """What was offered on these days, as (category, offer, decision); options and silence are left out."""
    told = []
    for day in days:
        desk.live.clock.set(day)
        answer = desk.decide(user, **({} if candidates is None else {"candidates": candidates}))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        if said["action"] == "offer":
            told.append((said["offer"]["category"], said["offer"]["id"], said["id"]))
    return told


def test_without_candidates_several_things_are_offered(often):
    """So the tests below can fail."""
    bought(often)
    assert len({category for category, _, _ in offers(often, None)}) > 1


@pytest.mark.parametrize(
    ("candidates", "allowed"),
    [
        ({"skus": ["p4"]}, {"coffee"}),
        ({"categories": ["bread"]}, {"bread"}),
        ({"categories": ["BREAD"]}, {"bread"}),
        ({"skus": ["p4", "p5", "p4"], "categories": ["apples"]}, {"coffee", "apples"}),
        ({"skus": ["p4"], "categories": None}, {"coffee"}),
    ],
)
def test_an_offer_is_one_of_the_candidates(often, candidates, allowed):
    bought(often)
    told = offers(often, candidates)
    assert told and {category for category, _, _ in told} <= allowed


def phases(desk, *candidates):
    """Offers of each of these candidates to a customer of her own, one after the other."""
    for k in range(len(candidates)):
        bought(desk, f"user-{k}")
    for k, each in enumerate(candidates):
        yield offers(desk, each, f"user-{k}", range(10 + 4 * k, 14 + 4 * k))


def test_an_offer_is_good_for_a_candidate_and_stands_under_its_category(printed):
    told = phases(printed, {"skus": ["p0"]}, {"skus": ["p1"]}, {"categories": ["milk"]})
    # The lesser of two stands where the better is for no candidate.
    assert [{offer for _, offer, _ in each} for each in told] == [{0}, {1}, {0}]


def test_a_candidate_that_is_hidden_or_gone_is_never_offered(printed):
    def stock(line):
        assert printed.ask("PUT", "/v1/stock", {"products": [line]}, "staff").status_code == 200

    both = {"skus": ["p0", "p2"]}
    told = phases(printed, both, both, both, {"categories": ["milk"]})
    assert {category for category, _, _ in next(told)} == {"milk", "bread"}
    stock({"sku": "p0", "onHand": 0})
    assert {category for category, _, _ in next(told)} == {"bread"}
    stock({"sku": "p2", "hidden": True})
    assert not next(told)
    assert {offer for _, offer, _ in next(told)} == {1}  # p1 is there


def test_where_no_candidate_may_be_offered_there_is_silence_or_an_option(printed):
    bought(printed)
    assert not offers(printed, {"skus": ["p9"]})
    assert printed.decide("anna", candidates={"skus": ["p9"]}).json()["reason"] == "nothing_fits"


def test_what_stands_for_everybody_is_a_candidate_too(often):
    everybody = often.decide("nobody-we-know", candidates={"categories": ["tea"]}).json()
    assert everybody["forEverybody"]["category"] == "tea"
    often.send({"type": "identify", "userId": "silent"})
    known = often.decide("silent", candidates={"skus": ["p10"]}).json()
    assert known["id"] and known["forEverybody"]["category"] == "candy"


def test_it_is_told_that_an_offer_was_no_candidate(often):
    bought(often)
    name = offers(often, {"skus": ["p4"], "categories": ["apples"]})[0][2]
    told = often.ask("GET", f"/v1/decisions/{name}", role="staff").json()
    assert told["limitedTo"] == {"skus": ["p4"], "categories": ["apples"]}
    ruled = {each["category"]: each for each in told["candidates"]}
    for category in set(NAMES) - {"coffee", "apples"}:
        assert ruled[category]["reason"] == "not_a_candidate" and ruled[category]["saving"] == 0.3
        assert "not among the candidates" in ruled[category]["words"] and not ruled[category]["said"]
    assert "not_a_candidate" not in {ruled[category]["reason"] for category in ("coffee", "apples")}
    plain = often.decide("anna").json()["id"]
    assert often.ask("GET", f"/v1/decisions/{plain}", role="staff").json()["limitedTo"] is None


def test_what_does_not_stand_for_anybody_is_told_as_such(printed):
    bought(printed)
    name = offers(printed, {"skus": ["p0"]})[0][2]
    told = printed.ask("GET", f"/v1/decisions/{name}", role="staff").json()
    ruled = {each["category"]: each["reason"] for each in told["candidates"]}
    assert ruled["tea"] == "no_offer" and ruled["bread"] == ruled["coffee"] == "not_a_candidate"


def test_a_decision_among_candidates_is_made_again_equal(often):
    bought(often)
    names = [name for _, _, name in offers(often, {"skus": ["p4"]})]
    names.append(often.decide("anna", candidates={"skus": ["p15"]}).json()["id"])
    for name in names:
        told = often.ask("POST", f"/v1/decisions/{name}/replay", {}, "staff").json()
        assert told["equal"], told
    # And would not be without them: what it was limited to is part of what it rests on.
    shop = often.live.shop

    def without(work):
        row, stored, seats = audit.looked_up(shop, work, names[0])
        bare = msgspec.structs.replace(stored, limit=Limit(categories=(NAMES.index("tea"),)))
        return audit.made_again(shop, work, row, bare, seats).category, stored.category

    again, then = often.live.call(without)
    assert again != then


def test_a_decision_of_before_there_were_candidates_is_read(often):
    bought(often)
    name = offers(often, None)[0][2]
    shop = often.live.shop

    def older(work):
        row, stored, seats = audit.looked_up(shop, work, name)
        kept = [getattr(stored, each) for each in stored.__struct_fields__[:-1]]
        body = msgspec.msgpack.encode(kept)
        assert msgspec.msgpack.decode(body, type=Stored) == stored and stored.limit == ANYTHING
        seal = seats.seals[seats.place[row.customer]]
        work.change_decisions(shop.number, [(row.waits, seal.close(body, b"decision"), name)])

    often.live.call(older)
    assert often.ask("POST", f"/v1/decisions/{name}/replay", {}, "staff").json()["equal"]


def test_a_letter_for_tomorrow_is_no_gap_of_today(tmp_path):
    """Where one a day is the rule: today's answer is explained, and a silence is not put down to the letter."""
    desk = open_desk(tmp_path, policy_settings={"per_week": 14, "min_gap_days": 1})
    try:
        bought(desk)
        desk.live.clock.set(10)
        desk.allow("anna", **dict.fromkeys(EVERYTHING, True))
        live = desk.live
        assert (
            letters.write(live.engine, live.shop, "email", "tomorrow", 12, tmp_path / "l.csv")["messages"]
            == 1
        )
        desk.ask(
            "PUT", "/v1/stock", {"products": [{"sku": "p15", "hidden": True}, {"sku": "p14", "hidden": True}]}
        )
        shut = desk.decide("anna", candidates={"skus": ["p15"]}).json()
        assert (shut["action"], shut["reason"]) != ("silence", "gap")
        said = desk.decide("anna").json()
        told = desk.ask("GET", f"/v1/decisions/{said['id']}", role="staff").json()
        assert said["action"] == "silence" or told["candidates"]
        for each in (shut, said):
            assert desk.ask("POST", f"/v1/decisions/{each['id']}/replay", {}, "staff").json()["equal"]
    finally:
        desk.close()


def test_a_product_that_another_process_was_told_of_may_be_named_at_once(often, tmp_path):
    """And a decision that rests on it is made again, explained and no stranger's to an engine that looks back."""
    live = often.live
    live.clock.set(10)
    often.allow("anna")
    before = often.decide("anna").json()["id"]
    again = {"candidates": {"skus": ["new"]}}
    assert often.decide("anna", **again).status_code == 400
    path = tmp_path / "products.csv"
    path.write_text("sku,name,category\nnew,New,milk\n")
    with another_engine(live) as other:
        shop = other.shops[live.number]
        files = [listings.read("products", path)]
        other.call(shop, lambda work: listing.take(work, shop, files, live.clock())).result(60)
    assert often.ask("POST", f"/v1/decisions/{before}/replay", {}, "staff").json()["equal"]
    live.clock.set(12)
    answer = often.decide("anna", **again)
    assert answer.status_code == 200, answer.text
    name = answer.json()["id"]
    assert often.ask("GET", f"/v1/decisions/{name}", role="staff").json()["limitedTo"]["skus"] == ["new"]
    for each in (before, name):
        assert often.ask("POST", f"/v1/decisions/{each}/replay", {}, "staff").json()["equal"]


def test_who_is_asked_about_at_once_is_limited_apart(url):
    clock = Clock(10)
    live = Live(url, clock, **OFTEN)
    try:
        users = [f"user-{k}" for k in range(24)]
        for user in users:
            events = [allow(user, **dict.fromkeys(EVERYTHING, True))]
            hear(live, *events, *(buy(user, day, *FAVOURITES) for day in (1, 3, 5, 7, 9)))
        limits = [limited_to(live, FAVOURITES[k % 4]) if k % 5 else ANYTHING for k in range(24)]
        spoken = 0
        for day in range(10, 16):
            clock.set(day)
            asks = [
                Ask(-1, None, clock(), "", ask(user).names, limit)
                for user, limit in zip(users, limits, strict=True)
            ]
            told = live.engine.decide(live.shop, asks).result(60)
            for k, answer in enumerate(told):
                assert answer.stored.limit == limits[k]
                if answer.stored.offer >= 0 and limits[k] != ANYTHING:
                    assert NAMES[answer.stored.category] == CATEGORY[FAVOURITES[k % 4]]
                    spoken += 1
        assert spoken
        holds_together(live)
    finally:
        live.close()


def test_candidates_of_others_change_nothing_of_hers(tmp_path):
    """Asked alone, and asked among people with candidates of their own, she is told the same."""
    told = []
    for name, crowd in (("alone", 1), ("crowd", 9)):
        clock = Clock(10)
        folder = tmp_path / name
        folder.mkdir()
        live = Live(f"sqlite:///{folder}/store.db", clock, **OFTEN)
        for k in range(9):
            hear(live, allow(f"user-{k}", **dict.fromkeys(EVERYTHING, True)))
            hear(live, *(buy(f"user-{k}", day, *FAVOURITES) for day in (1, 3, 5, 7, 9)))
        asks = [Ask(-1, None, clock(), "", ask("user-0").names, limited_to(live, "p2"))]
        asks += [
            Ask(-1, None, clock(), "", ask(f"user-{k}").names, limited_to(live, f"p{k}"))
            for k in range(1, crowd)
        ]
        stored = live.engine.decide(live.shop, asks).result(60)[0].stored
        told.append((stored.offer, stored.propensity, stored.to_her, stored.reason))
        live.close()
    assert told[0] == told[1]


def test_a_process_that_decides_is_told_the_candidates(tmp_path):
    clock = Clock(10)
    live = Live(f"sqlite:///{tmp_path}/store.db", clock)
    asked = Ask(3, None, 5, "", ask("anna").names, Limit((1, 2), (0,)))
    body = msgspec.msgpack.encode([remote.Question(1, 0, [asked])])
    assert msgspec.msgpack.decode(body, type=list[remote.Question])[0].asks == [asked]
    live.close()


def test_an_idempotency_key_knows_the_candidates(often):
    bought(often)
    key = {"Idempotency-Key": "k"}
    first = often.decide("anna", headers=key, candidates={"skus": ["p4"]})
    assert often.decide("anna", headers=key, candidates={"skus": ["p4"]}).content == first.content
    for other in ({"candidates": {"skus": ["p6"]}}, {}):
        assert often.decide("anna", headers=key, **other).status_code == 422


WRONG = {
    "an unknown sku": ({"skus": ["p0", "p99"]}, "candidates.skus[1]", "sku of a product"),
    "an unknown category": ({"categories": ["wine"]}, "candidates.categories[0]", "name of a category"),
    "a sku among categories": ({"categories": ["p0"]}, "candidates.categories[0]", "name of a category"),
    "no skus": ({"skus": []}, "candidates.skus", "at least 1"),
    "no categories": ({"skus": ["p0"], "categories": []}, "candidates.categories", "at least 1"),
    "501 skus": ({"skus": ["p0"] * 501}, "candidates.skus", "at most 500"),
    "nothing": ({}, "candidates", "skus, categories or both"),
    "nulls": ({"skus": None, "categories": None}, "candidates", "skus, categories or both"),
    "a list": (["p0"], "candidates", "Send an object"),
    "a number": ({"skus": [7]}, "candidates.skus[0]", "Send text"),
    "an unknown field": (
        {"brands": ["x"]},
        "candidates.brands",
        "Leave it out; what is read is skus, categories",
    ),
    "text for a list": ({"skus": "p0"}, "candidates.skus", "Send a list"),
    "half a surrogate": ({"skus": ["\ud800"]}, "candidates.skus[0]", "sku of a product"),
}


@pytest.mark.parametrize(("candidates", "field", "mend"), WRONG.values(), ids=WRONG)
def test_candidates_that_cannot_be_are_refused_by_their_field(often, candidates, field, mend):
    before = often.tables()
    body = json.dumps({"userId": "anna", "candidates": candidates}).encode()
    answer = often.ask("POST", "/v1/decisions", raw=body, headers={"Sec-GPC": "1"})
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field and mend in error["mend"], error
    assert often.tables() == before


def test_null_is_no_limit(often):
    bought(often)
    assert often.ask("POST", "/v1/decisions", {"userId": "anna", "candidates": None}).status_code == 200


def test_the_page_tells_of_candidates(lasting):
    page = lasting.ask("GET", "/openapi.json", key="").json()["components"]["schemas"]
    assert "candidates" in page["DecisionRequest"]["properties"]
    skus = next(e for e in page["Candidates"]["properties"]["skus"]["anyOf"] if e.get("type") == "array")
    assert (skus["minItems"], skus["maxItems"]) == (1, 500)
    # What is asked for and what was considered are two things.
    assert page["Explained"]["properties"]["candidates"]["items"]["$ref"].endswith("/Considered")
    assert "Candidate" not in page


def test_an_offer_without_products_and_without_a_category_is_for_no_candidate():
    found = coupons().catalog
    bare = found.offers._replace(
        category=np.array([NONE, 0, 1, 2], np.int32), bits_row=np.full(4, NONE, np.int32)
    )
    catalog = catalogs.from_offers(bare, NAMES, np.full(len(NAMES), 300, np.float32), days=DAYS)
    among = Among(np.zeros(16, np.bool_), np.arange(len(NAMES)) == 1)
    assert catalogs.barred(catalog, 0, None, among).tolist() == [True, True, False, True]
