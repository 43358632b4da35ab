import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from regulars.consumers import priors
from regulars.errors import RegularsError, SettingError
from regulars.market import arms, day, kernels, outcome, run, town
from regulars.report.metrics import summary
from regulars.settings import SweepSettings


@pytest.fixture(scope="module")
def three(scenario):
    return scenario.changed(policies=("silence", "blast", "considerate"), worlds=2, days=30)


@pytest.fixture(scope="module")
def results(three, hamlet):
    return run.simulate(three, place=hamlet, threads=1)


def test_the_same_seed_gives_the_same_state_with_one_and_with_two_threads(three, hamlet, results):
    again = run.simulate(three, place=hamlet, threads=2)
    assert again.about["state_hash"] == results.about["state_hash"]
    assert again.totals.equals(results.totals)


def test_another_seed_gives_another_state(three, hamlet, results):
    other = run.simulate(three.changed(seed=8), place=hamlet, threads=2)
    assert other.about["state_hash"] != results.about["state_hash"]


def test_one_json_object_tells_what_was_asked_for(results):
    told = summary(results)
    assert {"scenario", "seed", "days", "consumers", "worlds", "state_hash", "wall_s", "arms"} <= told.keys()
    assert {arm["policy"] for arm in told["arms"]} == {"silence", "blast", "considerate"}
    for arm in told["arms"]:
        assert sum(arm["verdicts"].values()) == pytest.approx(1)
        assert arm["profit"]["low"] <= arm["profit"]["mean"] <= arm["profit"]["high"]


def test_silence_contacts_nobody_and_is_the_baseline(results):
    silence = results.totals.filter(arm="silence")
    assert silence.filter(metric="contacts")["value"].sum() == 0
    assert silence.filter(metric="trips")["value"].sum() > 0


def test_a_stopped_run_goes_on_where_it_was(three, hamlet, tmp_path, results):
    told = 0

    def stop(begun, planned):
        nonlocal told
        told += 1
        if sum(days == total for _, days, total in begun) >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        run.simulate(three, place=hamlet, folder=tmp_path, threads=1, progress=stop)
    partial = stopped.value.args[0]
    kept = list((tmp_path / run.ARMS).glob("*.npz"))
    assert 0 < partial.about["finished"] == len(kept) < partial.about["planned"]
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    whole = run.simulate(three, place=hamlet, folder=tmp_path, threads=1)
    assert whole.about["state_hash"] == results.about["state_hash"]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_a_damaged_finished_arm_is_lived_again_with_a_warning(three, hamlet, tmp_path):
    one = three.changed(policies=("silence",), worlds=1)
    whole = run.simulate(one, place=hamlet, folder=tmp_path, threads=1)
    (path,) = (tmp_path / run.ARMS).glob("*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(RuntimeWarning, match="damaged"):
        again = run.simulate(one, place=hamlet, folder=tmp_path, threads=1)
    assert again.about["state_hash"] == whole.about["state_hash"]
    assert run.simulate(one, place=hamlet, folder=tmp_path, threads=1).about["kept"] == 1


def test_a_killed_worker_ends_the_run_in_one_sentence_and_keeps_what_was_finished(three, hamlet, tmp_path):
    def kill(begun, planned):
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGKILL)

    many = three.changed(worlds=6)
    # How many were finished when the workers die is a matter of luck; that they are kept is not.
    with pytest.raises(
        RegularsError, match=r"ended from outside.*\d+ of 18 arms were finished and kept in"
    ) as told:
        run.simulate(many, place=hamlet, folder=tmp_path, threads=2, progress=kill)
    finished = len(list((tmp_path / run.ARMS).glob("*.npz")))
    assert f"{finished} of 18 arms" in str(told.value)
    assert not multiprocessing.active_children()
    assert run.simulate(many, place=hamlet, folder=tmp_path, threads=2).about["kept"] == finished


def test_a_run_on_two_cores_is_stopped_at_once_and_leaves_no_worker(three, hamlet):
    def stop(begun, planned):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.simulate(three.changed(days=60), place=hamlet, threads=2, progress=stop)
    assert not multiprocessing.active_children()
    assert not run._SHARED  # nor the town, which is large


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "population.parquet"
    code = (
        "import sys, time; from pathlib import Path; from regulars.market import town\n"
        f"with town._alone(Path({str(path)!r})):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    began = time.monotonic()
    with town._alone(path):
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        ({"creep_pull": -1.0}, "creep_pull is pinned to -1; it must be from 0 to"),
        ({"creep_pull": 1e6}, "it must be from 0 to"),
        ({"detection": 1.5}, "from 0 to 1"),
        ({"creep_half_life_days": 0.0}, "from 0.01 to"),
        ({"inside_mean": 1.2}, "from 0.01 to 0.99"),
        ({"creep_pul": 0.1}, "creep_pull"),
    ],
)
def test_a_pinned_prior_must_mean_something(scenario, pinned, said):
    with pytest.raises(SettingError, match=said):
        run.check(scenario.changed(priors=pinned))


