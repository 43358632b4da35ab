"""A village: the first 200 real households, fitted once for all tests of fitting."""

import polars as pl
import pytest

from regulars import fitting
from regulars.consumers.population import Population
from regulars.shelf import Shelf
from regulars.sources import complete_journey
from regulars.sources.panel import Panel

from .panels import of_households

VILLAGE = 200


@pytest.fixture(scope="session")
def panel() -> Panel:
    return complete_journey.load()


@pytest.fixture(scope="session")
def shelf(panel: Panel) -> Shelf:
    return complete_journey.load_shelf(panel)


@pytest.fixture(scope="session")
def village_panel(panel: Panel) -> Panel:
    return of_households(panel, VILLAGE)


@pytest.fixture(scope="session")
def village(village_panel: Panel, shelf: Shelf) -> Population:
    return fitting.fit(village_panel, shelf, calibrate_rounds=3)


@pytest.fixture(scope="session")
def village_lines(village_panel: Panel) -> pl.DataFrame:
    return fitting.lines_of(village_panel)
