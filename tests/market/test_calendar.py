import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regulars import draws
from regulars.market import weather
from regulars.market.calendar import Calendar

YEAR = Calendar(datetime.date(2017, 1, 1), 53, 365)


def test_christmas_is_a_monday_in_the_last_but_one_week():
    assert YEAR.date(358) == datetime.date(2017, 12, 25)
    assert YEAR.dow(358) == 0
    assert YEAR.week(358) == 52


def test_the_warm_up_lives_the_end_of_the_same_year():
    assert YEAR.week(-1) == YEAR.week(364) == 52


@given(st.integers(-364, 2000))
def test_a_week_is_always_on_the_shelf(day):
    assert 0 <= YEAR.week(day) < 53
    assert YEAR.dow(day) == YEAR.date(day).weekday()


def test_weather_of_a_day_does_not_depend_on_where_the_run_starts():
    key = draws.stream(3)
    assert np.array_equal(weather.factors(key, -10, 50)[10:], weather.factors(key, 0, 50))


def test_weather_is_one_on_average():
    factors = weather.factors(draws.stream(3), 0, 20_000)
    assert abs(factors.mean() - 1) < 0.003
    assert 0.03 < np.log(factors).std() < 0.05
