"""Per-person keys: what is stored of a customer can be read only while her key exists.

Erasing her means forgetting the key, which reaches every backup that holds her rows but not the keys.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from regulars.errors import RegularsError

KEY_BYTES = 16
NONCE_BYTES = 12


class Unreadable(RegularsError):
    """A sealed value that does not open: another key, another place, or damage."""


def new_key() -> bytes:
    """A key for one person."""
    return AESGCM.generate_key(8 * KEY_BYTES)


class Seal:
    """Seals and opens the values of one person.

    Parameters
    ----------
    key : (16,) bytes from :func:`new_key`

    Examples
    --------
    >>> seal = Seal(new_key())
    >>> seal.open(seal.close(b"her street", b"profile"), b"profile")
    b'her street'
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, plain: bytes, place: bytes) -> bytes:
        """Seal; ``place`` names the column, so that values cannot be exchanged between columns."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The plain value.

        Raises
        ------
        Unreadable
            when it was sealed for somebody or something else, or is damaged.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            raise Unreadable(
                f"a stored {place.decode()} does not open. Restore it, with its keys, from a backup"
            ) from error
