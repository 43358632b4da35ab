"""Answers under an Idempotency-Key: one key has one effect and one answer, which only her key opens."""

from __future__ import annotations

from regulars.service.seal import Seal
from regulars.service.shop import ANSWER, Shop
from regulars.service.store import Transaction


def claimed(
    shop: Shop, work: Transaction, key: str, request: str, now_ms: int
) -> tuple[str, int, bytes] | None:
    """Claim a key before the work: None when it is ours now, else (request, status, answer) of who had it."""
    taken = work.claim(shop.number, key, request, shop.calendar.day(now_ms), now_ms)
    if taken is None:
        return None
    request_then, status, body, customer = taken
    if customer < 0 or not status:
        return request_then, status, body
    row = work.customers(shop.number, [customer], change=False).get(customer)
    if row is None:  # she was erased this moment, or her key is not in this store
        work.drop_claim(shop.number, key)
        return claimed(shop, work, key, request, now_ms)
    return request_then, status, Seal(row.key).open(body, ANSWER)


def answered(
    shop: Shop, work: Transaction, key: str, claimed_ms: int, status: int, body: bytes, decision: str
) -> None:
    """Keep what was answered under a claimed key; a decision about her sealed, and not when she was erased meanwhile."""
    if not decision:
        work.answer(shop.number, key, claimed_ms, status, body, -1)
        return
    row = work.decisions(shop.number, [decision], change=True).get(decision)
    if row is None:
        work.release(shop.number, key, claimed_ms)
        return
    seal = Seal(work.customers(shop.number, [row.customer], change=False)[row.customer].key)
    work.answer(shop.number, key, claimed_ms, status, seal.close(body, ANSWER), row.customer)
