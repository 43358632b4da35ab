"""One colour for each policy and verdict, everywhere, which colour-blind eyes tell apart too."""

from __future__ import annotations

from collections.abc import Iterable

POLICIES = {
    "silence": "#787d88",
    "blast": "#bb421e",
    "demographics": "#b98500",
    "purchases": "#0e8e5d",
    "harvest": "#5d1d5c",
    "considerate": "#0948db",
    "history": "#1d1f23",
}
#: For policies of the user's own, in the order of their names.
FURTHER = ("#00788a", "#b0317a", "#6b5b2e", "#4a6fa5")

VERDICTS = {"compelling": "#117a65", "creepy": "#5e2b97", "annoying": "#c97a00", "ignored": "#cfd4da"}
#: Reasons for leaving beyond the verdicts, in the order of their names.
REASONS = ("#6b3f1d", "#3c6e8f", "#9a9a9a", "#2f2f2f")

INK = "#22252b"
FAINT = "#5c6370"
LINE = "#d9dde3"


def policies(names: Iterable[str]) -> dict[str, str]:
    """Policy to colour."""
    return _coloured(names, POLICIES, FURTHER)


def reasons(names: Iterable[str]) -> dict[str, str]:
    """Reason for leaving to colour; creepy and annoying keep the colour of their verdict."""
    return _coloured(names, VERDICTS, REASONS)


def _coloured(names: Iterable[str], known: dict[str, str], further: tuple[str, ...]) -> dict[str, str]:
    unique = dict.fromkeys(names)
    others = sorted(name for name in unique if name not in known)
    spare = {name: further[i % len(further)] for i, name in enumerate(others)}
    return {name: known.get(name) or spare[name] for name in unique}
