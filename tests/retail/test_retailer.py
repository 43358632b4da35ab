from __future__ import annotations

import numpy as np
import pytest

from regulars.errors import ConsentError, RegularsError, ShapeError
from regulars.ledger import Entries, Kind, verify
from regulars.retail import consent as consents
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Reason
from regulars.retail.explain import why
from regulars.retail.retailer import Retailer
from regulars.terms import Channel, OfferKind, Purpose, Reaction, Scope, Verdict


def digest(made):
    return {name: column.tobytes() for name, column in made.arrays().items()}


@pytest.mark.parametrize("name", ["considerate", "harvest", "demographics"])
def test_one_customers_year_is_replayed_alone(shop, run, basket, name):
    """With a snapshot a day, one customer alone lives exactly what she lived in the crowd: her diary."""
    crowd = shop(name)
    rows = [3, 40]
    alone = [crowd.subset([row]) for row in rows]
    for day in range(40):
        snapshot = crowd.snapshot()
        (together,) = run(crowd, day, day + 1)
        for row, one in zip(rows, alone, strict=True):
            one.restore(snapshot)
            decided = one.decide(day)
            mine = together.customer == row
            assert np.array_equal(decided.number, together.number[mine])
            assert np.array_equal(decided.offer, together.offer[mine])
            assert np.array_equal(decided.features, together.features[mine])
            u = ((decided.number * 2654435761 + 1) % 1000003) / 1000003
            reactions = np.zeros(len(u), np.uint16)
            reactions[u < 0.3] |= 1
            reactions[u < 0.1] |= 2
            reactions[u > 0.97] |= 1 << 4
            one.react(day, decided, reactions, np.where(u > 0.97, 2, 255).astype(np.uint8))
            lines, n = basket(day)
            keep = np.flatnonzero(lines.consumer[:n] == row)
            hers = type(lines)(*(column[keep] for column in lines))
            hers.consumer[:] = 0
            one.purchased(day, hers)
            one.learn(day)
    for row, one in zip(rows, alone, strict=True):
        for mine, hers in zip(crowd.record, one.record, strict=True):
            assert np.array_equal(mine[row], hers[0])


def test_a_copy_lives_the_same_and_shares_nothing(shop, run):
    made = shop("considerate")
    run(made, 0, 12)
    other = made.copy()
    before = digest(other)
    assert before == digest(made)
    run(made, 12, 22)
    assert digest(other) == before
    run(other, 12, 22)
    assert digest(other) == digest(made)


def test_a_diary_ledger_is_told_the_same_as_the_counts_of_a_run(shop, run):
    made, told = shop("considerate"), shop("considerate", ledger=Entries(120))
    run(made, 0, 15)
    run(told, 0, 15)
    counts = made.ledger.arrays()
    for row in (0, 7, 119):
        entries = told.ledger.of[row]
        assert verify(entries) is None
        assert counts["contacts"][row] == sum(entry.kind == Kind.CONTACTED for entry in entries)
        uses = sum(
            "PURCHASES" in e.scopes and "PERSONALIZE" in e.purposes for e in entries if e.kind == Kind.USED
        )
        assert counts["uses"][Purpose.PERSONALIZE, row, Scope.PURCHASES] == uses


def test_a_withdrawal_holds_from_the_next_decision_on(shop, run):
    made = shop("purchases")
    run(made, 0, 5)
    made.consented(np.arange(120), Scope.PURCHASES, consents.USUAL, False, 5)
    decided = made.decide(5)
    assert len(decided.number) and not decided.scopes.any()
    made.consented(np.arange(120), Scope.CONTACT, consents.USUAL, False, 6)
    assert len(made.decide(6).number) == 0


def test_of_contradicting_changes_the_stricter_wins(shop):
    made = shop("considerate")
    made.consented([4, 4], Scope.STATED, 1 << Purpose.PERSONALIZE, [False, True], 3)
    assert not consents.allows(made.consent, 4, Scope.STATED, Purpose.PERSONALIZE)
    assert made.ledger.arrays()["changes"][4] == 2


