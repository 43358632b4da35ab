"""When she may be contacted at all: her opt-ins, her caps, her quiet hours, and what the day's budget leaves.

The rules only ever take away, so no policy and no campaign can go around them. A cap of 0 means none. A
receipt or another answer to her own deed is not a contact: it is never capped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from regulars.draws import Purpose as Luck
from regulars.draws import four
from regulars.errors import SettingError
from regulars.retail.consent import contacts_of
from regulars.retail.decision import Reason
from regulars.retail.record import RECENT, Record, holds
from regulars.terms import I32, I64, U8, Action, Purpose, Scope

#: The cutoff of a day without a budget: every priority is below it.
NO_CUTOFF = 2**63 - 1
MOST = 255  # a cap that never bites: 28 days at the most messages a day hold fewer


@dataclass(frozen=True)
class ContactRules:
    """House rules of one retailer; days are rolling, channels together.

    Attributes
    ----------
    per_day, per_week, per_month : caps over 1, 7 and 28 days; None is no cap, 0 is no contact
    per_channel : messages a day on one channel
    min_gap_days : at least so many days from one contact to the next; 0 allows several a day
    quiet_from, quiet_until : hours of day, in her time zone, between which nothing is sent; may span midnight
    budget_per_day : messages a day to all customers together, however many decisions they take; None is no limit
    unlike_days : how long an unlike keeps a category away
    """

    per_day: int | None = 2
    per_week: int | None = 14
    per_month: int | None = None
    per_channel: int | None = 1
    min_gap_days: int = 0
    quiet_from: int = 21
    quiet_until: int = 8
    budget_per_day: int | None = None
    unlike_days: int = 365

    def __post_init__(self) -> None:
        for name in ("quiet_from", "quiet_until"):
            if not 0 <= getattr(self, name) <= 24:
                raise SettingError(f"{name} is {getattr(self, name)}. Take an hour from 0 to 24")
        for rule in fields(self):
            value = getattr(self, rule.name)
            if value is not None and value < 0:
                raise SettingError(f"{rule.name} is {value}. Take 0 or more")


#: No cap, no gap, no quiet hours.
UNLIMITED = ContactRules(None, None, None, None, 0, 0, 0)


def stricter(one: ContactRules, other: ContactRules) -> ContactRules:
    """Both at once: of each cap the smaller, of each gap the longer; quiet hours are only those of ``one``."""

    def smaller(a: int | None, b: int | None) -> int | None:
        return b if a is None else a if b is None else min(a, b)

    return ContactRules(
        per_day=smaller(one.per_day, other.per_day),
        per_week=smaller(one.per_week, other.per_week),
        per_month=smaller(one.per_month, other.per_month),
        per_channel=smaller(one.per_channel, other.per_channel),
        min_gap_days=max(one.min_gap_days, other.min_gap_days),
        quiet_from=one.quiet_from,
        quiet_until=one.quiet_until,
        budget_per_day=smaller(one.budget_per_day, other.budget_per_day),
        unlike_days=max(one.unlike_days, other.unlike_days),
    )


def is_quiet(rules: ContactRules, hour: ArrayLike) -> NDArray[np.bool_]:
    """Whether nothing is sent at these hours of day, in her own time zone."""
    hours = np.asarray(hour)
    first, last = rules.quiet_from, rules.quiet_until
    if first <= last:
        return np.asarray((hours >= first) & (hours < last))
    return np.asarray((hours >= first) | (hours < last))


def room(
    record: Record,
    bits: U8,
    rows: I32,
    day: int,
    hour: ArrayLike,
    rules: ContactRules,
    *,
    channels: int = 255,
    most: int = MOST,
    honours_consent: bool = True,
    receipt: bool = False,
) -> tuple[U8, U8]:
    """How many messages each customer may get now, and on which channels.

    Parameters
    ----------
    record, bits : of N customers; bits is (N, 9) consent
    rows : (n,) int32
    day, hour : now; hour of day in her time zone, one or (n,)
    rules : the caps
    channels : bits of the channels that are asked for
    most : at most so many, the policy's own pace
    receipt : an answer to her own deed: neither capped nor kept back at night

    Returns
    -------
    room, channels : (n,) uint8 each; channels are bits of Channel
    """
    left = np.empty(len(rows), np.uint8)
    open_channels = np.empty(len(rows), np.uint8)
    if receipt:
        left[:] = 1
        open_channels[:] = 255
        return left, open_channels
    _room(
        record,
        bits,
        rows,
        day,
        limits(rules),
        channels,
        min(most, MOST),
        honours_consent,
        left,
        open_channels,
    )
    quiet = is_quiet(rules, hour)
    if np.count_nonzero(quiet):
        left[np.broadcast_to(quiet, left.shape)] = 0
    return left, open_channels


def why_not(
    record: Record,
    bits: U8,
    rows: I32,
    day: int,
    hour: ArrayLike,
    rules: ContactRules,
    *,
    channels: int = 255,
    honours_consent: bool = True,
) -> list[Reason | None]:
    """Which rule keeps each of these customers from being contacted now; None when none does."""
    reasons = np.empty(len(rows), np.uint8)
    quiet = np.empty(len(rows), np.bool_)
    quiet[:] = is_quiet(rules, hour)
    _why_not(record, bits, rows, day, quiet, limits(rules), channels, honours_consent, reasons)
    return [_REASONS[code] for code in reasons.tolist()]


@cache
def limits(rules: ContactRules) -> tuple[int, int, int, int, int]:
    """The caps as whole numbers for kernels: day, week, month, channel, gap."""

    def number(cap: int | None) -> int:
        return MOST if cap is None else min(cap, MOST)

    return (
        number(rules.per_day),
        number(rules.per_week),
        number(rules.per_month),
        number(rules.per_channel),
        rules.min_gap_days,
    )


def ration(keep: U8, priority: I64, budget: int) -> int:
    """Keep the ``budget`` lowest priorities of those still kept; returns the highest one kept.

    With that cutoff given back to :func:`lawful` one customer alone is replayed as she was in the crowd.
    """
    kept = np.flatnonzero(keep == KEPT)
    if len(kept) > budget:
        order = kept[np.argsort(priority[kept], kind="stable")]
        keep[order[budget:]] = RATIONED
        kept = order[:budget]
    return int(priority[kept].max()) if len(kept) else -1


# ---- kernels --------------------------------------------------------------------------------------

_CONTACT = int(Scope.CONTACT)
_FOR_CONTACT = int(Purpose.CONTACT)
_LUCK = int(Luck.CONTACT)
_OPTION = int(Action.OPTION)
_CHANNELS = 5

#: What :func:`why_not` tells, as numbers for its kernel.
_NOTHING = 255
_NO_PERMISSION, _NOT_REACHABLE, _QUIET = (
    int(Reason.NO_PERMISSION),
    int(Reason.NOT_REACHABLE),
    int(Reason.QUIET),
)
_GAP, _CAP_DAY, _CAP_WEEK = int(Reason.GAP), int(Reason.CAP_DAY), int(Reason.CAP_WEEK)
_CAP_MONTH = int(Reason.CAP_MONTH)
_REASONS: dict[int, Reason | None] = {_NOTHING: None, **{int(reason): reason for reason in Reason}}

#: Why :func:`lawful` dropped a decision.
KEPT, NOT_STANDING, UNLIKED, NO_CHANNEL, CAPPED, RATIONED = 1, 2, 3, 4, 5, 6


@njit(cache=True, nogil=True, error_model="numpy")
def left_today(ring, ring_day, last_contact, i, day, caps):
    """Messages that the caps leave customer ``i`` today."""
    per_day, per_week, per_month, _, gap = caps
    today, week, month = contacts_of(ring, ring_day, i, day)
    if too_soon(last_contact[i], today, day, gap):
        return 0
    left = min(per_day - today, per_week - week, per_month - month)
    return max(0, left if gap == 0 else min(left, 1))


@njit(cache=True, nogil=True, error_model="numpy")
def too_soon(last_contact, today, day, gap):
    """Whether a gap of so many days forbids a message: with one of a day a second today would follow the first at once.

    The last contact may be of a day to come, such as tomorrow's letter; ``today`` is how many she got on ``day``.
    """
    return (gap > 0 and today > 0) or (gap > 1 and day - last_contact < gap)


@njit(cache=True, nogil=True, error_model="numpy")
def open_channels_of(optin, channel_day, channel_count, i, day, per_channel, asked=255):
    """Bits of the channels, of these, on which customer ``i`` may be reached today; how many messages they carry."""
    bits, carried = np.int64(optin[i]) & asked, 0
    for channel in range(_CHANNELS):
        left = per_channel - used_of(channel_day, channel_count, i, channel, day)
        if left <= 0:
            bits &= 255 ^ (1 << channel)
        elif bits >> channel & 1:
            carried += left
    return bits, carried


@njit(cache=True, nogil=True, error_model="numpy")
def used_of(channel_day, channel_count, i, channel, day):
    """Messages that customer ``i`` got on a channel today, or for a later day already."""
    return np.int64(channel_count[i, channel]) if channel_day[i, channel] >= day else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _room(record, bits, rows, day, caps, asked, most, honours, left, channels):
    # Columns by name: to hand whole records to a helper costs more than what it does.
    ring, ring_day, last_contact = record.ring, record.ring_day, record.last_contact
    optin, channel_day, channel_count = record.optin, record.channel_day, record.channel_count
    for k in range(len(rows)):
        i = rows[k]
        left[k] = 0
        channels[k] = 0
        if honours and not bits[i, _CONTACT] >> _FOR_CONTACT & 1:
            continue
        if optin[i] & asked == 0:
            continue
        reached, carried = open_channels_of(optin, channel_day, channel_count, i, day, caps[3], asked)
        left[k] = min(left_today(ring, ring_day, last_contact, i, day, caps), most, carried)
        channels[k] = reached


@njit(cache=True, nogil=True, error_model="numpy")
def _why_not(record, bits, rows, day, quiet, caps, asked, honours, reasons):
    ring, ring_day, last_contact = record.ring, record.ring_day, record.last_contact
    optin, channel_day, channel_count = record.optin, record.channel_day, record.channel_count
    per_day, per_week, per_month, per_channel, gap = caps
    for k in range(len(rows)):
        i = rows[k]
        today, week, month = contacts_of(ring, ring_day, i, day)
        reached, _ = open_channels_of(optin, channel_day, channel_count, i, day, per_channel, asked)
        if honours and not bits[i, _CONTACT] >> _FOR_CONTACT & 1:
            reasons[k] = _NO_PERMISSION
        elif optin[i] & asked == 0:
            reasons[k] = _NOT_REACHABLE
        elif quiet[k]:
            reasons[k] = _QUIET
        elif too_soon(last_contact[i], today, day, gap):
            reasons[k] = _GAP
        elif today >= per_day:
            reasons[k] = _CAP_DAY
        elif week >= per_week:
            reasons[k] = _CAP_WEEK
        elif month >= per_month:
            reasons[k] = _CAP_MONTH
        elif reached == 0:
            reasons[k] = _CAP_DAY
        else:
            reasons[k] = _NOTHING


@njit(cache=True, nogil=True, error_model="numpy")
def lawful(record, bits, decisions, offers, gone, day, caps, honours, key, cutoff, keep, priority):
    """Mark in ``keep`` which decisions may leave (1) or why not, and draw their priorities.

    Decisions of one customer stand together. ``gone`` is (offers,) or empty. A ``cutoff`` of ``NO_CUTOFF`` rations
    nobody.
    """
    ring, ring_day, last_contact = record.ring, record.ring_day, record.last_contact
    optin, channel_day, channel_count = record.optin, record.channel_day, record.channel_count
    previous, slot, ahead, taken = -1, 0, 0, np.zeros(_CHANNELS, np.int64)
    for k in range(len(decisions.customer)):
        i = decisions.customer[k]
        if i != previous:
            previous, slot, ahead = i, 0, 0
            taken[:] = 0
        word = four(key, _LUCK, record.customer[i], day, slot)[0]
        # The name in the low half makes priorities differ even when two words agree.
        priority[k] = np.int64(word >> np.uint32(1)) << 32 | np.int64(record.customer[i])
        slot += 1
        offer, category = decisions.offer[k], decisions.category[k]
        keep[k] = KEPT
        if offer < 0:
            if decisions.action[k] != _OPTION:
                keep[k] = NOT_STANDING
        elif offer >= len(offers.kind) or not offers.first_day[offer] <= day <= offers.last_day[offer]:
            keep[k] = NOT_STANDING
        elif len(gone) and gone[offer]:
            keep[k] = NOT_STANDING
        if keep[k] == KEPT and category >= 0:
            if holds(record.unlike_category, record.unlike_until, i, category, day):
                keep[k] = UNLIKED
        if keep[k] == KEPT and honours and not bits[i, _CONTACT] >> _FOR_CONTACT & 1:
            keep[k] = NO_CHANNEL
        channel = decisions.channel[k]
        if keep[k] == KEPT:
            used = used_of(channel_day, channel_count, i, channel, day) + taken[channel]
            if not optin[i] >> channel & 1 or used >= caps[3]:
                keep[k] = NO_CHANNEL
        if keep[k] == KEPT and ahead >= left_today(ring, ring_day, last_contact, i, day, caps):
            keep[k] = CAPPED
        if keep[k] == KEPT and priority[k] > cutoff:
            keep[k] = RATIONED
        if keep[k] == KEPT:
            ahead += 1
            taken[channel] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def reserve(record, decisions, day):
    """Count the contacts before they leave, so that the next decision sees them."""
    ring = record.ring.shape[1]
    for k in range(len(decisions.customer)):
        i, channel = decisions.customer[k], decisions.channel[k]
        last = np.int64(record.ring_day[i])
        if day > last:
            for then in range(max(last + 1, day - ring + 1), day + 1):
                record.ring[i, then % ring] = 0
            record.ring_day[i] = day
        if day > record.ring_day[i] - ring:
            record.ring[i, day % ring] = min(record.ring[i, day % ring] + 1, 255)
        if record.channel_day[i, channel] < day:
            record.channel_day[i, channel] = day
            record.channel_count[i, channel] = 0
        record.channel_count[i, channel] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def release(record, decisions, day):
    """Give back what was reserved for messages that did not leave the same day."""
    ring = record.ring.shape[1]
    for k in range(len(decisions.customer)):
        i, channel = decisions.customer[k], decisions.channel[k]
        if record.ring_day[i] - ring < day <= record.ring_day[i] and record.ring[i, day % ring] > 0:
            record.ring[i, day % ring] -= 1
        if record.channel_day[i, channel] == day and record.channel_count[i, channel] > 0:
            record.channel_count[i, channel] -= 1


@njit(cache=True, nogil=True, error_model="numpy")
def commit(record, decisions, day):
    """The messages have left: remember about what, and when."""
    for k in range(len(decisions.customer)):
        i = decisions.customer[k]
        record.last_contact[i] = max(day, record.last_contact[i])
        if record.sent[i] < 65535:
            record.sent[i] += 1
        if decisions.category[k] >= 0:
            place = record.recent_next[i]
            record.recent_category[i, place] = decisions.category[k]
            record.recent_day[i, place] = day
            record.recent_next[i] = (place + 1) % RECENT
        if decisions.asks[k] != 255:
            record.last_ask[i] = day
