"""`regulars fidelity` on data of one's own: what can be measured is, the rest says why, and the page is whole."""

import datetime
import json
from dataclasses import replace

import polars as pl
import pytest

from regulars import cli, fidelity
from regulars.errors import RegularsError
from regulars.fidelity import lived
from regulars.market import town


@pytest.fixture
def sales(tmp_path):
    lines = ["Day;Kunde;Amount"]
    lines += [
        f"2024-{1 + k // 100:02d}-{1 + k * 7 % 28:02d};{k * 3 % 23};{5 + k % 13}.50" for k in range(300)
    ]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture
def regulars(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["regulars", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code or 0, told.out, told.err

    return run


@pytest.fixture
def only_read(monkeypatch):
    """Stop where the town would be built; gives the panel that it would be built from."""
    seen = []

    def build(scenario, *, given, **_):
        seen.append(given[0])
        raise RegularsError("that is enough")

    monkeypatch.setattr(town, "build", build)
    return seen


OWN = ("--columns", "date=Day,card=Kunde,net=Amount")


def test_what_was_read_and_left_out_is_told_once(regulars, sales, only_read):
    with sales.open("a", encoding="utf-8") as more:
        more.write("\n2024-01-99;3;1.00\n2024-01-98;3;1.00\n2024-01-02;3;-4\n")
    code, _, err = regulars("fidelity", sales, *OWN, "--out", "p.html")
    assert code == 2 and err.endswith("that is enough\n") and len(only_read) == 1
    lines = err.splitlines()
    assert lines.count(f"Reading {sales}") == 1
    assert lines.count("Columns of sales.csv: date=Day, card=Kunde, net=Amount") == 1
    assert "  left out: 2 rows, bad date" in lines and "  left out: 1 row, return" in lines


def test_targeting_tells_what_was_left_out_too(regulars, sales):
    with sales.open("a", encoding="utf-8") as more:
        more.write("\n2024-01-99;3;1.00\n")
    code, _, err = regulars("targeting", sales, *OWN)
    assert code == 2 and "too few to compare" in err  # 23 customers
    assert "  left out: 1 row, bad date" in err.splitlines() and err.count("Reading") == 1


def test_files_in_other_letters_and_other_money_are_read(regulars, sales, only_read):
    text = sales.read_text("utf-8").replace("Kunde", "K\xe4ufer").replace(".50", ",50")
    sales.write_bytes(text.encode("latin-1"))
    words = ("fidelity", sales, "--columns", "date=Day,card=K\xe4ufer,net=Amount", "--out", "p.html")
    _, _, err = regulars(*words, "--encoding", "latin-1", "--currency", "EUR", "--decimal", ",")
    assert err.endswith("that is enough\n")
    assert only_read[0].currency == "EUR" and only_read[0].lines["net_cents"].min() == 550
    for option in ("--encoding", "--currency", "--decimal"):
        code, _, err = regulars("fidelity", option, "EUR", "--out", "p.html")
        assert code == 2 and "complete-journey needs none" in err


def test_of_more_than_a_year_the_first_is_lived_and_compared(regulars, tmp_path, monkeypatch):
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(k * 600 / 900) for k in range(900)]
    # Customers 20 to 39 came in the second year.
    lines = [f"{day};{k * 7 % 20 + 20 * (k >= 600)};{5 + k % 13}.50" for k, day in enumerate(days)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["Day;Kunde;Amount", *lines]), "utf-8")
    seen = {}

    def year(scenario, place, world, policy="history"):
        seen["lived"] = scenario.days, list(place.household_id)
        raise RegularsError("that is enough")

    real = lived.real
    monkeypatch.setattr(lived, "real", lambda panel: seen.setdefault("truth", real(panel)))
    monkeypatch.setattr(lived, "year", year)
    code, _, err = regulars("fidelity", path, *OWN, "--worlds", "1", "--out", "p.html")
    assert code == 2 and "sales.csv covers 600 days: the first 365 are fitted, lived and compared" in err
    assert seen["truth"].days == seen["lived"][0] == 365
    assert seen["truth"].lines["day"].max() == 364
    assert seen["truth"].households == len(seen["lived"][1]) == 20
    panel, shelf = town.read(str(path), columns={"date": "Day", "card": "Kunde", "net": "Amount"})
    late = replace(panel, lines=panel.lines.filter(pl.col("household") != 3))
    early, _ = fidelity.first_days(late, shelf, 365)
    assert early.households["household"].to_list() == list(range(19))
    named = [early.households["household_id"][k] for k in early.lines["household"]]
    told = late.lines.filter(pl.col("day") < 365)
    assert named == [panel.households["household_id"][k] for k in told["household"]]


def test_a_short_list_of_sales_is_scored_where_it_can_be(sales, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [
        "regulars",
        "fidelity",
        str(sales),
        "--columns",
        "date=Day,card=Kunde,net=Amount",
        "--worlds",
        "1",
    ]

    def run():
        monkeypatch.setattr("sys.argv", [*words, "--json", "--out", "page.html"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        return json.loads(capsys.readouterr().out)

    found = run()
    assert [row["row"] for row in found["rows"]] == list(range(1, 21))
    unmeasured = [row for row in found["rows"] if row["inside"] is None]
    assert {1, 11, 15} <= {row["row"] for row in unmeasured} and all(row["why_not"] for row in unmeasured)
    assert found["history"] == {} and 0 <= found["two_sample"]["auc"] <= 1
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<svg" in page and "<script" not in page and "needs purchases of half a year" in page
    assert run() == found
