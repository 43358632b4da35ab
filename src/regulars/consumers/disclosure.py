"""What she shares: what she allows on the first day, what she gives when asked, and a promise not kept."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars import terms
from regulars.consumers.population import UNKNOWN, Habits
from regulars.consumers.priors import Traits
from regulars.draws import Purpose, four, log, open_unit, uniform_column
from regulars.errors import ShapeError
from regulars.terms import U8, Reaction, Scope, Verdict

_DISCLOSE = int(Purpose.DISCLOSE)
_OPEN = 1 << int(Reaction.OPEN)
_DISCLOSED = 1 << int(Reaction.DISCLOSE)
_CREEPY = int(Verdict.CREEPY)

#: In ``Messages.asks``: the message asks for nothing.
ASKS_NOTHING = 255

#: Share of each segment (unconcerned, pragmatist, guardian) that takes a loyalty card's e-mails on joining.
#: Assumed; with the default segments about .63 do.
CONTACT_GIVEN = (0.75, 0.70, 0.42)
#: Share of each segment that lets a loyalty-card retailer personalize from purchases. Assumed: most do, not
#: all guardians.
PURCHASES_GIVEN = (0.97, 0.92, 0.55)

# Day 0 of the same purpose holds the asking; these occasions are beyond any of its.
_FIRST_CONTACT = 0x800000
_FIRST_PURCHASES = 0x800001


@njit(cache=True, nogil=True, error_model="numpy")
def ask(key, day, world, traits, mind, habits, messages, retailer, n, responses):
    """She answers the messages that ask her to share a scope, once they are judged; a kernel.

    She shares when ``disclosure_gain * fit_value + exchange * trust - sensitivity * (1 - control_relief *
    control) - endowment`` plus logistic noise is above 0; only an opened message that was not creepy is
    considered. Sharing sets ``Reaction.DISCLOSE`` and undoes an earlier withdrawal of that scope. That people
    ask more for data than they would pay to keep it is in Acquisti, John and Loewenstein (2013).

    Parameters as for :func:`regulars.consumers.verdict.judge`, which has filled ``responses``.
    """
    asks, reactions, verdicts = messages.asks, responses.reactions, responses.verdict
    for m in range(n):
        asked = asks[m]
        if asked == ASKS_NOTHING or reactions[m] & _OPEN == 0 or verdicts[m] == _CREEPY:
            continue
        i = messages.consumer[m]
        word, _, _, _ = four(key, _DISCLOSE, habits.consumer[i], day, retailer * 8 + messages.channel[m])
        u = open_unit(word)
        leaning = (
            world.disclosure_gain * world.fit_value
            + messages.exchange[m] * mind.trust[i, retailer]
            - traits.sensitivity[i] * (1.0 - world.control_relief * messages.control[m])
            - world.endowment
        )
        if leaning + world.noise * log(u / (1.0 - u)) > 0.0:
            reactions[m] |= np.uint16(_DISCLOSED)
            mind.revoked[i, retailer] &= np.uint16(0xFFFF ^ (1 << asked))


@njit(cache=True, nogil=True, error_model="numpy")
def broken_promise(world, mind, consumer, retailer):
    """What was promised in return for sharing did not come: trust falls as after a creepy message."""
    mind.trust[consumer, retailer] = max(0.0, mind.trust[consumer, retailer] - world.trust_loss)


def starting_consent(key: NDArray[np.uint32], traits: Traits, habits: Habits) -> U8:
    """What the members of a loyalty-card retailer allow on the first day.

    Everybody lets the card serve her from her purchases; most, but only some guardians, let them be used to
    personalize and measure; about .63 take its messages; demographics are granted by those who told their age
    or income and personalize. Everything else is closed until she opens it. The shares are assumed, not
    measured.

    Returns
    -------
    (N, 9) uint8, for each ``Scope`` the bits ``1 << Purpose`` (of ``regulars.terms``) granted

    Raises
    ------
    ShapeError
        when traits and habits are not of the same consumers.
    """
    if len(traits.segment) != len(habits.consumer):
        raise ShapeError(
            f"{len(traits.segment)} traits but {len(habits.consumer)} habits. Give the same consumers"
        )
    serve, personalize, contact, measure = (
        1 << int(p)
        for p in (
            terms.Purpose.SERVE,
            terms.Purpose.PERSONALIZE,
            terms.Purpose.CONTACT,
            terms.Purpose.MEASURE,
        )
    )
    reached = uniform_column(key, Purpose.DISCLOSE, habits.consumer, 0, _FIRST_CONTACT)
    known = uniform_column(key, Purpose.DISCLOSE, habits.consumer, 0, _FIRST_PURCHASES)
    contacted = reached < np.array(CONTACT_GIVEN)[traits.segment]
    personal = known < np.array(PURCHASES_GIVEN)[traits.segment]
    told = personal & ((habits.age != UNKNOWN) | (habits.income != UNKNOWN))
    consent = np.zeros((len(habits.consumer), len(Scope)), np.uint8)
    consent[:, Scope.CONTACT] = np.where(contacted, serve | contact, 0)
    consent[:, Scope.PURCHASES] = np.where(personal, serve | personalize | measure, serve)
    consent[:, Scope.DEMOGRAPHICS] = np.where(told, personalize | measure, 0)
    return consent
