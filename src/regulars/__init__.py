"""Rehearse how a retailer personalizes on simulated individuals, before a real customer meets it.

``simulate`` lives a scenario under every policy with the same luck, ``fit`` makes a population from real purchases, and
``diary`` tells one consumer's year in words. They live in ``regulars.api``, which is imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regulars.api import diary as diary
    from regulars.api import fit as fit
    from regulars.api import simulate as simulate

__version__ = "0.1.0"
__all__ = ["diary", "fit", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'regulars' has no attribute {name!r}; it has {', '.join(__all__)}")
    # By name, so that importing one part of the package does not count as importing every part.
    return getattr(importlib.import_module("regulars.api"), name)
