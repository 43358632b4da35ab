"""The command line: what rehearses (simulate ... targeting), what serves (import, serve, keys, decide, replay, verify)."""

from __future__ import annotations

import hashlib
import json as jsonlib
import math
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from regulars import __version__, settings
from regulars.errors import RegularsError, SettingError

app = typer.Typer(
    name="regulars",
    help="Rehearse how customers are welcomed on simulated individuals before a real customer meets it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", help="Which column of the file is which: date=Day, card=Kunde, net=Amount, sku=..."
    ),
]

Products = Annotated[
    Path | None, typer.Option("--products", help="A table of your products: sku, category, brand ...")
]
DateFormat = Annotated[
    str | None, typer.Option("--date-format", help="How dates are written: DD/MM/YYYY, MM/DD/YYYY ...")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Of your file, such as latin-1; default UTF-8 or UTF-16.")
]
Currency = Annotated[
    str | None, typer.Option("--currency", help="Of your amounts, such as EUR; default USD.")
]
Decimal = Annotated[
    str | None,
    typer.Option("--decimal", help="The sign before the decimals of your amounts, a comma or a point."),
]


#: What --ablate takes, for its help.
MECHANISMS = (
    "irritation", "brand_memory", "expectation", "control", "justification", "ignored", "fit_offsets_creep", "creep",
    "exposure", "attention", "trust", "coupons", "saving_in_creep",
)  # fmt: skip
#: Exit code after Ctrl-C.
STOPPED = 130


def main() -> None:
    """Run the command line; errors are one sentence on standard error, exit code 2."""
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        if code == STOPPED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except RegularsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # What is still waiting for standard output cannot be written either.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = error.filename or "standard output"
        print(f"cannot use {where}: {error.strerror or error}. Name another place", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort) as stop:
        print(stop.args[0] if stop.args else "Stopped.", file=sys.stderr)
        sys.exit(STOPPED)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's and click's own usage errors
            error.show()
            sys.exit(error.exit_code)
        raise


def _version(asked: bool) -> None:
    if asked:
        print(f"regulars {__version__}")
        raise typer.Exit


