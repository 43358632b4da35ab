"""Records and consent of a few customers as bytes and back: a row a customer, a field a column."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.consent import Consent
from regulars.retail.record import Record

#: Goes up when a column of the record changes its name, type or width; stands first in every blob.
LAYOUT = 1
_HEAD = bytes([LAYOUT])

#: Written anew with every contact; small. All other columns change with what she buys or tells.
CONTACT = (
    "optin", "ring", "ring_day", "channel_day", "channel_count", "recent_category", "recent_day", "recent_next",
    "last_contact", "last_ask", "sent", "opened", "clicked", "unliked", "unlike_category", "unlike_until",
)  # fmt: skip
KNOWN = tuple(name for name in Record._fields if name not in (*CONTACT, "customer"))


@cache
def layout(categories: int, part: tuple[str, ...]) -> np.dtype[Any]:
    """One customer's columns of a part as one packed type."""
    blank = records.new(0, categories)
    return np.dtype(
        [(name, getattr(blank, name).dtype, getattr(blank, name).shape[1:]) for name in part], align=False
    )


_CONSENT = np.dtype([("bits", np.uint8, (9,)), ("since", np.int16, (9,)), ("epoch", np.uint32)])


def packed(record: Record, part: tuple[str, ...]) -> list[bytes]:
    """A part of each customer's record as bytes."""
    kind = layout(record.bought.shape[1], part)
    table = np.empty(len(record.customer), kind)
    for name in part:
        table[name] = getattr(record, name)
    # Most of what could be known of a customer is not: deflated it takes a tenth.
    return [_HEAD + _deflated(each[1:]) for each in _cut(table)] if part is KNOWN else _cut(table)


def packed_consent(consent: Consent) -> list[bytes]:
    """Each customer's consent as bytes."""
    table = np.empty(len(consent.epoch), _CONSENT)
    for name in consent._fields:
        table[name] = getattr(consent, name)
    return _cut(table)


def record_of(
    names: Sequence[int], contact: Sequence[bytes], known: Sequence[bytes], categories: int
) -> Record:
    """The record of these customers, in this order.

    Parameters
    ----------
    names : under which luck is drawn
    contact, known : from :func:`packed`, one each
    """
    columns: dict[str, NDArray[Any]] = {"customer": np.array(names, np.uint32)}
    for part, blobs in ((CONTACT, contact), (KNOWN, known)):
        plain = [blob[:1] + _inflated(blob[1:]) for blob in blobs] if part is KNOWN else blobs
        table = _joined(plain, layout(categories, part))
        columns |= {name: np.array(table[name], order="C") for name in part}
    return Record(**columns)


def consent_of(blobs: Sequence[bytes]) -> Consent:
    """The consent of these customers, in this order."""
    table = _joined(blobs, _CONSENT)
    return Consent._make(np.array(table[name], order="C") for name in Consent._fields)


@cache
def nobody(categories: int) -> tuple[bytes, bytes, bytes]:
    """Contact, known and consent of a customer of whom nothing is known and who allowed nothing."""
    blank = records.new(1, categories)
    return packed(blank, CONTACT)[0], packed(blank, KNOWN)[0], packed_consent(consents.new(1))[0]


def _deflated(body: bytes) -> bytes:
    # With the fixed code it is a tenth longer and inflated in half the time.
    deflate = zlib.compressobj(1, strategy=zlib.Z_FIXED)
    return deflate.compress(body) + deflate.flush()


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error as error:
        raise RegularsError(f"a stored row is damaged ({error}). Restore the store from a backup") from error


def _cut(table: NDArray[Any]) -> list[bytes]:
    width, whole = table.dtype.itemsize, table.tobytes()
    return [_HEAD + whole[at : at + width] for at in range(0, len(whole), width)]


def _joined(blobs: Sequence[bytes], kind: np.dtype[Any]) -> NDArray[Any]:
    for blob in blobs:
        if len(blob) != kind.itemsize + 1 or blob[:1] != _HEAD:
            raise RegularsError(
                f"a stored row of {len(blob) - 1} bytes in layout {blob[0] if blob else 'none'} does not fit layout "
                f"{LAYOUT} of {kind.itemsize} bytes: the catalog had other categories when it was written. "
                "Import the events anew"
            )
    return np.frombuffer(b"".join(blob[1:] for blob in blobs), kind)
