"""Made-up runs for the tests of the report, each built once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regulars.report import Results

spec = importlib.util.spec_from_file_location("made_runs", Path(__file__).with_name("made.py"))
assert spec and spec.loader
made = importlib.util.module_from_spec(spec)
sys.modules["made_runs"] = made
spec.loader.exec_module(made)


@pytest.fixture(scope="session")
def make() -> Callable[..., Results]:
    """The builder: ``make(worlds=, consumers=, leader=, sweeps=, market=)``."""
    return made.results  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def run(make: Callable[..., Results]) -> Results:
    """Six worlds in which harvest earns most."""
    return make()


@pytest.fixture(scope="session")
def market(make: Callable[..., Results]) -> Results:
    """Three retailers that compete in three worlds."""
    return make(worlds=3, market=True)


@pytest.fixture(scope="session")
def totals() -> Callable[..., Results]:
    """A run from bare figures: ``totals({arm: {metric: [value per world]}})``."""
    return made.bare  # type: ignore[no-any-return]
