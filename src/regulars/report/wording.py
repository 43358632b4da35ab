"""Numbers as a person would say them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "$": "$", "€": "€", "£": "£", "¥": "¥"}


@dataclass(frozen=True)
class Money:
    """One way to write every amount of a column: the same unit, the same decimals.

    Examples
    --------
    >>> Money.fitting("USD", [1_234_567.0, 98_000.0]).say(98_000.0)
    '$0.098M'
    >>> Money.fitting("USD", [84_240.0]).say(1500.0, signed=True)
    '+$1.5k'
    """

    currency: str
    divisor: float = 1.0
    unit: str = ""
    decimals: int = 0

    @classmethod
    def fitting(cls, currency: str, amounts: Iterable[float]) -> Money:
        """The unit that gives the largest of the amounts three or four figures."""
        largest = max((abs(amount) for amount in amounts), default=0.0)
        if largest >= 1e6:
            return cls(currency, 1e6, "M", 3 if largest < 1e7 else 2)
        if largest >= 1e4:
            return cls(currency, 1e3, "k", 1)
        return cls(currency, decimals=0 if largest >= 100 else 2)

    def say(self, amount: float, signed: bool = False, bare: bool = False) -> str:
        """The amount; ``signed`` writes the plus too, ``bare`` leaves the currency out."""
        size = f"{abs(amount) / self.divisor:,.{self.decimals}f}"
        zero = float(size.replace(",", "")) == 0.0
        sign = "" if zero else MINUS if amount < 0 else "+" if signed else ""
        if bare:
            return f"{sign}{size}{self.unit}"
        symbol = SYMBOLS.get(self.currency)
        return (
            f"{sign}{symbol}{size}{self.unit}"
            if symbol
            else f"{sign}{size}{self.unit} {self.currency}".rstrip()
        )


def money(amount: float, currency: str, signed: bool = False) -> str:
    """One amount in a sentence.

    Examples
    --------
    >>> money(12_300.0, "USD"), money(7.5, "CHF")
    ('$12.3k', '7.50 CHF')
    """
    return Money.fitting(currency, [amount]).say(amount, signed)


def percent(share: float) -> str:
    """A share of 1, with as many figures as it bears; nearly all is not called all.

    Examples
    --------
    >>> percent(0.384), percent(0.034), percent(0.0014), percent(0.0), percent(0.998)
    ('38%', '3.4%', '0.14%', '0%', '>99%')
    """
    size = abs(share) * 100
    decimals = 0 if size >= 9.95 or size < 0.005 else 1 if size >= 0.995 else 2
    text = f"{size:.{decimals}f}"
    if 0 < share < 1 and text == "100":
        return ">99%"
    return f"{MINUS if share < 0 and float(text) else ''}{text}%"


def rounded(share: float) -> str:
    """A share of 1 in whole per cent, for a column; a little is not called nothing, nor nearly all all.

    Examples
    --------
    >>> rounded(0.384), rounded(0.004), rounded(0.0), rounded(0.999), rounded(1.0)
    ('38%', '<1%', '0%', '>99%', '100%')
    """
    text = f"{share * 100:.0f}%"
    if share > 0 and text == "0%":
        return "<1%"
    return ">99%" if share < 1 and text == "100%" else text


def count(number: float) -> str:
    """A count; means of counts are rounded, small ones to one decimal.

    Examples
    --------
    >>> count(2469.0), count(3.25), count(0.0)
    ('2,469', '3.2', '0')
    """
    if number == int(number) or abs(number) >= 10:
        return f"{number:,.0f}"
    return f"{number:.1f}"


def whole(means: Sequence[float]) -> list[int]:
    """Means of counts as whole numbers that add up to their rounded sum; the largest remainders are rounded up.

    Examples
    --------
    >>> whole([1.5, 1.5, 0.25]), whole([2.0, 0.0])
    ([2, 1, 0], [2, 0])
    """
    found = [math.floor(mean) for mean in means]
    rest = math.floor(math.fsum(means) + 0.5) - sum(found)
    by_rest = sorted(range(len(means)), key=lambda i: (found[i] - means[i], i))
    for i in by_rest[:rest]:
        found[i] += 1
    return found


def holds(worlds: int, of: int) -> str:
    """In how many worlds something is so.

    Examples
    --------
    >>> holds(4, 4), holds(3, 4), holds(0, 4), holds(1, 1)
    ('in all 4 worlds', 'in 3 of 4 worlds', 'in none of 4 worlds', 'in the one world that was run')
    """
    if of == 1:
        return "in the one world that was run" if worlds else "not in the one world that was run"
    if worlds == of:
        return f"in all {of} worlds" if of > 2 else "in both worlds"
    return f"in none of {of} worlds" if worlds == 0 else f"in {worlds} of {of} worlds"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> listed(["blast"]), listed(["blast", "harvest", "history"])
    ('blast', 'blast, harvest and history')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sentence(text: str) -> str:
    """The text with a capital first letter and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def span(days: int) -> str:
    """How long the run was, for "in ...".

    Examples
    --------
    >>> span(365), span(90)
    ('the first year', '90 days')
    """
    return "the first year" if days in (365, 366) else f"{days} days"
