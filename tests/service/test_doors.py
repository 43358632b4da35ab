"""Who may do what: every route, every principal, denied by default; and no retailer sees another's."""

import asyncio
import base64
import json
import re
from urllib.parse import quote

import httpx
import pytest

from regulars.service.keys import Role
from regulars.service.routes import POSTHOG_PATHS, ROUTES

from .desk import order, track

#: Who may open a door for a role, besides the admin; told here anew so that the table is checked against words.
MAY = {
    None: {"nobody", "garbage", *Role},
    Role.WRITE: {Role.WRITE, Role.ADMIN},
    Role.SERVE: {Role.SERVE, Role.ADMIN},
    Role.STAFF: {Role.STAFF, Role.ADMIN},
    Role.ADMIN: {Role.ADMIN},
}
PRINCIPALS = ["nobody", "garbage", *Role]
#: A body that each route takes.
BODIES = {
    "/v1/batch": {"batch": [track("Product Viewed")]},
    "/v1/import": {"batch": [track("Product Viewed")]},
    "/beacon/v1/batch": {"batch": [track("Product Viewed")]},
    **{path: {"event": "x", "distinct_id": "anna"} for path in POSTHOG_PATHS},
    "/batch/": {"batch": [{"event": "x", "distinct_id": "anna"}]},
    "/v1/decisions": {"userId": "anna"},
    "/v1/decisions/{id}/reactions": {"reactions": ["open"]},
    "/v1/consent": {"userId": "anna", "grants": {"purchases": True}},
    "/v1/stock": {"products": [{"sku": "p0", "onHand": 5}]},
}
GARBAGE = ["rg_admin_nothing", "rg_", "x", "null", "rg_admin_" + "x" * 300, "' OR 1=1 --"]
#: What the surface is; a new route is to be thought about here.
SURFACE = {
    "write": ["/v1/identify", "/v1/track", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias", "/v1/batch",
              "/v1/import", "/beacon/v1/batch", "/batch/", "/batch", "/capture/", "/capture", "/e/", "/e", "/i/v0/e/",
              "/i/v0/e"],
    "serve": ["/v1/decisions", "/v1/decisions/{id}/reactions", "/v1/consent"],
    "staff": ["/v1/decisions/{id}", "/v1/decisions/{id}/replay", "/v1/customers/{user}",
              "/v1/devices/{anonymous}/apart", "/v1/stock"],
    "admin": ["/v1/customers/{user}"],
    "open": ["/healthz", "/metrics", "/openapi.json", "/.well-known/gpc.json"],
}  # fmt: skip


def named(route):
    return f"{route.method} {route.path}"


def body_of(route):
    if route.takes is None:
        return None
    return BODIES.get(route.path, {"event": "x", "userId": "anna", "previousId": "d", "groupId": "g"})


def path_of(route, **names):
    return re.sub(r"{(\w+)}", lambda found: names.get(found[1], "nobody-is-called-so"), route.path)


def key_of(desk, who):
    return (
        {"nobody": "", "garbage": GARBAGE[0]}.get(who) if who not in set(Role) else desk.live.keys[Role(who)]
    )


def test_an_id_that_no_decision_has_is_nowhere(live):
    """On PostgreSQL too, which takes no text with a NUL in it."""

    async def ask():
        transport = httpx.ASGITransport(app=live.service)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            found = []
            for method, path, role, body in (
                ("GET", "", "staff", None), ("POST", "/replay", "staff", {}),
                ("POST", "/reactions", "serve", {"reactions": ["open"]}),
            ):  # fmt: skip
                headers = {"Authorization": f"Bearer {live.keys[role]}"}
                answer = await client.request(
                    method, f"/v1/decisions/a%00b{path}", headers=headers, json=body
                )
                found.append((answer.status_code, answer.json()["code"]))
            return found

    assert asyncio.run(ask()) == [(404, "no_such_decision")] * 3


def test_the_surface_is_what_was_thought_about():
    found = {}
    for route in ROUTES:
        found.setdefault(str(route.role or "open"), []).append(route.path)
    assert found == SURFACE


