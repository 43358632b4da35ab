"""Claims that hold for every policy: a new one is one file, one line in the registry, and then these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.errors import RegularsError, SettingError
from regulars.retail import explain, policies
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import take
from regulars.retail.predicted_verdict import label
from regulars.terms import NEVER, Action, Basis, OfferKind, Purpose, Scope, Verdict

from .scopes import SCOPE_FIELDS

EVERY = policies.names()
HONEST = tuple(name for name in EVERY if not policies.make(name).covert)
FREQUENT = ("blast", "purchases", "demographics", "harvest", "considerate")


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_a_customer_decided_alone_gets_what_she_gets_in_the_crowd(shop, run, name):
    crowd = shop(name, everything=False)
    run(crowd, 0, 10)
    for day in (10, 11, 12):
        alone = [crowd.subset([row]) for row in range(0, 120, 7)]
        together = crowd.decide(day)
        for row, one in zip(range(0, 120, 7), alone, strict=True):
            mine = take(together, together.customer == row)
            hers = one.decide(day)
            assert same(mine._replace(customer=np.zeros_like(mine.customer)), hers)
        crowd.learn(day)


@pytest.mark.parametrize("name", EVERY)
def test_the_order_and_company_of_rows_change_nothing(shop, run, name):
    made = shop(name)
    run(made, 0, 6)
    rows = np.random.default_rng(0).permutation(120)[:70]
    straight = made.decide(6, np.sort(rows), send=False)
    mixed = made.decide(6, rows, send=False)
    assert same(take(mixed, np.argsort(mixed.number)), take(straight, np.argsort(straight.number)))


@pytest.mark.parametrize("name", [name for name in HONEST if name != "silence"])
@given(seed=st.integers(0, 2**32 - 1), day=st.integers(8, 14))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_withheld_field_changes_nothing_to_the_byte(shop, name, seed, day):
    made = _standing(shop, name)
    rng = np.random.default_rng(seed)
    one, other = made.copy(), made.copy()
    for scope, fields in SCOPE_FIELDS.items():
        purpose = Purpose.CONTACT if scope == Scope.CONTACT else Purpose.PERSONALIZE
        # What she lets be measured may teach; what she lets be used for nothing may not even do that.
        withheld = other.consent.bits[:, scope] >> purpose & 1 == 0
        for field in fields:
            column = getattr(other.record, field)
            noise = rng.integers(0, 256, column[withheld].nbytes, dtype=np.uint8)
            column[withheld] = noise.view(column.dtype).reshape(column[withheld].shape)
    for later in range(day, day + 3):
        assert same(one.decide(later), other.decide(later))
        one.learn(later)
        other.learn(later)
    for key, value in one.ledger.arrays().items():
        assert value.tobytes() == other.ledger.arrays()[key].tobytes()
    for key, value in one.snapshot().items():
        assert value.tobytes() == other.snapshot()[key].tobytes(), key


_MADE: dict[str, object] = {}


def _standing(shop, name):
    """Made once for all examples; each example works on copies."""
    if name not in _MADE:
        made = shop(name, everything=False)
        rng = np.random.default_rng(2)
        made.consent.bits[rng.random(made.consent.bits.shape) < 0.3] = 0
        for day in range(8):
            made.decide(day)
            made.learn(day)
        _MADE[name] = made
    return _MADE[name]


@pytest.mark.parametrize("name", EVERY)
def test_no_offer_is_expired_or_unknown(shop, run, name):
    made = shop(name)
    offers = made.catalog.offers
    for day, decided in enumerate(run(made, 0, 40)):
        stands = decided.offer[decided.offer >= 0]
        assert (offers.first_day[stands] <= day).all()
        assert (offers.last_day[stands] >= day).all()
        assert (decided.last_day >= day).all()


def kinds(made, **stock):
    """What kinds of offers leave in the first forty days."""
    decided = [made.decide(day, **stock) for day in range(40)]
    offers = np.concatenate([d.offer[d.offer >= 0] for d in decided])
    return set(made.catalog.offers.kind[offers].tolist())


@pytest.mark.parametrize("name", [name for name in EVERY if name != "silence"])
def test_what_is_sold_out_is_not_offered(shop, name):
    stocked, sold_out = kinds(shop(name)), kinds(shop(name), in_stock=np.zeros(200, bool))
    assert stocked - {OfferKind.DEAL}, "coupons or campaigns leave while there is something left"
    # A deal of this catalog names no product; history sends no deals.
    assert sold_out == (set() if name == "history" else {OfferKind.DEAL})


@pytest.mark.parametrize("name", EVERY)
def test_an_unliked_category_is_not_heard_of_again(shop, name):
    made = shop(name, rules=ContactRules(unlike_days=30))
    first = (
        made.decide(10)
        if name == "history"
        else next(d for day in range(9) if len((d := made.decide(day)).number))
        if name != "silence"
        else made.decide(0)
    )
    m = len(first.number)
    made.react(10, first, np.full(m, 1 << 4, np.uint16), np.full(m, 2, np.uint8))
    unliked = set(zip(first.customer.tolist(), first.category.tolist(), strict=True))
    for day in range(11, 40):
        now = made.decide(day)
        assert not unliked & set(zip(now.customer.tolist(), now.category.tolist(), strict=True))


@pytest.mark.parametrize("name", [name for name in EVERY if name != "silence"])
def test_who_left_every_channel_hears_nothing(shop, name):
    made = shop(name)
    made.record.optin[::2] = 0
    told = np.concatenate([made.decide(day).customer for day in range(60)])
    assert len(told) and (told % 2 == 1).all()


def test_silence_says_nothing(shop):
    made = shop("silence")
    assert not any(len(made.decide(day).number) for day in range(14))
    assert not made.ledger.uses[Purpose.PERSONALIZE].any() and not made.ledger.contacts.any()


@pytest.mark.parametrize("name", FREQUENT)
@pytest.mark.parametrize("per_week", [0, 0.5, 1, 3, 7, 10, 14])
def test_nobody_hears_more_than_per_week_says(shop, name, per_week):
    made = shop(name, per_week=per_week)
    days = []
    for day in range(35):
        decided = made.decide(day)
        days.append(np.bincount(decided.customer, minlength=120))
        pairs = set(zip(decided.customer.tolist(), decided.channel.tolist(), strict=True))
        assert len(pairs) == len(decided.number), "two messages on one channel on one day"
    counts = np.array(days)
    rolling = np.array([counts[max(0, day - 6) : day + 1].sum(0) for day in range(35)])
    assert rolling.max() <= np.ceil(per_week)
    assert counts.max() <= (2 if per_week > 7 else 1)
    if name != "considerate":
        assert counts.sum() == 120 * int(per_week * 5)


@pytest.mark.parametrize("name", EVERY)
def test_predicted_verdicts_are_probabilities(shop, run, name):
    for decided in run(shop(name), 0, 12):
        assert np.allclose(decided.predicted.sum(1), 1, atol=1e-5)
        assert (decided.propensity > 0).all() and (decided.propensity <= 1).all()


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_policy_uses_only_scopes_that_it_declared(name, shop, run):
    made = shop(name)
    run(made, 0, 8)
    declared = {Scope.CONTACT, *made.policy.scopes}
    used = made.ledger.arrays()["uses"][Purpose.PERSONALIZE].sum(0)
    assert {scope for scope in Scope if used[scope]} <= declared
    assert not made.ledger.arrays()["covert"].any()


def test_considerate_sends_nothing_that_it_does_not_predict_compelling(shop, run):
    made = shop("considerate", everything=False, per_week=14)
    sent = 0
    for day in range(45):
        decided = run(made, day, day + 1)[0]
        sent += len(decided.number)
        assert (label(decided.predicted, made.policy.settings.prices) == Verdict.COMPELLING).all()
    assert sent > 100


def test_without_restraint_considerate_fills_what_it_may(shop, run):
    careful, bold = (
        sum(
            len(decided.number)
            for decided in run(shop("considerate", per_week=14, restraint=restraint), 0, 45)
        )
        for restraint in (1.0, 0.0)
    )
    assert bold > 1.15 * careful


def test_considerate_puts_wishes_first(shop):
    made = shop("considerate", epsilon=0.0)
    decided = made.decide(0)
    rows = np.arange(0, 120, 5)
    wished = dict(zip(rows.tolist(), (rows % 24).tolist(), strict=True))
    today = made.today(0)
    told = 0
    for who, category, basis in zip(decided.customer, decided.category, decided.basis, strict=True):
        if int(who) in wished and today.offer[wished[int(who)]] >= 0:
            told += 1
            assert (category, basis) == (wished[int(who)], Basis.TOLD)
    assert told > 5


def test_considerate_asks_for_wishes_as_a_bargain_and_seldom(shop):
    made = shop("considerate")
    made.consent.bits[:, Scope.STATED] = 0
    asked = np.zeros((56, 120), int)
    for day in range(56):
        decided = made.decide(day)
        asks = decided.asks == Scope.STATED
        assert (decided.exchange[asks] > 0).all()
        asked[day, decided.customer[asks]] = 1
        made.learn(day)
    assert 1 <= asked.sum(0).max() <= 2
    assert all((np.diff(np.flatnonzero(days)) >= 28).all() for days in asked.T)


def test_considerate_asks_again_when_her_wishes_have_run_out(shop, run):
    made = shop("considerate")
    made.record.wish_until[:] = NEVER
    rows = np.arange(0, 120, 2)
    made.wished(rows, rows % 24, np.full(len(rows), 40), 0)
    asked = np.zeros((70, 120), int)
    for day in range(70):
        (decided,) = run(made, day, day + 1)
        asked[day, decided.customer[decided.asks == Scope.STATED]] = 1
    assert not asked[:41, rows].any(), "while a wish stands nobody is asked for one"
    assert asked[41:, rows].any(0).mean() > 0.5 and asked[:, 1::2].any(0).mean() > 0.5
    assert all((np.diff(np.flatnonzero(days)) >= 28).all() for days in asked.T)


@pytest.mark.parametrize("met", [NEVER, -60, 12])
def test_considerate_offers_an_option_after_so_many_days_of_silence_and_not_before(shop, met):
    """Where nothing is on offer; silence is counted from day 0 or from her first purchase."""
    made = shop("considerate", warm=0)
    for column in made.catalog.standing:
        column[:] = 0
    made.catalog.standing.offer[:] = -1
    made.record.first_day[:, 3] = met
    sent = [decided.action.tolist() for decided in (made.decide(day) for day in range(100))]
    days = [day for day, actions in enumerate(sent) if actions]
    assert days == list(range(max(met, 0) + 28, 100, 28))
    assert {action for actions in sent for action in actions} == {Action.OPTION}


def test_considerate_explores_with_the_propensity_it_states(shop):
    made = shop("considerate", epsilon=0.3, per_week=14)
    chances = []
    for day in range(40):
        decided = made.decide(day)
        first = decided.number & 255 == 0
        chances.extend(decided.propensity[first & (decided.reason != 0)].tolist())
    values, counts = np.unique(np.round(chances, 6), return_counts=True)
    of_three = {float(value): int(count) for value, count in zip(values, counts, strict=True)}
    assert {0.8, 0.1} <= set(of_three)  # the best of three, and each of the others
    share = of_three[0.1] / (of_three[0.1] + of_three[0.8])
    assert abs(share - 0.2) < 0.05  # two of three choices at 0.1 each


def test_her_exploration_is_her_own_luck_alone_and_in_the_crowd(shop):
    made = shop("considerate", epsilon=1.0)
    together = made.decide(0, send=False)
    tried = 0
    for row in range(120):
        alone = made.subset([row]).decide(0)
        mine = together.customer == row
        assert np.array_equal(alone.offer, together.offer[mine])
        tried += int((alone.propensity < 0.5).sum())
    assert tried > 30


def test_blast_uses_nothing_about_anybody(shop):
    decided = shop("blast").decide(1)
    assert (decided.basis == Basis.NOTHING).all() and not decided.scopes.any()
    assert len(np.unique(decided.category)) == 1


def test_purchases_offers_what_she_bought(shop):
    made = shop("purchases")
    decided = made.decide(1)
    assert (made.record.bought[decided.customer, decided.category] > 0).all()


def test_demographics_tells_people_apart_and_falls_back_on_what_is_popular(shop, run):
    made = shop("demographics")
    run(made, 0, 22)
    decided = made.decide(22)
    known = made.record.age[decided.customer] != 255
    assert len(np.unique(decided.category[known])) > 1
    assert (decided.basis[~known] == Basis.NOTHING).all()


def test_harvest_is_refused_to_an_honest_retailer(shop):
    made = shop("harvest")
    with pytest.raises(RegularsError, match="honours_consent=False"):
        type(made)(made.policy, made.catalog, made.record, made.consent)


def test_harvest_leaves_covert_entries(shop, run):
    made = shop("harvest", everything=False)
    run(made, 0, 8)
    covert = made.ledger.arrays()["covert"]
    withheld = made.consent.bits >> Purpose.PERSONALIZE & 1 == 0
    assert covert[:, Scope.PURCHASES][withheld[:, Scope.PURCHASES]].any()
    assert not covert[:, Scope.PURCHASES][~withheld[:, Scope.PURCHASES]].any()


def test_history_sends_what_was_sent(shop):
    made = shop("history")
    s = made.policy.settings
    for day in range(60):
        decided = made.decide(day)
        meant = s.day == day
        assert sorted(zip((decided.customer + 1000).tolist(), decided.offer.tolist(), strict=True)) == sorted(
            zip(s.customer[meant].tolist(), s.offer[meant].tolist(), strict=True)
        )


def test_a_name_that_is_almost_right_gets_a_hint():
    with pytest.raises(SettingError, match="Did you mean 'considerate'"):
        policies.make("considrate")
    with pytest.raises(SettingError, match="Did you mean 'per_week'"):
        policies.make("blast", perweek=3)
    with pytest.raises(SettingError, match="Take 0 to 14"):
        policies.make("blast", per_week=15)


MINE = """
import numpy as np
from dataclasses import dataclass
from regulars.retail.decision import propose
from regulars.retail.policies import Policy

