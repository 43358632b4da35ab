"""A policy of your own: once a week, the category with the best saving, to who shopped in the last fortnight.

Run as a script it is rehearsed beside two of the policies that come with Regulars; on the command line it is
``regulars simulate --policy considerate --policy examples/my_policy.py:WeeklyBest``.
"""

from dataclasses import dataclass

import numpy as np

import regulars as rg
from regulars.retail.decision import Copy, Reason, propose
from regulars.retail.policies import Policy
from regulars.terms import Basis, Scope


@dataclass(frozen=True)
class WeeklyBestSettings:
    """Which day of the run's week it writes, and who counts as a recent shopper."""

    weekday: int = 4
    recent_days: int = 14


class WeeklyBest(Policy):
    """The week's best saving to recent shoppers."""

    name = "weekly-best"
    Settings = WeeklyBestSettings
    scopes = (Scope.PURCHASES,)
    copy = Copy(revealed=0.2, justification=0.5, obtrusiveness=0.2, control=0.5)

    def slots(self, day):
        """One message on its weekday, none on others: then no view is opened at all."""
        return 1 if day % 7 == self.settings.weekday else 0

    def decide(self, view, today, draws):
        """The same category for everybody who shopped lately; ``view`` holds only what each customer allows."""
        recent = np.flatnonzero(view.day - view.last_visit.astype(int) <= self.settings.recent_days)
        best = int(np.argmax(np.where(today.offer >= 0, today.saving, -1)))
        return propose(
            view,
            today,
            recent,
            np.full(len(recent), best),
            basis=Basis.BOUGHT_HERE,
            reason=Reason.OWN,
            scopes=(Scope.PURCHASES,),
            copy=self.copy,
        )


if __name__ == "__main__":
    run = rg.simulate(
        policies=["silence", "considerate", f"{__file__}:WeeklyBest"], consumers=400, days=60, worlds=1
    )
    wanted = ["profit", "contacts", "compelling", "annoying", "unsubscribes"]
    print(run.totals.filter(run.totals["metric"].is_in(wanted)).pivot("metric", index="arm", values="value"))