def test_a_channel_that_is_closed_or_opened_is_in_the_ledger_and_leaves_the_others_and_consent_alone(shop):
    made = shop("considerate", warm=0, ledger=Entries(120))
    bits, epoch = made.consent.bits.copy(), made.consent.epoch.copy()
    made.record.optin[:] = 0b1011
    for granted in (False, True):
        made.reachable([4, 7], Channel.APP, granted, 3)
        assert made.record.optin[[3, 4, 7]].tolist() == [0b1011, *[0b1011 if granted else 0b1001] * 2]
    assert np.array_equal(made.consent.bits, bits)
    assert (made.consent.epoch - epoch)[[3, 4, 7]].tolist() == [0, 2, 2]
    assert [(e.kind, e.scopes, e.purposes, e.context) for e in made.ledger.of[4]] == [
        (kind, ("CONTACT",), ("CONTACT",), "channel=APP") for kind in (Kind.WITHDRAWN, Kind.GRANTED)
    ]
    assert made.ledger.of[3] == [] and verify(made.ledger.of[7]) is None


def test_who_leaves_a_channel_by_a_reaction_finds_it_in_her_ledger_once(shop):
    made = shop("considerate", ledger=Entries(120))
    made.record.optin[:] = 0b1111
    decided = made.decide(3)
    assert len(decided.number) > 2
    what = np.zeros(len(decided.number), np.uint16)
    what[0], what[1] = 1 << Reaction.UNSUBSCRIBE, 1 << Reaction.BLOCK
    for _ in range(2):  # told twice counts once
        made.react(3, decided, what, np.full(len(what), 255, np.uint8))
    left = [
        [e.context for e in made.ledger.of[row] if e.kind == Kind.WITHDRAWN] for row in decided.customer[:3]
    ]
    assert left[0] == [f"channel={Channel(int(decided.channel[0])).name}"]
    assert sorted(left[1]) == sorted(f"channel={Channel(k).name}" for k in range(4))
    assert left[2] == []


@pytest.mark.parametrize(
    ("rows", "scopes", "purposes"),
    [
        ([1, 2], [Scope.STATED, Scope.PURCHASES], [1 << Purpose.PERSONALIZE, 0]),
        ([1, 2], [Scope.STATED, Scope.PURCHASES], [1 << Purpose.PERSONALIZE, 32]),
        ([1, 2], [Scope.STATED, 9], 1 << Purpose.PERSONALIZE),
        ([1, 120], Scope.STATED, 1 << Purpose.PERSONALIZE),
    ],
)
def test_of_changes_of_which_one_cannot_be_none_is_made(shop, rows, scopes, purposes):
    made = shop("considerate")
    before = digest(made)
    with pytest.raises(ConsentError, match="nothing was changed"):
        made.consented(rows, scopes, purposes, False, 3)
    assert digest(made) == before


def test_wishes_are_kept_only_where_they_were_told_to_this_retailer(shop):
    made = shop("considerate", warm=0)
    made.consent.bits[1, Scope.STATED] = 0
    made.wished([1, 2], [7, 7], 50, 0)
    assert 7 not in made.record.wish_category[1] and 7 in made.record.wish_category[2]


def test_a_days_budget_holds_and_her_day_is_replayed_with_its_cutoff(shop, run):
    made = shop("blast", rules=ContactRules(budget_per_day=20))
    run(made, 0, 5)
    alone = {row: made.subset([row]) for row in range(0, 120, 5)}
    decided = made.decide(5)
    assert len(decided.number) == 20 and made.ruled_out[6] == 100
    for row, one in alone.items():
        assert len(one.decide(5, cutoff=made.cutoff).number) == (row in decided.customer)