@dataclass(frozen=True)
class Choice:
    category: int = 3

class Mine(Policy):
    name = "mine"
    Settings = Choice

    def decide(self, view, today, draws):
        return propose(view, today, np.arange(len(view.row)), np.full(len(view.row), self.settings.category))

class Broken:
    pass
"""


def test_a_policy_of_ones_own_loads_and_runs(shop, tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    category = int(shop("blast").today(0).order[0])
    made = shop(policy=policies.load(f"{file}:Mine", category=category))
    decided = made.decide(0)
    assert len(decided.number) == 120 and (decided.category == category).all()


def test_a_broken_file_says_what_is_wrong(tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    with pytest.raises(SettingError, match="Did you mean 'Mine'"):
        policies.load(f"{file}:Mina")
    with pytest.raises(SettingError, match=r"has no decide\(view, today, draws\)"):
        policies.load(f"{file}:Broken")
    with pytest.raises(SettingError, match="is not there"):
        policies.load(f"{tmp_path}/other.py:Mine")
    with pytest.raises(SettingError, match="names no class"):
        policies.load(str(file))
    with pytest.raises(SettingError, match="no setting 'categori'"):
        policies.load(f"{file}:Mine", categori=1)
    with pytest.raises(SettingError, match=r"names no class\. Write .*mine\.py:Mine; it has Mine$"):
        policies.make(str(file))
    file.write_text(MINE.replace("Settings = Choice", "Settings = dict"))
    with pytest.raises(SettingError, match="Make it a frozen dataclass"):
        policies.load(f"{file}:Mine")
    file.write_text(MINE.replace("category: int = 3", "category: int"))
    with pytest.raises(SettingError, match="cannot be made"):
        policies.load(f"{file}:Mine")
    file.write_text("1 / 0")
    with pytest.raises(RegularsError, match="ZeroDivisionError"):
        policies.load(f"{file}:Mine")


def test_a_policy_that_lies_about_offers_is_stopped(shop, tmp_path: Path):
    file = tmp_path / "liar.py"
    file.write_text(
        MINE.replace("return propose(", "d = propose(").replace(
            "self.settings.category))",
            "self.settings.category)); d.offer[:] = 0; d.channel[::2] = 2; return d",
        )
    )
    category = int(shop("blast").today(20).order[0])
    made = shop(policy=policies.load(f"{file}:Mine", category=category))
    assert len(made.decide(20).number) == 0  # offer 0 ended on day 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "must give Decisions"),
        ("return {}['nokey']", "line 4: KeyError"),
        ("raise ValueError('no')", "ValueError: no"),
    ],
)
def test_a_policy_that_fails_is_told_with_its_place(shop, tmp_path, body, said):
    path = tmp_path / "mine.py"
    path.write_text(
        "from regulars.retail.policies import Policy\nclass Mine(Policy):\n"
        f"    def decide(self, view, today, draws):\n        {body}\n",
        "utf-8",
    )
    made = shop("blast")
    made.policy = policies.load(f"{path}:Mine")
    with pytest.raises(RegularsError, match=said):
        made.decide(2)


@pytest.mark.parametrize(
    ("method", "body", "said"),
    [
        ("decide", "np.zeros(2).reshape(5)", "mine.decide fails at .*mine.py, line 6: ValueError"),
        ("learn", "1 / 0", "mine.learn fails at .*mine.py, line 6: ZeroDivisionError"),
        ("slots", "1 / 0", "mine.slots fails at .*line 6"),
        ("slots", "return -1", r"mine.slots\(20\) gave -1; it must give a whole number from 0"),
        ("slots", "return 0.5", "mine.slots gave 0.5; it must give a whole number from 0"),
        ("pace", "1 / 0", "mine.pace fails at .*line 6"),
        ("pace", "return 3", "mine.pace gave 3; it must give ContactRules"),
        ("candidates", "1 / 0", "mine.candidates fails at .*line 6"),
        ("state", "1 / 0", "mine.state fails at .*line 6"),
        ("state", "return []", r"mine.state gave \[\]; it must give a dict"),
        ("restore", "1 / 0", "mine.restore fails at .*line 6"),
    ],
)
def test_whatever_fails_in_a_policy_is_told_with_its_method_and_place(shop, tmp_path, method, body, said):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\nfrom regulars.retail.policies.blast import Blast\nclass Mine(Blast):\n"
        f"    name = 'mine'\n    def {method}(self, *given):\n        {body}\n",
        "utf-8",
    )
    with pytest.raises(RegularsError, match=said):
        made = shop(policy=policies.load(f"{path}:Mine"))
        explain.why(made, 0, 20)
        for day in range(20, 31):
            made.decide(day)
            made.learn(day)
        made.restore(made.snapshot())
