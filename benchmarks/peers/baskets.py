"""Scores of the published next-basket methods for every customer and item, from all baskets before the last.

Sources: Hu, He, Gao and Zhang, "Modeling Personalized Item Frequency Information for Next-basket Recommendation"
(SIGIR 2020, TIFU-KNN and P-TopFreq); Faggioli, Polato and Aiolli, "Recency Aware Collaborative Filtering for Next
Basket Recommendation" (UMAP 2020, UP-CF); Li, Jullien, Ariannezhad and de Rijke, "A Next Basket Recommendation
Reality Check" (2023, GP-TopFreq).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import sparse

from regulars.retail.next_need import Purchases


def top_frequent(history: Purchases, items: int) -> np.ndarray:
    """P-TopFreq: how many baskets before the last held the item; of two as many, the later one."""
    return _summed(history, items, lambda back, n: 1.0 + 1e-6 / (1.0 + back), np.float64)


def group_top_frequent(history: Purchases, items: int, personal: np.ndarray) -> np.ndarray:
    """GP-TopFreq: her own items by P-TopFreq, then everybody's by popularity."""
    return np.asarray(personal + 1e-12 * _popularity(history, items), np.float64)


def decayed(history: Purchases, items: int, kept: float = 0.96) -> np.ndarray:
    """Counts that fade by ``kept`` a basket; then everybody's items by popularity."""
    scores = _summed(history, items, lambda back, n: kept**back)
    return np.asarray(scores + 1e-9 * _popularity(history, items), np.float32)


def up_cf(
    history: Purchases, items: int, recency: int = 25, q: float = 10, alpha: float = 0.25
) -> np.ndarray:
    """UP-CF: popularity in everybody's last baskets, weighed by asymmetric cosine similarity to the power q."""
    rate = sparse.csr_matrix(_summed(history, items, lambda back, n: (back < recency) / min(n, recency)))
    has = (rate > 0).astype(np.float32)
    size = np.maximum(np.asarray(has.sum(1)).ravel(), 1)
    alike = (has @ has.T).toarray() / (size[:, None] ** alpha * size[None, :] ** (1 - alpha))
    return np.asarray((rate.T @ (alike**q).T).T, np.float32)


def tifu_knn(
    history: Purchases,
    items: int,
    within: float = 0.9,
    between: float = 0.6,
    groups: int = 7,
    neighbours: int = 300,
    own: float = 0.9,
) -> np.ndarray:
    """TIFU-KNN: counts that fade within and between groups of baskets, blended with the nearest customers'."""

    def weight(back: int, n: int) -> float:
        count = min(groups, n)
        size = n // count
        extra = n % size if n >= groups else 0
        # Old groups have ``size`` baskets, the last ``extra`` groups one more.
        long = extra * (size + 1)
        group, length = (
            (back // (size + 1), size + 1) if back < long else (extra + (back - long) // size, size)
        )
        return within**back * between**group / length / count

    vectors = _summed(history, items, weight)
    flat = sparse.csr_matrix(vectors)
    squares = np.asarray(flat.multiply(flat).sum(1)).ravel()
    distance = squares[:, None] + squares[None, :] - 2 * (flat @ flat.T).toarray()
    np.fill_diagonal(distance, np.inf)
    k = min(neighbours, len(vectors) - 1)
    near = np.argpartition(distance, k - 1, axis=1)[:, :k]
    rows = np.repeat(np.arange(len(vectors)), k)
    mean = sparse.csr_matrix(
        (np.full(rows.size, 1 / k, np.float32), (rows, near.ravel())), (len(vectors),) * 2
    )
    return np.asarray(own * vectors + (1 - own) * (mean @ flat).toarray(), np.float32)


def _popularity(history: Purchases, items: int) -> np.ndarray:
    """Share of its buyers' baskets, all but each customer's last, as a ranking between 0 and 1."""
    last = history.customer_ptr[1:] - 1
    counted = np.ones(len(history.day), bool)
    counted[last] = False
    rows = np.repeat(counted, np.diff(history.basket_ptr))
    count = np.bincount(history.item[rows], minlength=items)
    return count / max(count.max(), 1)


def _summed(history: Purchases, items: int, weight, dtype=np.float32) -> np.ndarray:
    """(N, items) of ``dtype``: the weight(baskets back, baskets) of each purchase before the last basket, summed."""
    out = np.zeros((len(history.customer_ptr) - 1, items), dtype)
    sizes = np.diff(history.customer_ptr) - 1
    of_basket = np.zeros(len(history.day), dtype)
    for i, n in enumerate(sizes):
        first = history.customer_ptr[i]
        of_basket[first : first + n] = [weight(n - 1 - j, n) for j in range(n)]
    _add(history.customer_ptr, history.basket_ptr, history.item, of_basket, out)
    return out


@njit(cache=True)
def _add(customer_ptr, basket_ptr, item, weight, out):
    for i in range(len(out)):
        for b in range(customer_ptr[i], customer_ptr[i + 1] - 1):
            for k in range(basket_ptr[b], basket_ptr[b + 1]):
                out[i, item[k]] += weight[b]
