"""Scenario files (TOML) to frozen dataclasses: what is simulated, for how long, under which terms."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from regulars.errors import SettingError

#: The policies that every run compares, in the order of reports.
POLICIES = ("silence", "blast", "demographics", "purchases", "harvest", "considerate", "history")


def _check_types(settings: Any) -> None:
    """Every value, and every value in a list or table, must be of the type that its field says."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not _fits(value, hint):
            raise SettingError(f"{name} is {_said(value)}; it must be of type {_words(hint)}")


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is tuple:
        return isinstance(value, tuple | list) and all(_fits(each, parts[0]) for each in value)
    if kind is not None:
        return isinstance(value, Mapping) and all(
            isinstance(name, str) and _fits(each, parts[1]) for name, each in value.items()
        )
    accepted = {int: Integral, float: Real}.get(hint, hint)
    return isinstance(value, accepted) and not isinstance(value, bool)


def _words(hint: Any) -> str:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is tuple:
        return f"list of {_words(parts[0])}"
    if kind is not None:
        return "table" if parts[1] is Any else f"table of {_words(parts[1])}"
    return str(hint.__name__)


def _said(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingError(f"{name} is {value}; it must be from {low} to {high}")


@dataclass(frozen=True)
class RetailerSettings:
    """One retailer of a scenario.

    ``policy`` is used in market mode; in arms mode each arm brings its own. ``price_level`` multiplies every shelf
    price. Margins and costs are assumptions, not data: The Complete Journey has no costs.
    """

    name: str = "chain"
    policy: str = "considerate"
    policy_settings: Mapping[str, Any] = field(default_factory=dict)
    price_level: float = 1.0
    margin: float = 0.28  #: share of the shelf price of national brands (assumed; typical of US grocery)
    margin_private: float = 0.36  #: the same for the retailer's own brands (assumed)
    discount_funded: float = 0.6  #: share of shelf discounts that the manufacturer pays (assumed)
    coupon_funded: float = 0.5  #: share of coupon value that the manufacturer pays (assumed)
    contact_cost: float = 0.01  #: currency units per electronic contact, with handling (assumed)
    mail_cost: float = 0.45  #: currency units per contact by post (assumed)
    weeks_of_stock: float = (
        0.0  #: order-up-to level in weeks of usual sales; 0 means that nothing is ever out
    )

    def __post_init__(self) -> None:
        _check_types(self)
        _between("price_level", self.price_level, 0.1, 10)
        for name in ("margin", "margin_private", "discount_funded", "coupon_funded"):
            _between(name, getattr(self, name), 0, 1)
        for name in ("contact_cost", "mail_cost"):
            _between(name, getattr(self, name), 0, 1000)
        _between("weeks_of_stock", self.weeks_of_stock, 0, 520)


@dataclass(frozen=True)
class SweepSettings:
    """Further arms that show how sure a ranking is.

    ``worlds`` of each are run, with ``consumers`` of the town's (0: all of them), who live the same lives as in the
    whole town; reports scale what they count to the whole.
    """

    frequency: tuple[float, ...] = ()
    frequency_policies: tuple[str, ...] = ("blast", "considerate")
    priors: tuple[str, ...] = ()
    prior_policies: tuple[str, ...] = ("demographics", "harvest", "considerate")
    worlds: int = 2
    consumers: int = 0

    def __post_init__(self) -> None:
        _check_types(self)
        _between("worlds", self.worlds, 1, 1000)
        _between("consumers", self.consumers, 0, 50_000_000)
        for per_week in self.frequency:
            _between("frequency", per_week, 0, 14)
        for name in ("frequency", "frequency_policies", "priors", "prior_policies"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise SettingError(f"{name} is {_said(values)}; give each once")


@dataclass(frozen=True)
class Scenario:
    """All that a run depends on, beside the population and the shelf."""

    name: str = "one-chain"
    about: str = ""
    mode: str = "arms"  #: "arms": one policy a world, same luck; "market": the retailers compete in one world
    source: str = "complete-journey"  #: or the path of a CSV or Parquet file of purchases
    columns: Mapping[str, str] = field(default_factory=dict)  #: which column of that file is which
    products: str = ""  #: path of a table of products, to name and group those of that file
    date_format: str = ""  #: how dates are written there, such as DD/MM/YYYY
    encoding: str = ""  #: of that file, such as latin-1; empty for UTF-8 or UTF-16
    currency: str = ""  #: ISO 4217 code of its amounts, such as EUR, or a sign; empty for USD
    decimal: str = ""  #: the sign before the decimals of its amounts, "," or "."; empty to find out
    days: int = 365
    warm_up: int = 91  #: days lived without any contact before day 0, so that records and clocks are warm
    worlds: int = 4
    seed: int = 1
    consumers: int = 0  #: 0 means every fitted household; more are sampled from them
    policies: tuple[str, ...] = POLICIES
    retailers: tuple[RetailerSettings, ...] = (RetailerSettings(),)
    sweep: SweepSettings = SweepSettings()
    ablate: tuple[str, ...] = ()
    priors: Mapping[str, float] = field(default_factory=dict)  #: world parameters pinned to a value

    def __post_init__(self) -> None:
        _check_types(self)
        _between("days", self.days, 1, 3650)
        _between("warm_up", self.warm_up, 0, 364)
        _between("worlds", self.worlds, 1, 1000)
        _between("consumers", self.consumers, 0, 50_000_000)
        _between("seed", self.seed, 0, 2**63 - 1)
        check_currency(self.currency)
        if self.mode not in ("arms", "market"):
            raise SettingError(f"mode is {self.mode!r}; it must be 'arms' or 'market'")
        if not self.retailers:
            raise SettingError("a scenario needs at least one [[retailer]]")
        if self.mode == "arms" and len(self.retailers) != 1:
            raise SettingError(
                f"mode 'arms' compares policies at one retailer, but {len(self.retailers)} are given; "
                'use mode = "market"'
            )
        if self.mode == "arms" and self.retailers[0].policy_settings:
            raise SettingError(
                "policy_settings are for mode 'market'; in mode 'arms' each policy runs as it comes"
            )
        if not self.policies:
            raise SettingError('a scenario needs at least one policy, such as "silence"')
        labels = [policy.rsplit(":", 1)[-1] for policy in self.policies]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise SettingError(f"two policies would both be called {twice[0]}; give each once")
        names = [retailer.name for retailer in self.retailers]
        if len(set(names)) != len(names):
            raise SettingError(f"retailers must have different names; got {', '.join(names)}")
        if len(names) > 8:
            raise SettingError(f"{len(names)} retailers are given; at most 8 can compete in one world")

    def changed(self, **changes: Any) -> Scenario:
        """The same scenario with some fields replaced; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def from_dict(table: Mapping[str, Any]) -> Scenario:
    """A scenario from ``dataclasses.asdict`` of one, as a run keeps it."""
    values = dict(table)
    values["retailers"] = tuple(RetailerSettings(**entry) for entry in values["retailers"])
    values["sweep"] = SweepSettings(**{name: _plain(value) for name, value in values["sweep"].items()})
    return Scenario(**{name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that come with Regulars."""
    folder = resources.files("regulars") / "scenarios"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Scenario:
    """A scenario by its shipped name or from a TOML file.

    Raises
    ------
    SettingError
        when there is no such scenario, or the file is not TOML, or has a key or value that cannot be used.
    """
    name = str(name_or_path)
    if name in shipped():
        return parse(
            (resources.files("regulars") / "scenarios" / f"{name}.toml").read_text("utf-8"), f"{name}.toml"
        )
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped())
        raise SettingError(f"no scenario {name!r}: it is neither a file nor one of {known}")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Scenario:
    """A scenario from TOML text; ``file`` is named in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file} is not TOML: {error}") from error
    retailers = table.pop("retailer", None)
    sweep = table.pop("sweep", None)
    values = _known(Scenario, table, file, skip=("retailers", "sweep"))
    if retailers is not None:
        if not isinstance(retailers, list):
            raise SettingError(f"{file}: write each retailer as [[retailer]]")
        values["retailers"] = tuple(
            _made(RetailerSettings, entry, f"{file} [[retailer]] {number}")
            for number, entry in enumerate(retailers, 1)
        )
    if sweep is not None:
        values["sweep"] = _made(SweepSettings, sweep, f"{file} [sweep]")
    try:
        return Scenario(**values)
    except SettingError as error:
        raise SettingError(f"{file}: {error}") from error


def typed(changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of a scenario, checked to be of their type; ``where`` is named in errors."""
    return _known(Scenario, changes, where)


def _made(kind: type, table: Any, where: str) -> Any:
    """One of the dataclasses from its TOML table; ``where`` is named in errors."""
    if not isinstance(table, dict):
        raise SettingError(f"{where} is {table!r}; it must be a table of settings")
    values = _known(kind, table, where)
    try:
        return kind(**values)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def _known(kind: type, table: Mapping[str, Any], where: str, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a TOML table whose keys are all known, in the forms of the dataclass."""
    known = {entry.name: entry for entry in fields(kind) if entry.name not in skip}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it may have {', '.join(known)}"
            raise SettingError(f"{where}: unknown setting {name!r}{hint}")
        if isinstance(known[name].default, float) and type(value) is int:
            value = float(value)
        values[name] = _plain(value)
    return values


def check_currency(currency: str) -> None:
    """Refuse what is neither a code of three letters nor a sign of one or two characters; empty is neither, and well.

    Raises
    ------
    SettingError
        when it is something else.
    """
    code = len(currency) == 3 and currency.isascii() and currency.isalpha()
    sign = len(currency) <= 2 and not any(each.isdigit() or each.isspace() for each in currency)
    if not (code or sign):
        raise SettingError(
            f"currency is {currency!r}; give its code of three letters or its sign, such as EUR or €"
        )
