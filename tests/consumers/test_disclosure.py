import numpy as np
import pytest

from regulars import terms
from regulars.consumers import disclosure, priors
from regulars.consumers.population import UNKNOWN
from regulars.consumers.priors import medians
from regulars.errors import ShapeError
from regulars.terms import Reaction, Responses, Scope, Verdict

from .hamlet import made_habits, mail, scene

N = 20_000
HABITS = made_habits(N)
EVERYBODY = np.arange(N)
OPENED, DISCLOSED = 1 << int(Reaction.OPEN), 1 << int(Reaction.DISCLOSE)


def asked(s, verdict=Verdict.COMPELLING, reactions=OPENED, **columns):
    """Who shares when everybody is asked for their preferences."""
    responses = Responses(
        np.full(N, verdict, np.uint8), np.full(N, reactions, np.uint16), np.full(N, 255, np.uint8)
    )
    messages = mail(EVERYBODY, **{"asks": int(Scope.STATED), **columns})
    disclosure.ask(s.key, 3, s.world, s.traits, s.mind, s.habits, messages, 0, N, responses)
    return responses.reactions & DISCLOSED != 0


def test_she_shares_more_with_control_with_an_exchange_and_with_one_she_trusts():
    plain = asked(scene(medians(), HABITS), control=0.5).mean()
    assert asked(scene(medians(), HABITS), control=1.0).mean() > plain + 0.05
    assert asked(scene(medians(), HABITS), control=0.5, exchange=1.0).mean() > plain + 0.05
    trusted = scene(medians(), HABITS, trust=0.9)
    doubted = scene(medians(), HABITS, trust=0.1)
    assert asked(trusted, control=0.5, exchange=1.0).mean() > asked(doubted, control=0.5, exchange=1.0).mean()


def test_guardians_share_least():
    s = scene(medians(), HABITS)
    shared = asked(s, control=0.7, exchange=0.5)
    rates = [shared[s.traits.segment == segment].mean() for segment in range(3)]
    assert rates[0] > rates[1] > rates[2]


@pytest.mark.parametrize(
    "case",
    [{"asks": disclosure.ASKS_NOTHING}, {"reactions": 0}, {"verdict": Verdict.CREEPY}],
    ids=["not asked", "not opened", "creepy"],
)
def test_nobody_shares_what_was_not_asked_not_read_or_asked_in_a_creepy_way(case):
    assert not asked(scene(medians(), HABITS), control=1.0, exchange=1.0, **case).any()


def test_sharing_undoes_a_withdrawal_of_that_scope_alone():
    s = scene(medians(), HABITS)
    stated, bought = 1 << int(Scope.STATED), 1 << int(Scope.PURCHASES)
    s.mind.revoked[:] = stated | bought
    shared = asked(s, control=1.0)
    assert shared.any() and not shared.all()
    assert np.array_equal(s.mind.revoked[:, 0], np.where(shared, bought, stated | bought))


def test_a_broken_promise_costs_trust_at_one_retailer():
    s = scene(medians(), HABITS, retailers=2)
    disclosure.broken_promise(s.world, s.mind, 5, 1)
    assert s.mind.trust[5, 1] == pytest.approx(0.5 - s.world.trust_loss)
    assert (np.delete(s.mind.trust.ravel(), 11) == 0.5).all()
    for _ in range(9):
        disclosure.broken_promise(s.world, s.mind, 5, 1)
    assert s.mind.trust[5, 1] == 0.0


def first_day(habits=HABITS):
    s = scene(medians(), habits)
    return s, disclosure.starting_consent(s.key, s.traits, habits)


def granted(consent, scope, purpose):
    return consent[:, scope] >> int(purpose) & 1 == 1


def test_about_63_of_100_members_take_messages_and_fewer_guardians():
    s, consent = first_day()
    contact = granted(consent, Scope.CONTACT, terms.Purpose.CONTACT)
    assert contact.mean() == pytest.approx(0.63, abs=0.02)
    guardian = s.traits.segment == priors.GUARDIAN
    assert contact[guardian].mean() < contact[~guardian].mean() - 0.2


def test_the_card_serves_everybody_and_personalizes_for_most():
    s, consent = first_day()
    assert granted(consent, Scope.PURCHASES, terms.Purpose.SERVE).all()
    personal = granted(consent, Scope.PURCHASES, terms.Purpose.PERSONALIZE)
    assert 0.7 < personal.mean() < 0.9
    assert personal[s.traits.segment == priors.GUARDIAN].mean() < 0.65


def test_nothing_is_shared_onward_and_everything_else_is_closed():
    _, consent = first_day()
    assert not (consent >> int(terms.Purpose.SHARE) & 1).any()
    closed = [s for s in Scope if s not in (Scope.CONTACT, Scope.PURCHASES, Scope.DEMOGRAPHICS)]
    assert not consent[:, closed].any()


def test_demographics_are_granted_only_by_those_who_told_them():
    assert not first_day()[1][:, Scope.DEMOGRAPHICS].any()
    age = np.where(EVERYBODY % 2, 3, UNKNOWN).astype(np.uint8)
    _, consent = first_day(HABITS._replace(age=age))
    told = granted(consent, Scope.DEMOGRAPHICS, terms.Purpose.PERSONALIZE)
    personal = granted(consent, Scope.PURCHASES, terms.Purpose.PERSONALIZE)
    assert np.array_equal(told, personal & (age != UNKNOWN)) and told.any()


def test_starting_consent_of_one_alone_equals_her_row_in_the_crowd():
    _, crowd = first_day()
    few = HABITS._replace(
        consumer=HABITS.consumer[[9, 512]],
        age=HABITS.age[:2],
        income=HABITS.income[:2],
        row_interval=HABITS.row_interval[:6],
    )
    assert np.array_equal(first_day(few)[1], crowd[[9, 512]])


def test_traits_of_other_people_are_refused():
    s, _ = first_day()
    few = s.traits._replace(segment=s.traits.segment[:3])
    with pytest.raises(ShapeError, match="3 traits but 20000 habits"):
        disclosure.starting_consent(s.key, few, HABITS)
