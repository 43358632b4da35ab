"""Commands of the live engine: serve, keys, decide, replay, verify."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from regulars.cli.options import Json, counted, stopping
from regulars.cli.stores import (
    DEMO_STORE,
    Retailer,
    Store,
    live_engine,
    one_retailer,
    serving_extra,
    store_url,
)
from regulars.errors import RegularsError, SettingError


def serve(
    demo: Annotated[
        bool, typer.Option("--demo", help="Open a demo shop, loaded from the real panel.")
    ] = False,
    store: Store = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes: of two or more one decides, the others speak HTTP.")
    ] = 1,
) -> None:
    """The same policy, live: events in, decisions out, over HTTP."""
    with serving_extra():
        from regulars.service import host as hosts
    url = DEMO_STORE if demo and store is None else store_url(store)
    hosts.run(url, host, port, workers, demo, lambda text: print(text, file=sys.stderr, flush=True))


def keys(
    new: Annotated[
        str | None,
        typer.Option(
            "--new", metavar="ROLE", help="Make a key: write, serve, staff or admin. Told this once."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Of the new key, such as till; else its role. Message ids count once under it."
        ),
    ] = None,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="ID", help="Withdraw the key of this id, for ever.")
    ] = None,
    store: Store = None,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Who may ask: the keys of a retailer, by role and name. Make one, withdraw one.

    A key opens what is for its role: [bold]write[/bold] sends events, [bold]serve[/bold] asks for decisions and tells
    reactions and consent, [bold]staff[/bold] explains, looks up and sets stock, [bold]admin[/bold] does all of it and
    erases. A key is told when it is made and never again, for only its digest is stored: one that is lost is replaced. A
    service that runs knows of both within seconds.

    [dim]regulars keys --retailer mine
    regulars keys --new serve --name checkout
    regulars keys --revoke 3f1c09ab44de
    regulars keys --new write --revoke 3f1c09ab44de[/dim]
    """
    with serving_extra():
        from regulars.service import keys as of
    roles = [role.value for role in of.Role]
    if new is not None and new not in roles:
        raise SettingError(f"--new {new!r} is no role. Give one of {', '.join(roles)}")
    if name is not None and new is None:
        raise SettingError(f"--name {name!r} is for a key that is made. Give --new ROLE too")
    if name is not None and not of.may_be_called(name):
        raise SettingError(f"--name {name!r} cannot name a key. {of.NAMES}")
    told: dict[str, Any] = {}
    with one_retailer(store, retailer) as (opened, number, whose):
        told["retailer"] = whose
        with opened.transaction() as work:
            if revoke is not None:
                told["revoked"] = of.revoke(work, number, revoke)._asdict()
            if new is not None:
                key = of.new(work, number, of.Role(new), name or new)
                told["new"] = {"id": of.short(key), "role": new, "name": name or new, "key": key}
            told["keys"] = [each._asdict() for each in of.of_retailer(work, number)]
    if json:
        print(jsonlib.dumps(told), flush=True)
        return
    if gone := told.get("revoked"):
        print(f"Withdrawn: {gone['id']}, role {gone['role']}, name {gone['name']}")
    if made := told.get("new"):
        print(f"Key of the role {new}, id {made['id']}, told this once: {made['key']}", flush=True)
    print(f"Keys of retailer {whose!r}:" if told["keys"] else f"Retailer {whose!r} has no key")
    for each in told["keys"]:
        print(f"  {each['id']}  {each['role']:<5}  {each['name']}")
    if new is None and revoke is None:
        print("Make one with --new ROLE, withdraw one with --revoke ID")


def decide(
    store: Store = None,
    channel: Annotated[str, typer.Option(help="email, app, sms, mail or store.")] = "email",
    day: Annotated[str, typer.Option("--for", help="today or tomorrow, or the date of either.")] = "tomorrow",
    hour: Annotated[
        int, typer.Option(min=0, max=23, help="Hour of sending, in the retailer's time zone.")
    ] = 10,
    out: Annotated[Path, typer.Option(help="CSV to write, one row a message.")] = Path("messages.csv"),
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Decide nothing; write what was decided for that hour before, lost files too."
        ),
    ] = False,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Decide about everybody at once: the letters of a day. What was decided counts, in whichever file it is.

    [dim]regulars decide --channel email --for tomorrow --out letters.csv
    regulars decide --channel email --for tomorrow --again --out all.csv[/dim]
    """
    with serving_extra():
        from regulars.service import letters
    stopped = (
        f"Stopped: what is in {out} was decided and counts; the same command with another --out goes on."
    )
    with stopping(stopped), live_engine(store, retailer) as (engine, shop):
        told = letters.write(engine, shop, channel, day, hour, out, again)
    if json:
        print(jsonlib.dumps(told))
        return
    messages = counted(told["messages"], "message", "messages")
    print(f"{messages} to {counted(told['customers'], 'customer', 'customers')}: {out}")
    if told["silent"]:
        reasons = ", ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in told["silent"].items())
        print(f"  not spoken to: {reasons}")
    if told["before"]:
        words = ("message was decided before and is not", "messages were decided before and are not")
        print(f"  {counted(told['before'], *words)} in this file; --again writes them all")
    if told["no_address"]:
        without = counted(told["no_address"], "of them has", "of them have")
        print(
            f"  {without} no address here: who sends them must know it by user, or tell it with "
            "`regulars import --people`"
        )


def replay(
    decision: Annotated[str, typer.Argument(help="Id of a decision.")],
    store: Store = None,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Make a decision again from what it rested on then, and say whether it is equal."""
    with live_engine(store, retailer) as (engine, shop):
        from regulars.service import audit

        differs = engine.call(shop, lambda work: audit.replayed(shop, work, decision)).result()
    if differs is None:
        raise RegularsError(f"there is no decision {decision!r}, or she was erased")
    if json:
        print(jsonlib.dumps({"id": decision, "equal": not differs, "differs": differs}))
    else:
        print("Equal." if not differs else f"Not equal: {', '.join(differs)} differ.")
    if differs:
        raise typer.Exit(1)


def verify(
    store: Store = None,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Check every customer's ledger: that no entry was changed, taken out or put in."""
    with live_engine(store, retailer) as (engine, shop):
        from regulars.service import audit

        told = audit.all_verified(engine, shop)
    if json:
        print(jsonlib.dumps(told))
    else:
        words = counted(len(told["broken"]), "chain is broken", "chains are broken")
        entries = counted(told["entries"], "entry", "entries")
        customers = counted(told["customers"], "customer", "customers")
        held = "all chains hold" if not told["unread"] else "all chains that can be read hold"
        print(f"{entries} of {customers}: {words if told['broken'] else held}")
        for broken in told["broken"][:20]:
            print(f"  customer {broken['customer']}, from entry {broken['entry']}")
        if told["unread"]:
            unread = counted(len(told["unread"]), "customer has", "customers have")
            print(f"  {unread} no key here, so their chains cannot be read. Restore the keys from a backup")
    if told["broken"] or told["unread"]:
        raise typer.Exit(1)