@pytest.mark.parametrize("who", PRINCIPALS)
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_door_opens_only_to_its_role(lasting, route, who):
    answer = lasting.ask(route.method, path_of(route), body_of(route), key=key_of(lasting, who))
    if who in MAY[route.role]:
        missing = "{" in route.path
        assert answer.status_code == (404 if missing else 200), answer.text
        return
    assert answer.status_code == (401 if who in ("nobody", "garbage") else 403)
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == {"nobody": "no_key", "garbage": "unknown_key"}.get(who, "wrong_key")
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role], ids=named)
def test_a_closed_door_writes_nothing_and_reads_no_body(lasting, route):
    before = lasting.tables()
    for who in PRINCIPALS:
        if who in MAY[route.role]:
            continue
        answer = lasting.ask(route.method, path_of(route), body_of(route), key=key_of(lasting, who))
        assert answer.status_code in (401, 403)
        if not route.key_in_body or who not in ("nobody", "garbage"):
            late = lasting.ask(
                route.method, path_of(route), raw=b"{" * route.most * 2, key=key_of(lasting, who)
            )
            assert late.status_code == answer.status_code  # not 413, not 400
    assert lasting.tables() == before


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role], ids=named)
@pytest.mark.parametrize("header", [
    "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic \u00ff", "Digest {key}", "{key}", "Basic {key}",
    *(f"Bearer {each}" for each in GARBAGE), "Bearer {key}x", "Bearer {KEY}",
])  # fmt: skip
def test_what_only_looks_like_a_key_opens_nothing(lasting, route, header):
    key = lasting.live.keys[Role.ADMIN]
    told = header.replace("{key}", key).replace("{KEY}", key.upper()).encode("latin-1")
    answer = lasting.ask(
        route.method, path_of(route), body_of(route), key="", headers={b"Authorization": told}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("route", [route for route in ROUTES if route.key_in_body], ids=named)
def test_a_source_may_put_its_key_where_its_protocol_does(lasting, route):
    keys = lasting.live.keys
    basic = base64.b64encode(f"{keys['write']}:".encode()).decode()
    for headers in ({"Authorization": f"Basic {basic}"}, {"Authorization": f"bearer {keys['write']}"}):
        assert (
            lasting.ask(route.method, route.path, body_of(route), key="", headers=headers).status_code == 200
        )
    inside = {**body_of(route), route.key_in_body: keys["write"]}
    assert lasting.ask(route.method, route.path, inside, key="").status_code == 200
    assert (
        lasting.ask(
            route.method, route.path, {**inside, route.key_in_body: keys["staff"]}, key=""
        ).status_code
        == 403
    )
    assert (
        lasting.ask(route.method, route.path, {**inside, route.key_in_body: GARBAGE[0]}, key="").status_code
        == 401
    )
    assert (
        lasting.ask(route.method, route.path, {**inside, route.key_in_body: None}, key="").status_code == 401
    )


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role], ids=named)
def test_no_key_and_one_that_nobody_has_are_told_apart_and_no_more(lasting, route):
    def told(key, **inside):
        body = None if route.takes is None else {**body_of(route), **inside}
        answer = lasting.ask(route.method, path_of(route), body, key=key)
        assert answer.status_code == 401
        return answer.json()["code"], answer.json()["detail"]

    missing, unknown = told(""), told(GARBAGE[0])
    assert missing[0] == "no_key" and "Send a key" in missing[1]
    assert unknown[0] == "unknown_key" and "Nobody has the key" in unknown[1]
    # One that looks like ours, one that does not, one with a letter too many: it is told of all alike.
    assert {told(key) for key in (*GARBAGE[2:], f"{lasting.live.keys[Role.ADMIN]}x")} == {unknown}
    if route.key_in_body:
        assert told("", **{route.key_in_body: GARBAGE[0]}) == unknown


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.role and not route.key_in_body], ids=named
)
def test_no_other_door_takes_a_key_from_the_body(lasting, route):
    key = lasting.live.keys[Role.ADMIN]
    body = {**(body_of(route) or {}), "writeKey": key, "api_key": key}
    answer = lasting.ask(route.method, f"{path_of(route)}?key={key}&api_key={key}", body, key="")
    assert answer.status_code == 401


# ---- another retailer ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(lasting):
    """A customer of ours, her device and a decision about her."""
    lasting.allow("her")
    lasting.send(order("her"), {"type": "identify", "userId": "her", "anonymousId": "her-device"})
    return {"user": "her", "anonymous": "her-device", "id": lasting.decide("her").json()["id"]}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=named)
def test_a_key_of_another_retailer_finds_nothing_of_ours(lasting, known, route, role):
    before = lasting.tables()
    answer = lasting.ask(route.method, path_of(route, **known), body_of(route), key=lasting.rival[role])
    assert answer.status_code == (404 if role in MAY[route.role] else 403), answer.text
    nowhere = lasting.ask(route.method, path_of(route), body_of(route), key=lasting.rival[role])
    assert answer.content == nowhere.content  # not even whether she is there
    assert lasting.tables() == before


def test_our_own_key_finds_her(lasting, known):
    """So the test above can fail."""
    for route in ROUTES:
        if "{" in route.path and route.method == "GET":
            assert lasting.ask("GET", path_of(route, **known), role="admin").status_code == 200


def test_the_same_name_at_another_retailer_is_another_person(lasting, known):
    rival = lasting.rival
    assert lasting.ask("POST", "/v1/decisions", {"userId": "her"}, key=rival["serve"]).json()["id"] == ""
    sent = lasting.ask("POST", "/v1/batch", {"batch": [track("Product Viewed", "her", messageId="m-1")]},
                       key=rival["write"])  # fmt: skip
    assert sent.status_code == 200
    theirs = lasting.ask("GET", "/v1/customers/her", key=rival["staff"]).json()
    assert (
        theirs["record"]["visits"] == 0 and theirs["decisions"] == [] and not any(theirs["consent"].values())
    )
    assert lasting.account("her")["record"]["visits"] == 1
    gone = lasting.ask("DELETE", "/v1/customers/her", key=rival["admin"])
    assert gone.status_code == 200 and lasting.account("her")["record"]["visits"] == 1


