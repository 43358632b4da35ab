"""The command line as a person or a script meets it."""

import json

import pytest

from regulars import cli

SMALL = ["--consumers", "60", "--days", "14", "--worlds", "1", "--no-sweep", "--quiet"]


@pytest.fixture
def regulars(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["regulars", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def sales(path, rows=400, cards=20):
    lines = ["Day;Kunde;Amount"]
    lines += [
        f"2024-{1 + k * 3 // rows:02d}-{1 + k * 7 % 28:02d};{k % cards};{5 + k % 13}.50" for k in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n2024-01-99;3;1.00\n2024-01-02;3;-4\n", "utf-8")
    return path


def test_simulate_prints_one_json_object_and_writes_the_page(regulars, tmp_path):
    code, out, _ = regulars("simulate", *SMALL, "--json", "--policy", "silence", "--policy", "considerate")
    told = json.loads(out)
    assert code == 0
    assert told["days"] == 14 and told["consumers"] == 60 and len(told["arms"]) == 2
    assert (tmp_path / "runs" / "one-chain-1" / "report.html").stat().st_size > 10_000


def test_the_same_command_twice_tells_the_same_state(regulars):
    words = ("simulate", *SMALL, "--json", "--policy", "silence", "--policy", "blast", "--seed", "3")
    first = json.loads(regulars(*words, "--out", "a", "--threads", "1")[1])
    again = json.loads(regulars(*words, "--out", "b", "--threads", "2")[1])
    other = json.loads(regulars(*words[:-1], "4", "--out", "c")[1])
    assert first["state_hash"] == again["state_hash"] != other["state_hash"]


def test_a_run_is_reported_and_a_diary_told(regulars):
    regulars("simulate", *SMALL, "--policy", "considerate")
    code, out, _ = regulars("report", "--json")
    assert code == 0 and json.loads(out)["scenario"] == "one-chain"
    _, _, named = regulars("diary", "--consumer", "nobody")
    household = named.split("it has ")[1].split(",")[0]
    code, out, _ = regulars("diary", "--consumer", household, "--arm", "considerate", "--json")
    assert code == 0 and json.loads(out)["equal_to_run"] is True


def test_three_columns_of_anybodys_sales_are_fitted_and_simulated(regulars, tmp_path):
    path = sales(tmp_path / "sales.csv")
    columns = "date=Day,card=Kunde,net=Amount"
    code, out, _ = regulars("fit", path, "--columns", columns, "--json", "--out", "p.parquet")
    told = json.loads(out)
    assert code == 0 and told["households"] == 20 and sum(told["rejected"].values()) == 2
    assert "2024-01-99" in (tmp_path / "p.rejects.csv").read_text("utf-8")
    words = ("simulate", "--data", path, "--columns", columns, "--days", "14", "--worlds", "1", "--no-sweep")
    code, out, err = regulars(*words, "--json", "--policy", "silence", "--policy", "purchases")
    assert code == 0, err
    about = json.loads(next((tmp_path / "runs").glob("*/about.json")).read_text("utf-8"))
    assert not any("store" in line or "discount" in line or "coupon" in line for line in about["fitted"])
    assert any("discounts" in line for line in about["untold"])
    told = json.loads(out)
    trips = {arm["policy"]: arm["trips"]["mean"] for arm in told["arms"]}
    assert min(trips.values()) > 0
    assert told["headline"] == "All policies lived the same: nothing was sent"
    assert told["warnings"][0].startswith("The data have no discount, so there was nothing to offer; give")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("simulate", "one-chian"), "one-chain"),
        (("simulate", "--policy", "considerat", *SMALL), "considerate"),
        (("simulate", "--ablate", "irritatio", *SMALL), "irritation"),
        (("simulate", "--prior", "creep_pull", *SMALL), "name=value"),
        (("simulate", "--prior", "creep_pull=much", *SMALL), "not a number"),
        (("simulate", "--days", "0"), "days is 0"),
        (("simulate", "--columns", "date=x"), "needs none"),
        (("simulate", "--policy", "mine.py:Gentle", *SMALL), "mine.py"),
        (("fit", "nowhere.csv"), "nowhere.csv"),
        (("report",), "regulars simulate"),
        (("diary", "--run", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_is_one_sentence_with_the_mend(regulars, words, said):
    code, _, err = regulars(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_policies_are_listed_with_their_settings(regulars):
    told = json.loads(regulars("policies", "--json")[1])
    assert told["blast"]["settings"]["per_week"] == 5
    assert all(entry["about"] for entry in told.values())
