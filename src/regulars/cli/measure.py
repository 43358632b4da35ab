"""Commands that measure on real data: fidelity, targeting."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.options import (
    Columns,
    Currency,
    DateFormat,
    Decimal,
    Encoding,
    Json,
    Products,
    Quiet,
    check_page,
    pairs,
)
from regulars.errors import SettingError


def fidelity(
    source: Annotated[
        str, typer.Argument(help="complete-journey, or your purchases as CSV or Parquet.")
    ] = "complete-journey",
    worlds: Annotated[int, typer.Option(min=1, max=100, help="Simulated years, each with its own luck.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    holdout: Annotated[str, typer.Option(help="Weeks that a second fit does not see, such as 40-52.")] = "",
    consumers: Annotated[
        int, typer.Option(min=0, help="How many live the rows about mail frequency, 0 for all.")
    ] = 600,
    columns: Columns = None,
    products: Products = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    currency: Currency = None,
    decimal: Decimal = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("runs/fidelity.html"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How like the real panel a simulated one lives: twenty rows, campaigns sent again, a two-sample test."""
    from regulars import fidelity as scorecard
    from regulars.report import fidelity as page
    from regulars.report.progress import live_progress

    check_page(out, source, products)
    with live_progress(not (quiet or json)) as progress:
        found = scorecard.measure(
            source,
            scorecard.Settings(worlds, seed, holdout, consumers),
            columns=pairs(columns, "--columns") or None,
            products=products.resolve() if products else None,
            date_format=date_format,
            encoding=encoding,
            currency=currency,
            decimal=decimal,
            say=progress.say,
            note=progress.note,
        )
        written = page.write(found, out)
    if json:
        print(jsonlib.dumps(found, allow_nan=False))
    else:
        page.show(found)
        print(f"\nPage: {written}")


def targeting(
    source: Annotated[
        str, typer.Argument(help="complete-journey, or your own purchases (CSV or Parquet).")
    ] = "complete-journey",
    people: Annotated[
        Path | None,
        typer.Option(
            help="A table of your customers: who they are, one row each. complete-journey has its own."
        ),
    ] = None,
    person: Annotated[str, typer.Option(help="The column of that table that names the customer.")] = "card",
    seed: Annotated[int, typer.Option(min=0, help="Of the models and of the bootstrap.")] = 1,
    columns: Columns = None,
    products: Products = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    currency: Currency = None,
    decimal: Decimal = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("targeting.html"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What predicts your customers, what they buy or who they are; and what baskets give away about them.

    [dim]regulars targeting
    regulars targeting sales.csv --people customers.csv --person customer_id[/dim]
    """
    from regulars import targeting as study_of
    from regulars.market import town
    from regulars.report.progress import live_progress
    from regulars.sources.panel import left_out
    from regulars.targeting import page, table

    if source == town.COMPLETE_JOURNEY and people is not None:
        raise SettingError("--people goes with a file of your own; complete-journey knows who its people are")
    check_page(out, source, people, products)
    with live_progress(not (quiet or json)) as progress:
        panel, _ = town.read(
            source,
            columns=pairs(columns, "--columns"),
            products=products,
            date_format=date_format,
            encoding=encoding,
            currency=currency,
            decimal=decimal,
            say=progress.say,
            note=progress.note,
        )
        for line in left_out(panel):
            progress.note(f"  {line}")
        known = (
            study_of.from_file(people, panel, person, encoding, decimal)
            if people
            else study_of.of_panel(panel)
        )
        told = study_of.study(panel, known, seed, progress.say)
    written = page.write(told, out)
    if json:
        print(jsonlib.dumps(told.as_dict(), allow_nan=False))
    else:
        table.show(told)
        print(f"\nPage: {written}")
