"""What the service says when it refuses: problems of RFC 9457, with ``code`` and ``message`` for clients that read these."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import Response

from regulars.errors import RegularsError

#: Names of fields are cut here; some are of the client's making.
LONGEST_FIELD = 120


def where(error: BaseException) -> list[str]:
    """The places of an error, and not its words: they may hold what was sent."""
    places = traceback.extract_tb(error.__traceback__)
    return [f"{Path(each.filename).name}:{each.lineno}" for each in places]


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    message: str
    errors: list[dict[str, Any]] = []


class Refused(RegularsError):
    """A field of a request that cannot be used.

    Parameters
    ----------
    field : which, with its place
    value : what stood there; only its kind is told, for it may say who somebody is, and answers end up in logs
    mend : what would be right, a sentence

    Examples
    --------
    >>> print(Refused("quantity", "two", "Send a number"))
    quantity: this text cannot be used. Send a number.
    """

    def __init__(self, field: str, value: object, mend: str) -> None:
        self.field, self.mend = field[:LONGEST_FIELD].encode("utf-8", "replace").decode(), mend
        super().__init__(f"{self.field}: {_kind(value)} cannot be used. {mend}.")

    def at(self, place: str) -> Refused:
        """The same of a field that stands at this place."""
        self.field = f"{place}.{self.field}"
        self.args = (f"{place}.{self.args[0]}",)
        return self


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds = {str: "this text", bytes: "this", int: "this number", float: "this number", list: "this list"}
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "this object")


class Denied(RegularsError):
    """A request that is refused as a whole.

    Parameters
    ----------
    status : of HTTP
    code : short, for programs, one of :data:`TITLES`
    detail : a sentence, for people
    """

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.code, self.headers = status, code, headers or {}
        super().__init__(detail)


#: What each code says in a few words; every code has its own.
TITLES = {
    "invalid": "The request cannot be understood",
    "gone": "The client left",
    "idempotency_key": "This is no Idempotency-Key",
    "no_key": "A key is needed",
    "no_person_key": "What is sealed cannot be read",
    "unknown_key": "Nobody has this key",
    "wrong_key": "This key does not open that",
    "no_such_decision": "There is no such decision",
    "no_such_customer": "There is no such customer",
    "no_such_merge": "There is nothing to undo",
    "nowhere": "There is nothing here",
    "method": "Not with this method",
    "nothing_was_sent": "There is nothing to react to",
    "idempotency_in_flight": "It is being done already",
    "too_large": "Too large",
    "encoding": "Another encoding is needed",
    "idempotency_mismatch": "This Idempotency-Key belongs to another request",
    "http": "This is no HTTP",
    "internal": "Something went wrong here",
    "store": "Not now",
}


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> Response:  # fmt: skip
    """A response that says what was wrong and how to mend it."""
    body = Problem(
        type=f"urn:regulars:problem:{code}",
        title=TITLES[code],
        status=status,
        detail=detail,
        code=code,
        message=detail,
        errors=errors or [],
    )
    return Response(msgspec.json.encode(body), status, headers=headers, media_type="application/problem+json")
