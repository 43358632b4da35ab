"""The Complete Journey, read once for all tests of the sources."""

import pytest

from regulars.shelf import Shelf
from regulars.sources import complete_journey
from regulars.sources.panel import Panel


@pytest.fixture(scope="session")
def panel() -> Panel:
    return complete_journey.load()


@pytest.fixture(scope="session")
def shelf(panel: Panel) -> Shelf:
    return complete_journey.load_shelf(panel)
