"""A run: every arm in every world, shared over the cores, stopped and gone on with at will, counted into results."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

from regulars.errors import RegularsError, SettingError
from regulars.market import arms, day, outcome, provenance, town
from regulars.report.results import Results
from regulars.retail import policies
from regulars.settings import Scenario

#: Called with the begun tasks, as (name, days lived, days in all), and how many tasks are planned.
Progress = Callable[[list[tuple[str, int, int]], int], None]

#: Folder of finished arms inside a run's folder.
ARMS = "arms"


def simulate(
    scenario: Scenario,
    *,
    folder: Path | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    place: town.Town | None = None,
) -> Results:
    """Live a scenario: all its arms and worlds.

    Parameters
    ----------
    scenario : what to run
    folder : where each finished arm is kept at once, so that a stopped run goes on where it was; None keeps nothing
    threads : how many cores to use, 0 for all; the results do not depend on it
    progress : told how far every begun task is: on one core with each week lived, on several with each finished arm and
        at least five times a second once the first is finished
    place : a town that was built before; None builds the scenario's own

    Raises
    ------
    KeyboardInterrupt
        when stopped; its first argument is the Results of what was finished, or None when nothing was.
    SettingError
        when a policy, a pinned prior or ``threads`` cannot be used.
    RegularsError
        when a worker was ended from outside; finished arms are kept.
    """
    began = time.perf_counter()
    check(scenario, threads)
    place = place or town.build(scenario)
    work = arms.tasks(scenario)
    finished: dict[int, outcome.Outcome] = {}
    files: dict[int, Path] = {}
    if folder is not None:
        (folder / ARMS).mkdir(parents=True, exist_ok=True)
        (folder / "scenario.json").write_text(json.dumps(asdict(scenario), indent=1), "utf-8")
        files = {number: arm_file(folder, scenario, place, task) for number, task in enumerate(work)}
        for number, path in files.items():
            if path.is_file():
                try:
                    finished[number] = outcome.load(path)
                except RegularsError as error:
                    warnings.warn(f"{error}; it is lived again", RuntimeWarning, stacklevel=2)
    kept = len(finished)
    waiting = [number for number in range(len(work)) if number not in finished]
    lived = 0.0
    try:
        # Closed whatever happens, so that no worker outlives a stop between two arms.
        with closing(
            _live_all(scenario, place, work, waiting, threads or os.cpu_count() or 1, progress)
        ) as stream:
            for number, result in stream:
                finished[number] = result
                lived += result.days * len(result.tally.trips)
                if number in files:
                    outcome.save(result, files[number])
    except KeyboardInterrupt as stop:
        if not finished:
            raise KeyboardInterrupt(None) from stop
        partial = _results(scenario, place, work, finished, time.perf_counter() - began, lived, threads, kept)
        raise KeyboardInterrupt(partial) from stop
    except BrokenProcessPool as error:
        where = f" and kept in {folder}; the same command goes on from there" if folder is not None else ""
        raise RegularsError(
            f"a worker was ended from outside, by a signal or for want of memory: {len(finished)} of {len(work)} arms "
            f"were finished{where}. If memory ran out, use fewer --threads"
        ) from error
    return _results(scenario, place, work, finished, time.perf_counter() - began, lived, threads, kept)


def check(scenario: Scenario, threads: int = 0) -> None:
    """Refuse what cannot be run before anything long begins.

    Raises
    ------
    SettingError
        when a policy, a pinned prior or a mechanism to take out cannot be used, two arms would have one name, or
        ``threads`` is negative.
    """
    if threads < 0:
        raise SettingError(f"threads is {threads}; it must be 0, for all cores, or more")
    arms.check_pinned(scenario.priors)
    arms.check_ablated(scenario.ablate)
    for arm in {task.arm.name: task.arm for task in arms.tasks(scenario)}.values():
        for policy, settings in zip(arm.policies, arm.settings, strict=True):
            policies.of(policy, **settings)


def _results(
    scenario: Scenario,
    place: town.Town,
    work: list[arms.Task],
    finished: dict[int, outcome.Outcome],
    wall_s: float,
    lived: float,
    threads: int,
    kept: int,
) -> Results:
    done = [(work[number], finished[number]) for number in sorted(finished)]
    digest = hashlib.blake2b(digest_size=16)
    for task, result in done:
        digest.update(f"{task.arm.name}/{task.world}/{result.state_hash}".encode())
    about = place.about(scenario) | {
        "state_hash": digest.hexdigest(),
        "wall_s": round(wall_s, 3),
        "ns_per_consumer_day": round(wall_s * 1e9 / lived, 1) if lived else None,
        "threads": threads or os.cpu_count() or 1,
        "finished": len(done),
        "planned": len(work),
        "kept": kept,
        "drawn": provenance.drawn(scenario),
        "sweep_consumers": scenario.sweep.consumers or len(place.habits.consumer),
    }
    return outcome.collect(scenario, place, done, about)


def _live_all(
    scenario: Scenario,
    place: town.Town,
    work: list[arms.Task],
    waiting: list[int],
    threads: int,
    progress: Progress | None,
) -> Generator[tuple[int, outcome.Outcome], None, None]:
    if not waiting:
        return
    small = town.sample(place, scenario.sweep.consumers, scenario.seed)
    places = {number: place if work[number].arm.group == "arms" else small for number in waiting}
    warm: dict[_Warmth, day.Warm] = {}
    for number in waiting:
        task, here = work[number], places[number]
        if _warmth(task, here) not in warm:
            warm[_warmth(task, here)] = day.warm_up(scenario, here, task.world, task.arm.priors)
    lived = RawArray("i", len(work))
    for number in set(range(len(work))) - set(waiting):
        lived[number] = scenario.days
    if threads == 1 or len(waiting) == 1 or "fork" not in multiprocessing.get_all_start_methods():
        for number in waiting:

            def tell(days: int, number: int = number) -> None:
                lived[number] = days
                if progress:
                    progress(_begun(scenario, work, lived), len(work))

            yield number, _live(scenario, places[number], work[number], warm, tell)
        return
    # Forked workers inherit town and compiled kernels without copying; they run NumPy and kernels only.
    _SHARED.update(scenario=scenario, places=places, work=work, warm=warm, lived=lived)
    context = multiprocessing.get_context("fork")
    try:
        # The first arm is lived here, so that the kernels of demand are compiled once, not once per worker.
        first, *rest = waiting
        yield first, _one(first)
        with tempfile.TemporaryDirectory(prefix="regulars-") as parcels, _pool(context, threads) as pool:
            files = {number: Path(parcels) / f"{number}.npz" for number in rest}
            going: set[Future[int]] = {pool.submit(_into, *parcel) for parcel in files.items()}
            while going:
                done, going = wait(going, timeout=0.2, return_when=FIRST_COMPLETED)
                # Those that were finished first: when a worker is lost, all the others fail at once.
                for future in sorted(done, key=lambda each: each.exception() is not None):
                    number = future.result()
                    yield number, outcome.load(files[number])
                    files[number].unlink()
                if progress:
                    progress(_begun(scenario, work, lived), len(work))
    finally:
        _SHARED.clear()  # or the town would stay in memory


#: World, consumers and pinned priors: what a warm-up depends on.
_Warmth = tuple[int, int, tuple[tuple[str, float], ...]]


def _warmth(task: arms.Task, place: town.Town) -> _Warmth:
    pinned = sorted((name, value) for name, value in task.arm.priors.items() if name in day.AT_REST)
    return task.world, len(place.habits.consumer), tuple(pinned)


_SHARED: dict[str, Any] = {}


@contextmanager
def _pool(context: Any, threads: int) -> Iterator[ProcessPoolExecutor]:
    """Workers that are ended, whatever they are at, when the block is left."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(threads, mp_context=context, initializer=_ignore_interrupt)
    try:
        yield pool
    finally:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _into(number: int, file: Path) -> int:
    """Live one arm into a file.

    A worker that is ended while it sends a long result leaves half of it in the pipe, and whoever reads that pipe waits
    for ever; a number goes through whole or not at all.
    """
    outcome.save(_one(number), file)
    return number


