import math

import numpy as np
import pytest

from regulars.consumers import memory
from regulars.consumers.priors import medians
from regulars.errors import SettingError
from regulars.terms import NEVER, Verdict

WORLD = medians()


def remembered(*verdicts, category=4):
    mind = memory.start(2, 3)
    for day, verdict in enumerate(verdicts):
        memory.remember(WORLD, mind, 1, 2, day, category, int(verdict))
    return mind


def test_a_new_mind_remembers_nothing_and_half_trusts():
    mind = memory.start(2, 3)
    assert (mind.trust == 0.5).all() and (mind.last_contact == NEVER).all()
    zero = ("irritation", "brand", "creep", "value", "filtered", "blocked", "unsubscribed", "revoked", "load")
    assert all(not getattr(mind, name).any() for name in zero)
    pull = np.ones((2, 3), np.float32)
    memory.pulls(WORLD, mind, pull)
    assert (pull == 0.0).all()


def test_a_mind_needs_a_retailer():
    with pytest.raises(SettingError, match="0 retailers"):
        memory.start(3, 0)


@pytest.mark.parametrize("name", ["irritation", "brand", "creep"])
def test_memory_halves_in_its_half_life(name):
    world = WORLD._replace(**{f"{name}_half_life_days": 10.0})
    mind = memory.start(2, 3)
    getattr(mind, name)[:] = 8.0
    for _ in range(10):
        memory.fade(world, mind)
    assert np.allclose(getattr(mind, name), 4.0, rtol=1e-5)


def test_a_steady_load_counts_about_the_messages_of_a_week():
    mind = memory.start(1, 1)
    for _ in range(100):
        mind.load[:] += 2
        memory.fade(WORLD, mind)
    assert mind.load[0] == pytest.approx(14.0, rel=0.1)


def test_irritation_fades_before_brand_memory_and_both_before_a_creepy_episode():
    assert WORLD.irritation_half_life_days < WORLD.brand_half_life_days < WORLD.creep_half_life_days


def test_the_pull_of_a_store_is_the_written_sum():
    mind = memory.start(1, 1)
    mind.brand[:], mind.irritation[:], mind.creep[:], mind.trust[:], mind.blocked[:] = 5.0, 2.0, 1.0, 0.8, 1
    pull = np.zeros((1, 1), np.float32)
    memory.pulls(WORLD, mind, pull)
    written = (
        WORLD.brand_pull * math.log(1 + 5 / WORLD.brand_scale)
        - WORLD.irritation_pull * 2
        - WORLD.creep_pull
        + WORLD.trust_pull * 0.3
        - WORLD.shut_out_penalty
    )
    assert pull[0, 0] == pytest.approx(written, rel=1e-5)


def test_each_verdict_leaves_its_own_trace():
    compelling = remembered(Verdict.COMPELLING)
    creepy = remembered(Verdict.CREEPY)
    annoying = remembered(Verdict.ANNOYING)
    ignored = remembered(Verdict.IGNORED)
    assert compelling.trust[1, 2] > 0.5 > creepy.trust[1, 2]
    assert annoying.trust[1, 2] == ignored.trust[1, 2] == 0.5
    assert creepy.creep[1, 2] == 1 and annoying.irritation[1, 2] == 1
    assert 0 < ignored.irritation[1, 2] < 0.2
    assert compelling.value[1, 2] > 0 > ignored.value[1, 2] > annoying.value[1, 2] == creepy.value[1, 2]
    for mind in (compelling, creepy, annoying, ignored):
        assert mind.brand[1, 2] == 1 and mind.brand.sum() == 1
        assert (mind.last_contact[1, 2], mind.last_category[1, 2], mind.last_category_day[1, 2]) == (0, 4, 0)


def test_trust_is_quick_to_lose_slow_to_gain_and_stays_between_0_and_1():
    assert WORLD.trust_loss > 5 * WORLD.trust_gain
    assert remembered(*[Verdict.CREEPY] * 50).trust[1, 2] == 0.0
    assert remembered(*[Verdict.COMPELLING] * 99).trust[1, 2] == 1.0


def test_a_sender_of_annoying_mail_is_filtered_until_it_does_better():
    mind = remembered(*[Verdict.ANNOYING] * 30)
    assert mind.filtered[1, 2] == 1 and mind.filtered.sum() == 1
    for day in range(30):
        memory.remember(WORLD, mind, 1, 2, day, 4, int(Verdict.COMPELLING))
    assert mind.filtered[1, 2] == 0


def test_a_message_about_no_category_does_not_hide_the_last_category():
    mind = remembered(Verdict.IGNORED)
    memory.remember(WORLD, mind, 1, 2, 9, -1, int(Verdict.IGNORED))
    assert (mind.last_contact[1, 2], mind.last_category[1, 2], mind.last_category_day[1, 2]) == (9, 4, 0)