def test_every_prior_may_be_pinned_where_a_sweep_puts_it(scenario):
    for prior in priors.PRIORS:
        for level in (0.01, 0.99):
            run.check(scenario.changed(priors={prior.name: priors.quantile(prior.name, level)}))


def test_threads_are_not_negative(scenario):
    with pytest.raises(SettingError, match="threads is -1"):
        run.check(scenario, threads=-1)


def test_a_policy_of_the_users_own_goes_by_its_own_name(scenario, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from regulars.retail.policies.silence import Silence\n"
        "class Quiet(Silence):\n    name = 'very quiet'\nclass Copy(Silence):\n    pass\n"
        "from regulars.retail.policies import Policy\n"
        "class Plain(Policy):\n    def decide(self, view, today, draws): ...\n",
        "utf-8",
    )
    assert arms.label(f"{path}:Quiet") == "very quiet"
    assert arms.label(f"{path}:Plain") == "Plain"
    with pytest.raises(SettingError, match="both be called silence"):
        run.check(scenario.changed(policies=("silence", f"{path}:Copy")))


def test_sweeps_name_their_arms_and_stay_out_of_the_ranking(scenario):
    swept = scenario.changed(
        policies=("considerate", "harvest"),
        worlds=3,
        sweep=SweepSettings(
            frequency=(0.0, 7.0), priors=("creep_pull",), prior_policies=("harvest",), worlds=1
        ),
    )
    tasks = arms.tasks(swept)
    assert sum(task.arm.group == "arms" for task in tasks) == 6
    names = {task.arm.name for task in tasks if task.arm.group == "frequency"}
    assert names == {
        "silence@0",
        "considerate@0",
        "considerate@7",
        "bold considerate@0",
        "bold considerate@7",
    }
    called = [task.arm.called for task in tasks if task.arm.group == "prior"]
    assert (
        called.count("quiet harvest") == len(called) // 2 == 3
    )  # as drawn, low and high; the others are harvest


def test_an_unknown_policy_is_named_before_anything_runs(scenario, hamlet):
    with pytest.raises(SettingError, match="considerate"):
        run.simulate(scenario.changed(policies=("considerat",)), place=hamlet, threads=1)


def test_a_sweep_lived_by_a_sample_counts_for_the_whole_town(scenario, hamlet):
    swept = scenario.changed(
        policies=("silence", "blast"),
        sweep=SweepSettings(frequency=(5.0,), frequency_policies=("blast",), worlds=1, consumers=75),
    )
    results = run.simulate(swept, place=hamlet, threads=1)
    consumers = results.totals.filter(metric="consumers")["value"]
    assert (consumers == 150).all()
    trips = results.totals.filter(metric="trips")
    whole = trips.filter(arm="silence")["value"].item()
    assert trips.filter(arm="silence@0")["value"].item() == pytest.approx(whole, rel=0.3)


def test_kernels_compiled_beforehand_are_those_of_a_run():
    kernels.compile_all()  # made of the columns of a run: a column that is added must be added here too


def test_an_edited_policy_file_is_another_arm(scenario, hamlet, tmp_path):
    path = tmp_path / "mine.py"
    text = (
        "import numpy as np\nfrom regulars.retail.decision import propose\nfrom regulars.retail.policies import Policy\n"
        "class Mine(Policy):\n    name = 'mine'\n    def decide(self, view, today, draws):\n"
        "        who = np.arange(0, len(view.row), STEP)\n"
        "        best = int(np.argmax(today.saving))\n        return propose(view, today, who, np.full(len(who), best))\n"
    )
    chosen = scenario.changed(policies=(f"{path}:Mine",), days=7)
    found = []
    for step in ("1", "3"):
        path.write_text(text.replace("STEP", step), "utf-8")
        run.simulate(chosen, place=hamlet, folder=tmp_path, threads=1)
        found.append(len(list((tmp_path / run.ARMS).glob("*.npz"))))
    assert found == [1, 2]