def test_the_budget_of_a_day_is_one_however_many_decisions_it_takes(shop):
    made = shop("blast", rules=ContactRules(budget_per_day=20))
    before = made.copy()
    looked = made.decide(1, send=False)
    one, other = made.decide(1, np.arange(0, 15)), made.decide(1, np.arange(15, 60))
    cutoff = made.cutoff
    none = made.decide(1, np.arange(60, 120))
    assert [len(d.number) for d in (looked, one, other, none)] == [20, 15, 5, 0]
    for row in range(15, 60, 4):
        assert len(before.subset([row]).decide(1, cutoff=cutoff).number) == (row in other.customer)
    assert why(made, 80, 1)[0].reason == Reason.RATIONED
    assert len(made.decide(2).number) == 20


def test_what_was_sold_out_in_one_decision_is_not_so_in_the_next(shop):
    nothing = np.zeros(200, bool)
    made, fresh = shop("blast"), shop("blast")
    coupons = made.catalog.offers.kind != OfferKind.DEAL
    day = next(d for d in range(1, 40) if coupons[fresh.today(d).offer[fresh.today(d).order[:12]]].any())
    made.decide(day, in_stock=nothing, send=False)
    assert np.array_equal(made.today(day).offer, fresh.today(day).offer)
    assert np.array_equal(made.decide(day).offer, fresh.decide(day).offer)


def test_a_policy_cannot_write_into_what_others_read(shop):
    made = shop("blast")
    today = made.today(1)
    for column in today[1:]:
        with pytest.raises(ValueError, match="read-only"):
            column[...] = 0
    twin = made.copy()
    decide = made.policy.decide

    def meddling(view, today, draws):
        chosen = decide(view, today, draws)
        view.row[:], view.customer[:], view.present[:] = 0, 0, 0
        return chosen

    made.policy.decide = meddling
    for day in (1, 2):
        assert np.array_equal(made.decide(day).customer, twin.decide(day).customer)


