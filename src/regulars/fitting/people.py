"""The private life that a source tells: age, income, children and household size as small ordered codes."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from regulars.consumers.population import UNKNOWN
from regulars.terms import U8

FIELDS = {"age": "age", "income": "income", "kids": "kids_count", "household_size": "household_size"}


def fit_private_life(households: pl.DataFrame) -> tuple[dict[str, U8], dict[str, list[str]]]:
    """Codes of each field for each household, UNKNOWN where nothing is told, and the words behind the codes.

    Words are put in order of the first number in them, "Under ..." before all others.
    """
    codes: dict[str, U8] = {}
    words: dict[str, list[str]] = {}
    for name, column in FIELDS.items():
        values = households[column].to_list()
        known = sorted({value for value in values if value is not None}, key=_order)[:UNKNOWN]
        number = {value: code for code, value in enumerate(known)}
        codes[name] = np.array([number.get(value, UNKNOWN) for value in values], np.uint8)
        words[name] = known
    return codes, words


def _order(word: str) -> tuple[float, str]:
    found = re.search(r"\d+", word)
    number = float(found.group()) if found else float("inf")
    return (-1.0 if word.lower().startswith("under") else number, word)