def test_an_edited_file_that_a_policy_imports_is_another_arm(scenario, hamlet, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom regulars.retail.decision import propose\nfrom regulars.retail.policies import Policy\n"
        "from beside import choice\n"
        "class Mine(Policy):\n    name = 'mine'\n    def decide(self, view, today, draws):\n"
        "        who = np.arange(0, len(view.row), choice.STEP)\n"
        "        best = int(np.argmax(today.saving))\n        return propose(view, today, who, np.full(len(who), best))\n",
        "utf-8",
    )
    (tmp_path / "beside").mkdir()
    chosen = scenario.changed(policies=(f"{tmp_path}/mine.py:Mine",), days=7)
    contacts = []
    for step in ("1", "30"):
        (tmp_path / "beside" / "choice.py").write_text(f"STEP = {step}\n", "utf-8")
        results = run.simulate(chosen, place=hamlet, folder=tmp_path, threads=1)
        contacts.append(results.totals.filter(metric="contacts")["value"].item())
    assert len(list((tmp_path / run.ARMS).glob("*.npz"))) == 2
    assert contacts[0] > 5 * contacts[1] > 0


def test_an_arm_lives_the_warm_up_of_its_own_pinned_priors(scenario, hamlet):
    swept = scenario.changed(
        policies=("silence", "considerate"),
        days=7,
        sweep=SweepSettings(priors=("guardians", "creep_pull"), prior_policies=("considerate",), worlds=1),
    )
    at_first = run.simulate(swept, place=hamlet, threads=1).totals.filter(metric="reachable_start")
    found = {
        (setting, level): value
        for setting, level, value in at_first.select("setting", "level", "value").rows()
    }
    low, high = (priors.quantile("guardians", level) for level in arms.SWEEP_LEVELS)
    # Guardians allow fewer messages on the first day.
    assert found["guardians", low] > found["guardians", high]
    assert all(value == found["", None] for (name, _), value in found.items() if name == "creep_pull")


def warm_state(scenario, place, pinned):
    warm = day.warm_up(scenario, place, 0, pinned)
    columns = [*warm.needs, warm.margin_cents]
    return outcome.state_hash([*columns, *(array for shop in warm.shops for array in shop.arrays().values())])


@pytest.fixture(scope="module")
def two_shops(street):
    return street.changed(warm_up=7, retailers=street.retailers[:2])


@pytest.fixture(scope="module")
def usual_state(two_shops, street_town):
    return warm_state(two_shops, street_town, {})


@pytest.mark.parametrize("prior", priors.PRIORS, ids=lambda prior: prior.name)
def test_a_warm_up_depends_on_no_prior_but_those_named_for_it(two_shops, street_town, usual_state, prior):
    other = 0.5 * priors.quantile(prior.name, 0.02) + 0.01
    same = warm_state(two_shops, street_town, {prior.name: other}) == usual_state
    assert same or prior.name in day.AT_REST
    assert not same or prior.name not in ("unconcerned", "guardians", "share_concentration")


def test_uses_of_data_are_counted_by_arm_and_the_ledger_keeps_those_of_the_warm_up(scenario, hamlet):
    chosen = scenario.changed(policies=("silence", "blast", "harvest"), days=14)
    results = run.simulate(chosen, place=hamlet, threads=1)
    uses, covert = (
        dict(results.totals.filter(metric=name).select("arm", "value").rows())
        for name in ("uses", "covert_uses")
    )
    # Silence uses what all buy; a blast counts its contacts too; a harvest opens everything, allowed or not.
    assert 0 < uses["silence"] < uses["blast"] < uses["harvest"]
    assert covert["silence"] == covert["blast"] == 0 < covert["harvest"] < uses["harvest"]
    warm = day.warm_up(chosen, hamlet, 0)
    before = warm.shops[0].ledger.uses
    assert before.sum() > 0
    life = day.Life(chosen, hamlet, 0, arms.tasks(chosen)[0].arm, warm)
    assert np.array_equal(life.shops[0].ledger.uses, before)
    life.live(0)
    assert life.shops[0].ledger.uses.sum() > before.sum()  # and it shares nothing with the other arms'
    assert warm.shops[0].ledger.uses is before


def test_nobody_shops_when_the_shops_are_closed(scenario, hamlet):
    closed = hamlet.fit_about["closed_days"]
    assert closed == [358]
    life = day.Life(scenario.changed(warm_up=42), hamlet, 0)
    trips = {number: life.live(number).trip_count for number in range(-9, -4)}
    assert trips[358 - 365] == 0
    assert sum(trips.values()) > 0
