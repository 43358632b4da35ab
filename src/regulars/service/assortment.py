"""What a retailer sells and may offer, as the live engine keeps it: the catalog, its products' names and numbers."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError
from regulars.retail.catalog import Catalog, CatalogSettings, Standing
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
    """

    catalog: Catalog
    sku: tuple[str, ...]
    title: tuple[str, ...]
    category_of: NDArray[np.uint16]

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
        return Assortment(catalog, tuple(words["sku"]), tuple(words["title"]), stored["of_product"])
