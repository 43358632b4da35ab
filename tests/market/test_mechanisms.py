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


def test_coupons_are_used_for_what_they_save(base, hamlet, whole):
    ablated = without(base, hamlet, "coupons", "exposure")
    assert total(ablated, "purchases", "redemptions") < total(whole, "purchases", "redemptions")
