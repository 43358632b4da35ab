"""The live engine over HTTP: who asks is let in or not, answered once under one key, counted and logged."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Send
from starlette.types import Scope as Scope_

from regulars.errors import RegularsError
from regulars.service import idempotency, naming, openapi, wire
from regulars.service.bodies import body_of, decoded, keys_in_body, keys_in_header, typed
from regulars.service.engine import Engine
from regulars.service.keys import Keys, Principal
from regulars.service.naming import Name
from regulars.service.problems import Denied, Refused, problem, where
from regulars.service.routes import ROUTES, Asked, Route
from regulars.terms import Action, small_names

_LOG = logging.getLogger("regulars.service")


class Service:
    """The ASGI app around an engine.

    Parameters
    ----------
    engine : of a store with its retailers
    closes : whether the engine ends when the app does
    """

    def __init__(self, engine: Engine, *, closes: bool = False) -> None:
        self.engine, self._closes = engine, closes
        self.looked: dict[int, int] = {}  #: when a retailer's shelf was last looked at for unknown names
        self.keys = Keys(engine.store)
        self.registry = CollectorRegistry()
        self.registry.register(engine.taken)
        self.requests = Counter(
            "regulars_requests", "Requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram("regulars_seconds", "Time of a request", ["route"], registry=self.registry)
        self.events = Counter("regulars_events", "Events written down", registry=self.registry)
        decisions = Counter("regulars_decisions", "Decisions", ["action"], registry=self.registry)
        self.decided = {action: decisions.labels(word) for action, word in small_names(Action).items()}
        self.page = openapi.page(ROUTES)
        serves = [(route, self._serving(route)) for route in ROUTES]
        self._straight = {
            (route.method, route.path): serve for route, serve in serves if "{" not in route.path
        }
        # Names that customers chose may hold a slash.
        paths = [re.sub(r"{(user|anonymous)}", r"{\1:path}", route.path) for route in ROUTES]
        self._routed = Starlette(
            routes=[
                StarletteRoute(path, serve, methods=[route.method])
                for path, (route, serve) in zip(paths, serves, strict=True)
            ],
            exception_handlers={404: _nowhere, 405: _no_method},
            lifespan=self._living,
        )
        # Each thing has one address; a redirect would be made of the Host that the client claims.
        self._routed.router.redirect_slashes = False

    @asynccontextmanager
    async def _living(self, _: Starlette) -> AsyncIterator[None]:
        await self.engine.start()
        yield
        if self._closes:
            await asyncio.to_thread(self.engine.close)

    async def __call__(self, scope: Scope_, receive: Receive, send: Send) -> None:
        """A path without a variable needs no search among routes."""
        straight = scope["type"] == "http"
        serve = self._straight.get((scope["method"], scope["path"])) if straight else None
        if serve is None:
            await self._routed(scope, receive, send)
        else:
            response = await serve(Request(scope, receive))
            await response(scope, receive, send)

    def _serving(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        seconds, counted = self.seconds.labels(route.path), {}

        async def serve(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._answer(route, request)
            took = time.perf_counter() - began
            status = response.status_code
            if status not in counted:
                counted[status] = self.requests.labels(route.method, route.path, str(status))
            counted[status].inc()
            seconds.observe(took)
            if _LOG.isEnabledFor(logging.INFO):
                # The route, never the path: paths may hold names.
                told = {
                    "method": route.method,
                    "route": route.path,
                    "status": status,
                    "ms": round(took * 1e3, 2),
                }
                _LOG.info(msgspec.json.encode(told).decode())
            return response

        return serve

    async def _answer(self, route: Route, request: Request) -> Response:
        try:
            if route.does is None:
                return await self._plain(route)
            keys = keys_in_header(request)
            who = await self._who(keys)
            if who is not None or not route.key_in_body:
                who = _let_in(route, who, keys)  # before anything is read
            raw = await body_of(request, route.most)
            told = decoded(route, raw)
            if who is None:
                inside = keys_in_body(told, route)
                who = _let_in(route, await self._who(inside), keys + inside)
            body = None if route.takes is None else typed(route, told)
            asked = Asked(
                request,
                who,
                self.engine.shop(who.retailer),
                body,
                self.engine.now(),
                request.headers.get("sec-gpc") == "1",
            )
            if route.once and (key := request.headers.get("idempotency-key")):
                return await self._once(route, asked, key, raw)
            return _said(await route.does(self, asked), route.status)
        except Refused as error:
            return problem(400, "invalid", str(error), errors=[{"field": error.field, "mend": error.mend}])
        except Denied as error:
            return problem(error.status, error.code, str(error), headers=error.headers)
        except ClientDisconnect:
            return problem(400, "gone", "The client left before it had sent everything.")
        except RegularsError as error:
            _LOG.error(json.dumps({"route": route.path, "error": type(error).__name__}))
            return problem(
                503,
                "store",
                "The store could not do it. Try again, with the same Idempotency-Key if you sent one.",
                headers={"Retry-After": "1"},
            )
        except Exception as error:
            told = {"route": route.path, "error": type(error).__name__, "at": where(error)}
            _LOG.error(json.dumps(told))
            return problem(500, "internal", "Something went wrong here. It is in the log.")

    async def _who(self, told: list[str]) -> Principal | None:
        for key in told:
            if (who := await self.keys.who(key)) is not None:
                return who
        return None

    async def _plain(self, route: Route) -> Response:
        if route.path == "/healthz":

            def well() -> None:
                if not self.engine.alive():
                    raise RegularsError("nobody works on what is asked; start the service again")
                with self.engine.store.transaction() as work:
                    work.ask("SELECT 1")

            await asyncio.to_thread(well)
            return _said(wire.Done(), 200)
        if route.path == "/metrics":
            counted = self.registry
            if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # of all processes, in whichever was asked
                counted = CollectorRegistry()
                MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
            return Response(generate_latest(counted), media_type="text/plain; version=0.0.4")
        if route.path == "/openapi.json":
            return Response(self.page, media_type="application/json")
        return Response(b'{"gpc":true,"lastUpdate":"2026-11-22"}', media_type="application/json")

    async def _once(self, route: Route, asked: Asked, key: str, raw: bytes) -> Response:
        """The same key has one effect and one answer; the claim is written before the work."""
        if not 1 <= len(key) <= 255:
            raise Denied(400, "idempotency_key", "Send an Idempotency-Key of 1 to 255 characters.")
        shop, secret = asked.shop, asked.shop.secret
        digest = naming.digest(secret, Name(f"once {asked.who.source}", key))
        what = naming.digest(
            secret, Name("request", f"{asked.request.method} {asked.request.url.path} {raw.hex()}")
        )
        at_ms = asked.received_ms
        taken = await asyncio.wrap_future(
            self.engine.call(
                shop, lambda work: idempotency.claimed(shop, work, digest, what, at_ms), drained=False
            )
        )
        if taken is not None:
            request, status, body = taken
            if request != what:
                raise Denied(
                    422,
                    "idempotency_mismatch",
                    "This Idempotency-Key came before with another request. Send a new one.",
                )
            if status == 0:
                words = "The first request with this key is being done. Try again in a moment; in a minute if it broke off."
                raise Denied(409, "idempotency_in_flight", words, {"Retry-After": "1"})
            return Response(body, status, media_type="application/json")
        assert route.does is not None  # noqa: S101 - only routes that do something are once
        try:
            told = await route.does(self, replace(asked, once=digest))
            response = _said(told, route.status)
        except BaseException:
            await asyncio.wrap_future(
                self.engine.call(shop, lambda work: work.release(shop.number, digest, at_ms), drained=False)
            )
            raise
        status, answer = response.status_code, bytes(response.body)
        about = told.id if isinstance(told, wire.Decision) else ""  # no other answer tells of her
        await asyncio.wrap_future(
            self.engine.call(
                shop,
                lambda work: idempotency.answered(shop, work, digest, at_ms, status, answer, about),
                drained=False,
            )
        )
        return response


def _let_in(route: Route, who: Principal | None, keys: Sequence[str]) -> Principal:
    if who is None:
        how = "Authorization: Bearer KEY, or Basic with the key as user"
        if any(keys):
            code, words = "unknown_key", f"Nobody has the key that was sent. Send another: {how}."
        else:
            code, words = "no_key", f"Send a key: {how}."
        raise Denied(401, code, words, {"WWW-Authenticate": 'Basic realm="regulars", Bearer'})
    if route.role is None or not who.may(route.role):
        raise Denied(403, "wrong_key", f"This needs a key of the role {route.role}; yours is {who.role}.")
    return who


def _said(body: Any, status: int) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def _nowhere(request: Request, error: Exception) -> Response:
    return problem(404, "nowhere", "There is no such path. GET /openapi.json lists them all.")


async def _no_method(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    return problem(405, "method", f"This path does not take {request.method}.", headers=headers)
