"""What came of one arm in one world, kept in one file, and many of them gathered into the tables of a report."""

from __future__ import annotations

import bisect
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.errors import RegularsError
from regulars.market.arms import Task, label
from regulars.market.tally import PERIOD_DAYS, REACHABLE, SHUT_OUT, TRUST, Count, Tally
from regulars.market.town import Town
from regulars.report.results import Results
from regulars.settings import RetailerSettings, Scenario
from regulars.terms import Verdict

#: Weekly counts that go into a report by the same name.
FLOWS = {
    "contacts": Count.CONTACTS,
    "opens": Count.OPENS,
    "clicks": Count.CLICKS,
    "redemptions": Count.REDEMPTIONS,
    "unlikes": Count.UNLIKES,
    "complaints": Count.COMPLAINTS,
    "unsubscribes": Count.UNSUBSCRIBES,
    "blocks": Count.BLOCKS,
    "compelling": Count.COMPELLING,
    "creepy": Count.CREEPY,
    "annoying": Count.ANNOYING,
    "ignored": Count.IGNORED,
    "trips": Count.TRIPS,
    "lines": Count.LINES,
    "disclosures": Count.DISCLOSURES,
    "withdrawals": Count.WITHDRAWALS,
    "out_of_stock": Count.OUT_OF_STOCK,
}

#: Measures that are shares, not sums over consumers.
SHARES = ("trust", "regulars")


@dataclass(frozen=True)
class Outcome:
    """Counts and closing state of one arm in one world.

    ``closing`` maps a measure to its (R,) values: base_value in currency units, regulars as a share, and as counts
    reachable_start, uses (scopes of a customer opened for a purpose, as the ledger tells) and of these covert_uses.
    ``learned`` is what each retailer knew in common day by day (:class:`Learned`), so that one consumer's year can be
    replayed alone.
    """

    tally: Tally
    days: int
    state_hash: str
    closing: Mapping[str, NDArray[np.float64]]
    learned: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Learned:
    """What retailers knew in common on each day; a value that stays is kept once, with the day it began.

    Parameters
    ----------
    arrays : from :meth:`arrays` of another; left out, nothing is known yet
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        self._since: dict[str, list[int]] = {}
        self._values: dict[str, list[NDArray[Any]]] = {}
        for name, column in (arrays or {}).items():
            part, _, rest = name.partition(":")
            if part == "since":
                self._since[rest] = column.tolist()
            else:
                self._values[rest] = list(column)

    def note(self, retailer: int, day: int, state: Mapping[str, NDArray[Any]]) -> None:
        """What a retailer knows on the morning of a day; days are told in order."""
        for name, value in state.items():
            values = self._values.setdefault(f"{retailer}.{name}", [])
            if not values or not np.array_equal(values[-1], value):
                values.append(np.array(value))
                self._since.setdefault(f"{retailer}.{name}", []).append(day)

    def on(self, retailer: int, day: int) -> dict[str, NDArray[Any]]:
        """What the retailer knew on the morning of that day."""
        prefix = f"{retailer}."
        return {
            name[len(prefix) :]: values[bisect.bisect_right(self._since[name], day) - 1]
            for name, values in self._values.items()
            if name.startswith(prefix)
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as named arrays, for a file."""
        since = {f"since:{name}": np.array(days, np.int32) for name, days in self._since.items()}
        return since | {f"value:{name}": np.stack(values) for name, values in self._values.items()}


