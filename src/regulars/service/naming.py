"""Identifiers: which can be somebody's, and how they stand in the store."""

from __future__ import annotations

import hmac
from typing import NamedTuple

#: What clients send when they mean nobody. Compared in lower case without blanks.
NOBODY = frozenset(
    {
        "", "0", "-1", "null", "none", "nil", "nan", "undefined", "anonymous", "anon", "guest", "unknown", "user", "id",
        "true", "false", "n/a", "na", "test", "default", "(not set)", "[object object]", "distinct_id", "distinctid",
        "not_authenticated", "email", "00000000-0000-0000-0000-000000000000", "{}", "[]", "\x00",
    }
)  # fmt: skip
LONGEST = 256
SHORTEST_PHONE = 5

#: Kinds of identifiers. Those that a person chose or was given are hers; a device may be anybody's.
USER, ANONYMOUS, EMAIL, PHONE, CARD = "user", "anonymous", "email", "phone", "card"
HERS = (USER, EMAIL, PHONE, CARD)
#: By which somebody can be looked up and erased; the first is meant when none is named.
LOOKED_UP_BY = (USER, ANONYMOUS, EMAIL, PHONE)


class Name(NamedTuple):
    """One identifier."""

    kind: str
    value: str


def legal(value: object) -> bool:
    """Whether an identifier can be somebody's."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value).strip()
    plain = text.lower()
    if plain.strip("\"'") in NOBODY or not any(letter.isalnum() for letter in plain):
        return False
    return len(text) <= LONGEST and text.isprintable()


def somebodys(name: Name) -> bool:
    """Whether a name of its kind can be somebody's: words where an address belongs are shared by many.

    Examples
    --------
    >>> somebodys(Name(PHONE, "+49 30 901820")), somebodys(Name(PHONE, "please ask"))
    (True, False)
    """
    if not legal(name.value):
        return False
    if name.kind == EMAIL:
        before, _, after = name.value.strip().rpartition("@")
        return bool(before and after)
    if name.kind == PHONE:
        digits = _dialled(name.value).lstrip("+")
        return len(digits) >= SHORTEST_PHONE and len(set(digits)) > 1
    return True


def _dialled(phone: str) -> str:
    return "".join(letter for letter in phone if letter.isdigit() or letter == "+")


def digest(secret: bytes, name: Name) -> str:
    """The identifier as it stands in the store: nobody without the secret can tell whose it is."""
    value = name.value.strip()
    if name.kind == EMAIL:
        value = value.lower()
    elif name.kind == PHONE:
        value = _dialled(value)
    text = f"{name.kind}:{value}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, text, "sha256").hex()[:40]


def erased(secret: bytes, mark: str) -> str:
    """Under which it is remembered that whoever was known by this digest was erased."""
    return digest(secret, Name("erased", mark))
