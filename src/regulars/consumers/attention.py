"""Whether a message reaches her and she opens it: her budget, her filter and the doors she has closed.

All senders compete for one weekly budget. The log of her load over that budget, the overload, lowers the
chance to open and adds to annoyance. A sender of whom she expects little goes to her filter's folder, where
few messages are opened. Engagement is uneven between people and falls with frequency (Return Path, 2015); the
sizes are priors.
"""

from __future__ import annotations

from numba import njit

from regulars.draws import log, sigmoid
from regulars.terms import Channel

_APP = int(Channel.APP)
_SMS = int(Channel.SMS)
_MAIL = int(Channel.MAIL)


@njit(cache=True, nogil=True, error_model="numpy")
def reaches(blocked, unsubscribed, channel):
    """Whether she neither shut the retailer out nor unsubscribed (bits ``1 << channel``) from the channel."""
    return blocked == 0 and (unsubscribed >> channel) & 1 == 0


@njit(cache=True, nogil=True, error_model="numpy")
def overload(elsewhere, load, budget, channel):
    """Log of a week's messages of all senders over the budget; 0 for paper and store: they fill no inbox."""
    if channel >= _MAIL:
        return 0.0
    return log((elsewhere + load) / budget)


@njit(cache=True, nogil=True, error_model="numpy")
def open_probability(world, value, filtered, channel, over):
    """Chance that she opens a message that reached her.

    Parameters
    ----------
    value : what she expects of the sender, -1 to 1
    filtered : 1 when her filter keeps the sender's messages from her; paper and the store pass it
    channel : Channel
    over : from :func:`overload`
    """
    odds = world.open_base + world.open_value * value - world.load_slope * over
    if channel == _APP:
        odds += world.open_app
    elif channel == _SMS:
        odds += world.open_sms
    elif channel == _MAIL:
        odds += world.open_mail
    elif channel > _MAIL:
        odds += world.open_store
    chance = sigmoid(odds)
    return chance * world.filter_passes if filtered == 1 and channel < _MAIL else chance
