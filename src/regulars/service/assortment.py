"""What a retailer sells and may offer, as the live engine keeps it: as it was set up, and what it tells since."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError
from regulars.retail import catalog as catalogs
from regulars.retail.catalog import Catalog, CatalogSettings, Prices, Standing
from regulars.terms import Offers


@dataclass(frozen=True)
class Assortment:
    """A catalog and how the world outside names its parts.

    Attributes
    ----------
    catalog : offers and what stands when
    sku : (P,) the shop's own product ids, as text
    title : (P,) of each product
    category_of : (P,) uint16
    popularity : (P,) how many bought it; of an assortment that was stored before it was known, empty
    usual_cents : (P,) what one unit usually cost; empty likewise
    """

    catalog: Catalog
    sku: tuple[str, ...]
    title: tuple[str, ...]
    category_of: NDArray[np.uint16]
    popularity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    usual_cents: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if not len(self.sku) == len(self.title) == len(self.category_of):
            raise RegularsError(
                f"{len(self.sku)} skus, {len(self.title)} titles, {len(self.category_of)} categories. Give one each"
            )


def dump(assortment: Assortment) -> bytes:
    """As bytes: arrays and JSON, no pickle."""
    catalog = assortment.catalog
    arrays: dict[str, Any] = {f"offers.{k}": v for k, v in catalog.offers._asdict().items()}
    arrays |= {f"standing.{k}": v for k, v in catalog.standing._asdict().items()}
    arrays |= {
        name: getattr(catalog, name)
        for name in ("price_cents", "margin_share", "campaign_offer", "deals", "category_of")
    }
    arrays["of_product"] = assortment.category_of
    arrays |= {"popularity": assortment.popularity, "usual_cents": assortment.usual_cents}
    words = {
        "names": catalog.names,
        "sku": assortment.sku,
        "title": assortment.title,
        "first_day": catalog.first_day,
        "first_weekday": catalog.first_weekday,
        "settings": dataclasses.asdict(catalog.settings),
    }
    arrays["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def load(body: bytes) -> Assortment:
    """What :func:`dump` wrote."""
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        words = json.loads(stored["words"].tobytes())
        parts = {
            kind: {name.split(".")[1]: stored[name] for name in stored.files if name.startswith(f"{kind}.")}
            for kind in ("offers", "standing")
        }
        catalog = Catalog(
            offers=Offers(**parts["offers"]),
            names=tuple(words["names"]),
            first_day=words["first_day"],
            standing=Standing(**parts["standing"]),
            price_cents=stored["price_cents"],
            margin_share=stored["margin_share"],
            campaign_offer=stored["campaign_offer"],
            settings=CatalogSettings(**words["settings"]),
            deals=stored["deals"],
            category_of=stored["category_of"],
            first_weekday=words["first_weekday"],
        )
        more = [stored[name] for name in ("popularity", "usual_cents") if name in stored.files]
        return Assortment(catalog, tuple(words["sku"]), tuple(words["title"]), stored["of_product"], *more)


@dataclass(frozen=True)
class Told:
    """What a retailer told of its shelf since it was set up.

    Attributes
    ----------
    sku, title, category : of products that are new
    prices : with offers, of days that are not over
    since : (C,) first day from which a category's offers are told
    days : the catalog covers so many days
    """

    sku: tuple[str, ...]
    title: tuple[str, ...]
    category: NDArray[np.uint16]
    prices: Prices
    since: NDArray[np.int32]
    days: int


def nothing_told(assortment: Assortment) -> Told:
    """Of a retailer that told nothing yet."""
    none = np.zeros(0, np.int32)
    since = np.full(assortment.catalog.categories, catalogs.FAR, np.int32)
    days = assortment.catalog.first_day + assortment.catalog.days
    return Told((), (), np.zeros(0, np.uint16), Prices(none, none, none, none, none), since, days)


def told_of(assortment: Assortment, told: Told) -> Assortment:
    """The assortment that a retailer was set up with, and what it told since: what is decided on."""
    more, catalog = len(told.sku), assortment.catalog
    category_of = np.append(assortment.category_of, told.category).astype(np.uint16)
    known = len(assortment.popularity) > 0
    popularity = assortment.popularity if known else np.ones(len(assortment.sku), np.float32)
    usual = assortment.usual_cents if known else catalog.price_cents[assortment.category_of]
    popularity = np.append(popularity, np.zeros(more, np.float32))
    usual = np.append(usual, catalog.price_cents[told.category]).astype(np.float32)
    wide = catalogs.widened(catalog, (), category_of)
    days = max(told.days - catalog.first_day, catalog.days)
    found = catalogs.told(wide, told.prices, category_of, popularity, usual, told.since, days)
    return Assortment(
        found, assortment.sku + told.sku, assortment.title + told.title, category_of, popularity, usual
    )


def dump_told(told: Told) -> bytes:
    """As bytes."""
    words = json.dumps({"sku": told.sku, "title": told.title, "days": told.days})
    arrays: dict[str, Any] = {f"prices.{k}": v for k, v in told.prices._asdict().items()}
    arrays |= {"category": told.category, "since": told.since}
    arrays["words"] = np.frombuffer(words.encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def load_told(body: bytes) -> Told:
    """What :func:`dump_told` wrote."""
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        words = json.loads(stored["words"].tobytes())
        prices = Prices(*(stored[f"prices.{name}"] for name in Prices._fields))
        return Told(
            tuple(words["sku"]),
            tuple(words["title"]),
            stored["category"],
            prices,
            stored["since"],
            words["days"],
        )
