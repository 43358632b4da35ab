"""Which fields of events are kept as they were told and change nothing, for the answer to whoever delivered them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regulars.service import audit, intake, segment, wire
from regulars.service.clock import ZONE_MEND, is_zone
from regulars.service.events import Did, Event, Line
from regulars.service.shop import Shop

NAME_MEND = "Send a product_id or sku of the catalog, or one of its categories"
#: Of a name that nothing is known under so much is said back.
_SAID = 40


def fields(shop: Shop, events: Sequence[Event], *, alone: bool) -> Iterator[wire.Ignored]:
    """The fields in the order in which they came, by the catalog as it is known here by now.

    Parameters
    ----------
    alone : the delivery is one event and no batch
    """
    # Another thread may look back to an older shelf meanwhile.
    names = _Names(shop)
    for k, event in enumerate(events):
        place = "" if alone else f"batch[{k}]."
        if event.did == Did.TOLD:
            zone = event.traits.get("timezone")
            if zone is not None and not (isinstance(zone, str) and is_zone(zone)):
                yield wire.Ignored(f"{place}timezone", f"{ZONE_MEND}.")
        elif event.did == Did.ALLOWED:
            for word in event.grants:
                if not intake.grants_of(word):
                    named = f"{place}context.consent.categoryPreferences.{word[:_SAID]}"
                    yield wire.Ignored(named, f"{intake.MAY_BE_ALLOWED}.")
        elif event.did == Did.PURCHASED:
            told = event.kept.get("currency")
            if shop.currency and told and str(told).upper() != shop.currency.upper():
                mend = f"Send amounts in {shop.currency}, in which they are counted whatever is named here."
                yield wire.Ignored(f"{place}properties.currency", mend)
            for n, line in enumerate(event.lines):
                if not names.has(line):
                    yield _unknown(f"{place}properties.products[{n}]", line)
        elif (event.did == Did.REACTED and not audit.is_id(event.decision)) or (
            event.did == Did.OTHER and segment.is_reaction(event.name)
        ):
            yield wire.Ignored(
                f"{place}properties.decision_id", "Send the id of the decision that it is about."
            )
        elif event.did in (Did.WISHED, Did.UNLIKED):
            for line in event.lines:
                if not names.has(line):
                    yield _unknown(f"{place}properties", line)


def strange(shop: Shop, events: Sequence[Event]) -> bool:
    """Whether a line names nothing that is known here by now."""
    names = _Names(shop)
    about = (Did.PURCHASED, Did.WISHED, Did.UNLIKED)
    return any(not names.has(line) for event in events if event.did in about for line in event.lines)


class _Names:
    """The words of a catalog at one moment."""

    def __init__(self, shop: Shop) -> None:
        self._products, self._categories = shop.product_of, shop.category_of

    def has(self, line: Line) -> bool:
        """Whether a line counts for a product or a category."""
        return (
            line.sku in self._products
            or (line.also != "" and line.also in self._products)
            or line.category.lower() in self._categories
        )


def _unknown(place: str, line: Line) -> wire.Ignored:
    if not line.sku and line.category:
        place += ".category"
    words = ", ".join(word[:_SAID] for word in (*line.names(), line.category) if word)
    said = f"Not known when it came: {words}." if words else "It names nothing."
    return wire.Ignored(place, f"{said} {NAME_MEND}.")
