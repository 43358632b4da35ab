"""A hamlet: 150 of the real households, on the real shelf, for two months."""

import pytest

from regulars import settings
from regulars.market import town
from regulars.market.town import Town
from regulars.settings import Scenario, SweepSettings


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return settings.load("one-chain").changed(
        consumers=150, days=60, warm_up=42, worlds=1, seed=7, sweep=SweepSettings()
    )


@pytest.fixture(scope="session")
def hamlet(scenario: Scenario) -> Town:
    return town.build(scenario)


@pytest.fixture(scope="session")
def street() -> Scenario:
    return settings.load("main-street").changed(consumers=150, days=90, warm_up=42, worlds=1, seed=7)


@pytest.fixture(scope="session")
def street_town(street: Scenario) -> Town:
    return town.build(street)
