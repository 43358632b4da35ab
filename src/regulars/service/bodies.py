"""What a request carries: the keys in it, its body unpacked and decoded, as the type that its route takes, or the mend."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from regulars.service import segment, wire
from regulars.service.problems import Denied, Refused
from regulars.service.routes import Route


def keys_in_header(request: Request) -> list[str]:
    """The key in the header, of those who send it there."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return [value.strip()]
    if scheme.lower() == "basic":
        try:
            return [base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[0]]
        except (binascii.Error, ValueError):
            pass
    return []


def keys_in_body(told: Any, route: Route) -> list[str]:
    """Keys in a decoded body, of clients that send theirs so; places differ among clients."""
    if isinstance(told, segment.Delivery):
        return [] if told.write_key is None else [told.write_key]
    keys = _keys_in(told, route.key_in_body)
    if not keys and route.takes is wire.PosthogBody and isinstance(told, Mapping):
        # Each event of a list may name the key, and all the same one.
        events = told.get("batch")
        named = {key for each in events for key in _keys_in(each)} if isinstance(events, list) else set()
        return list(named) if len(named) == 1 else []
    return keys


def _keys_in(told: Any, usual: str = "api_key") -> list[str]:
    if not isinstance(told, Mapping):
        return []
    properties = told.get("properties")
    places = [told.get(name) for name in (usual, "writeKey", "api_key", "token")]
    places.append(properties.get("token") if isinstance(properties, Mapping) else None)
    return [key for key in places if isinstance(key, str)]


async def body_of(request: Request, most: int) -> bytes:
    """The body, unpacked; Denied or Refused when it is too large, or packed otherwise than with gzip."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)  # before it is sent
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    raw = b"".join(chunks)
    packed = request.headers.get("content-encoding", "").lower() or (
        "gzip"
        if request.scope["query_string"] and "gzip" in request.query_params.get("compression", "")
        else ""
    )
    if packed in ("", "identity"):
        return raw
    if packed != "gzip":
        raise Denied(
            415, "encoding", f"Content-Encoding {packed[:20]!r} is not understood. Send gzip, or none."
        )
    unpack = zlib.decompressobj(31)
    try:
        body = unpack.decompress(raw, most + 1)
    except zlib.error:
        raise Refused("body", raw, "Send gzip, or leave Content-Encoding out") from None
    if len(body) > most or unpack.unconsumed_tail:
        raise Denied(413, "too_large", f"The body is larger than {most} bytes unpacked. Send less at once.")
    if not unpack.eof or unpack.unused_data:
        raise Refused("body", raw, "Send one whole gzip member; this one was cut off, or more follows it")
    return body


def _too_large(most: int) -> Denied:
    # What is still being sent is not read: the connection ends.
    words = f"The body is larger than {most} bytes. Send less at once."
    return Denied(413, "too_large", words, {"Connection": "close"})


def decoded(route: Route, raw: bytes) -> Any:
    """The body as JSON, read before it is known who sent it; Refused when it is none."""
    if route.takes is None:
        return None
    if route.takes is wire.Batch and (delivery := segment.delivery(raw)) is not None:
        return delivery
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            # Some clients write what JSON has no word for, such as NaN; fields say later what is wrong with it.
            told = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refused("body", raw, "Send one JSON object, in UTF-8") from None
    return {"batch": told} if route.takes is wire.PosthogBody and isinstance(told, list) else told


def typed(route: Route, told: Any) -> Any:
    """A decoded body as the type that the route takes; Refused with the field and the mend when it is not."""
    if isinstance(told, segment.Delivery):
        return told
    if not isinstance(told, dict):
        raise Refused("body", told, "Send one JSON object")
    if route.key_in_body:
        return told  # the tracking API lets clients send more than it names; fields are read one by one
    try:
        return msgspec.convert(told, route.takes)
    except UnicodeEncodeError:
        raise Refused("body", told, "Send text without half surrogates") from None
    except msgspec.ValidationError as error:
        what, place = [*_PLACE.split(str(error)), ""][:2]
        value, mend = _at(told, place), _mend(what, route.takes, place)
        if what.startswith("Object "):  # contains unknown, or misses, a field that it names
            # As the client wrote it, so it may hold anything.
            _, _, field = what.removesuffix("`").partition("`")
            value = value.get(field) if isinstance(value, Mapping) else None
            place = f"{place}.{field}" if place else field
        elif place.endswith("[...]"):
            place, value = _which(told, place.removesuffix("[...]"), route.takes)
        raise Refused(place, value, mend) from None


def _which(told: Mapping[str, Any], field: str, kind: Any) -> tuple[str, Any]:
    """Place and value of what does not fit in a field that holds names of the client's; msgspec does not say which."""
    for name, value in told.get(field, {}).items():
        try:
            msgspec.convert({**told, field: {name: value}}, kind)
        except msgspec.ValidationError:
            return f"{field}.{name}", value
    return field, told.get(field)


