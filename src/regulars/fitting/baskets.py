"""How large each household's baskets are meant to be: a distribution of its own over BASKET_SIZES."""

from __future__ import annotations

import numpy as np

from regulars.consumers.choice import LEAST
from regulars.consumers.population import BASKET_SIZES
from regulars.fitting.history import History
from regulars.terms import F64, I64

CLASSES = 8
#: Weight of the classes' distribution in a household's own, in trips.
PRIOR_WEIGHT = 6.0
#: Hazard with which a basket that is meant to have no more than LEAST categories gets one more.
SMALLEST_HAZARD = 0.05
_ROUNDS_CLASSES = 30
_ROUNDS_OWN = 12


def size_rates() -> F64:
    """(22,) total hazard at which a basket has the intended number of categories on average.

    A basket in which less than LEAST fires still gets as much, or what it was meant to have where that is less.
    """
    sizes = BASKET_SIZES.astype(np.float64)
    rates = sizes.copy()
    for _ in range(60):
        rates = np.maximum(sizes - _filled(rates), SMALLEST_HAZARD)
    rates[sizes <= LEAST] = SMALLEST_HAZARD
    return np.asarray(rates)


def _filled(rates: F64) -> F64:
    """What baskets with these hazards get on average beyond what fires, up to LEAST."""
    chance, more = np.exp(-rates), np.zeros(len(rates))
    for fired in range(LEAST):
        more += (LEAST - fired) * chance
        chance = chance * rates / (fired + 1)
    return more


def fit_baskets(history: History) -> tuple[F64, I64]:
    """Distributions of intended sizes, and the likeliest intended size of each shopping day.

    Nonparametric maximum likelihood by EM for what was meant behind the Poisson scatter of what came out,
    with a Dirichlet prior whose mean is a mix of eight classes of households: one prior for all would pull
    small baskets up.

    Returns
    -------
    shares : (N, 22) probabilities of BASKET_SIZES
    intended : (T,) index of BASKET_SIZES
    """
    most = int(BASKET_SIZES[-1] * 1.5)
    seen = np.minimum(history.trip_size, most)
    counts = np.zeros((history.households, most + 1))
    np.add.at(counts, (history.trip_household, seen), 1.0)
    chance = _chance(most)
    shares = _own_shares(counts, chance, _class_prior(counts, chance))
    intended = np.empty(len(seen), np.int64)
    household = history.trip_household
    for start in range(0, len(seen), 50_000):
        part = slice(start, start + 50_000)
        intended[part] = np.argmax(shares[household[part]] * chance[:, seen[part]].T, axis=1)
    return shares, intended


def _chance(most: int) -> F64:
    """(22, most + 1) probability of the number of categories bought, by intended size."""
    found = np.arange(most + 1)
    rates = size_rates()[:, None]
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(found[1:]))])
    chance = np.exp(found * np.log(rates) - rates - log_factorial)
    for size, least in enumerate(np.minimum(BASKET_SIZES, LEAST).astype(int)):
        chance[size, least] += chance[size, :least].sum()
        chance[size, :least] = 0.0
    return np.asarray(np.maximum(chance, 1e-12))


def _class_prior(counts: F64, chance: F64) -> F64:
    """(N, 22) mean of each household's prior."""
    means = (counts @ np.arange(counts.shape[1]) + 1.0) / (counts.sum(1) + 1.0)
    classes = min(CLASSES, max(1, len(counts) // 25))
    order = np.argsort(np.argsort(means, kind="stable"), kind="stable")
    belongs = np.zeros((len(counts), classes))
    belongs[np.arange(len(counts)), order * classes // len(counts)] = 1.0
    shares = np.full((classes, len(BASKET_SIZES)), 1.0 / len(BASKET_SIZES))
    for _ in range(_ROUNDS_CLASSES):
        together = belongs.T @ counts
        mixed = shares @ chance
        shares = shares * ((together / mixed) @ chance.T) + 0.02
        shares /= shares.sum(1, keepdims=True)
        level = counts @ np.log(shares @ chance).T
        belongs = np.exp(np.clip(0.5 * (level - level.max(1, keepdims=True)), -50, 0))
        belongs /= belongs.sum(1, keepdims=True)
    return np.asarray(belongs @ shares)


def _own_shares(counts: F64, chance: F64, prior: F64) -> F64:
    shares = prior.copy()
    for _ in range(_ROUNDS_OWN):
        mixed = shares @ chance
        shares = shares * ((counts / mixed) @ chance.T) + PRIOR_WEIGHT * prior
        shares /= shares.sum(1, keepdims=True)
    return shares
