"""The answers on a terminal."""

from __future__ import annotations

from regulars.targeting import Targeting
from regulars.targeting.page import title
from regulars.targeting.scores import Estimate


def show(told: Targeting) -> None:
    """Print every score with its interval."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"\n[bold]{title(told)}[/bold]")
    for task in (told.redemption, told.next_purchase):
        if task is None:
            continue
        console.print(f"\n{task.question}")
        console.print(
            f"Learned from {task.train}, scored on {task.test}: {task.rows:,} rows, {task.base:.0%} did it.",
            style="dim",
        )
        grid = Table("known", "AUC", "95% interval", box=None, header_style="bold", pad_edge=False)
        for name, estimate in task.scores.items():
            grid.add_row(name, *_words(estimate, ""))
        for name, estimate in task.differences.items():
            grid.add_row(name, *_words(estimate, "+"))
        console.print(grid)
    if told.inferences:
        console.print("\nWhat baskets give away")
        console.print("Guessed of people whose answer the model had not seen; .5 is a coin.", style="dim")
        grid = Table(
            "trait", "AUC", "95% interval", "told by most", box=None, header_style="bold", pad_edge=False
        )
        for each in told.inferences:
            grid.add_row(each.trait, *_words(each.score, ""), ", ".join(each.tells).lower())
        console.print(grid)
    for warning in told.warnings:
        console.print(f"\n! Beware: {warning}.", highlight=False)
    for reason in told.missing:
        console.print(f"\n! Cannot be told: {reason}.", highlight=False)


def _words(estimate: Estimate, sign: str) -> tuple[str, str]:
    form = f"{{:{sign}z.3f}}".format
    mean, low, high = (form(round(value, 3) + 0.0) for value in (estimate.mean, estimate.low, estimate.high))
    return mean, f"{low} to {high}"
