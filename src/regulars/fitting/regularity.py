"""How regular each household is: one level of a few, drawn from what its purchases say of it."""

from __future__ import annotations

import numpy as np

from regulars import draws
from regulars.terms import F64

SEED = 20170104
#: Rounds in which the mix of levels of all households is found.
ROUNDS = 20


def drawn_level(fit: F64, levels: F64, occasion: int) -> F64:
    """(N,) a draw from each household's posterior, under the mix of levels of all households (EM).

    Posterior means would lie closer together than households do, most of all where little is known of them.

    Parameters
    ----------
    fit : (N, L) log-likelihood of each household at each level
    levels : (L,) from the lowest up
    occasion : names the draw, so that two kinds of regularity have luck of their own
    """
    mix = np.full(len(levels), 1.0 / len(levels))
    likelihood = np.exp(fit - fit.max(1, keepdims=True))
    posterior = likelihood * mix
    for _ in range(ROUNDS):
        posterior = likelihood * mix
        posterior /= posterior.sum(1, keepdims=True)
        mix = (posterior.sum(0) + 1.0) / (len(fit) + len(mix))
    luck = draws.uniform_column(
        draws.stream(SEED), draws.Purpose.REGULARITY, np.arange(len(fit), dtype=np.uint32), 0, occasion
    )
    place = (luck[:, None] > np.cumsum(posterior, 1)).sum(1)
    return np.asarray(levels[np.minimum(place, len(levels) - 1)])
