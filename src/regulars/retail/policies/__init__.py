"""Policies: whom to contact with what, when, on which channel, using which scopes. One a file.

A policy is two verbs, ``decide`` and ``learn``, and its frozen settings. To write your own, subclass
:class:`Policy` in a file of yours, give it a name and ``decide``, and load it with
``load("my_policy.py:MyPolicy")``.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import traceback
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError, SettingError
from regulars.retail.catalog import Today
from regulars.retail.consent import View
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Copy, Decisions, Draws, Reason, slots_of
from regulars.retail.learn import Outcomes
from regulars.terms import Channel, Scope


@dataclass(frozen=True)
class NoSettings:
    """A policy without settings."""


class Policy(Protocol):
    """What a retailer asks of a policy. Subclass it: everything but ``decide`` has a default.

    Attributes
    ----------
    name : short, for reports
    version : changes when the decisions do; stands in the ledger
    Settings : the frozen dataclass of its settings
    scopes : what it wants opened; contact is always added, for the retailer's own duty to count contacts
    copy : how it writes
    channels : bits of the channels it uses, first the lowest
    covert : it only makes sense for a retailer that honours no consent; for simulation
    """

    name: str = "unnamed"
    version: str = "1"
    Settings: type[Any] = NoSettings
    scopes: tuple[Scope, ...] = ()
    copy: Copy = Copy(0.2, 0.5, 0.2, 0.5)
    channels: int = (1 << Channel.EMAIL) | (1 << Channel.APP)
    covert: bool = False
    settings: Any

    def __init__(self, settings: Any = None) -> None:
        self.settings = self.Settings() if settings is None else settings

    @abstractmethod
    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """What to say to whom.

        ``customer`` is the row of the view; each customer gets at most ``view.room`` messages, on channels of
        ``view.channels``. A decision must depend on her row alone: she is decided in a crowd today and alone
        tomorrow.
        """
        ...

    def candidates(self, view: View, today: Today, draws: Draws) -> NDArray[np.uint8]:
        """What ruled out each category for the first customer of the view, for an explanation: (C,) Reason.

        ``OUTRANKED`` says that nothing did, but that others came first.
        """
        ruled = np.full(len(today.offer), Reason.OUTRANKED, np.uint8)
        days = getattr(self.settings, "repeat_days", 0)
        heard = view.recent_category[0][view.recent_day[0] > view.day - days]
        ruled[heard[heard >= 0]] = Reason.REPEATED
        unliked = view.unlike_category[0][view.unlike_until[0] >= view.day]
        ruled[unliked[unliked >= 0]] = Reason.UNLIKED
        ruled[today.offer < 0] = Reason.NO_OFFER
        return ruled

    def learn(self, outcomes: Outcomes) -> None:
        """Take in settled outcomes, each once. By default nothing is learned."""
        return None

    def pace(self) -> ContactRules:
        """The policy's own caps; the retailer's rules may be stricter, never looser.

        Quiet hours are the house's alone: those of a pace are not heeded.
        """
        return ContactRules(quiet_from=0, quiet_until=0)

    def slots(self, day: int) -> int:
        """The most messages one customer may get today by the policy's schedule; 0 opens no view."""
        return 2

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of what was learned."""
        return {}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        return None


class Paced(Policy):
    """A policy that writes ``settings.per_week`` times a week to everybody, spread evenly."""

    def pace(self) -> ContactRules:
        """As often as the schedule says."""
        return paced(self.settings.per_week)

    def slots(self, day: int) -> int:
        """The day's share of the week."""
        return slots_of(self.settings.per_week, day)


#: A new policy is one file and one line here.
_POLICIES = {
    "silence": "Silence",
    "blast": "Blast",
    "demographics": "Demographics",
    "purchases": "Purchases",
    "harvest": "Harvest",
    "considerate": "Considerate",
    "history": "History",
}


_MODULES = frozenset(f"{__name__}.{name}" for name in _POLICIES)


def names() -> tuple[str, ...]:
    """Every policy that comes with Regulars."""
    return tuple(_POLICIES)


def of(name: str, **settings: Any) -> Policy:
    """A policy by its name or as ``path.py:Name``: from :func:`make` or :func:`load`."""
    return load(name, **settings) if ":" in name else make(name, **settings)


def make(name: str, **settings: Any) -> Policy:
    """A policy by name.

    Examples
    --------
    >>> make("blast", per_week=7).settings.per_week
    7

    Raises
    ------
    SettingError
        when there is no such policy or setting.
    """
    if name.endswith(".py"):
        found = _classes(_module(name))
        listed = f"; it has {', '.join(found)}" if found else ""
        raise SettingError(f"{name!r} names no class. Write {name}:{found[0] if found else 'Name'}{listed}")
    if name not in _POLICIES:
        raise SettingError(f"there is no policy {name!r}. {_near(name, _POLICIES)}")
    module = importlib.import_module(f"regulars.retail.policies.{name}")
    return _with_settings(getattr(module, _POLICIES[name]), name, settings)


