"""What the retailer expects her to make of a message: compelling, creepy, annoying or ignored.

A multinomial logit over what the view, the contact history and the message itself show, with prior weights,
learned from what customers did. It shares nothing with how consumers really judge; in life nobody has that.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from regulars.draws import exp
from regulars.terms import F32, F64, NEVER, U8, Reaction, Verdict


class Feature(enum.IntEnum):
    """The columns of ``Decisions.features``; each roughly between 0 and 1."""

    BIAS = 0
    RELEVANCE = 1  #: of the category to her, 0 to 1
    DUE = 2  #: how near her own time for it
    WISHED = 3  #: she said she wants it
    SAVING = 4  #: share of the price
    SPACING = 5  #: log of the days since the last contact, 1 at 28 days
    WEEK = 6  #: contacts of the last 7 days, over 7
    MONTH = 7  #: contacts of the last 28 days, over 28
    REPETITION = 8  #: fades with the days since the last contact about the category
    INTRUSION = 9  #: how far the copy shows a fact that she may not expect the retailer to have
    UNEXPLAINED = 10  #: a fact is used and the copy does not say why
    CONTROL = 11  #: a fact is used and she can steer it
    OBTRUSIVE = 12
    OPENS = 13  #: share of her past messages that she opened, shrunk
    CLICKS = 14
    UNLIKES = 15


FEATURES = len(Feature)
#: Bits of Reaction that say a contact was welcome.
PLEASED = (1 << Reaction.CLICK) | (1 << Reaction.BUY) | (1 << Reaction.REDEEM)
STANDS = 3  #: verdicts with weights of their own; ignored is what is left


#: Log-odds against ignored, by Verdict and Feature. Assumed: only signs and orders are from published work.
PRIOR: F64 = np.array(
    [
        # bias rel due wish save space week month rep intr unexp ctrl obtr open click unlike
        [-4.2, 2.5, 0.8, 1.2, 1.5, 0.5, -0.8, -0.5, -1.0, -0.5, -0.5, 0.4, 0.0, 1.5, 2.0, -2.0],
        [-8.0, -0.8, 0.0, -1.0, 0.0, 0.0, 0.3, 0.3, 0.3, 5.0, 1.5, -2.0, 1.0, 0.0, -1.0, 2.0],
        [-6.2, -1.5, -0.3, -1.0, -0.3, -0.8, 1.8, 1.2, 1.5, 0.0, 0.3, -0.2, 0.8, -0.5, -1.0, 3.0],
    ]
)


@dataclass(frozen=True)
class Prices:
    """What a verdict is worth, with one compelling contact as the unit. Assumed: permission is dear.

    A contact is *predicted compelling* when its worth is above 0: the chance that it pleases outweighs what
    it may burn, and the attention it takes.
    """

    annoying: float = 8.0
    creepy: float = 15.0
    attention: float = 0.01


def label(predicted: F32, prices: Prices | None = None) -> U8:
    """The predicted verdict of each contact: (n,) Verdict."""
    p = prices or Prices()
    out = np.empty(len(predicted), np.uint8)
    _label(predicted, (p.annoying, p.creepy, p.attention), out)
    return out


def measured(reactions: NDArray[np.uint16], reason: U8) -> U8:
    """The measured verdict: what a contact was, judged by what she did about it; (n,) Verdict."""
    out = np.full(len(reactions), Verdict.IGNORED, np.uint8)
    out[(reactions & PLEASED) != 0] = Verdict.COMPELLING
    out[(reactions & _DISPLEASED) != 0] = Verdict.ANNOYING
    named = (reactions & (1 << Reaction.UNLIKE)) != 0
    out[named & (reason == Verdict.CREEPY)] = Verdict.CREEPY
    out[(reactions & (1 << Reaction.WITHDRAW)) != 0] = Verdict.CREEPY
    return out


class PredictedVerdict:
    """The weights and how they are learned, a batch at a time.

    Gradients are summed as whole numbers, so neither the order of events nor the number of threads or shards
    matters.

    Attributes
    ----------
    weights : (3, F)
    gradient, curvature : (3, F) int64 sums since the last :meth:`step`, and of all time
    prior_strength : how many contacts of curvature the prior weighs
    rate : share of a Newton step that is taken
    """

    def __init__(self, prior_strength: float = 60.0, rate: float = 0.25) -> None:
        self.weights = PRIOR.copy()
        self.gradient = np.zeros(PRIOR.shape, np.int64)
        self.curvature = np.zeros(PRIOR.shape, np.int64)
        self.prior_strength = prior_strength
        self.rate = rate

    def predict(self, features: F32) -> F32:
        """(n, F) features to (n, 4) probabilities by Verdict."""
        out = np.empty((len(features), 4), np.float32)
        _predict(features, self.weights, out)
        return out

    def learn(self, features: F32, verdicts: U8) -> None:
        """Take in measured verdicts, each once; the weights move at the next :meth:`step`."""
        _gather(features, verdicts, self.weights, self.gradient, self.curvature)

    def step(self) -> None:
        """Move the weights by what was gathered."""
        if self.gradient.any():
            curvature = self.curvature / _SCALE + self.prior_strength * 0.05
            self.weights += self.rate * (self.gradient / _SCALE) / curvature
            self.gradient[:] = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of what was learned."""
        return {
            "weights": self.weights.copy(),
            "gradient": self.gradient.copy(),
            "curvature": self.curvature.copy(),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        self.weights[:] = state["weights"]
        self.gradient[:] = state["gradient"]
        self.curvature[:] = state["curvature"]


# ---- kernels --------------------------------------------------------------------------------------

_COMPELLING, _CREEPY, _ANNOYING, _IGNORED = (int(verdict) for verdict in Verdict)
_SCALE = 2.0**32
_DISPLEASED = (
    (1 << Reaction.UNLIKE) | (1 << Reaction.UNSUBSCRIBE) | (1 << Reaction.BLOCK) | (1 << Reaction.COMPLAIN)
)
#: How unexpected it is that a retailer knows a fact, by Basis: nothing, told, bought here, context,
#: elsewhere, inferred. Assumed; only the order is sourced (Kim, Barasz and John 2019).
RISK = np.array([0.0, 0.0, 0.15, 0.5, 0.8, 1.0])
_USES_FACT = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
_DAYS = 61
_SPACING = np.minimum(1.0, np.log1p(np.arange(_DAYS)) / np.log1p(28))
_REPETITION = np.exp(-np.arange(_DAYS) / 5.0)
_REPETITION[-1] = 0.0


@register_jitable
def worth_at(pleases, creepy, annoys, prices):
    """Expected worth at prices of (annoying, creepy, attention); in float32, so that all who compute it agree."""
    return (
        np.float32(pleases)
        - np.float32(prices[0]) * np.float32(annoys)
        - np.float32(prices[1]) * np.float32(creepy)
        - np.float32(prices[2])
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _label(predicted, prices, out):
    for k in range(len(predicted)):
        pleases, creepy, annoys = predicted[k, 0], predicted[k, 1], predicted[k, 2]
        annoying, too_close = np.float32(prices[0]) * annoys, np.float32(prices[1]) * creepy
        attention = np.float32(prices[2])
        if worth_at(pleases, creepy, annoys, prices) > 0:
            out[k] = _COMPELLING
        elif too_close > attention and too_close >= annoying:
            out[k] = _CREEPY
        else:
            out[k] = _ANNOYING if annoying > attention else _IGNORED


@njit(cache=True, nogil=True, error_model="numpy")
def fill_person(x, gap, week, month, sent, opened, clicked, unliked, ahead):
    """Fill what is the same for every message to her; ``ahead`` messages go to her before it today.

    ``gap`` is days since the last contact; the others are counts.
    """
    x[0] = 1.0
    x[5] = _SPACING[0 if ahead else min(max(gap, 0), _DAYS - 1)]
    x[6] = (week + ahead) / 7.0
    x[7] = (month + ahead) / 28.0
    shown = sent + 10.0
    x[13] = (opened + 2.0) / shown
    x[14] = (clicked + 0.3) / shown
    x[15] = unliked / shown


@njit(cache=True, nogil=True, error_model="numpy")
def fill_message(x, relevance, due, wish, saving, basis, again, copy):
    """Fill what one message adds; ``again`` is days since she last heard of the category."""
    fact = _USES_FACT[basis]
    x[1] = relevance
    x[2] = due
    x[3] = wish
    x[4] = saving
    x[8] = _REPETITION[min(max(again, 0), _DAYS - 1)]
    # A fact that is used shapes the message even when the copy is silent about it.
    x[9] = RISK[basis] * (0.2 + 0.8 * copy.revealed)
    x[10] = fact * (1.0 - copy.justification)
    x[11] = fact * copy.control
    x[12] = copy.obtrusiveness


@njit(cache=True, nogil=True, error_model="numpy")
def days_since_heard(recent_category, recent_day, k, category, day):
    """Days since view row ``k`` last heard of the category; a great many when never."""
    last = NEVER
    if category >= 0:
        for j in range(recent_day.shape[1]):
            if recent_category[k, j] == category:
                last = max(last, recent_day[k, j])
    return day - last


@njit(cache=True, nogil=True, error_model="numpy")
def probabilities(x, weights):
    """Compelling, creepy, annoying and ignored for one (F,) row."""
    a = 0.0
    b = 0.0
    c = 0.0
    for j in range(weights.shape[1]):
        a += weights[0, j] * x[j]
        b += weights[1, j] * x[j]
        c += weights[2, j] * x[j]
    a, b, c = exp(min(a, 30.0)), exp(min(b, 30.0)), exp(min(c, 30.0))
    total = 1.0 + a + b + c
    return a / total, b / total, c / total, 1.0 / total


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(features, weights, out):
    for k in range(len(features)):
        a, b, c, d = probabilities(features[k], weights)
        out[k, 0] = a
        out[k, 1] = b
        out[k, 2] = c
        out[k, 3] = d


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(features, verdicts, weights, gradient, curvature):
    for k in range(len(features)):
        x = features[k]
        a, b, c, _ = probabilities(x, weights)
        for v in range(STANDS):
            p = a if v == 0 else (b if v == 1 else c)
            miss = (1.0 if verdicts[k] == v else 0.0) - p
            for j in range(FEATURES):
                gradient[v, j] += np.int64(miss * x[j] * _SCALE)
                curvature[v, j] += np.int64(p * (1.0 - p) * x[j] * x[j] * _SCALE)
