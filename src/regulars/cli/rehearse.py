"""Commands that rehearse: simulate, fit, diary, policies, report."""

from __future__ import annotations

import hashlib
import json as jsonlib
import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from regulars import settings
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
    folder_at,
    pairs,
    stopping,
)
from regulars.errors import RegularsError, SettingError

#: What --ablate takes, for its help.
MECHANISMS = (
    "irritation", "brand_memory", "expectation", "control", "justification", "ignored", "fit_offsets_creep", "creep",
    "exposure", "attention", "trust", "coupons", "saving_in_creep",
)  # fmt: skip


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
            name: _number(value, name) for name, value in pairs(prior, "--prior", "creep_pull=0.3").items()
        }
        if prior
        else None,
        sweep=settings.SweepSettings() if sweep is False else None,
        source=str(data.resolve()) if data else None,
        columns=pairs(columns, "--columns") or None,
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
        stopping("Stopped: no population was written; the same command begins anew."),
        live_progress(not (quiet or json)) as progress,
    ):
        panel, shelf = town.read(
            source,
            columns=pairs(columns, "--columns"),
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


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """A run's folder, taken away again when the run was refused or stopped with nothing finished."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder_at(folder)
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


def _check_population(out: Path, *read: str | Path | None) -> None:
    """Refuse to write a population over anything but a population."""
    from regulars.fitting import population_file

    check_page(out, *read)
    if not out.exists():
        return
    try:
        population_file.describe(out)
    except RegularsError as error:
        raise SettingError(
            f"--out {out} is there and is no population that `regulars fit` wrote. Name another, or remove it"
        ) from error


def _number(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise SettingError(f"--prior {name}={value!r}: {value!r} is not a number") from error
    if not math.isfinite(number):
        raise SettingError(f"--prior {name}={value!r}: {value!r} is not a finite number")
    return number


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
