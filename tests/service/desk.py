"""A corner shop on SQLite with a rival in the same store, asked over HTTP without a server."""

import asyncio
import datetime

import httpx

from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store

from .conftest import START, Clock, Live, corner_shop

#: Every word of consent that opens a purchase to the shop.
ALLOWED = {"purchases": True, "stated": True, "contact": True, "contact.app": True}


class Desk:
    """Asks a shop as its clients do."""

    def __init__(self, live, rival):
        self.live, self.rival = live, rival
        self.loop = asyncio.new_event_loop()
        # An exception that leaves the app fails the test.
        app = httpx.ASGITransport(app=live.service)
        self.http = httpx.AsyncClient(transport=app, base_url="http://regulars", timeout=60)

    def close(self):
        self.loop.run_until_complete(self.http.aclose())
        self.loop.close()
        self.live.close()

    def ask(self, *request, **more):
        """One request; see :meth:`asked`."""
        return self.loop.run_until_complete(self.asked(*request, **more))

    async def asked(self, method, path, body=None, role="admin", key=None, headers=None, raw=None):
        """One request among others; the key is that of the role."""
        key = self.live.keys[role] if key is None else key
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        told = {"content": raw} if raw is not None else {} if body is None else {"json": body}
        return await self.http.request(method, path, headers={**sent, **(headers or {})}, **told)

    def send(self, *events, headers=None, path="/v1/batch"):
        """Events as a source; fails unless they are taken."""
        answer = self.ask("POST", path, {"batch": list(events)}, "write", headers=headers)
        assert answer.status_code == 200, answer.text

    def account(self, user):
        """All that is stored about her; None when nobody is."""
        answer = self.ask("GET", f"/v1/customers/{user}", role="staff")
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None

    def allow(self, user, headers=None, **grants):
        """She allows the usual, or what is named."""
        body = {"userId": user, "grants": grants or ALLOWED}
        answer = self.ask("POST", "/v1/consent", body, "serve", headers=headers)
        assert answer.status_code == 200, answer.text

    def decide(self, user, headers=None, **more):
        """What is said to her in the app."""
        body = {"userId": user, "channel": "app", **more}
        return self.ask("POST", "/v1/decisions", body, "serve", headers=headers)

    def tables(self):
        """Every row of every table, to tell whether anything changed."""

        def read(work):
            names = [row[0] for row in work.ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: rows(work, name) for name in names}

        def rows(work, name):
            columns = [row[0] for row in work.ask("SELECT name FROM pragma_table_info(?)", (name,))]
            return [dict(zip(columns, row, strict=True)) for row in work.ask(f"SELECT * FROM {name}")]

        return self.live.call(read)


def open_desk(folder, **settings):
    """A desk with its rival, on a store of its own."""
    url = f"sqlite:///{folder}/store.db"
    store = open_store(url)
    _, rival = open_shop(store, Opening("rival", corner_shop(), START))
    store.close()
    return Desk(Live(url, Clock(day=10), **settings), rival)


def track(event, user="anna", **more):
    """One track call."""
    return {"type": "track", "event": event, "userId": user, **more}


def order(user="anna", sku="p0", order_id="o-1", **more):
    """An Order Completed of two units."""
    products = [{"product_id": sku, "quantity": 2, "price": 1.5, "coupon": None}]
    return track("Order Completed", user, properties={"order_id": order_id, "products": products}, **more)


def iso(ms):
    """A time as clients write it."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat()
