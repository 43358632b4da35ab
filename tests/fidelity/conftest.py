"""A hamlet of 150 real households for two months, and the panel that it comes from."""

import pytest

from regulars import settings
from regulars.market import town
from regulars.settings import SweepSettings


@pytest.fixture(scope="session")
def scenario():
    return settings.load("one-chain").changed(
        consumers=150, days=60, warm_up=42, worlds=1, seed=7, policies=("silence",), sweep=SweepSettings()
    )


@pytest.fixture(scope="session")
def source():
    return town.read("complete-journey")


@pytest.fixture(scope="session")
def hamlet(scenario):
    return town.build(scenario)
