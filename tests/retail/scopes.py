"""Which columns of a record each scope opens. LOCATION, HOUSEHOLD and SERVICE are not recorded."""

from __future__ import annotations

from regulars.terms import Scope

SCOPE_FIELDS: dict[Scope, tuple[str, ...]] = {
    Scope.CONTACT: (
        "optin",
        "ring",
        "ring_day",
        "channel_day",
        "channel_count",
        "recent_category",
        "recent_day",
        "recent_next",
        "last_contact",
        "last_ask",
        "sent",
        "opened",
        "clicked",
        "unliked",
    ),
    Scope.PURCHASES: (
        "bought",
        "kept",
        "lately",
        "last_nth",
        "first_day",
        "last_day",
        "visits",
        "last_visit",
        "pace",
        "small",
        "spend_cents",
    ),
    Scope.BROWSING: ("elsewhere_category", "elsewhere_day"),
    Scope.STATED: ("wish_category", "wish_until"),
    Scope.SERVICE: (),
    Scope.LOCATION: (),
    Scope.HOUSEHOLD: (),
    Scope.DEMOGRAPHICS: ("age", "income", "kids", "household_size"),
    Scope.INFERRED: ("inferred",),
}
ORDERS = ("unlike_category", "unlike_until")
