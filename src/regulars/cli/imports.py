"""The command import: what a retailer has in files, into a store."""

from __future__ import annotations

import json as jsonlib
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from regulars import settings
from regulars.cli.options import Currency, DateFormat, Decimal, Encoding, Json, counted, pairs, stopping
from regulars.cli.stores import OWN_STORE, Store, check_name, serving_extra
from regulars.errors import SettingError


def import_(
    source: Annotated[
        Path | None,
        typer.Argument(help="Your purchases as CSV or Parquet; needed for a retailer that is new."),
    ] = None,
    retailer: Annotated[
        str | None, typer.Option("--retailer", help="Its name; with purchases one that is new is set up.")
    ] = None,
    store: Store = None,
    granted: Annotated[
        list[str] | None,
        typer.Option(
            "--granted",
            help="What customers who are new here allowed, you vouch: purchases, contact.email ...",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="A new retailer's time zone, such as Europe/Berlin; else UTC.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="What a new retailer follows; else considerate.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            help="Which column of a file is which: date=Day, card=Kunde ...; of the other files with their name before it: "
            "prices.offer=Aktion.",
        ),
    ] = None,
    products: Annotated[
        Path | None, typer.Option("--products", help="Your products: sku, category, name, brand ...")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            "--prices",
            help="What products cost and are offered at: sku, price, offer (the discounted price), from, until. Without "
            "from it holds from today, without until (an offer needs it) until another is told.",
        ),
    ] = None,
    stock: Annotated[
        Path | None,
        typer.Option(
            "--stock",
            help="What is on hand: sku, stock (how many, or yes or no), store; stores are added up.",
        ),
    ] = None,
    placement: Annotated[
        Path | None,
        typer.Option(
            "--placement",
            help="Where products stood in the weeks of a new retailer's sales: sku, display, mailer, from, until, store.",
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people", help="Where customers are reached who allow it: card, email, phone, timezone."
        ),
    ] = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    currency: Currency = None,
    decimal: Decimal = None,
    rejects: Annotated[Path | None, typer.Option(help="List rows that were left out here.")] = None,
    json: Json = False,
) -> None:
    """In bulk: purchases, which set a retailer up or are added to it, and products, prices, stock, addresses beside them.

    Every file but the purchases can come alone, later and again; a service that runs decides by it from its next decision
    on. Without offers for the coming days every decision is the bare option, so tell prices with offers ahead.
    A new retailer needs purchases of 14 days and two cards; to one that is there a single day can be added.

    [dim]regulars import sales.csv --retailer mine --products products.csv --prices prices.csv
    regulars import yesterday.csv --retailer mine
    regulars import --retailer mine --prices tomorrow.csv --stock stock.csv
    regulars import --retailer mine --people customers.csv --granted contact.email[/dim]
    """
    with serving_extra():
        from regulars.service import importing
    from regulars.report.progress import Counting
    from regulars.sources import listings, tables

    check_name(retailer)
    settings.check_currency(currency or "")
    grants = importing.granted_by(granted or [])

    def note(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    files = {
        kind: path
        for kind, path in {
            "products": products, "prices": prices, "stock": stock, "placement": placement, "people": people,
        }.items()
        if path is not None
    }  # fmt: skip
    if source is None and not files:
        raise SettingError(
            "there is nothing to import. Name a file of purchases, or give --prices FILE and the like"
        )
    for path in files.values():
        if rejects is not None and rejects.resolve() == path.resolve():
            raise SettingError(f"The rejects would overwrite {path}. Name another file")
    mapped = _by_file(pairs(columns, "--columns"), files, source is not None)
    panel = None
    if source is not None:
        panel = tables.read(
            source, mapped[""], products=products, rejects=rejects, date_format=date_format, encoding=encoding,
            currency=currency or "USD", decimal=decimal, note=note, few=True,
        )  # fmt: skip
    told = [
        listings.read(
            kind, path, mapped[kind], date_format=date_format, encoding=encoding, decimal=decimal,
            prefix=f"{kind}." if source is not None or len(files) > 1 else "", note=note,
        )
        for kind, path in files.items()
    ]  # fmt: skip
    warning = importing.UNHEARD if grants.unheard and (panel is not None or people is not None) else ""
    if not grants.words:
        at_first = importing.NOTHING_GRANTED
    else:
        at_first = "" if grants.contact else importing.NO_CONTACT
    later = importing.FOR_THE_NEW if grants.words and (panel is not None or people is not None) else ""
    with stopping(
        "Stopped: the same command goes on with a retailer that was there, and begins anew with one that was not."
    ):
        importing.bring(
            store or OWN_STORE, retailer or "", panel, grants, zone, policy, note,
            partial(
                _show_imported, as_json=json, rejects=rejects, warning=warning, at_first=at_first, later=later
            ),
            listings=told, count=Counting(),
        )  # fmt: skip


def _by_file(pairs: dict[str, str], files: dict[str, Path], purchases: bool) -> dict[str, dict[str, str]]:
    """Columns of each file by its kind, of the purchases by an empty one."""
    mapped: dict[str, dict[str, str]] = {kind: {} for kind in ("", *files)}
    usual = "" if purchases or len(files) > 1 else next(iter(files))
    for target, column in pairs.items():
        kind, dot, name = target.partition(".")
        if dot and kind not in files:
            raise SettingError(f"--columns {target}={column}: there is no --{kind} among what is imported")
        if not dot and not usual and not purchases:
            raise SettingError(
                f"--columns {target}={column}: of which file? Write {next(iter(files))}.{target}={column}"
            )
        mapped[kind if dot else usual][name if dot else target] = column
    return mapped


#: What became of what was told, as (one, many).
_BECAME = {
    "again": ("basket was here before and counts once", "baskets were here before and count once"),
    "withheld": (
        "basket is not kept under its customer, who does not allow it",
        "baskets are not kept under their customers, who do not allow it",
    ),
    "unknown": (
        "line of a category that the retailer does not have",
        "lines of categories that the retailer does not have",
    ),
    "products": ("product is new", "products are new"),
    "prices": ("price by product and days", "prices by product and days"),
    "offers": ("of them is an offer", "of them are offers"),
    "stock": ("product with what is on hand", "products with what is on hand"),
    "out": ("of them is sold out", "of them are sold out"),
    "people": ("person has an address now", "people have an address now"),
    "people_again": ("person has the address that she had", "people have the address that they had"),
    "people_withheld": (
        "person does not allow to be written to, and nothing of her is kept",
        "people do not allow to be written to, and nothing of them is kept",
    ),
}

#: Of these it is told too that there are none: somebody gave a file of them.
OF_A_FILE = ("products", "prices", "stock", "people")


def _show_imported(
    told: dict[str, Any], as_json: bool, rejects: Path | None, *, warning: str, at_first: str, later: str
) -> None:
    """Print what was taken; ``at_first`` is said of a retailer that was set up, ``later`` of one that was there."""
    _print_imported(told, as_json, rejects)
    for words in (warning, at_first if "keys" in told else later):
        if words:
            print(words, file=sys.stderr, flush=True)


def _print_imported(told: dict[str, Any], as_json: bool, rejects: Path | None) -> None:
    from regulars.sources.panel import said_of_left_out

    left_out = told.pop("left_out")
    if rejects is not None and left_out is not None:
        _list_rejects(rejects, left_out, "baskets" in told)
    if as_json:
        print(jsonlib.dumps(told), flush=True)
        return
    if "baskets" in told:
        baskets = counted(told["baskets"], "basket", "baskets")
        customers = counted(told["customers"], "customer", "customers")
        print(f"{baskets} of {customers} in retailer {told['retailer']!r}")
    else:
        print(f"Retailer {told['retailer']!r}")
    for line in said_of_left_out(told["rejects"]):
        print(f"  {line}")
    for became, words in _BECAME.items():
        if told.get(became) or (became in OF_A_FILE and became in told):
            print(f"  {counted(told[became], *words)}")
    for role, key in told.get("keys", {}).items():
        print(f"  key of the role {role}, told this once: {key}", flush=True)
    if told.get("keys"):
        print("  another in place of one that is lost: regulars keys --new ROLE")
    print(told["outlook"])


def _list_rejects(path: Path, rows: Any, behind: bool) -> None:
    """List these rows, behind those that reading the purchases has listed."""
    import polars as pl

    from regulars.sources.panel import write_rejects

    if behind:
        listed = pl.read_csv(path, infer_schema=False).cast(dict(rows.schema))
        if rows["kind"].str.starts_with("products: ").any():
            listed = listed.filter(~pl.col("kind").str.starts_with("products: "))
        rows = pl.concat([listed, rows])
    write_rejects(path, rows)
