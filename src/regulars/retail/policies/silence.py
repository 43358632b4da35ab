"""Nobody is contacted: what every other policy is compared with."""

from __future__ import annotations

from regulars.retail.catalog import Today
from regulars.retail.consent import View
from regulars.retail.decision import Decisions, Draws, silence
from regulars.retail.policies import Policy


class Silence(Policy):
    """Says nothing, and opens nothing."""

    name = "silence"

    def slots(self, day: int) -> int:
        """None, ever."""
        return 0

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """Nothing."""
        return silence()
