"""Rehearse two policies on the real households of 2017, same people, same luck, and ask who gained."""

import regulars as rg

run = rg.simulate("one-chain", policies=["silence", "blast", "considerate"], consumers=400, days=90, worlds=2)

profit = run.totals.filter(metric="profit").pivot("arm", index="world", values="value")
print(profit)

lost = run.consumers.filter(run.consumers["shut_out_day"] >= 0)
print(lost.group_by("arm", "shut_out_reason").len().sort("arm", "len"))