#: At the end of what msgspec says, the place of which it says it, unless that is the whole body.
_PLACE = re.compile(r" - at `\$\.?([^`]*)`\Z")
#: What msgspec says of a type that does not fit, and its words for types.
_KIND = re.compile(r"Expected `([\w |]+)`, got ")
_KINDS = {
    "bool": "true or false", "array": "a list", "object": "an object", "str": "text", "int": "a whole number",
    "float": "a number",
}  # fmt: skip
#: What msgspec says of a length that does not fit.
_LENGTH = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")
#: The same of a number.
_BOUND = re.compile(r"Expected `(int|float)` (>=|<=) (\S+)")


def _mend(what: str, kind: Any, place: str) -> str:
    """What would be right, from what msgspec says is wrong with what stands at a place of this type."""
    if what.startswith("Object missing"):
        return "Send it; it is missing"
    if what.startswith("Object contains unknown"):
        fields = [each.encode_name for each in getattr(_type_at(kind, place), "fields", ())]
        return f"Leave it out; what is read is {', '.join(fields)}"
    if what.startswith("Invalid enum"):
        return f"Send one of {', '.join(map(str, getattr(_type_at(kind, place), 'values', ())))}"
    if found := _KIND.match(what):
        return f"Send {' or '.join(_KINDS.get(each, each) for each in found[1].split(' | '))}"
    if found := _LENGTH.match(what):
        bound, count = "at least" if found[2] == ">=" else "at most", int(found[3])
        things = ("character" if count == 1 else "characters") if found[1] == "str" else "of them"
        return f"Send {bound} {count} {things}"
    if found := _BOUND.match(what):
        return f"Send {_KINDS[found[1]]} of {'at least' if found[2] == '>=' else 'at most'} {found[3]}"
    return what


def _type_at(kind: Any, place: str) -> msgspec.inspect.Type:
    """The type of what may stand at a place of a body of this type."""
    found = _told(msgspec.inspect.type_info(kind))
    for part in re.findall(r"[^.\[\]]+", place):
        if isinstance(found, msgspec.inspect.StructType):
            nothing = msgspec.inspect.AnyType()
            found = next((each.type for each in found.fields if each.encode_name == part), nothing)
        elif isinstance(found, msgspec.inspect.ListType):
            found = found.item_type
        found = _told(found)
    return found


def _told(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """A type without limits and without null."""
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.UnionType):
        return next(_told(each) for each in kind.types if not isinstance(each, msgspec.inspect.NoneType))
    return kind


def _at(told: Any, place: str) -> Any:
    """What stands at a place; None where nothing does, for a client may have named a field like a place."""
    for part in re.findall(r"[^.\[\]]+", place):
        try:
            told = told[int(part)] if isinstance(told, list) else told.get(part)
        except (ValueError, IndexError, AttributeError):
            return None
    return told
