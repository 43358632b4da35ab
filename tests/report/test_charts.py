"""Claims about the charts."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.report import charts, sweeps
from regulars.report.charts import spread
from regulars.report.estimates import Lived

PLACES = st.lists(st.floats(0, 300), min_size=1, max_size=12).map(sorted)


@given(PLACES)
def test_names_at_line_ends_never_overlap_and_keep_their_order(wanted):
    placed = spread(wanted, 17.0, -1000.0, 1000.0)
    assert len(placed) == len(wanted)
    assert all(b - a >= 17.0 - 1e-6 for a, b in itertools.pairwise(placed))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12, unique=True).map(sorted))
def test_names_with_room_stay_where_they_are(steps):
    wanted = [20.0 * step for step in steps]
    assert spread(wanted, 17.0, -1000.0, 1000.0) == pytest.approx(wanted)


@pytest.mark.parametrize("width", [charts.NARROW, charts.HALF])
def test_a_chart_is_as_wide_as_asked_and_asks_for_nothing(run, width):
    drawn = charts.svg(charts.ranking(Lived(run), "profit", width, "USD"), "rank")
    assert re.match(rf'<svg width="{width}" ', drawn)
    assert not re.search(r"(?:href|src)=\"(?!#)|url\((?!#)", drawn)


def test_the_ids_of_two_charts_never_meet(run):
    curves = [curve for curve in sweeps.frequency(run) if curve.metric == "profit"]
    one, two = (charts.svg(charts.frequency(curves, charts.HALF, "USD"), name) for name in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn)) for drawn in (one, two)]
    assert not ids[0] & ids[1]
    for drawn, known in zip((one, two), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= known


def test_the_words_of_a_chart_are_in_it(run):
    drawn = charts.svg(charts.ranking(Lived(run), "profit", charts.HALF, "USD"), "rank")
    words = re.findall(r"<text[^>]*>([^<]+)</text>", drawn)
    assert {"harvest", "considerate", "blast", "$0"} <= set(words)
    assert any(re.fullmatch(r"\+\$\d+k", word) for word in words)
    # Above silence, silence itself has no row.
    assert "silence" not in words
