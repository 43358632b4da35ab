"""What a mechanism does is gone when it is taken out: nothing of it is coded in elsewhere."""

import pytest

from regulars.market import run


def total(results, arm, metric):
    return results.totals.filter(arm=arm, metric=metric)["value"].sum()


@pytest.fixture(scope="module")
def base(scenario):
    return scenario.changed(policies=("silence", "blast", "purchases", "harvest"), worlds=2)


@pytest.fixture(scope="module")
def whole(base, hamlet):
    return run.simulate(base, place=hamlet)


def without(base, hamlet, *mechanisms):
    return run.simulate(base.changed(ablate=mechanisms), place=hamlet)


def test_harvest_is_creepy_and_without_creep_it_is_not(base, hamlet, whole):
    assert total(whole, "harvest", "creepy") > total(whole, "purchases", "creepy")
    assert total(without(base, hamlet, "creep"), "harvest", "creepy") == 0


def test_contacts_bring_trips_through_brand_memory(base, hamlet, whole):
    gain = total(whole, "blast", "trips") - total(whole, "silence", "trips")
    ablated = without(base, hamlet, "brand_memory")
    left = total(ablated, "blast", "trips") - total(ablated, "silence", "trips")
    assert gain > 0
    assert left < gain / 4


def test_without_irritation_blasting_annoys_less_and_costs_fewer_trips(base, hamlet, whole):
    ablated = without(base, hamlet, "irritation")
    assert total(ablated, "blast", "annoying") < total(whole, "blast", "annoying")
    assert total(ablated, "blast", "trips") > total(whole, "blast", "trips")


def test_without_the_ignored_verdict_people_leave_in_droves(base, hamlet, whole):
    ablated = without(base, hamlet, "ignored")
    rate = total(whole, "blast", "unsubscribes") / total(whole, "blast", "contacts")
    assert total(ablated, "blast", "unsubscribes") / total(ablated, "blast", "contacts") > 2 * rate


def test_what_was_expected_is_not_creepy_and_without_expectations_purchases_are(base, hamlet, whole):
    ablated = without(base, hamlet, "expectation")
    share = total(whole, "purchases", "creepy") / total(whole, "harvest", "creepy")
    flat = total(ablated, "purchases", "creepy") / total(ablated, "harvest", "creepy")
    assert flat > 1.5 * share


def pinned(base, hamlet, prior, value, *mechanisms):
    return run.simulate(base.changed(priors={prior: value}, ablate=mechanisms), place=hamlet)


def same(one, other):
    return one.about["state_hash"] == other.about["state_hash"]


def test_other_senders_crowd_a_message_out_and_without_attention_they_do_not(base, hamlet, whole):
    crowded = pinned(base, hamlet, "elsewhere_load", 80.0)
    assert total(crowded, "blast", "opens") < 0.8 * total(whole, "blast", "opens")
    ablated = without(base, hamlet, "attention")
    assert total(ablated, "blast", "opens") > 1.02 * total(whole, "blast", "opens")
    assert same(ablated, pinned(base, hamlet, "elsewhere_load", 80.0, "attention"))


def test_what_she_reads_about_she_needs_more_and_without_exposure_she_does_not(base, hamlet, whole):
    ablated = without(base, hamlet, "exposure")
    assert total(ablated, "purchases", "lines") < 0.995 * total(whole, "purchases", "lines")
    assert total(pinned(base, hamlet, "exposure_lift", 1.0), "purchases", "lines") > 1.02 * total(
        whole, "purchases", "lines"
    )
    assert same(ablated, pinned(base, hamlet, "exposure_lift", 1.0, "exposure"))


def test_a_coupon_in_hand_sells_its_product_and_without_coupons_it_does_not(base, hamlet, whole):
    strong = pinned(base, hamlet, "coupon_lift", 8.0)
    ablated = without(base, hamlet, "coupons")
    told = ("blast", "purchases", "harvest")
    redeemed, most, least = (
        sum(total(results, arm, "redemptions") for arm in told) for results in (whole, strong, ablated)
    )
    assert least < redeemed < most / 1.5
    assert same(ablated, pinned(base, hamlet, "coupon_lift", 5.0, "coupons"))