@app.callback()
def _regulars(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Rehearse how customers are welcomed on simulated individuals before a real customer meets it."""


@app.command()
def simulate(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario or a TOML file.")] = "one-chain",
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", "-p", help="Only this policy; repeatable. Your own: path.py:Name."),
    ] = None,
    consumers: Annotated[
        int | None, typer.Option(help="How many consumers; 0 for every fitted household.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            help="Days to live, from the first of the source; default 365, or what your data cover."
        ),
    ] = None,
    worlds: Annotated[int | None, typer.Option(help="Draws of what no data can tell.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same luck.")] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Cores to use, 0 for all; results do not depend on it.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results and page; default runs/SCENARIO-SEED, with a mark of what else was changed."
        ),
    ] = None,
    ablate: Annotated[
        list[str] | None, typer.Option(help=f"Switch a mechanism off: {', '.join(MECHANISMS)}. Repeatable.")
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Pin a prior in every world: creep_pull=0.3; docs/priors.md lists them."),
    ] = None,
    sweep: Annotated[
        bool | None,
        typer.Option(
            "--sweep/--no-sweep",
            help="Also sweep contact frequency and the unidentified priors.",
            show_default="sweep",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your own purchases (CSV or Parquet) as the town.")
    ] = None,
    columns: Columns = None,
    products: Products = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    currency: Currency = None,
    decimal: Decimal = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Live a year under every policy with the same luck; print a table and write a page.

    [dim]regulars simulate
    regulars simulate main-street --worlds 2
    regulars simulate --policy considerate --policy mine.py:Gentle --no-sweep[/dim]
    """
    from regulars.market import diary as diary_of
    from regulars.market import run, town
    from regulars.report import page, table
    from regulars.report.metrics import summary
    from regulars.report.progress import live_progress

    chosen = settings.load(scenario).changed(
        policies=tuple(policy) if policy else None,
        consumers=consumers,
        days=days,
        worlds=worlds,
        seed=seed,
        ablate=tuple(ablate) if ablate else None,
        priors={
            name: _number(value, name) for name, value in _pairs(prior, "--prior", "creep_pull=0.3").items()
        }
        if prior
        else None,
        sweep=settings.SweepSettings() if sweep is False else None,
        source=str(data.resolve()) if data else None,
        columns=_pairs(columns, "--columns") or None,
        products=str(products.resolve()) if products else None,
        date_format=date_format,
        encoding=encoding,
        currency=currency,
        decimal=decimal,
    )
    if policy and chosen.mode == "market":
        raise SettingError(
            f"--policy is for scenarios in mode 'arms'; name the policies of {chosen.name} in its file"
        )
    if sweep and chosen.mode == "market":
        raise SettingError("--sweep is for scenarios in mode 'arms'; a market has no sweeps")
    run.check(chosen, threads)
    folder = out or Path("runs") / _run_name(chosen, scenario)
    shown = not (quiet or json)
    with _kept(folder), live_progress(shown) as progress:
        place = town.build(
            chosen,
            rejects=folder / "rejects.csv",
            say=progress.say,
            note=progress.note,
            shorten=days is None and chosen.days == settings.Scenario.days,
        )
        chosen = town.within(chosen, place)
        try:
            results = run.simulate(
                chosen, folder=folder, threads=threads, progress=progress.tell, place=place
            )
            stopped = False
        except KeyboardInterrupt as stop:
            if not stop.args or stop.args[0] is None:
                raise
            results, stopped = stop.args[0], True
        progress.say("Writing the page")
        command = shlex.join(["regulars", *sys.argv[1:]])
        results = replace(results, about={**results.about, "command": command})
        if not stopped:
            results = diary_of.with_diaries(chosen, place, folder, results)
        results.save(folder)
        written = page.write(results, folder / "report.html")
    if json:
        print(jsonlib.dumps(summary(results), allow_nan=False))
    else:
        table.show(results)
        about = results.about
        speed = about["ns_per_consumer_day"]
        told = [f"{about['kept']} of {about['finished']} arms kept from before"] if about["kept"] else []
        told += [f"{speed:,.0f} ns per consumer-day"] if speed else []
        print(
            f"\n{', '.join(told)}, {about['wall_s']:.1f} s, "
            f"state {about['state_hash'][:12]}\nPage: {written}\nTables: {folder}/*.parquet"
        )
    if stopped:
        raise typer.Abort(
            f"Stopped: {results.about['finished']} of {results.about['planned']} arms were finished and are kept; "
            "the same command goes on from there."
        )


@app.command()
def fit(
    source: Annotated[
        str, typer.Argument(help="complete-journey, or your purchases as CSV or Parquet.")
    ] = "complete-journey",
    columns: Columns = None,
    products: Products = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    currency: Currency = None,
    decimal: Decimal = None,
    out: Annotated[
        Path, typer.Option(help="The population file to write; only another one is overwritten.")
    ] = Path("population.parquet"),
    rejects: Annotated[
        Path | None, typer.Option(help="List of rows left out; default beside the population file.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a population to real purchases, household by household, and write it to one file.

    The file is for Python: [dim]regulars.fitting.population_file.load("population.parquet")[/dim]. To simulate your
    purchases, give the purchases themselves to [dim]regulars simulate --data[/dim]; it fits them by itself.
    """
    from regulars import fitting
    from regulars.fitting import population_file
    from regulars.market import town
    from regulars.report.progress import live_progress
    from regulars.sources.panel import left_out

    _check_population(out, source, products)
    with (
        _stopping("Stopped: no population was written; the same command begins anew."),
        live_progress(not (quiet or json)) as progress,
    ):
        panel, shelf = town.read(
            source,
            columns=_pairs(columns, "--columns"),
            products=products,
            date_format=date_format,
            encoding=encoding,
            currency=currency,
            decimal=decimal,
            note=progress.note,
            rejects=rejects or out.with_suffix(".rejects.csv"),
            say=progress.say,
        )
        progress.say(f"Fitting {panel.households.height:,} households")
        population = fitting.fit(panel, shelf)
        population_file.save(population, out)
    counts = dict(panel.rejects.iter_rows())
    told = {
        "population": str(out),
        "households": len(population),
        "lines": panel.lines.height,
        "rejected": counts,
        "rejects_file": str(panel.rejects_file) if panel.rejects_file else None,
        "about": population.about,
    }
    if json:
        print(jsonlib.dumps(told, allow_nan=False, default=str))
        return
    print(
        f"{len(population):,} households fitted on {panel.lines.height:,} lines over {panel.days} days: {out}"
    )
    for line in left_out(panel):
        print(f"  {line}")
    if panel.rejects_file and counts:
        print(f"  each is listed in {panel.rejects_file}")
    print(
        f"Read it in Python with regulars.fitting.population_file.load({str(out)!r}). "
        "To simulate, regulars simulate takes the purchases, not this file"
    )


@app.command()
def diary(
    consumer: Annotated[
        str | None, typer.Option(help="Household as the source names it; default the first of the run.")
    ] = None,
    arm: Annotated[str, typer.Option(help="Which policy she lived under.")] = "considerate",
    world: Annotated[int, typer.Option(help="Which world, from 1.")] = 1,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default the newest in runs/.")] = None,
    json: Json = False,
) -> None:
    """One consumer's year in words: what she needed, heard, thought and did, replayed from its keys."""
    from regulars.market import diary as diaries

    told = diaries.replay(run or _newest_run(), consumer, arm, world - 1)
    if json:
        print(jsonlib.dumps(told.as_dict(), allow_nan=False, default=str))
    else:
        told.show()


@app.command()
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

    _check_page(out, source, products)
    with live_progress(not (quiet or json)) as progress:
        found = scorecard.measure(
            source,
            scorecard.Settings(worlds, seed, holdout, consumers),
            columns=_pairs(columns, "--columns") or None,
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


@app.command()
def policies(json: Json = False) -> None:
    """The policies that a run can compare, and their settings."""
    from regulars.retail import policies as shelf_of_policies

    told = shelf_of_policies.describe()
    if json:
        print(jsonlib.dumps(told, allow_nan=False, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    grid = Table("policy", "what it does", "settings", box=None, header_style="bold", pad_edge=False)
    for name, entry in told.items():
        grid.add_row(
            name, entry["about"], ", ".join(f"{key}={value}" for key, value in entry["settings"].items())
        )
    Console().print(grid)
    print("\nYour own: a Python file with such a class, given as --policy path.py:Name (docs/policies.md).")


@app.command()
def report(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run; default the newest in runs/.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the page; default report.html in the folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the table of a finished run and write its page anew."""
    from regulars.report import page, table
    from regulars.report.metrics import summary
    from regulars.report.results import Results

    folder = run or _newest_run()
    results = Results.load(folder)
    written = page.write(results, out or folder / "report.html")
    if json:
        print(jsonlib.dumps(summary(results), allow_nan=False))
    else:
        table.show(results)
        print(f"\nPage: {written}")


@app.command()
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
    _check_page(out, source, people, products)
    with live_progress(not (quiet or json)) as progress:
        panel, _ = town.read(
            source,
            columns=_pairs(columns, "--columns"),
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


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """A run's folder, taken away again when the run was refused or stopped with nothing finished."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    _folder(folder)
    try:
        yield
    except BaseException as error:
        kept = len(list((folder / "arms").glob("*.npz")))
        if new and not kept:
            for name in ("rejects.csv", "scenario.json"):
                (folder / name).unlink(missing_ok=True)
            for path in (folder / "arms", *new):
                with suppress(OSError):  # not there, or somebody else's
                    path.rmdir()
        if isinstance(error, KeyboardInterrupt):
            raise typer.Abort(
                f"Stopped: {kept} finished arms are kept in {folder}, the page is not written; "
                "the same command goes on from there."
                if kept
                else "Stopped: no arm was finished and nothing is kept; the same command begins anew."
            ) from error
        raise


@contextmanager
def _stopping(said: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise typer.Abort(said) from stop


def _check_population(out: Path, *read: str | Path | None) -> None:
    """Refuse to write a population over anything but a population."""
    from regulars.fitting import population_file

    _check_page(out, *read)
    if not out.exists():
        return
    try:
        population_file.describe(out)
    except RegularsError as error:
        raise SettingError(
            f"--out {out} is there and is no population that `regulars fit` wrote. Name another, or remove it"
        ) from error


def _check_page(out: Path, *read: str | Path | None) -> None:
    """Refuse to write a page over what it is made from."""
    _check_folder(out)
    if out.exists() and any(source and Path(source).exists() and out.samefile(source) for source in read):
        raise SettingError(f"--out {out} is the file that is read; it would be lost. Name another")


def _check_folder(out: Path) -> None:
    """Refuse a file in a folder that is not there; runs/ is made."""
    if out.parent == Path("runs"):
        _folder(out.parent)
    if out.is_dir():
        raise SettingError(f"--out {out} is a folder. Name a file in it")
    if not out.parent.is_dir():
        raise SettingError(f"--out {out}: there is no folder {out.parent}. Make it, or name another file")


def _pairs(texts: list[str] | None, option: str, example: str = "date=Day") -> dict[str, str]:
    """``["a=b,c=d"]`` to a dict; a text may hold several pairs with commas between them."""
    pairs: dict[str, str] = {}
    for text in texts or []:
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or not name.strip() or not value.strip():
                raise SettingError(f"{option} {part!r} is not of the form name=value, such as {example}")
            pairs[name.strip()] = value.strip()
    return pairs


def _number(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise SettingError(f"--prior {name}={value!r}: {value!r} is not a number") from error
    if not math.isfinite(number):
        raise SettingError(f"--prior {name}={value!r}: {value!r} is not a finite number")
    return number


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot make the folder {path}: {error.strerror}. Name another with --out"
        ) from error
    return path


def _run_name(chosen: settings.Scenario, asked: str) -> str:
    """Name of a run's own folder: another name for whatever else is simulated, the same one for the same again."""
    name = f"{chosen.name}-{chosen.seed}"
    if asked in settings.shipped() and chosen == settings.load(asked).changed(seed=chosen.seed):
        return name
    text = jsonlib.dumps([asked, asdict(chosen)], sort_keys=True, default=str)
    return f"{name}-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"


def _newest_run() -> Path:
    found: list[Any] = sorted(Path("runs").glob("*/about.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SettingError("no run is in runs/; make one with `regulars simulate`, or name its folder")
    return Path(found[-1]).parent


OWN_STORE, DEMO_STORE = "sqlite:///runs/store.db", "sqlite:///runs/demo.db"
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="sqlite:///path/to/file.db or postgresql://user@host/database; else runs/store.db, where import puts it, "
        "or the demo's runs/demo.db when that is all there is.",
    ),
]
Retailer = Annotated[
    str | None, typer.Option("--retailer", help="Which retailer of the store; default the only one.")
]


@contextmanager
def _opened(given: str | None, retailer: str | None) -> Iterator[Any]:
    """A store, and number and name of one of its retailers."""
    _check_name(retailer)
    store = _store(given)
    with _serving():
        from regulars.service.store import open_store
    file = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not file.is_file():
        raise SettingError(
            f"there is no store {file}. `regulars serve --demo` or `regulars import` makes one"
        )
    opened = open_store(store)
    try:
        with opened.transaction() as work:
            unready = work.unready()
            named = {name: number for number, name in work.tenants() if name not in unready}
        if retailer and retailer not in named:
            raise SettingError(f"the store has no retailer {retailer!r}; it has {', '.join(named) or 'none'}")
        if not named:
            raise SettingError(f"the store {store} has no retailer yet. `regulars import` sets one up")
        if not retailer and len(named) != 1:
            raise SettingError(
                f"the store has {len(named)} retailers; name one with --retailer: {', '.join(named)}"
            )
        name = retailer or next(iter(named))
        yield opened, named[name], name
    finally:
        opened.close()


@contextmanager
def _live(given: str | None, retailer: str | None) -> Iterator[Any]:
    """The engine of a store and one of its retailers."""
    with _opened(given, retailer) as (store, number, _):
        from regulars.service.engine import Engine

        engine = Engine(store)
        try:
            yield engine, engine.shops[number]
        finally:
            engine.close()


def _check_name(retailer: str | None) -> None:
    if retailer is not None and not retailer.strip():
        raise SettingError(f"--retailer {retailer!r} names nobody. Give the name of a retailer")


def _store(given: str | None) -> str:
    """The store that is meant; which one is told when nobody named it."""
    if given is not None:
        return given
    there = [url for url in (OWN_STORE, DEMO_STORE) if Path(url.removeprefix("sqlite:///")).exists()]
    found = there[0] if there else OWN_STORE
    print(f"Store: {found}", file=sys.stderr)
    return found


@contextmanager
def _serving() -> Iterator[None]:
    from regulars.errors import MissingExtra

    try:
        yield
    except MissingExtra:
        raise
    except ImportError as error:
        raise MissingExtra("serve", "The live engine") from error


@app.command()
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
    with _serving():
        from regulars.service import host as hosts
    url = DEMO_STORE if demo and store is None else _store(store)
    hosts.run(url, host, port, workers, demo, lambda text: print(text, file=sys.stderr, flush=True))


@app.command(name="import")
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
    with _serving():
        from regulars.service import importing
    from regulars.report.progress import Counting
    from regulars.sources import listings, tables

    _check_name(retailer)
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
    mapped = _by_file(_pairs(columns, "--columns"), files, source is not None)
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
    unheard = grants.unheard and (panel is not None or people is not None)
    with _stopping(
        "Stopped: the same command goes on with a retailer that was there, and begins anew with one that was not."
    ):
        importing.bring(
            store or OWN_STORE, retailer or "", panel, grants, zone, policy, note,
            partial(_show_imported, as_json=json, rejects=rejects, warning=importing.UNHEARD if unheard else ""),
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


def _show_imported(
    told: dict[str, Any], as_json: bool, rejects: Path | None = None, warning: str = ""
) -> None:
    _print_imported(told, as_json, rejects)
    if warning:
        print(warning, file=sys.stderr, flush=True)


def _print_imported(told: dict[str, Any], as_json: bool, rejects: Path | None) -> None:
    from regulars.sources.panel import said_of_left_out

    left_out = told.pop("left_out")
    if rejects is not None and left_out is not None:
        _list_rejects(rejects, left_out, "baskets" in told)
    if as_json:
        print(jsonlib.dumps(told), flush=True)
        return
    if "baskets" in told:
        baskets = _counted(told["baskets"], "basket", "baskets")
        customers = _counted(told["customers"], "customer", "customers")
        print(f"{baskets} of {customers} in retailer {told['retailer']!r}")
    else:
        print(f"Retailer {told['retailer']!r}")
    for line in said_of_left_out(told["rejects"]):
        print(f"  {line}")
    for became, words in _BECAME.items():
        if told.get(became):
            print(f"  {_counted(told[became], *words)}")
    for role, key in told.get("keys", {}).items():
        print(f"  key of the role {role}, told this once: {key}", flush=True)
    if told.get("keys"):
        print("  another in place of one that is lost: regulars keys --new ROLE")
    print(told["outlook"])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


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


@app.command()
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
    with _serving():
        from regulars.service import keys as of
    roles = [role.value for role in of.Role]
    if new is not None and new not in roles:
        raise SettingError(f"--new {new!r} is no role. Give one of {', '.join(roles)}")
    if name is not None and new is None:
        raise SettingError(f"--name {name!r} is for a key that is made. Give --new ROLE too")
    if name is not None and not of.may_be_called(name):
        raise SettingError(f"--name {name!r} cannot name a key. {of.NAMES}")
    told: dict[str, Any] = {}
    with _opened(store, retailer) as (opened, number, whose):
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


@app.command()
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
    with _serving():
        from regulars.service import letters
    stopped = (
        f"Stopped: what is in {out} was decided and counts; the same command with another --out goes on."
    )
    with _stopping(stopped), _live(store, retailer) as (engine, shop):
        told = letters.write(engine, shop, channel, day, hour, out, again)
    if json:
        print(jsonlib.dumps(told))
        return
    messages = _counted(told["messages"], "message", "messages")
    print(f"{messages} to {_counted(told['customers'], 'customer', 'customers')}: {out}")
    if told["silent"]:
        reasons = ", ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in told["silent"].items())
        print(f"  not spoken to: {reasons}")
    if told["before"]:
        words = ("message was decided before and is not", "messages were decided before and are not")
        print(f"  {_counted(told['before'], *words)} in this file; --again writes them all")
    if told["no_address"]:
        without = _counted(told["no_address"], "of them has", "of them have")
        print(
            f"  {without} no address here: who sends them must know it by user, or tell it with "
            "`regulars import --people`"
        )


@app.command()
def replay(
    decision: Annotated[str, typer.Argument(help="Id of a decision.")],
    store: Store = None,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Make a decision again from what it rested on then, and say whether it is equal."""
    with _live(store, retailer) as (engine, shop):
        differs = engine.call(shop, lambda work: shop.replayed(work, decision)).result()
    if differs is None:
        raise RegularsError(f"there is no decision {decision!r}, or she was erased")
    if json:
        print(jsonlib.dumps({"id": decision, "equal": not differs, "differs": differs}))
    else:
        print("Equal." if not differs else f"Not equal: {', '.join(differs)} differ.")
    if differs:
        raise typer.Exit(1)


@app.command()
def verify(
    store: Store = None,
    retailer: Retailer = None,
    json: Json = False,
) -> None:
    """Check every customer's ledger: that no entry was changed, taken out or put in."""
    with _live(store, retailer) as (engine, shop):
        told = engine.call(shop, shop.verified).result()
    if json:
        print(jsonlib.dumps(told))
    else:
        words = _counted(len(told["broken"]), "chain is broken", "chains are broken")
        entries = _counted(told["entries"], "entry", "entries")
        customers = _counted(told["customers"], "customer", "customers")
        print(f"{entries} of {customers}: {words if told['broken'] else 'all chains hold'}")
        for broken in told["broken"][:20]:
            print(f"  customer {broken['customer']}, from entry {broken['entry']}")
    if told["broken"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
