"""How a retailer learns from what came of its contacts: each outcome once, after it had time to happen.

:class:`Pending` keeps the contacts of the last days until they are settled. :class:`Bandit` turns settled
outcomes into Thompson draws: weights drawn once a day by key, so that the propensity of a choice given the
weights is exact. All sums are whole numbers: neither the order of events nor threads or shards change what is
learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.draws import Purpose as Luck
from regulars.draws import normal
from regulars.retail.consent import allowed
from regulars.retail.decision import Decisions
from regulars.retail.predicted_verdict import FEATURES, PLEASED, Feature
from regulars.retail.record import U16, Record
from regulars.terms import F32, F64, I32, I64, U8, Purpose, Reaction, Scope

HORIZON_DAYS = 7  #: a purchase is credited on the day of the contact and the six after it


class Outcomes(NamedTuple):
    """What came of m contacts, settled once."""

    features: F32  #: (m, F)
    propensity: F64
    category: I32
    reward: F32  #: -1 to 1
    verdict: U8  #: measured verdict
    bought: U8  #: 1 when she bought from the category within the horizon and allows the retailer to know


@dataclass
class Block:
    """Contacts of one day that wait for their outcome."""

    day: int
    number: I64
    row: I32
    category: I32
    scopes: U16  #: bits of Scope that were open to the policy
    propensity: F64
    features: F32
    reactions: U16
    reason: U8
    bought: U8  #: 1 once she bought from the category


class Pending:
    """Contacts that are not settled yet, by day of sending."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def remember(self, day: int, decisions: Decisions, opened: U16) -> None:
        """Keep the decisions that left today; ``opened`` are the scopes that the policy saw, (m,) bits."""
        m = len(decisions.number)
        if m:
            self.blocks.append(
                Block(
                    day=day,
                    number=decisions.number.copy(),
                    row=decisions.customer.copy(),
                    category=decisions.category.copy(),
                    scopes=opened.copy(),
                    propensity=decisions.propensity.copy(),
                    features=decisions.features.copy(),
                    reactions=np.zeros(m, np.uint16),
                    reason=np.full(m, 255, np.uint8),
                    bought=np.zeros(m, np.uint8),
                )
            )

    def react(self, number: I64, reactions: U16, reason: U8) -> tuple[U16, U16]:
        """Add reactions to their contacts; one contact may come several times.

        Returns
        -------
        before, now : (n,) uint16 bits known before and after, all that is new with the first row of a contact.
            Of a contact that is settled already everything but her orders (unlike, unsubscribe, block,
            complain) counts as known, so that nothing is learned twice
        """
        before = np.full(len(number), _ALL_BUT_ORDERS, np.uint16)
        now = before | reactions
        days = (number >> 40) - 32768
        for block in self.blocks:
            mine = np.flatnonzero(days == block.day)
            if not len(mine):
                continue
            if len(mine) == len(block.number) and np.array_equal(number[mine], block.number):
                places = np.arange(len(mine))
            else:
                order = np.argsort(block.number, kind="stable")
                places = np.searchsorted(block.number, number[mine], sorter=order)
                places = order[np.minimum(places, len(order) - 1)]
                found = block.number[places] == number[mine]
                mine, places = mine[found], places[found]
            before[mine] = block.reactions[places]
            np.bitwise_or.at(block.reactions, places, reactions[mine])
            now[mine] = block.reactions[places]
            again = np.ones(len(mine), np.bool_)
            again[np.unique(places, return_index=True)[1]] = False
            before[mine[again]] = now[mine[again]]
            told = reason[mine] != 255
            block.reason[places[told]] = reason[mine][told]
        return before, now

    def credit(self, record: Record, bits: U8, day: int, honours_consent: bool) -> None:
        """Mark what was bought on ``day``, where she allows that to be measured.

        A purchase counts for the last contact about its category within the horizon before it and for no other.
        """
        blocks, hits, cells = [], [], [np.zeros(0, np.int64)]
        for block in reversed(self.blocks):
            if not block.day <= day < block.day + HORIZON_DAYS:
                continue
            hit = (block.category >= 0) & (record.last_day[block.row, block.category] == day)
            if honours_consent:
                hit &= bits[block.row, Scope.PURCHASES] >> Purpose.MEASURE & 1 == 1
            hits.append(np.flatnonzero(hit)[::-1])
            blocks.append(block)
            cells.append(block.row[hits[-1]] * np.int64(record.last_day.shape[1]) + block.category[hits[-1]])
        every = np.concatenate(cells)
        last = np.zeros(len(every), np.uint8)
        last[np.unique(every, return_index=True)[1]] = 1
        for block, found in zip(blocks, hits, strict=True):
            block.bought[found] |= last[: len(found)]
            last = last[len(found) :]

    def due(self, day: int, horizon: int = HORIZON_DAYS) -> list[Block]:
        """Take out the blocks whose horizon has passed; a block is handed out once."""
        ripe = [block for block in self.blocks if block.day + horizon <= day]
        self.blocks = [block for block in self.blocks if block.day + horizon > day]
        return ripe

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state as arrays, for hashing."""
        out: dict[str, NDArray[Any]] = {}
        for place, block in enumerate(self.blocks):
            for name, column in vars(block).items():
                out[f"{place}.{name}"] = np.asarray(column)
        return out


def settle(bits: U8, block: Block, honours_consent: bool) -> tuple[NDArray[np.bool_], U8, U8]:
    """Which contacts may be learned from: those whose scopes she now allows to be measured.

    Returns
    -------
    kept : (m,) True where all that the policy saw may be measured; the contact scope as ever for CONTACT
    bought : (m,) 1 when a purchase was credited and may be measured
    present : (m, 9) 1 for the scopes that learning looks into, for the ledger
    """
    present = (block.scopes[:, None] >> np.arange(len(Scope)) & 1).astype(np.uint8)
    may = allowed(bits[block.row], Purpose.MEASURE) if honours_consent else np.ones_like(present)
    kept: NDArray[np.bool_] = np.all(present <= may, axis=1)
    looked = (may[:, Scope.PURCHASES] == 1) & (block.category >= 0)
    present[looked, Scope.PURCHASES] = 1
    return kept, block.bought * looked, present


def rewards(block: Block, bought: U8) -> F32:
    """What each contact was worth, from -1 to 1. Assumed: a lost permission costs as much as anything can.

    A purchase without a click may have happened anyway, so it counts little.
    """
    reactions = block.reactions
    reward = np.float32(0.2) * bought.astype(np.float32)
    reward[(reactions & PLEASED) != 0] = 1.0
    reward[(reactions & (1 << Reaction.UNLIKE)) != 0] = -0.5
    reward[(reactions & _LOST) != 0] = -1.0
    return reward


class Bandit:
    """Bayesian linear regression of the reward on the features, with Thompson draws.

    Attributes
    ----------
    mean : (F,) prior mean of the weights
    strength : prior precision, in contacts of unit features
    noise : variance of the reward around its mean
    precision, moment : (F, F) and (F,) int64 sums of x x' and x (reward - x' mean)
    """

    def __init__(self, mean: F64 | None = None, strength: float = 40.0, noise: float = 0.1) -> None:
        self.mean = PRIOR_MEAN.copy() if mean is None else np.asarray(mean, np.float64)
        self.strength = strength
        self.noise = noise
        self.precision = np.zeros((FEATURES, FEATURES), np.int64)
        self.moment = np.zeros(FEATURES, np.int64)
        self._drawn: tuple[int, F64] | None = None

    def draw(self, key: NDArray[np.uint32], day: int) -> F64:
        """The weights of the day: one draw from the posterior, named by key and day."""
        if self._drawn is None or self._drawn[0] != day:
            out = np.empty(FEATURES, np.float64)
            _thompson(key, day, self.mean, self.precision, self.moment, self.strength, self.noise, out)
            self._drawn = (day, out)
        return self._drawn[1]

    def learn(self, features: F32, reward: F32) -> None:
        """Take in outcomes, each once; the next day's draw knows them."""
        _regress(features, reward, self.mean, self.precision, self.moment)

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of what was learned."""
        return {"precision": self.precision.copy(), "moment": self.moment.copy()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        self.precision[:] = state["precision"]
        self.moment[:] = state["moment"]
        self._drawn = None


#: What a message is worth before anything is learned, by Feature. Assumed.
PRIOR_MEAN: F64 = np.zeros(FEATURES)
PRIOR_MEAN[Feature.RELEVANCE] = 0.5
PRIOR_MEAN[Feature.DUE] = 0.3
PRIOR_MEAN[Feature.WISHED] = 0.5
PRIOR_MEAN[Feature.SAVING] = 0.3
PRIOR_MEAN[Feature.REPETITION] = -0.2
PRIOR_MEAN[Feature.INTRUSION] = -0.2

# ---- kernels --------------------------------------------------------------------------------------

_SCALE = 2.0**28
_LUCK = int(Luck.POLICY)
_CROWD = 0xFFFFFFFF  # the weights are nobody's own: drawn under a name that no customer has
_LOST = (
    (1 << Reaction.UNSUBSCRIBE) | (1 << Reaction.BLOCK) | (1 << Reaction.COMPLAIN) | (1 << Reaction.WITHDRAW)
)
_ORDERS = (
    (1 << Reaction.UNLIKE) | (1 << Reaction.UNSUBSCRIBE) | (1 << Reaction.BLOCK) | (1 << Reaction.COMPLAIN)
)
_ALL_BUT_ORDERS = np.uint16(0xFFFF ^ _ORDERS)


@njit(cache=True, nogil=True, error_model="numpy")
def _regress(features, reward, mean, precision, moment):
    n, width = features.shape
    for k in range(n):
        x = features[k]
        miss = np.float64(reward[k])
        for a in range(width):
            miss -= mean[a] * x[a]
        for a in range(width):
            moment[a] += np.int64(miss * x[a] * _SCALE)
            for b in range(width):
                precision[a, b] += np.int64(np.float64(x[a]) * x[b] * _SCALE)


@njit(cache=True, nogil=True, error_model="numpy")
def _thompson(key, day, mean, precision, moment, strength, noise, out):
    """``out = mean + posterior mean + L^-T z``, with L the Cholesky factor of the posterior precision."""
    width = len(mean)
    low = np.zeros((width, width))
    for a in range(width):
        for b in range(a + 1):
            total = precision[a, b] / _SCALE + (strength if a == b else 0.0)
            for j in range(b):
                total -= low[a, j] * low[b, j]
            low[a, b] = np.sqrt(max(total, 1e-9)) if a == b else total / low[b, b]
    y = np.zeros(width)
    for a in range(width):
        total = moment[a] / _SCALE
        for j in range(a):
            total -= low[a, j] * y[j]
        y[a] = total / low[a, a]
    spread = np.sqrt(noise)
    for a in range(width):
        y[a] += spread * normal(key, _LUCK, _CROWD, day, a)
    for a in range(width - 1, -1, -1):
        total = y[a]
        for j in range(a + 1, width):
            total -= low[j, a] * out[j]
        out[a] = total / low[a, a]
    for a in range(width):
        out[a] += mean[a]
