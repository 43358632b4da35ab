"""Time of a whole run of the default scenario, by arm: nanoseconds per consumer-day on one core.

    python benchmarks/run.py [DAYS]

The last line is one JSON object. Kernels are compiled and the population is fitted before the clock starts.
"""

import json
import sys
import time

from regulars import settings
from regulars.market import arms, day, town
from regulars.settings import SweepSettings


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    scenario = settings.load("one-chain").changed(days=days, worlds=1, sweep=SweepSettings())
    place = town.build(scenario)
    consumers = len(place.habits.consumer)
    warm = day.warm_up(scenario, place, 0)
    found = {}
    for task in arms.tasks(scenario):
        day.live(scenario.changed(days=3), place, task, warm)
        began = time.process_time()
        day.live(scenario, place, task, warm)
        found[task.arm.name] = round((time.process_time() - began) / days / consumers * 1e9, 1)
        print(f"{task.arm.name:14} {found[task.arm.name]:8,.0f} ns per consumer-day")
    print(json.dumps({"consumers": consumers, "days": days, "cpu_ns_per_consumer_day": found}))


if __name__ == "__main__":
    main()
