"""You are what you buy, not who you are: what predicts customers of a retailer's own data, and what it gives away.

Every score is of rows that its model has not seen: later campaigns, later weeks, other people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from regulars.errors import ShapeError
from regulars.report import wording
from regulars.sources.panel import Panel
from regulars.targeting import tasks
from regulars.targeting.people import FEWEST, People, from_file, of_panel
from regulars.targeting.tasks import Inference, Task

__all__ = ["Inference", "People", "Targeting", "Task", "from_file", "of_panel", "study"]


NO_CATEGORIES = (
    "your purchases name no categories: give --products. Without them only how often and how much somebody buys is "
    "known, so baskets give away more than is told here, and predict more"
)


@dataclass(frozen=True)
class Targeting:
    """All answers about one panel; None or empty where its data cannot tell, with the reason in ``missing``."""

    source: str
    customers: int
    told: int
    seed: int
    redemption: Task | None
    next_purchase: Task | None
    inferences: tuple[Inference, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...] = ()  #: why the answers may mislead

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def study(
    panel: Panel, people: People, seed: int = 1, tell: Callable[[str], None] = lambda _: None
) -> Targeting:
    """Answer what the panel allows.

    Parameters
    ----------
    panel : purchases, and campaigns where there are any
    people : who told what about themselves
    seed : of the models and the bootstrap
    tell : hears what is being done

    Raises
    ------
    ShapeError
        when too few people told anything for any question.
    """
    if len(people.household) < 2 * FEWEST:
        raise ShapeError(
            f"{len(people.household)} of the customers told who they are, too few to compare with what they buy. "
            f"Give a table of at least {2 * FEWEST} with --people"
        )
    tell("Who redeems")
    redeemed = tasks.redemption(panel, people, seed)
    tell("Who buys next")
    bought = tasks.next_purchase(panel, people, seed)
    guessed = tasks.inferences(panel, people, seed, tell)
    missing = []
    if redeemed is None:
        missing.append(
            "redemption: the data have no campaigns with enough redemptions in both parts of the year"
        )
    if bought is None:
        missing.append("next purchase: the data span less than 28 weeks, or too few bought")
    for why, columns in people.not_studied.items():
        missing.append(f"inference of {wording.listed(columns)}: {why}")
    if not guessed and not people.not_studied:
        missing.append("inference: nobody told anything that could be guessed")
    warnings = [] if panel.categories.height > 1 else [NO_CATEGORIES]
    if people.left_out:
        each = wording.listed([f"{count:,} {why}" for why, count in people.left_out.items()])
        warnings.append(
            f"{sum(people.left_out.values()):,} of the {people.rows:,} rows of people are left out ({each}); the answers "
            "are of the others"
        )
    return Targeting(
        panel.source,
        panel.households.height,
        len(people.household),
        seed,
        redeemed,
        bought,
        guessed,
        tuple(missing),
        tuple(warnings),
    )
