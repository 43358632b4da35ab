"""What was learned from everybody, and what a day added to it, as bytes."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.retail import record as records
from regulars.retail.retailer import Retailer


def packed(retailer: Retailer) -> bytes:
    """What was learned from everybody, as bytes."""
    out = io.BytesIO()
    arrays: dict[str, Any] = retailer.snapshot()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def arrays(body: bytes) -> dict[str, NDArray[Any]]:
    """What :func:`packed` packed, as :meth:`regulars.retail.retailer.Retailer.restore` takes it."""
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def flat(totals: records.Totals) -> bytes:
    """Sums of a day, all but the day, as bytes."""
    return zlib.compress(np.concatenate([column.ravel() for column in totals[:-1]]).tobytes(), 1)


def totals(body: bytes, like: records.Totals) -> list[NDArray[np.int64]]:
    """What :func:`flat` packed, column by column, shaped like these; the day is nothing to add."""
    flat = np.frombuffer(zlib.decompress(body), np.int64)
    parts, at = [], 0
    for column in like[:-1]:
        parts.append(flat[at : at + column.size].reshape(column.shape))
        at += column.size
    return [*parts, np.zeros_like(like.day)]
