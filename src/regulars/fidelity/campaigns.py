"""The campaigns of the past sent again: who redeems, when, and what reading them does (rows 11 to 13)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from regulars.fidelity.lived import Year
from regulars.sources.panel import Panel
from regulars.terms import F64

DECILES = 10


def rates(panel: Panel, year: Year) -> dict[str, float]:
    """Redeeming households a contact, tailored (type A) and generic (B, C), and the share of the top tenth.

    The top tenth is of all households that were ever contacted.
    """
    sent = panel.contacts.join(panel.campaigns.select("campaign", "type"), on="campaign").cast(
        {"campaign": pl.Int32, "household": pl.Int32}
    )
    used = year.redemptions.select("household", "campaign").unique().with_columns(used=pl.lit(1.0))
    joined = sent.join(used, on=["household", "campaign"], how="left").with_columns(
        pl.col("used").fill_null(0)
    )
    kind = pl.col("type") == "A"
    households = sent["household"].unique().to_numpy()
    count = np.bincount(year.redemptions["household"].to_numpy(), minlength=year.households)[households]
    return {
        "redeemed_tailored": _mean(joined.filter(kind)["used"]),
        "redeemed_generic": _mean(joined.filter(~kind)["used"]),
        "top_redeemers": top_share(count.astype(np.float64)),
    }


def top_share(count: F64) -> float:
    """Share of the total that the tenth with most of it has."""
    top = max(1, round(len(count) / 10))
    return float(np.sort(count)[::-1][:top].sum() / max(count.sum(), 1e-9)) if len(count) else float("nan")


def exposure(panel: Panel, sent: Year, silent: Year) -> dict[str, float]:
    """Relative lift of the share of spend on the products of a campaign among those who redeemed nothing of it.

    Generic campaigns only (types B and C). The same households on the same days, once with and once without
    the campaigns: what no data set has.
    """
    generic = panel.campaigns.filter(pl.col("type") != "A")
    covered = panel.coupon_products.join(panel.coupons.select("coupon", "campaign"), on="coupon")
    covered = covered.select("campaign", "product").unique().cast(pl.Int32)
    contacts = panel.contacts.cast(pl.Int32).join(
        generic.select("campaign", "first_day", "last_day").cast(pl.Int32), on="campaign"
    )
    contacts = contacts.join(
        sent.redemptions.select("household", "campaign").unique(), on=["household", "campaign"], how="anti"
    )
    share: list[float] = []
    for year in (sent, silent):
        lines = contacts.join(
            year.lines.select("household", "day", "product", "cents"), on="household"
        ).filter(pl.col("day").is_between(pl.col("first_day"), pl.col("last_day")))
        about = lines.join(covered, on=["campaign", "product"], how="semi")["cents"].sum()
        share.append(float(about) / max(float(lines["cents"].sum()), 1.0))
    return {"exposure_lift": share[0] / share[1] - 1.0 if share[1] else float("nan")}


def replay(panel: Panel, years: list[Year], fitted_until: int) -> dict[str, Any]:
    """Redemptions simulated (mean over worlds) and real, by campaign, household decile and day.

    Parameters
    ----------
    years : simulated, one a world
    fitted_until : campaigns that began on this day or later were not fitted on
    """
    truth = panel.redemptions.filter(pl.col("day") < years[0].days)
    dates = panel.campaigns.sort("campaign")
    count = int(dates["campaign"].cast(pl.Int64).to_numpy().max(initial=-1)) + 1
    found = np.bincount(truth["campaign"].to_numpy(), minlength=count)
    lived = np.array(
        [np.bincount(year.redemptions["campaign"].to_numpy(), minlength=count) for year in years]
    )
    contacts = np.bincount(panel.contacts["campaign"].to_numpy(), minlength=count)
    campaigns = []
    for number, name, kind, first, last in dates.select(
        "campaign", "campaign_id", "type", "first_day", "last_day"
    ).iter_rows():
        campaigns.append(
            {
                "campaign": str(name), "type": kind, "first_day": first, "last_day": last,
                "contacts": int(contacts[number]), "real": int(found[number]),
                "simulated": round(float(lived[:, number].mean()), 2), "low": int(lived[:, number].min()),
                "high": int(lived[:, number].max()), "held_out": bool(first >= fitted_until),
            }
        )  # fmt: skip
    held = [c for c in campaigns if c["held_out"]]
    told = {
        "fitted_until_day": fitted_until,
        "campaigns": campaigns,
        "all": _summary(campaigns, panel, years, 0),
        "held_out": _summary(held, panel, years, fitted_until),
        "by_decile": _by_decile(panel, years),
        "by_time": _by_time(panel, years),
    }
    return told


def _summary(campaigns: list[dict[str, Any]], panel: Panel, years: list[Year], since: int) -> dict[str, Any]:
    if not campaigns:
        return {}
    real = np.array([c["real"] for c in campaigns], np.float64)
    simulated = np.array([c["simulated"] for c in campaigns], np.float64)
    chosen = {
        int(number)
        for number, first in panel.campaigns.select("campaign", "first_day").iter_rows()
        if first >= since or since == 0
    }
    who = panel.contacts.filter(pl.col("campaign").is_in(list(chosen)))["household"].unique().to_numpy()
    shares = []
    for table in (panel.redemptions, *(year.redemptions for year in years)):
        own = table.filter(pl.col("campaign").is_in(list(chosen)))["household"].to_numpy()
        shares.append(top_share(np.bincount(own, minlength=panel.households.height)[who].astype(np.float64)))
    by_type = {}
    for kind in sorted({c["type"] for c in campaigns}):
        own_type = [c for c in campaigns if c["type"] == kind]
        by_type[kind] = {
            "real": sum(c["real"] for c in own_type),
            "simulated": round(sum(c["simulated"] for c in own_type), 1),
        }
    return {
        "real": float(real.sum()),
        "simulated": round(float(simulated.sum()), 1),
        "ratio": round(float(simulated.sum() / max(real.sum(), 1e-9)), 3),
        "rank_correlation": round(rank_correlation(real, simulated), 3),
        "top_share_real": round(shares[0], 3),
        "top_share": round(float(np.mean(shares[1:])), 3),
        "by_type": by_type,
    }


def rank_correlation(first: F64, second: F64) -> float:
    """Spearman's; NaN for fewer than three."""
    if len(first) < 3:
        return float("nan")
    ranks = [pl.Series(values).rank().to_numpy().astype(np.float64) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _by_decile(panel: Panel, years: list[Year]) -> list[dict[str, float]]:
    """Redemptions by decile of contacted households, the most redeeming first, real and simulated each by its own."""
    who = panel.contacts["household"].unique().to_numpy()
    tables = []
    for table in (panel.redemptions, *(year.redemptions for year in years)):
        count = np.sort(np.bincount(table["household"].to_numpy(), minlength=panel.households.height)[who])[
            ::-1
        ]
        tables.append([int(part.sum()) for part in np.array_split(count, DECILES)])
    return [
        {
            "decile": k + 1,
            "real": tables[0][k],
            "simulated": round(float(np.mean([t[k] for t in tables[1:]])), 1),
        }
        for k in range(DECILES)
    ]


def _by_time(panel: Panel, years: list[Year]) -> list[dict[str, float]]:
    """Redemptions by tenth of a campaign's days."""
    dates = panel.campaigns.select("campaign", "first_day", "last_day").cast(pl.Int32)
    tables = []
    for table in (
        panel.redemptions.select("campaign", "day").cast(pl.Int32),
        *(y.redemptions for y in years),
    ):
        joined = table.join(dates, on="campaign")
        at = (joined["day"] - joined["first_day"]) / (joined["last_day"] - joined["first_day"] + 1)
        tables.append(np.histogram(at.to_numpy(), bins=DECILES, range=(0, 1))[0])
    return [
        {
            "tenth": k + 1,
            "real": int(tables[0][k]),
            "simulated": round(float(np.mean([t[k] for t in tables[1:]])), 1),
        }
        for k in range(DECILES)
    ]


def _mean(column: pl.Series) -> float:
    value = column.mean()
    return float(value) if isinstance(value, int | float) else float("nan")
