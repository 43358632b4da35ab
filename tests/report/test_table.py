"""Claims about the ranking in a terminal."""

import pytest

from regulars.report import text
from regulars.report.table import DASH, html, rows


def test_the_table_fits_eighty_columns(run):
    lines = text(run, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("kind", ["run", "market"])
def test_every_policy_stands_in_both_tables_in_the_order_of_profit(kind, request):
    run = request.getfixturevalue(kind)
    names = [row.name for row in rows(run)]
    lines = text(run, width=100).splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith(("Money", "Permission"))]
    for head in heads:
        below = [line for line in lines[head + 1 :] if any(line.startswith(f"{name} ") for name in names)]
        assert [
            name for line in below[: len(names)] for name in names if line.startswith(f"{name} ")
        ] == names


def test_the_warnings_stand_under_the_table(run):
    said = " ".join(text(run).split())
    assert said.index("Permission") < said.index("! Considerate does not lead by first-year profit")


def test_holds_counts_the_worlds_ahead_of_the_row_below(totals):
    run = totals({"a": {"profit": [5, 1, 9]}, "b": {"profit": [4, 2, 3]}})
    assert [row.holds for row in rows(run)] == ["2 of 3", DASH]


def test_one_world_has_no_interval(make):
    run = make(worlds=1, sweeps=False, consumers=40)
    assert all(row.profit_range == DASH and row.profit_margin[1] == "" for row in rows(run))
    assert "no interval can be given" in " ".join(text(run).split())


def test_silence_contacts_nobody(run):
    silence = rows(run)[-1]
    assert (silence.name, silence.contacts, silence.verdicts["ignored"]) == ("silence", DASH, DASH)


def test_a_tie_holds_in_no_world_and_is_called_one(totals):
    run = totals({"a": {"profit": [5, 1]}, "b": {"profit": [5, 1]}, "c": {"profit": [4, 2]}})
    assert [row.holds for row in rows(run)] == ["tied", "1 of 2", DASH]
    assert "earn the same" in text(run)


def test_one_world_is_not_promised_an_interval(make):
    assert "\N{PLUS-MINUS SIGN}" not in text(make(worlds=1, sweeps=False, consumers=40))


def test_there_is_no_column_over_silence_where_silence_was_not_run(run, market):
    assert "over silence" in text(run) and "over silence" in html(run)
    assert "over silence" not in text(market) and "over silence" not in html(market)


def test_it_is_said_of_how_many_the_shares_are(totals):
    arm = {"profit": [1], "contacts": [9], "consumers": [300], "reachable_start": [210], "reachable": [200]}
    said = " ".join(text(totals({"a": arm})).split())
    assert "of those within reach at the start (210 of 300)" in said
    assert "Unsubscribes count channels" in said