def test_an_unlike_is_not_evaded_by_another_name_for_the_offer(shop):
    made = shop("blast", rules=ContactRules(unlike_days=30))
    decide = made.policy.decide

    def mislabelled(view, today, draws):
        chosen = decide(view, today, draws)
        return chosen._replace(category=(chosen.category + 1) % 24)

    made.policy.decide = mislabelled
    first = made.decide(1)
    offers = made.catalog.offers
    assert (first.category == offers.category[first.offer]).all()
    m = len(first.number)
    made.react(1, first, np.full(m, 1 << Reaction.UNLIKE, np.uint16), np.full(m, 2, np.uint8))
    unliked = int(first.category[0])
    heard = [offers.category[made.decide(day).offer] for day in range(2, 20)]
    assert sum(map(len, heard)) and unliked not in np.concatenate(heard)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: {"customer": d.customer + 1000}, "customer 1000"),
        (
            lambda d: {"customer": d.customer.astype(np.int64)},
            r"customer as int64 \(120,\); it must be int32",
        ),
        (lambda d: {"offer": d.offer[:5]}, r"offer as int32 \(5,\)"),
        (lambda d: {"offer": d.offer * 0 + 99999}, "offer 99999"),
        (lambda d: {"offer": d.offer * 0 - 7}, "offer -7 in row 0; it must be 0 to .* or -1"),
        (lambda d: {"channel": d.channel + 9}, "channel 9"),
        (lambda d: {"category": d.category * 0 + 24}, "category 24"),
        (lambda d: {"basis": d.basis + 6}, "basis 6"),
        (lambda d: {"reason": d.reason * 0 + 99}, "no Reason"),
        (lambda d: {"action": d.action * 0}, "action 0"),
        (lambda d: {"action": d.action * 0 + 2}, "an option with an offer"),
        (lambda d: {"asks": d.asks * 0 + 9}, "asks 9"),
        (lambda d: {"scopes": d.scopes + 512}, "scopes 512"),
        (lambda d: {"propensity": d.propensity * 0}, "propensity 0.0"),
        (lambda d: {"control": d.control * np.nan}, "control nan"),
        (lambda d: {"features": d.features * np.nan}, "features that is no number"),
        (lambda d: {"score": None}, "score as None"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_with_the_name_of_its_policy(shop, change, said):
    made = shop("blast")
    decide = made.policy.decide

    def wrong(view, today, draws):
        chosen = decide(view, today, draws)
        return chosen._replace(**change(chosen))

    made.policy.decide = wrong
    with pytest.raises(RegularsError, match=f"blast gave .*{said}"):
        made.decide(1)


def test_the_terms_of_an_offer_are_the_catalogs_not_the_policys(shop):
    made = shop("blast")
    decide = made.policy.decide

    def generous(view, today, draws):
        chosen = decide(view, today, draws)
        return chosen._replace(saving=chosen.saving * 0 + 1, last_day=chosen.last_day + 99)

    made.policy.decide = generous
    sent, offers = made.messages(made.decide(1)), made.catalog.offers
    assert np.array_equal(sent.saving, offers.saving[sent.offer])
    assert np.array_equal(sent.last_day, offers.last_day[sent.offer])


def test_looking_without_sending_leaves_everything_but_the_ledger(shop):
    made = shop("considerate")
    before = digest(made)
    assert len(made.decide(0, send=False).number)
    after = digest(made)
    assert {name for name in before if before[name] != after[name]} == {"ledger.uses"}


def test_messages_carry_no_reason_and_no_score(shop):
    made = shop("considerate")
    decided = made.decide(0)
    sent = made.messages(decided)
    assert len(sent.consumer) == len(decided.number)
    assert not {"reason", "score", "predicted", "features", "scopes"} & set(sent._fields)


def test_a_retailer_never_sees_a_verdict_but_learns_from_reactions(shop, run):
    made = shop("considerate")
    before = made.verdict.weights.copy()
    run(made, 0, 12)
    assert not np.array_equal(before, made.verdict.weights)
    assert made.policy.bandit.moment.any()


def test_creepy_unlikes_teach_it_to_expect_creepiness(shop):
    made = shop("purchases", per_week=7)
    predicted = []
    for day in range(30):
        decided = made.decide(day)
        predicted.append(decided.predicted[:, Verdict.CREEPY].mean())
        m = len(decided.number)
        creepy = np.arange(m) % 4 == 0
        reactions = np.where(creepy, 1 << 4, 0).astype(np.uint16)
        made.react(day, decided, reactions, np.where(creepy, Verdict.CREEPY, 255).astype(np.uint8))
        made.learn(day)
    assert predicted[-1] > 10 * predicted[0]


def test_parts_that_do_not_fit_are_refused(shop, offered):
    made = shop("blast")
    with pytest.raises(ShapeError, match="consent of 119"):
        Retailer(made.policy, offered, made.record, consents.new(119))
    with pytest.raises(RegularsError, match="broker"):
        Retailer(made.policy, offered, made.record, made.consent, broker=True)
    with pytest.raises(ShapeError, match="1 reasons"):
        made.react(0, made.decide(1), np.zeros(1, np.uint16), np.zeros(1, np.uint8))


def test_whose_purchases_are_counted_with_those_of_others_is_in_the_ledger(shop, basket):
    made = shop("silence", everything=False, warm=0)
    made.consent.bits[::3, Scope.PURCHASES] = 1 << Purpose.PERSONALIZE
    bought, n = basket(3)
    made.purchased(3, bought, n)
    came = np.zeros(len(made), bool)
    came[bought.consumer[:n]] = True
    study = 1 << Purpose.MEASURE
    allowed = made.consent.bits[:, Scope.PURCHASES] & study != 0
    told = (made.record.age != 255) & (made.consent.bits[:, Scope.DEMOGRAPHICS] & study != 0)
    uses = made.ledger.arrays()["uses"][Purpose.MEASURE]
    assert np.array_equal(uses[:, Scope.PURCHASES] == 1, came & allowed)
    assert np.array_equal(uses[:, Scope.DEMOGRAPHICS] == 1, came & allowed & told)
    assert 0 < (came & allowed & told).sum() < (came & allowed).sum() < came.sum()