def save(outcome: Outcome, path: Path) -> None:
    """Write one outcome, whole or not at all."""
    arrays: dict[str, Any] = {f"tally.{name}": array for name, array in outcome.tally._asdict().items()}
    arrays |= {f"closing.{name}": array for name, array in outcome.closing.items()}
    arrays |= {f"learned.{name}": array for name, array in outcome.learned.items()}
    arrays["days"] = np.int64(outcome.days)
    arrays["state_hash"] = np.array(outcome.state_hash)
    # Under a name of its own first: two runs may write the same arm, and either may be stopped halfway.
    handle, passing = tempfile.mkstemp(suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(passing, path)
    except BaseException:
        Path(passing).unlink(missing_ok=True)
        raise


def load(path: Path) -> Outcome:
    """Read an outcome that ``save`` wrote."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts: dict[str, dict[str, Any]] = {"tally": {}, "closing": {}, "learned": {}}
            for name in stored.files:
                part, dot, rest = name.partition(".")
                if dot:
                    parts[part][rest] = stored[name]
            return Outcome(
                Tally(**parts["tally"]),
                int(stored["days"]),
                str(stored["state_hash"]),
                parts["closing"],
                parts["learned"],
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RegularsError(f"{path} is damaged and no finished arm ({error})") from error


def collect(
    scenario: Scenario, place: Town, done: list[tuple[Task, Outcome]], about: Mapping[str, Any]
) -> Results:
    """The tables of a report from finished arms."""
    totals: list[pl.DataFrame] = []
    weekly: list[pl.DataFrame] = []
    people: list[pl.DataFrame] = []
    moves: list[pl.DataFrame] = []
    for task, outcome in done:
        for r, retailer in enumerate(scenario.retailers):
            # A sweep may be lived by a sample; what it counts is scaled to the whole town.
            scale = len(place.habits.consumer) / len(outcome.tally.trips)
            values = {
                name: value if name in SHARES else value * scale
                for name, value in _totals(retailer, outcome, r).items()
            }
            head = {"world": task.world, "arm": task.arm.name, "retailer": retailer.name}
            totals.append(
                pl.DataFrame({"metric": list(values), "value": list(values.values())}).with_columns(
                    *(pl.lit(value).alias(name) for name, value in head.items()),
                    pl.lit(arm_policy(task, r)).alias("policy"),
                    pl.lit(task.arm.group).alias("group"),
                    pl.lit(task.arm.setting).alias("setting"),
                    pl.lit(task.arm.level, pl.Float64).alias("level"),
                )
            )
            if task.arm.group == "arms":
                weekly.append(_weekly(retailer, outcome, r).with_columns(_literals(head)))
                people.append(_people(place, retailer, outcome, r).with_columns(_literals(head)))
        if scenario.mode == "market":
            moves.append(_moves(scenario, place, task, outcome))
    return Results(
        totals=pl.concat(totals).select(
            pl.col("world").cast(pl.Int32),
            "arm",
            "retailer",
            "policy",
            "group",
            "setting",
            "level",
            "metric",
            "value",
        ),
        weekly=pl.concat(weekly).with_columns(pl.col("world").cast(pl.Int32)),
        consumers=pl.concat(people).with_columns(pl.col("world").cast(pl.Int32)),
        moves=pl.concat(moves) if moves else _no_moves(),
        diaries={},
        about=dict(about),
    )


def arm_policy(task: Task, retailer: int) -> str:
    """Name of the policy that a retailer follows in a task."""
    return task.arm.called or label(task.arm.policies[retailer])


def _literals(head: Mapping[str, Any]) -> list[pl.Expr]:
    return [pl.lit(value).alias(name) for name, value in head.items()]


def _totals(retailer: RetailerSettings, outcome: Outcome, r: int) -> dict[str, float]:
    counts = outcome.tally.weekly[:, r].sum(axis=0)
    values: dict[str, float] = {name: float(value) for name, value in _money(retailer, counts).items()}
    values |= {name: float(counts[column]) for name, column in FLOWS.items()}
    level = outcome.tally.levels[-1, r]
    consumers = len(outcome.tally.trips)
    values |= {
        "reachable": float(level[REACHABLE]),
        "shut_out": float(level[SHUT_OUT]),
        "trust": float(level[TRUST]) / consumers,
        "consumers": float(consumers),
    }
    return values | {name: float(column[r]) for name, column in outcome.closing.items()}


def _money(retailer: RetailerSettings, counts: NDArray[np.int64]) -> dict[str, Any]:
    revenue = counts[..., Count.REVENUE_CENTS] / 100
    margin = counts[..., Count.MARGIN_CENTS] / 100
    coupon_cost = counts[..., Count.COUPON_CENTS] / 100
    mailed = counts[..., Count.MAILED]
    contact_cost = (
        counts[..., Count.CONTACTS] - mailed
    ) * retailer.contact_cost + mailed * retailer.mail_cost
    return {
        "profit": margin - coupon_cost - contact_cost,
        "revenue": revenue,
        "margin": margin,
        "coupon_cost": coupon_cost,
        "contact_cost": contact_cost,
    }


def _weekly(retailer: RetailerSettings, outcome: Outcome, r: int) -> pl.DataFrame:
    counts = outcome.tally.weekly[:, r]
    consumers = len(outcome.tally.trips)
    columns: dict[str, Any] = dict(_money(retailer, counts))
    columns |= {name: counts[:, column].astype(float) for name, column in FLOWS.items()}
    columns |= {
        "reachable": outcome.tally.levels[:, r, REACHABLE],
        "shut_out": outcome.tally.levels[:, r, SHUT_OUT],
        "trust": outcome.tally.levels[:, r, TRUST] / consumers,
    }
    weeks = pl.Series("week", np.arange(len(counts), dtype=np.int32))
    return pl.DataFrame([weeks, *(pl.Series(name, column) for name, column in columns.items())]).unpivot(
        index="week", variable_name="metric", value_name="value"
    )


def _people(place: Town, retailer: RetailerSettings, outcome: Outcome, r: int) -> pl.DataFrame:
    tally = outcome.tally
    verdicts = tally.verdicts[:, r]
    reasons = np.array(["compelling", "creepy", "annoying", "ignored"])
    shut = tally.shut_day[:, r] >= 0
    reason = np.where(shut, reasons[np.minimum(tally.shut_reason[:, r], 3)], "")
    return pl.DataFrame(
        {
            "consumer": place.habits.consumer,
            "household_id": pl.Series(place.household_id).cast(pl.String),
            "profit_cents": tally.margin_cents[:, r] - _contact_cents(retailer, tally, r),
            "revenue_cents": tally.revenue_cents[:, r],
            "contacts": verdicts.sum(axis=1),
            **{verdict.name.lower(): verdicts[:, verdict] for verdict in Verdict},
            "redemptions": tally.redemptions[:, r],
            "trips": tally.trips[:, r],
            "shut_out_day": tally.shut_day[:, r],
            "shut_out_reason": pl.Series(reason).replace("", None),
        }
    )


def _contact_cents(retailer: RetailerSettings, tally: Tally, r: int) -> NDArray[np.int64]:
    """What contacting each consumer cost, in whole cents; paper is counted per consumer, too."""
    contacts, mailed = tally.verdicts[:, r].sum(axis=1), tally.mailed[:, r]
    cost = (contacts - mailed) * retailer.contact_cost + mailed * retailer.mail_cost
    cents: NDArray[np.int64] = np.rint(100 * cost).astype(np.int64)
    return cents


_MOVES = {
    "world": pl.Int32,
    "arm": pl.String,
    "consumer": pl.UInt32,
    "household_id": pl.String,
    "day": pl.Int32,
    "lost_by": pl.String,
    "won_by": pl.String,
    "reason": pl.String,
}


def _no_moves() -> pl.DataFrame:
    return pl.DataFrame(schema=_MOVES)


def _moves(scenario: Scenario, place: Town, task: Task, outcome: Outcome) -> pl.DataFrame:
    """Who shut out whom, when, why, and which retailer's share of her trips rose most afterwards."""
    tally = outcome.tally
    names = [retailer.name for retailer in scenario.retailers]
    rows: dict[str, list[Any]] = {name: [] for name in _MOVES}
    for i, r in zip(*np.nonzero(tally.shut_day >= 0), strict=True):
        period = tally.shut_day[i, r] // PERIOD_DAYS
        before = tally.period_trips[i, :, max(period - 3, 0) : period + 1].sum(axis=1).astype(float)
        after = tally.period_trips[i, :, period + 1 : period + 5].sum(axis=1).astype(float)
        if outcome.days < (period + 2) * PERIOD_DAYS:
            won = "too early to tell"
        elif before.sum() and after.sum():
            rise = after / after.sum() - before / before.sum()
            rise[r] = -1.0
            won = names[int(rise.argmax())] if rise.max() > 0 else "nobody"
        else:
            won = "elsewhere" if not after.sum() else "nobody"
        for name, value in zip(
            _MOVES,
            (
                task.world,
                task.arm.name,
                place.habits.consumer[i],
                str(place.household_id[i]),
                tally.shut_day[i, r],
                names[r],
                won,
                Verdict(int(tally.shut_reason[i, r])).name.lower(),
            ),
            strict=True,
        ):
            rows[name].append(value)
    return pl.DataFrame(rows, schema=_MOVES)


def state_hash(arrays: list[NDArray[Any]]) -> str:
    """Digest of state, array by array, with shapes and dtypes."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()