def load(path: str, **settings: Any) -> Policy:
    """A policy from a file of yours, as ``"my_policy.py:MyPolicy"``. The file is run: mind whose it is.

    Raises
    ------
    SettingError
        when the file or the class is not there, or the class is no policy.
    RegularsError
        when the file itself fails; the cause is attached.
    """
    file, _, class_name = path.rpartition(":")
    if not file or not class_name:
        raise SettingError(f"{path!r} names no class. Write it as my_policy.py:MyPolicy")
    module = _module(file)
    if not hasattr(module, class_name):
        raise SettingError(f"{file} has no class {class_name!r}. {_near(class_name, _classes(module))}")
    chosen = getattr(module, class_name)
    if not callable(getattr(chosen, "decide", None)):
        raise SettingError(
            f"{class_name} in {file} has no decide(view, today, draws). Subclass Policy and add it"
        )
    if not (isinstance(chosen, type) and Policy in chosen.__mro__):
        raise SettingError(
            f"{class_name} in {file} is no subclass of regulars.retail.policies.Policy. Make it one"
        )
    return _with_settings(chosen, path, settings)


def _module(file: str) -> ModuleType:
    source = Path(file)
    if not source.is_file():
        raise SettingError(f"{file} is not there. Give the path of a Python file")
    spec = importlib.util.spec_from_file_location(f"regulars_policy_{source.stem}", source)
    if spec is None or spec.loader is None:
        raise SettingError(f"{file} is no Python file. Its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RegularsError(f"{file} fails when it is run: {type(error).__name__}: {error}") from error
    return module


def _classes(module: ModuleType) -> list[str]:
    """The policies that a file itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and Policy in value.__mro__ and value.__module__ == module.__name__
    ]


def _with_settings(chosen: type[Policy], name: str, settings: dict[str, Any]) -> Policy:
    if not (isinstance(chosen.Settings, type) and dataclasses.is_dataclass(chosen.Settings)):
        raise SettingError(
            f"Settings of {name} is {chosen.Settings!r}. Make it a frozen dataclass, or leave it out"
        )
    known = [field.name for field in dataclasses.fields(chosen.Settings)]
    for setting in settings:
        if setting not in known:
            raise SettingError(f"{name} has no setting {setting!r}. {_near(setting, known)}")
    try:
        return chosen(chosen.Settings(**settings))
    except RegularsError:
        raise
    except Exception as error:
        raise SettingError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def asked(policy: Policy, verb: str, *given: Any) -> Any:
    """What a policy answers.

    Raises
    ------
    RegularsError
        when it fails, with the place in its file, or answers with another kind of thing than is asked for.
    """
    method = getattr(policy, verb)
    try:
        answer = method(*given)
    except RegularsError:
        raise
    except Exception as error:
        trace = traceback.extract_tb(error.__traceback__)
        # What fails may be a library that it calls; its own line is the one to mend.
        code = getattr(method, "__code__", None)
        own = [frame for frame in trace if code and frame.filename == code.co_filename] or trace[-1:]
        raise RegularsError(
            f"{_called(policy)}.{verb} fails at {own[-1].filename}, line {own[-1].lineno}: "
            f"{type(error).__name__}: {error}"
        ) from error
    kind, words = _ANSWERS.get(verb, (object, ""))
    if not isinstance(answer, kind):
        raise RegularsError(f"{_called(policy)}.{verb} gave {answer!r:.60}; it must give {words}")
    return answer


_ANSWERS: dict[str, tuple[Any, str]] = {
    "decide": (Decisions, "Decisions, from propose() or decision.silence()"),
    "candidates": (np.ndarray, "an array with a Reason for each category"),
    "pace": (ContactRules, "ContactRules"),
    "slots": (int | np.integer, "a whole number from 0 up"),
    "state": (dict, "a dict of arrays"),
}


def shipped(policy: Policy) -> bool:
    """Whether a policy comes with Regulars; what it decides is held by tests, what another decides is checked."""
    return type(policy).__module__ in _MODULES and "decide" not in vars(policy)


def slots(policy: Policy, day: int) -> int:
    """The most messages that a policy lets one customer get on a day."""
    most = int(asked(policy, "slots", day))
    if most < 0:
        raise RegularsError(
            f"{_called(policy)}.slots({day}) gave {most}; it must give a whole number from 0 up"
        )
    return most


def _called(policy: Policy) -> str:
    return type(policy).__name__ if policy.name == Policy.name else str(policy.name)


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    listed = ", ".join(sorted(known))
    return f"Choose from {listed}" if listed else "There is nothing to choose from"


def paced(per_week: float, min_gap_days: int = 0) -> ContactRules:
    """Caps of so many messages a week: above 7 two a day, on different channels.

    Raises
    ------
    SettingError
        when ``per_week`` is not from 0 to 14.
    """
    if not 0 <= per_week <= 14:
        raise SettingError(f"per_week is {per_week}. Take 0 to 14")
    return ContactRules(
        per_day=2 if per_week > 7 else 1,
        per_week=int(np.ceil(per_week)),
        per_month=int(np.ceil(4 * per_week)),
        min_gap_days=min(min_gap_days, int(7 // per_week)) if per_week > 0 else min_gap_days,
        quiet_from=0,
        quiet_until=0,
    )


def describe() -> dict[str, dict[str, Any]]:
    """Each policy that comes with Regulars: ``about``, one sentence, and ``settings`` with their defaults."""
    told = {}
    for name, class_name in _POLICIES.items():
        module = importlib.import_module(f"regulars.retail.policies.{name}")
        defaults = getattr(module, class_name).Settings()
        plain = {
            field.name: getattr(defaults, field.name)
            for field in dataclasses.fields(defaults)
            if isinstance(getattr(defaults, field.name), bool | int | float | str)
        }
        told[name] = {"about": (module.__doc__ or "").strip().split("\n")[0], "settings": plain}
    return told
