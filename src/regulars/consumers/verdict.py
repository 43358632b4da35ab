"""How she judges what she noticed, creepy, compelling, annoying or ignored, and what she does about it.

Creepy comes first: a saving does not buy it off (van Doorn and Hoekstra, 2013), fit partly does (White et
al., 2008). Then compelling, then annoying; most messages are neither and are ignored, without which
unsubscribing as rarely as people do (0.14% a mail; GDMA, 2024) could not be. No published effect is written
in: they arise, see ``docs/verdict.md``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from regulars.consumers.attention import open_probability, overload, reaches
from regulars.consumers.hand import put
from regulars.consumers.memory import remember
from regulars.draws import Purpose, exp, four, log, sigmoid, unit
from regulars.terms import BASIS_SCOPE, Basis, Channel, Reaction, Verdict

_ATTENTION = int(Purpose.ATTENTION)
_VERDICT = int(Purpose.VERDICT)
_REACTION = int(Purpose.REACTION)

_COMPELLING = int(Verdict.COMPELLING)
_CREEPY = int(Verdict.CREEPY)
_ANNOYING = int(Verdict.ANNOYING)
_IGNORED = int(Verdict.IGNORED)

_OPEN = 1 << int(Reaction.OPEN)
_CLICK = 1 << int(Reaction.CLICK)
_UNLIKE = 1 << int(Reaction.UNLIKE)
_UNSUBSCRIBE = 1 << int(Reaction.UNSUBSCRIBE)
_BLOCK = 1 << int(Reaction.BLOCK)
_WITHDRAW = 1 << int(Reaction.WITHDRAW)
_COMPLAIN = 1 << int(Reaction.COMPLAIN)

_NOTHING = int(Basis.NOTHING)
_TOLD = int(Basis.TOLD)
_HERE = int(Basis.BOUGHT_HERE)
_CONTEXT = int(Basis.CONTEXT)
_ELSEWHERE = int(Basis.BOUGHT_ELSEWHERE)

_MAIL = int(Channel.MAIL)
_SCOPES = tuple(int(scope) for scope in BASIS_SCOPE)

_LAST_DAY = 32767  # what a hand can hold
_NEXT = 1 << 16  # from the luck of one message to that of the next on the same channel and day

#: Days beyond which a longer silence is no further relief.
SPACING_DAYS = 60


@njit(cache=True, nogil=True, error_model="numpy")
def judge(key, day, world, traits, mind, hand, habits, needs, messages, retailer, n, responses, fit_out):
    """Judge the first n messages of one retailer on one day; a kernel.

    Luck is named by the consumer's own name, the day, the retailer, the channel and which message of the day
    it is there; messages to one consumer stand together. A message that does not reach her changes nothing.

    Parameters
    ----------
    key : (2,) uint32
    day : day of the run
    world, traits, habits, needs : World, Traits, Habits and Needs; read only
    mind, hand : Mind and Hand; changed
    messages : Messages, at least n rows
    retailer : its index in the run, below 2**13
    responses : Responses with room for n rows; the first n are filled
    fit_out : (n,) or longer, float32; how well each message fits what she needs now, 0 to 1, for the report
    """
    # A look into a tuple of columns counts a reference: here, not in the loop, which then is twice as fast.
    consumers, channels, categories, bases = (
        messages.consumer,
        messages.channel,
        messages.category,
        messages.basis,
    )
    savings, reveals, justifications = messages.saving, messages.revealed, messages.justification
    obtrusions, controls, offers, last_days = (
        messages.obtrusiveness,
        messages.control,
        messages.offer,
        messages.last_day,
    )
    verdicts, reactions, reasons = responses.verdict, responses.reactions, responses.reason
    names, row_ptr, row_category = habits.consumer, habits.row_ptr, habits.row_category
    row_interval, last_bought = habits.row_interval, needs.last_bought
    elsewhere, budget, sensitivity, theta = traits.elsewhere, traits.budget, traits.sensitivity, traits.theta
    loads, expected, filtered, trusts = mind.load, mind.value, mind.filtered, mind.trust
    irritations, episodes = mind.irritation, mind.creep
    blocked, unsubscribed, revoked = mind.blocked, mind.unsubscribed, mind.revoked
    last_contact, last_category, last_category_day = (
        mind.last_contact,
        mind.last_category,
        mind.last_category_day,
    )
    r = retailer

    # A pass of its own: the searches of several messages then wait for memory together.
    for m in range(n):
        category = categories[m]
        fit = world.generic_fit
        if category >= 0:
            row = row_of(row_ptr, row_category, consumers[m], category)
            if row < 0:
                fit = world.exploration_floor
            else:
                fit = need_fit(world, day - last_bought[row], row_interval[row])
        fit_out[m] = fit

    for m in range(n):
        i = consumers[m]
        channel = channels[m]
        category = categories[m]
        fit = fit_out[m]
        verdicts[m] = _IGNORED
        reactions[m] = 0
        reasons[m] = 255
        if not reaches(blocked[i, r], unsubscribed[i, r], channel):
            continue

        name = names[i]
        occasion = r * 8 + channel
        before = m - 1
        while before >= 0 and consumers[before] == i:
            if channels[before] == channel:
                occasion += _NEXT
            before -= 1
        if channel < _MAIL:
            loads[i] += np.float32(1.0)
        over = overload(elsewhere[i], loads[i], budget[i], channel)
        chance = open_probability(world, expected[i, r], filtered[i, r], channel, over)
        word_open, word_detect, _, _ = four(key, _ATTENTION, name, day, occasion)
        if unit(word_open) >= chance:
            if filtered[i, r] == 0:
                irritations[i, r] += np.float32(world.irritation_unopened)
            continue

        basis = bases[m]
        saving = savings[m]
        justification = justifications[m]
        obtrusiveness = obtrusions[m]
        trust = trusts[i, r]
        shown = 0.0
        noticed = 0.0
        if basis != _NOTHING:
            shown = salience(world, reveals[m], justification)
            noticed = shown
            if unit(word_detect) < world.detection * (1.0 - shown):
                # She found out by herself: nothing that the copy says excuses it.
                noticed = 1.0
                justification = 0.0
        value = worth(world, fit, saving, shown, justification, trust)
        creep = 0.0
        if noticed > 0.0:
            creep = intrusion(
                world, sensitivity[i], noticed, basis, obtrusiveness, trust, justification, controls[m]
            )
        same = category >= 0 and category == last_category[i, r]
        annoyance = pressure(
            world,
            fit,
            over,
            irritations[i, r],
            day - last_contact[i, r],
            day - last_category_day[i, r] if same else -1,
            obtrusiveness,
        )
        word_creepy, word_compelling, word_annoying, word_revoke = four(key, _VERDICT, name, day, occasion)
        if creep > 0.0 and unit(word_creepy) < creepy_probability(world, creep, theta[i], fit, saving):
            verdict = _CREEPY
        elif unit(word_compelling) < compelling_probability(world, value, annoyance):
            verdict = _COMPELLING
        elif unit(word_annoying) < annoying_probability(world, value, annoyance):
            verdict = _ANNOYING
        else:
            verdict = _IGNORED
        verdicts[m] = verdict
        remember(world, mind, i, r, day, category, verdict)
        put(hand, i, r, category, offers[m], saving, day, min(last_days[m], _LAST_DAY), 1)

        word_like, word_complain, word_unsubscribe, word_block = four(key, _REACTION, name, day, occasion)
        done = _OPEN
        if verdict == _COMPELLING or verdict == _IGNORED:
            if unit(word_like) < click_probability(world, verdict, value):
                done |= _CLICK
        else:
            irritation = irritations[i, r]
            urge = urge_to_leave(world, irritation, episodes[i, r], expected[i, r])
            if unit(word_like) < sigmoid(world.unlike_base + urge):
                done |= _UNLIKE
                reasons[m] = verdict
            if unit(word_complain) < sigmoid(world.complain_base + world.complain_irritation * irritation):
                done |= _COMPLAIN
            if unit(word_unsubscribe) < sigmoid(world.unsubscribe_base + urge):
                done |= _UNSUBSCRIBE
                unsubscribed[i, r] |= np.uint8(1 << channel)
            if unit(word_block) < sigmoid(world.block_base + urge):
                done |= _BLOCK
                blocked[i, r] = 1
            if verdict == _CREEPY and unit(word_revoke) < world.revoke_chance:
                done |= _WITHDRAW
                revoked[i, r] |= np.uint16(1 << _SCOPES[basis])
        reactions[m] = done


@njit(cache=True, nogil=True, error_model="numpy")
def row_of(row_ptr, row_category, consumer, category):
    """Her repertoire row of a category, -1 when she does not buy it; her rows are in order of category."""
    low, end = row_ptr[consumer], row_ptr[consumer + 1]
    high = end
    while low < high:
        middle = (low + high) >> 1
        if row_category[middle] < category:
            low = middle + 1
        else:
            high = middle
    return low if low < end and row_category[low] == category else -1


@njit(cache=True, nogil=True, error_model="numpy")
def need_fit(world, elapsed, interval):
    """How well a category that she buys fits what she needs today, 0 to 1.

    Need, ``min(1, elapsed / interval) ** 2`` with days since she last bought it over her own mean interval,
    times affinity, which rises with how often she buys it and is 1/2 at once in ``affinity_days``. It never
    falls below the fit of a category that she does not buy.
    """
    need = min(1.0, max(0.0, elapsed / interval))
    return max(world.exploration_floor, need * need * world.affinity_days / (world.affinity_days + interval))


@njit(cache=True, nogil=True, error_model="numpy")
def salience(world, revealed, justification):
    """How plainly the copy shows that data was used, 0 to 1: in its face, or through the reason it gives."""
    return revealed + (1.0 - revealed) * justification * world.disclosure_salience


@njit(cache=True, nogil=True, error_model="numpy")
def worth(world, fit, saving, shown, justification, trust):
    """Value of a message: what fits, what it saves, being recognised, being told why by one she trusts."""
    return (
        fit * (world.fit_value + world.saving_value * saving)
        + world.surprise_value * shown
        + world.justification_value * justification * trust
    )


@njit(cache=True, nogil=True, error_model="numpy")
def pressure(world, fit, over, irritation, gap, same_gap, obtrusiveness):
    """Annoyance of a message: load, old irritation, the same again, obtrusiveness; less after a silence.

    ``gap`` is days since she last opened a message of this retailer; ``same_gap`` the same for this category,
    below 0 when her last one was about something else.
    """
    felt = (
        world.load_weight * max(over, 0.0) * (1.0 - fit)
        + world.irritation_weight * irritation
        + world.obtrusive_weight * obtrusiveness
        - world.spacing_relief * log(1.0 + min(gap, SPACING_DAYS))
    )
    if same_gap >= 0:
        felt += world.repetition_weight * exp(-same_gap / world.repetition_days)
    return felt


@njit(cache=True, nogil=True, error_model="numpy")
def intrusion(world, sensitivity, noticed, basis, obtrusiveness, trust, justification, control):
    """Creep of one use of data: what the shop should not know, less for trust, reasons and control.

    Expectations by source of the fact: Kim, Barasz and John (2019). Control: Tucker (2014). Trust: Aguirre et
    al. (2015). Obtrusiveness: Goldfarb and Tucker (2011).
    """
    eased = trust * (world.trust_relief_unexplained + (1.0 - world.trust_relief_unexplained) * justification)
    return (
        sensitivity
        * noticed
        * (1.0 - expectation(world, basis))
        * (1.0 + world.obtrusive_creep * obtrusiveness)
        * (1.0 - world.trust_relief * eased)
        * (1.0 - world.control_relief * control)
    )


@njit(cache=True, nogil=True, error_model="numpy")
def expectation(world, basis):
    """Her belief, 0 to 1, that the shop may rightly know a fact that it came by in this way."""
    if basis == _TOLD:
        return world.b_told
    if basis == _HERE:
        return world.b_here
    if basis == _CONTEXT:
        return world.b_context
    if basis == _ELSEWHERE:
        return world.b_elsewhere
    return world.b_inferred


@njit(cache=True, nogil=True, error_model="numpy")
def creepy_probability(world, creep, theta, fit, saving):
    """Chance to be creepy, log-logistic in creep over what she bears; 0 where no data is used.

    ``1 / (1 + ((theta + fit_offsets_creep * fit) / creep) ** creep_steepness)``. In the default world a
    saving does not count (van Doorn and Hoekstra, 2013).
    """
    if creep <= 0.0:
        return 0.0
    borne = theta + world.fit_offsets_creep * fit + world.saving_offsets_creep * saving
    return 1.0 / (1.0 + exp(world.creep_steepness * log(borne / creep)))


@njit(cache=True, nogil=True, error_model="numpy")
def compelling_probability(world, value, annoyance):
    """Chance to be compelling, once not creepy."""
    return sigmoid((value - annoyance - world.compelling_threshold) / world.noise)


@njit(cache=True, nogil=True, error_model="numpy")
def annoying_probability(world, value, annoyance):
    """Chance to be annoying, once neither creepy nor compelling."""
    return sigmoid((annoyance - value - world.annoying_threshold) / world.noise)


@njit(cache=True, nogil=True, error_model="numpy")
def click_probability(world, verdict, value):
    """Chance of a click: it rises with the value of what is compelling, and is small for what she ignores."""
    if verdict == _COMPELLING:
        return sigmoid(world.click_base + world.click_value * (value - world.compelling_threshold))
    return world.click_idle


@njit(cache=True, nogil=True, error_model="numpy")
def urge_to_leave(world, irritation, episodes, value):
    """Log-odds that memory adds to unlike, unsubscribe and block after an annoying or creepy message."""
    return world.leave_irritation * irritation + world.leave_creep * episodes - world.leave_value * value
