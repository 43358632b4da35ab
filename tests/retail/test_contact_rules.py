from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.draws import stream
from regulars.errors import SettingError
from regulars.retail import consent as consents
from regulars.retail import contact_rules
from regulars.retail import record as records
from regulars.retail.catalog import no_offers
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import blank
from regulars.terms import NONE, Action, Scope

OPEN = ContactRules(None, None, None, None, 0, 0, 0)


def people(n=3):
    made = records.new(n, 4)
    made.optin[:] = 0b11111
    return made, np.full((n, 9), consents.USUAL, np.uint8)


def left(made, bits, day, rules, hour=12, **more):
    rows = np.arange(len(made.customer), dtype=np.int32)
    return contact_rules.room(made, bits, rows, day, hour, rules, **more)[0].tolist()


def send(made, rows, day, channel=0):
    out = blank(len(rows))
    out.customer[:] = rows
    out.channel[:] = channel
    out.asks[:] = 255
    contact_rules.reserve(made, out, day)
    contact_rules.commit(made, out, day)


@given(
    days=st.lists(st.integers(0, 80), max_size=60),
    caps=st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 15)),
)
@settings(max_examples=60, deadline=None)
def test_the_caps_are_exact(days, caps):
    made, bits = people(1)
    rules = ContactRules(*caps, None, 0, 0, 0)
    sent: list[int] = []
    for day in sorted(days):
        windows = [sum(1 for then in sent if day - then < length) for length in (1, 7, 28)]
        expected = max(0, min(cap - count for cap, count in zip(caps, windows, strict=True)))
        room = left(made, bits, day, rules)[0]
        assert room == min(expected, 255)
        if room:
            send(made, [0], day)
            sent.append(day)


@pytest.mark.parametrize("cap", ["per_day", "per_week", "per_month", "per_channel"])
def test_a_cap_of_0_means_none(cap):
    made, bits = people()
    assert left(made, bits, 0, ContactRules(**{cap: 0})) == [0, 0, 0]


def test_a_receipt_is_never_capped():
    made, bits = people()
    made.optin[:] = 0
    assert left(made, bits, 0, ContactRules(per_day=0), hour=3, receipt=True) == [1, 1, 1]


@pytest.mark.parametrize(
    ("hour", "quiet"), [(21, True), (23, True), (0, True), (7, True), (8, False), (20, False)]
)
def test_quiet_hours_span_midnight(hour, quiet):
    made, bits = people(1)
    assert left(made, bits, 0, ContactRules(quiet_from=21, quiet_until=8), hour=hour) == [0 if quiet else 2]


def test_quiet_hours_are_hers_not_ours():
    made, bits = people()
    assert left(made, bits, 0, ContactRules(), hour=np.array([12, 23, 5])) == [2, 0, 0]


def test_the_gap_is_kept():
    made, bits = people(1)
    rules = ContactRules(min_gap_days=2)
    send(made, [0], 10)
    assert [left(made, bits, day, rules)[0] for day in (10, 11, 12)] == [0, 0, 1]


def test_one_message_a_channel_a_day():
    made, bits = people(1)
    made.optin[0] = 0b11
    rules = ContactRules(per_day=5)
    assert left(made, bits, 0, rules) == [2]
    send(made, [0], 0, channel=1)
    rows = np.zeros(1, np.int32)
    room, channels = contact_rules.room(made, bits, rows, 0, 12, rules)
    assert room[0] == 1 and channels[0] == 0b01


@pytest.mark.parametrize("per_channel", [1, 2, 3])
@pytest.mark.parametrize("used", [0, 1, 2, 3])
def test_the_cap_of_a_channel_is_exact(per_channel, used):
    """In the room that is told and in what may leave, whatever was sent on it before today."""
    made, bits = people(1)
    made.optin[0] = 0b11
    rules = ContactRules(None, None, None, per_channel, 0, 0, 0)
    for _ in range(used):
        send(made, [0], 4, channel=1)
    on_second = max(0, per_channel - used)
    rows = np.zeros(1, np.int32)
    room, channels = contact_rules.room(made, bits, rows, 4, 12, rules)
    assert room[0] == per_channel + on_second
    assert channels[0] == (0b11 if on_second else 0b01)
    assert contact_rules.room(made, bits, rows, 4, 12, rules, channels=0b10)[0][0] == on_second
    out = options(12)
    out.customer[:] = 0
    out.channel[:] = np.arange(12) % 3
    keep, _ = lawful(made, bits, out, rules=rules)
    sent = np.bincount(out.channel[keep == contact_rules.KEPT], minlength=3)
    assert sent.tolist() == [per_channel, on_second, 0]
    assert (keep[keep != contact_rules.KEPT] == contact_rules.NO_CHANNEL).all()


def test_without_permission_or_opt_in_nobody_is_reached():
    made, bits = people()
    bits[0, Scope.CONTACT] = 0
    made.optin[1] = 0
    assert left(made, bits, 0, ContactRules()) == [0, 0, 2]


def test_what_is_released_may_be_used_again():
    made, bits = people(1)
    rules = ContactRules(per_day=1)
    out = blank(1)
    contact_rules.reserve(made, out, 3)
    assert left(made, bits, 3, rules) == [0]
    contact_rules.release(made, out, 3)
    assert left(made, bits, 3, rules) == [1]


def lawful(made, bits, out, cutoff=contact_rules.NO_CUTOFF, rules=OPEN):
    keep, priority = np.empty(len(out.customer), np.uint8), np.empty(len(out.customer), np.int64)
    caps = contact_rules.limits(rules)
    gone = np.zeros(0, np.bool_)
    contact_rules.lawful(made, bits, out, no_offers(), gone, 4, caps, True, stream(1), cutoff, keep, priority)
    return keep, priority


def options(n):
    out = blank(n)
    out.customer[:] = np.arange(n)
    out.action[:] = Action.OPTION
    out.offer[:] = out.category[:] = NONE
    return out


def test_the_budget_is_rationed_by_lot_and_its_cutoff_replays_one_alone():
    made, bits = people(200)
    keep, priority = lawful(made, bits, options(200))
    cutoff = contact_rules.ration(keep, priority, 50)
    chosen = keep == contact_rules.KEPT
    assert chosen.sum() == 50
    again, _ = lawful(made, bits, options(200), cutoff)
    assert np.array_equal(again == contact_rules.KEPT, chosen)
    for row in range(0, 200, 17):
        one = records.subset(made, np.array([row]))
        alone, _ = lawful(one, bits[[row]], options(1), cutoff)
        assert (alone[0] == contact_rules.KEPT) == chosen[row]


def test_the_stricter_of_two_rules_wins():
    both = contact_rules.stricter(
        ContactRules(per_day=2, per_week=None), ContactRules(per_day=None, per_week=3)
    )
    assert (both.per_day, both.per_week) == (2, 3)


def test_impossible_rules_are_refused():
    with pytest.raises(SettingError, match="quiet_from is 25"):
        ContactRules(quiet_from=25)
    with pytest.raises(SettingError, match="per_week is -1"):
        ContactRules(per_week=-1)


def test_a_budget_of_nothing_replays_as_nothing():
    made, bits = people(20)
    keep, priority = lawful(made, bits, options(20))
    cutoff = contact_rules.ration(keep, priority, 0)
    alone, _ = lawful(records.subset(made, np.array([3])), bits[[3]], options(1), cutoff)
    assert alone[0] != contact_rules.KEPT