def _one(number: int) -> outcome.Outcome:
    task = _SHARED["work"][number]

    def tell(days: int) -> None:
        _SHARED["lived"][number] = days

    return _live(_SHARED["scenario"], _SHARED["places"][number], task, _SHARED["warm"], tell)


def _live(
    scenario: Scenario,
    place: town.Town,
    task: arms.Task,
    warm: dict[_Warmth, day.Warm],
    tell: Callable[[int], None],
) -> outcome.Outcome:
    return day.live(scenario, place, task, warm[_warmth(task, place)], tell)


def _begun(scenario: Scenario, work: list[arms.Task], lived: Any) -> list[tuple[str, int, int]]:
    return [
        (f"{task.arm.name} in world {task.world + 1}", days, scenario.days)
        for task, days in zip(work, lived, strict=True)
        if days
    ]


def arm_file(folder: Path, scenario: Scenario, place: town.Town, task: arms.Task) -> Path:
    """Where a finished arm is kept; the name changes with whatever would change its result."""
    return folder / ARMS / f"{_fingerprint(scenario, place, task)}.npz"


def _fingerprint(scenario: Scenario, place: town.Town, task: arms.Task) -> str:
    plain = {
        name: value
        for name, value in asdict(scenario).items()
        if name not in ("sweep", "worlds", "policies", "about")
    }
    lived_by = scenario.sweep.consumers if task.arm.group != "arms" else 0
    # A policy of the user's own is code too, with what it imports.
    own = [path.read_bytes() for policy in task.arm.policies for path in arms.own_files(policy)]
    parts = [town.code_digest(), plain, lived_by, own, asdict(task), place.fingerprint]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
