"""A made-up run for the tests: seven policies in several worlds, believable and the same every time."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import polars as pl

from regulars.report.results import Results

WEEKS = 53
START = datetime.date(2017, 1, 1)
WORDS = ("compelling", "creepy", "annoying", "ignored")

#: Policy: contacts a week each, verdict shares, lift of profit, shares lost by reason, when they are lost.
PLAYERS: dict[str, dict[str, Any]] = {
    "silence": {"per_week": 0.0, "verdicts": (0, 0, 0, 1), "lift": 0.0, "lost": {}, "when": 1.0},
    "blast": {
        "per_week": 5.0,
        "verdicts": (0.07, 0.01, 0.44, 0.48),
        "lift": 0.009,
        "lost": {"annoying": 0.27, "too many": 0.08, "creepy": 0.01},
        "when": 0.7,
    },
    "demographics": {
        "per_week": 2.0,
        "verdicts": (0.11, 0.06, 0.24, 0.59),
        "lift": 0.014,
        "lost": {"annoying": 0.06, "creepy": 0.05, "too many": 0.01},
        "when": 1.2,
    },
    "purchases": {
        "per_week": 3.6,
        "verdicts": (0.27, 0.03, 0.27, 0.43),
        "lift": 0.031,
        "lost": {"annoying": 0.11, "too many": 0.05, "creepy": 0.02},
        "when": 1.0,
    },
    "harvest": {
        "per_week": 3.1,
        "verdicts": (0.30, 0.19, 0.16, 0.35),
        "lift": 0.040,
        "lost": {"creepy": 0.16, "annoying": 0.04, "too many": 0.01},
        "when": 1.8,
    },
    "considerate": {
        "per_week": 1.3,
        "verdicts": (0.46, 0.01, 0.07, 0.46),
        "lift": 0.037,
        "lost": {"annoying": 0.012, "creepy": 0.003},
        "when": 1.0,
    },
    "history": {
        "per_week": 0.16,
        "verdicts": (0.17, 0.01, 0.15, 0.67),
        "lift": 0.012,
        "lost": {"annoying": 0.012, "too many": 0.004},
        "when": 1.0,
    },
}
PRIORS = {"creep_pull": (0.1, 0.6), "covert_notice": (0.05, 0.5), "disclosure_salience": (0.2, 0.8)}
LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0)


def results(
    worlds: int = 6, consumers: int = 300, leader: str = "harvest", sweeps: bool = True, market: bool = False
) -> Results:
    """A run; ``leader`` "considerate" or "harvest" earns most, ``market`` makes three retailers compete."""
    luck = np.random.default_rng(11)
    players = {name: dict(player) for name, player in PLAYERS.items()}
    if leader == "considerate":
        players["considerate"]["lift"] = 0.09
    totals: list[tuple[Any, ...]] = []
    weekly: list[tuple[Any, ...]] = []
    people: list[pl.DataFrame] = []
    seats = [("market", "north", "considerate"), ("market", "south", "blast"), ("market", "west", "harvest")]
    chain = [(name, "chain", name) for name in players]
    for world in range(worlds):
        worth = 1_150_000.0 * consumers / 2469 * (1 + 0.03 * luck.standard_normal())
        taste = {name: float(luck.normal(0, 0.0035)) for name in players}
        burn = {name: float(np.exp(luck.normal(0, 0.18))) for name in players}
        for arm, retailer, policy in seats if market else chain:
            player = players[policy]
            frame = _people(luck, world, arm, retailer, player, consumers, burn[policy])
            people.append(frame)
            lift = player["lift"] + taste[policy] * (policy != "silence")
            values = _values(player, frame, worth * (1 + lift) * (0.4 if market else 1.0), consumers)
            key = (world, arm, retailer, policy, "arms", "", None)
            totals += [(*key, metric, value) for metric, value in values.items()]
            weekly += _weeks(luck, world, arm, retailer, player, frame, values, consumers)
        if sweeps and not market:
            totals += _frequency(world, players, worth, taste, consumers)
            # As in life, the sweeps are lived in fewer worlds than the arms.
            totals += _priors(world, players, worth, taste, consumers) if world < 3 else []
    schema = ["world", "arm", "retailer", "policy", "group", "setting", "level", "metric", "value"]
    return Results(
        totals=pl.DataFrame(totals, schema=schema, orient="row", infer_schema_length=None),
        weekly=pl.DataFrame(
            weekly, schema=["world", "arm", "retailer", "week", "metric", "value"], orient="row"
        ),
        consumers=pl.concat(people),
        moves=_moves(luck, worlds, consumers) if market else pl.DataFrame(),
        diaries={name: diary(name) for name in ("considerate", "harvest", "blast")} if not market else {},
        about=about(worlds, consumers),
    )


def about(worlds: int = 6, consumers: int = 300) -> dict[str, Any]:
    """Facts of a made-up run."""
    return {
        "scenario": "journey-2017",
        "seed": 1,
        "days": 365,
        "consumers": consumers,
        "worlds": worlds,
        "state_hash": "9f2c41d07be85a36c1e4a90d3f6b7728",
        "wall_s": 41.7,
        "ns_per_consumer_day": 1080.0,
        "source": "The Complete Journey, 84.51°, 2017",
        "currency": "USD",
        "start": START.isoformat(),
        "versions": {"regulars": "0.1.0", "python": "3.11.2", "numpy": "2.4.6"},
        "fitted": [
            "Trips: who shops on which day, household by household",
            "Needs: how fast each category runs out",
            "Choice: price, display, mailer and habit",
        ],
        "checked": [
            "Unsubscribes per mail between 0.08% and 0.3%",
            "Complaints per mail rise faster than the number of mails",
            "Clicks rise when she is given control of her data",
        ],
        "assumed": [
            ("creep_pull", "how far a creepy episode keeps her from the shop", "no source", 0.1, 0.6),
            (
                "covert_notice",
                "how often she notices that a fact was used which she never shared",
                "no source",
                0.05,
                0.5,
            ),
            (
                "disclosure_salience",
                "how far saying why reminds her of what is known",
                "Kim et al. 2019",
                0.2,
                0.8,
            ),
            ("theta", "how much creep she bears", "LN 0.8, 0.25", 0.49, 1.31),
        ],
        "rejects": {"negative price": 12, "unknown product": 3},
        "threads": 2,
        "policies": {
            "silence": "nobody is contacted",
            "blast": "the best-margin offers to everybody, five a week",
            "demographics": "offers by who she is",
            "purchases": "offers by what she bought, uncapped",
            "harvest": "everything that can be known or inferred, shared or not",
            "considerate": "only allowed data, her wishes first, only what it predicts compelling",
            "history": "what was really sent in 2017",
        },
    }


def _people(
    luck: np.random.Generator,
    world: int,
    arm: str,
    retailer: str,
    player: dict[str, Any],
    consumers: int,
    burn: float,
) -> pl.DataFrame:
    reasons = list(player["lost"])
    chances = np.array([player["lost"][reason] * burn for reason in reasons])
    chances = chances * min(1.0, 0.95 / max(chances.sum(), 0.01))
    picked = luck.choice(len(reasons) + 1, size=consumers, p=[*chances, 1 - chances.sum()])
    day = (365 * luck.beta(player["when"], 1.6, consumers)).astype(np.int32)
    lost = picked < len(reasons)
    sent = luck.poisson(player["per_week"] * 52 * np.where(lost, np.maximum(day, 7) / 365, 1.0))
    judged = np.array([luck.multinomial(n, player["verdicts"]) for n in sent], np.int32).reshape(consumers, 4)
    spent = luck.gamma(1.2, 40_000, consumers).astype(np.int64)
    return pl.DataFrame(
        {
            "world": np.full(consumers, world, np.int32),
            "arm": [arm] * consumers,
            "retailer": [retailer] * consumers,
            "consumer": np.arange(consumers, dtype=np.uint32),
            "household_id": np.arange(1, consumers + 1),
            "profit_cents": spent // 4,
            "revenue_cents": spent,
            "contacts": sent.astype(np.int32),
            **{word: judged[:, i] for i, word in enumerate(WORDS)},
            "redemptions": luck.poisson(0.05 * judged[:, 0]).astype(np.int32),
            "trips": luck.poisson(90, consumers).astype(np.int32),
            "shut_out_day": np.where(lost, day, -1).astype(np.int32),
            "shut_out_reason": pl.Series(
                [reasons[i] if i < len(reasons) else None for i in picked], dtype=pl.String
            ),
        }
    )


def _values(player: dict[str, Any], frame: pl.DataFrame, profit: float, consumers: int) -> dict[str, float]:
    counts = {word: float(frame[word].sum()) for word in WORDS}
    contacts = float(frame["contacts"].sum())
    lost = float(frame.filter(pl.col("shut_out_day") >= 0).height)
    reachable = consumers - lost
    return {
        "profit": profit,
        "revenue": profit * 4.1,
        "margin": profit * 1.02,
        "coupon_cost": counts["compelling"] * 0.11,
        "contact_cost": contacts * 0.01,
        "contacts": contacts,
        "opens": contacts * 0.23,
        "clicks": counts["compelling"] * 0.31,
        "redemptions": float(frame["redemptions"].sum()),
        "unlikes": counts["annoying"] * 0.02,
        "complaints": counts["annoying"] * 0.003,
        "unsubscribes": lost * 1.4,
        "blocks": lost * 0.3,
        **counts,
        "trips": float(frame["trips"].sum()),
        "lines": float(frame["trips"].sum()) * 9,
        "reachable": reachable,
        "shut_out": lost,
        "base_value": 210.0 * reachable * (1 - 0.2 * player["verdicts"][1] - 0.12 * player["verdicts"][2]),
        "trust": 0.55 + 0.3 * player["verdicts"][0] - 0.6 * player["verdicts"][1],
        "regulars": 0.28 + 0.15 * player["verdicts"][0] - 0.2 * player["verdicts"][1],
        "consumers": float(consumers),
    }


def _weeks(
    luck: np.random.Generator,
    world: int,
    arm: str,
    retailer: str,
    player: dict[str, Any],
    frame: pl.DataFrame,
    values: dict[str, float],
    consumers: int,
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    days = frame.filter(pl.col("shut_out_day") >= 0)["shut_out_day"].to_numpy()
    compelling, creepy, annoying, _ = player["verdicts"]
    for week in range(WEEKS):
        days_in_week = 1 if week == WEEKS - 1 else 7
        lost = float((days < week * 7 + days_in_week).sum())
        campaign = arm != "history" or week % 9 in (2, 3)
        sent = float(luck.poisson(player["per_week"] * (consumers - lost) * days_in_week / 7)) * campaign
        tired = 0.35 * week / WEEKS
        good, bad = compelling * (1 - tired * (creepy + annoying) * 3), annoying * (1 + tired)
        odd = creepy * (0.7 + 0.6 * week / WEEKS)
        split = {"compelling": good, "creepy": odd, "annoying": bad, "ignored": 1 - good - odd - bad}
        flows = {word: sent * max(share, 0.0) for word, share in split.items()}
        season = 1 + 0.12 * np.sin(2 * np.pi * (week - 40) / 52)
        levels = {"reachable": consumers - lost, "shut_out": lost, "trust": values["trust"]}
        money = {"profit": values["profit"] * season * days_in_week / 365, "contacts": sent}
        rows += [
            (world, arm, retailer, week, name, float(v)) for name, v in {**flows, **levels, **money}.items()
        ]
    return rows


def _frequency(
    world: int, players: dict[str, Any], worth: float, taste: dict[str, float], consumers: int
) -> list[tuple[Any, ...]]:
    rows = []
    for policy, best, height in (
        ("blast", 4.0, 0.011),
        ("considerate", 3.0, players["considerate"]["lift"] * 1.1),
    ):
        best *= 1 + 0.15 * ((world % 3) - 1)
        for level in LEVELS:
            gain = height * (1 - 0.45 * math.log(level / best) ** 2) + 0.5 * taste[policy]
            keep = consumers * max(0.3, 1 - 0.028 * level * (1 if policy == "blast" else 0.45))
            key = (world, f"{policy}@{level:g}", "chain", policy, "frequency", "per_week", level)
            metrics = {"profit": worth * (1 + gain), "base_value": 200.0 * keep, "reachable": keep}
            metrics |= {"contacts": level * 52 * keep, "consumers": float(consumers)}
            rows += [(*key, metric, value) for metric, value in metrics.items()]
    return rows


def _priors(
    world: int, players: dict[str, Any], worth: float, taste: dict[str, float], consumers: int
) -> list[tuple[Any, ...]]:
    rows = []
    push = {"creep_pull": 0.013, "covert_notice": 0.008, "disclosure_salience": 0.002}
    for prior, levels in PRIORS.items():
        for name, level in zip(("low", "high"), levels, strict=True):
            sign = -1 if name == "low" else 1
            for policy, share in (("purchases", 0.3), ("considerate", 0.05), ("harvest", 1.0)):
                hurt = push[prior] * sign * share
                key = (world, f"{policy}|{prior}={level:.3g}", "chain", policy, "prior", prior, level)
                kept = consumers * (
                    {"considerate": 0.985, "harvest": 0.79, "purchases": 0.83}[policy] - 6 * hurt
                )
                metrics = {"profit": worth * (1 + players[policy]["lift"] - hurt + taste[policy])}
                metrics |= {"base_value": 205.0 * kept, "reachable": kept, "consumers": float(consumers)}
                rows += [(*key, metric, value) for metric, value in metrics.items()]
    return rows


def _moves(luck: np.random.Generator, worlds: int, consumers: int) -> pl.DataFrame:
    n = max(consumers // 5, 12)
    retailers = np.array(["north", "south", "west"])
    who = luck.integers(0, consumers, n * worlds)
    lost = luck.choice(3, size=n * worlds, p=[0.1, 0.55, 0.35])
    won = (lost + luck.choice([1, 2], size=n * worlds, p=[0.35, 0.65])) % 3
    return pl.DataFrame(
        {
            "world": np.repeat(np.arange(worlds, dtype=np.int32), n),
            "arm": ["market"] * (n * worlds),
            "consumer": who.astype(np.uint32),
            "household_id": (1000 + who).astype(str),
            "day": np.sort(luck.integers(14, 365, n * worlds)).astype(np.int32),
            "lost_by": retailers[lost],
            "won_by": [None if i % 17 == 0 else str(name) for i, name in enumerate(retailers[won])],
            "reason": luck.choice(["annoying", "creepy", "out of stock"], n * worlds, p=[0.5, 0.3, 0.2]),
        }
    )


def diary(arm: str) -> pl.DataFrame:
    """One consumer's year under one policy."""
    luck = np.random.default_rng(5)
    gap = {"considerate": 6, "harvest": 3, "blast": 2}[arm]
    lines = {
        "considerate": (
            "Coffee is $1.50 off until Sunday. You get this because you told us you buy it often.",
        ),
        "harvest": (
            "Newborn already? Diapers 25% off, just for you.",
            "Your pharmacy visit on Tuesday: vitamins 20% off.",
        ),
        "blast": ("This week's big deals: frozen pizza, 2 for 1.", "Don't miss out! Soft drinks 10% off."),
    }[arm]
    odds = PLAYERS[arm]["verdicts"]
    out_on = {"harvest": 214, "blast": 121}.get(arm, 999)
    rows: list[tuple[int, str, str]] = []
    for day in range(365):
        if day % 8 == 3:
            rows.append((day, "need", "Out of milk, nearly out of coffee."))
            rows.append((day, "trip", "Shops at store 367 after work."))
            rows += [
                (day, "bought", text) for text in ("milk 1 gal $2.49", "bread $1.99", "coffee 12 oz $6.49")
            ]
        if day % gap == 0 and day < out_on and luck.random() < 0.8:
            rows.append((day, "message", lines[int(luck.integers(len(lines)))]))
            verdict = WORDS[int(luck.choice(4, p=odds))]
            why = {
                "compelling": "compelling: she was about to buy it, and it says why she gets it",
                "creepy": "creepy: she never told them that",
                "annoying": "annoying: the third mail this week about the same thing",
                "ignored": "ignored: not noticed among 14 other mails",
            }
            rows.append((day, "verdict", why[verdict]))
            if verdict == "compelling" and luck.random() < 0.5:
                rows.append((day, "reaction", "Clicks, and keeps the coupon."))
        if day == 40 and arm == "considerate":
            rows.append(
                (day, "disclosed", "Shares her purchases: fewer mails and a reminder before she runs out.")
            )
        if day == 60 and arm != "blast":
            rows.append((day, "learned", "The shop now knows that she buys coffee every 21 days."))
        if day == out_on:
            rows.append((day, "reaction", "Unsubscribes from everything."))
    dates = [(START + datetime.timedelta(days=day)).isoformat() for day, _, _ in rows]
    return pl.DataFrame(
        {
            "day": np.array([day for day, _, _ in rows], np.int32),
            "date": dates,
            "kind": [kind for _, kind, _ in rows],
            "text": [text for _, _, text in rows],
        }
    )


def bare(
    arms: dict[str, dict[str, list[float]]],
    group: str = "arms",
    settings: dict[str, tuple[str, float]] | None = None,
    days: int = 365,
    more: Results | None = None,
) -> Results:
    """A run of nothing but totals; an arm's policy is its name up to "@" or "|"."""
    rows = []
    for arm, metrics in arms.items():
        policy = arm.replace("|", "@").split("@")[0]
        setting, level = (settings or {}).get(arm, ("", None))
        for metric, values in metrics.items():
            for world, value in enumerate(values):
                rows.append((world, arm, "chain", policy, group, setting, level, metric, float(value)))
    schema = ["world", "arm", "retailer", "policy", "group", "setting", "level", "metric", "value"]
    totals = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
    totals = totals.with_columns(pl.col("level").cast(pl.Float64), pl.col("world").cast(pl.Int32))
    if more is not None:
        totals = pl.concat([more.totals, totals])
    return Results(totals=totals, about=about() | {"days": days})