def test_stock_of_another_retailer_is_not_ours(desk):
    body = {"products": [{"sku": f"p{k}", "onHand": 0} for k in range(16)]}
    assert desk.ask("PUT", "/v1/stock", body, key=desk.rival["staff"]).status_code == 200
    assert {row[0] for row in desk.live.call(lambda work: work.ask("SELECT retailer FROM on_hand"))} == {0}


def test_an_idempotency_key_of_another_retailer_is_another_key(desk):
    body, headers = {"userId": "anna"}, {"Idempotency-Key": "same"}
    desk.allow("anna")
    ours = desk.ask("POST", "/v1/decisions", body, "serve", headers=headers).json()
    theirs = desk.ask("POST", "/v1/decisions", body, key=desk.rival["serve"], headers=headers).json()
    assert ours["id"] and not theirs["id"]


# ---- names in paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a/b", "a b", "a%2Fb", "ä", "a?b#c", "a+b@example.com", "a/apart", "../../healthz", "..a"]
)
def test_whoever_has_a_name_can_be_looked_up_and_erased_by_it(desk, name):
    path = f"/v1/customers/{quote(name, safe='').replace('.', '%2E')}"
    desk.send(
        track("Product Viewed", name), {"type": "identify", "userId": name, "anonymousId": f"{name}-device"}
    )
    assert desk.ask("GET", path, role="staff").status_code == 200
    assert desk.ask("DELETE", path).status_code == 200
    assert desk.ask("GET", path, role="staff").status_code == 404
    assert desk.ask("DELETE", path).status_code == 404


# ---- reading --------------------------------------------------------------------------------------------------------


VISITOR = {"anonymousId": "device-7"}
ADDRESSES = {"email": "Dora@Example.org", "phone": "+49 30 901820"}


@pytest.mark.parametrize(
    "kind, name", [("anonymous", "device-7"), ("email", "dora@example.org "), ("phone", "+49-30-901820")]
)
def test_whoever_has_no_user_id_is_looked_up_and_erased_by_what_she_is_known_by(desk, kind, name):
    desk.send({"type": "identify", **VISITOR, "traits": ADDRESSES})
    path = f"/v1/customers/{quote(name, safe='')}"
    assert desk.ask("GET", path).status_code == 404
    assert desk.ask("GET", f"{path}?kind=user").status_code == 404
    answer = desk.ask("GET", f"{path}?kind={kind}")
    assert answer.status_code == 200 and answer.json()["profile"]["traits"] == ADDRESSES
    assert desk.ask("DELETE", path).status_code == 404
    assert desk.ask("DELETE", f"{path}?kind={kind}").status_code == 200
    assert desk.ask("GET", f"{path}?kind={kind}").status_code == 404
    assert desk.ask("GET", "/v1/customers/device-7?kind=anonymous").status_code == 404


def test_a_device_that_became_hers_finds_her(desk):
    desk.send({"type": "identify", **VISITOR}, {"type": "identify", "userId": "dora", **VISITOR})
    by_device = desk.ask("GET", "/v1/customers/device-7?kind=anonymous").json()
    assert by_device == desk.account("dora")
    assert desk.ask("DELETE", "/v1/customers/device-7?kind=anonymous").status_code == 200
    assert desk.account("dora") is None


@pytest.mark.parametrize("query", ["kind=card", "kind=", "kind=User", "kind=user&kind=email"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_kind_of_name_that_nobody_has_is_refused_with_those_there_are(desk, method, query):
    desk.send({"type": "identify", "userId": "dora"})
    answer = desk.ask(method, f"/v1/customers/dora?{query}")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "kind" and "user, anonymous, email, phone" in error["mend"]
    assert desk.account("dora") is not None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=named)
def test_reading_changes_nothing_but_the_ledger_of_who_read(lasting, known, route, method):
    before = lasting.tables()
    for _ in range(2):
        answer = lasting.ask(
            method, path_of(route, **known), headers={"Sec-GPC": "1", "Idempotency-Key": "k"}
        )
        assert answer.status_code == 200
    after = lasting.tables()
    if route.path == "/v1/decisions/{id}":
        # Explaining opens her record again, and her account says so; her row holds the head of that account.
        assert len(after["entry"]) > len(before["entry"])
        for tables in (before, after):
            del tables["entry"]
            for row in tables["customer"]:
                del row["entries"], row["chain"]
    assert after == before


def test_the_well_known_page_says_that_gpc_is_honoured(lasting):
    answer = lasting.ask("GET", "/.well-known/gpc.json", key="")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["gpc"] is True


def test_metrics_name_routes_and_no_one(lasting, known):
    lasting.ask("GET", "/v1/customers/her", role="staff")
    told = lasting.ask("GET", "/metrics", key="").text
    assert (
        'route="/v1/customers/{user}"' in told
        and "her-device" not in told
        and "/v1/customers/her" not in told
    )
