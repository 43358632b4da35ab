"""What a day of demand costs: who shops, what is in the baskets, which clocks are reset.

Lives the households of The Complete Journey without any message, in one thread, and prints nanoseconds of
processor time per consumer-day; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from regulars import draws
from regulars.consumers.choice import aisle_of, fill_baskets, line_room
from regulars.consumers.needs import settle
from regulars.consumers.population import Population, rows_of
from regulars.consumers.town import Today, town_of
from regulars.consumers.trips import at_rest, empty_shoppers, who_shops
from regulars.fitting import assemble
from regulars.sources import complete_journey
from regulars.terms import empty_lines

STEPS = ("who_shops", "fill_baskets", "settle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consumers", type=int, default=0, help="0 for every household; more are repeated")
    parser.add_argument("--days", type=int, default=56)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    panel = complete_journey.load()
    shelf = complete_journey.load_shelf(panel)
    fitted, _ = assemble(panel, shelf, lambda text, done: None)
    n = options.consumers or len(fitted)
    rows = np.arange(n) % len(fitted)
    habits = rows_of(fitted.habits, rows)._replace(consumer=np.arange(n, dtype=np.uint32))
    people = Population(habits, fitted.demand, fitted.household_id[rows], fitted.about)
    town = town_of(people, draws.stream(1), 0)
    aisle, attraction = aisle_of(shelf, fitted.demand), at_rest(n)
    shoppers, lines = empty_shoppers(n), empty_lines(line_room(n))
    best = np.full(len(STEPS), np.inf)
    trips = bought = day = 0
    for repeat in range(options.repeats + 1):
        spent = np.zeros(len(STEPS))
        for _ in range(options.days if repeat else 1):
            today = Today(draws.stream(1), day, (day + 6) % 7, (day % 365 + 6) // 7, 1.0)
            clock = [time.thread_time()]
            count, _ = who_shops(today, town, attraction, shoppers)
            clock.append(time.thread_time())
            m = fill_baskets(today, town, aisle, shoppers, count, lines)
            clock.append(time.thread_time())
            settle(day, town.needs, lines, m)
            clock.append(time.thread_time())
            if repeat:
                spent += np.diff(clock)
                trips, bought = trips + count, bought + m
            day += 1
        if repeat:  # the first turn only compiles
            best = np.minimum(best, spent / (n * options.days) * 1e9)
    lived = n * options.days * options.repeats
    for step, cost in zip(STEPS, best, strict=True):
        print(f"{step:14s}{cost:8.0f} ns per consumer-day")
    print(
        json.dumps(
            {
                "benchmark": "demand",
                "consumers": n,
                "days": options.days,
                "rows_per_consumer": round(len(habits.row_category) / n, 1),
                "bytes_per_consumer": round(sum(column.nbytes for column in habits) / n),
                "trips_per_consumer_day": round(trips / lived, 4),
                "lines_per_consumer_day": round(bought / lived, 4),
                "ns_per_consumer_day": {
                    step: round(float(cost), 1) for step, cost in zip(STEPS, best, strict=True)
                },
                "ns_per_consumer_day_all": round(float(best.sum()), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
