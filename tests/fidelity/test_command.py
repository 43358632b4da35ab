"""`regulars fidelity` on data of one's own: what can be measured is, the rest says why, and the page is whole."""

import json

import pytest

from regulars import cli


@pytest.fixture
def sales(tmp_path):
    lines = ["Day;Kunde;Amount"]
    lines += [
        f"2024-{1 + k // 100:02d}-{1 + k * 7 % 28:02d};{k * 3 % 23};{5 + k % 13}.50" for k in range(300)
    ]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


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
