"""The command line as a person or a script meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

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
    (page,) = (tmp_path / "runs").glob("one-chain-1-*/report.html")
    assert page.stat().st_size > 10_000


def test_other_runs_go_to_other_folders_and_the_same_line_goes_on(regulars, tmp_path):
    words = ("simulate", *SMALL, "--policy", "silence")
    first = regulars(*words)[1]
    again = regulars(*words)[1]
    assert "ns per consumer-day" in first and "kept" not in first
    assert "1 of 1 arms kept from before" in again and "ns per" not in again
    regulars("simulate", *SMALL, "--policy", "blast", "--seed", "2")
    regulars("simulate", *SMALL, "--policy", "blast")
    assert len(list((tmp_path / "runs").iterdir())) == 3
    assert json.loads(regulars("report", "--json")[1])["arms"][0]["policy"] == "blast"


def test_the_shipped_scenario_as_it_is_keeps_its_plain_name():
    from regulars import settings

    plain = settings.load("one-chain")
    assert cli.rehearse._run_name(plain.changed(seed=4), "one-chain") == "one-chain-4"
    names = {cli.rehearse._run_name(plain.changed(days=days), "one-chain") for days in (30, 40)}
    assert len(names) == 2 and all(name.startswith("one-chain-1-") for name in names)


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
    assert json.loads(regulars("diary", "--json")[1])["consumer"] == household


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
        (("simulate", "--prior", "creep_pull", *SMALL), "name=value, such as creep_pull=0.3"),
        (("simulate", "--policy", "mine.py", *SMALL), "mine.py is not there"),
        (("simulate", "main-street", "--sweep"), "a market has no sweeps"),
        (("simulate", "--currency", "XXXX"), "currency is 'XXXX'"),
        (("fit", "--out", "nowhere/p.parquet"), "there is no folder nowhere"),
        (("fidelity", "--out", "nowhere/p.html"), "there is no folder nowhere"),
        (("fidelity", "--holdout", "²-³", "--out", "p.html"), "is no span of weeks. Write it as 40-52"),
        (("simulate", "--prior", "creep_pull=much", *SMALL), "not a number"),
        (("simulate", "--prior", "creep_pull=-1", *SMALL), "it must be from 0 to"),
        (("simulate", "--days", "0"), "days is 0"),
        (("simulate", "--threads", "-1"), "--threads"),
        (("simulate", "--currency", "EUR", *SMALL), "complete-journey needs none"),
        (("simulate", "--encoding", "latin-1", *SMALL), "complete-journey needs none"),
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
    assert "Traceback" not in err and "Error:" not in err.replace("Error: Invalid", "")


def test_policies_are_listed_with_their_settings(regulars):
    told = json.loads(regulars("policies", "--json")[1])
    assert told["blast"]["settings"]["per_week"] == 5
    assert all(entry["about"] for entry in told.values())


def test_the_version_is_told(regulars):
    code, out, _ = regulars("--version")
    assert code == 0 and out.startswith("regulars 0.")


def test_a_page_that_cannot_be_written_is_one_sentence(regulars, tmp_path):
    regulars("simulate", *SMALL, "--policy", "silence")
    (tmp_path / "file").write_text("")
    code, _, err = regulars("report", "--out", "file/page.html")
    assert code == 2 and "cannot write the page file/page.html" in err and "Traceback" not in err


def _process(*words, **options):
    # Whoever starts the tests in the background may have them ignore Ctrl-C, and what they start with them.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from regulars.cli import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], text=True, **pipes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_standard_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        process = _process("policies", "--json", stdout=full)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert err.count("\n") == 1 and "standard output" in err


def test_ctrl_c_while_reading_is_one_line(tmp_path):
    path = sales(tmp_path / "sales.csv", rows=20_000, cards=2_000)
    words = ("simulate", "--data", path, "--columns", "date=Day,card=Kunde,net=Amount")
    process = _process(*words, cwd=tmp_path)
    assert process.stderr.readline().startswith("Reading")
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 130
    assert err[-1] == "Stopped: no arm was finished and nothing is kept; the same command begins anew."
    assert all(line.startswith(("Reading", "Columns", "Fitting")) for line in err[:-1])
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]


def test_ctrl_c_while_the_page_is_written_says_what_is_kept(regulars, monkeypatch, tmp_path):
    from regulars.report import page

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "write", stop)
    code, _, err = regulars("simulate", *SMALL, "--policy", "silence", "--out", "mine")
    assert code == 130
    assert err == (
        "Stopped: 1 finished arms are kept in mine, the page is not written; the same command goes on from there.\n"
    )


def test_ctrl_c_while_fitting_writes_no_population(regulars, monkeypatch, tmp_path):
    from regulars import fitting

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", stop)
    code, _, err = regulars("fit", sales(tmp_path / "sales.csv"), "--columns", "card=Kunde")
    assert code == 130
    assert err.endswith("Stopped: no population was written; the same command begins anew.\n")


def test_a_refused_run_leaves_nothing_behind(regulars, tmp_path):
    (tmp_path / "sales.csv").write_text("date,card,net\nx,1,1\n", "utf-8")
    code, _, err = regulars("simulate", "--data", "sales.csv")
    assert code == 2 and "sales.csv, line 2, date: 'x'" in err
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]


def test_fit_overwrites_nothing_but_a_population(regulars, tmp_path):
    path = sales(tmp_path / "sales.csv")
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "other.csv").write_bytes(before)
    for out, said in (
        ("sales.csv", "is the file that is read"),
        ("link.csv", "is the file that is read"),
        ("other.csv", "is no population that `regulars fit` wrote"),
    ):
        code, _, err = regulars("fit", path, "--columns", "card=Kunde", "--out", out)
        assert code == 2 and said in err
    assert path.read_bytes() == (tmp_path / "other.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "read"),
    [("fidelity", "--products"), ("targeting", "--products"), ("targeting", "--people")],
)
def test_a_page_is_not_written_over_what_is_read(regulars, tmp_path, command, read):
    path = sales(tmp_path / "sales.csv")
    table = tmp_path / "table.csv"
    table.write_text("sku,card,category\n1,1,a\n", "utf-8")
    before = path.read_bytes(), table.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    for out in ("sales.csv", "link.csv", "table.csv"):
        code, _, err = regulars(command, path, read, table, "--columns", "card=Kunde", "--out", out)
        assert code == 2 and f"--out {out} is the file that is read; it would be lost" in err
    assert (path.read_bytes(), table.read_bytes()) == before


def test_a_population_is_read_in_python_and_is_no_sales(regulars, tmp_path):
    from regulars.fitting import population_file

    words = ("fit", sales(tmp_path / "sales.csv"), "--columns", "card=Kunde", "--out", "p.parquet")
    for _ in range(2):  # a population may be overwritten by another
        code, out, err = regulars(*words)
        assert code == 0, err
    assert "Columns of sales.csv: card=Kunde, date=Day (guessed), net=Amount (guessed)" in err
    assert out.splitlines()[-1].startswith(
        "Read it in Python with regulars.fitting.population_file.load('p.par"
    )
    population = population_file.load("p.parquet")
    assert repr(population) == "<Population of 20 households fitted on sales.csv>"
    code, _, err = regulars("simulate", "--data", "p.parquet")
    assert code == 2 and "is a population that `regulars fit` wrote, not sales" in err


def test_data_of_less_than_a_year_are_lived_as_far_as_they_go(regulars, tmp_path):
    path = sales(tmp_path / "sales.csv")
    words = ("simulate", "--data", path, "--columns", "card=Kunde", "--worlds", "1", "--no-sweep", "--json")
    code, out, err = regulars(*words, "--policy", "silence")
    assert code == 0, err
    covered = json.loads(out)["days"]
    assert covered < 100 and f"sales.csv covers {covered} days: so many are lived" in err
    code, _, err = regulars(*words, "--policy", "silence", "--days", covered + 1)
    assert code == 2 and f"give --days {covered} or less" in err


def test_help_lists_every_mechanism():
    from regulars.consumers import priors

    assert tuple(priors.ABLATIONS) == cli.rehearse.MECHANISMS


def test_more_consumers_than_households_is_said(regulars, tmp_path):
    words = ("simulate", "--data", sales(tmp_path / "sales.csv"), "--columns", "card=Kunde", "--quiet")
    code, _, err = regulars(
        *words, "--consumers", "50", "--days", "10", "--worlds", "1", "--no-sweep", "-p", "blast"
    )
    assert code == 0 and "50 consumers: the 20 fitted households live several times" in err


def test_own_amounts_have_their_currency_and_own_files_their_encoding(regulars, tmp_path):
    path = sales(tmp_path / "sales.csv")
    path.write_bytes(path.read_text("utf-8").replace("Kunde", "Käufer").encode("latin-1"))
    own = ("--columns", "date=Day,card=Käufer,net=Amount", "--encoding", "latin-1", "--currency", "EUR")
    words = ("simulate", "--data", path, *own, "--days", "14", "--worlds", "1", "--no-sweep", "-q")
    code, out, err = regulars(*words, "--policy", "silence")
    assert code == 0, err
    assert "€" in out and "$" not in out
