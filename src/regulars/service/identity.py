"""Who is who across channels: whoever is new is welcomed, devices become hers, and merges can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from regulars.service.naming import ANONYMOUS, HERS, Name, digest, somebodys
from regulars.service.shop import Shop
from regulars.service.store import Transaction


class Resolved(NamedTuple):
    """Who sent each event, and who turned out to be whom."""

    customer: list[int]  #: -1 where no identifier was legal
    merged: list[tuple[int, int, int]]  #: (place of the event before which it was so, from, into)
    named: dict[int, list[Name]]  #: names under which customers are known from now on


def resolve(work: Transaction, shop: Shop, names: Sequence[tuple[Name, ...]]) -> Resolved:
    """The customer of each event, welcoming whoever is new.

    An event that carries a person's own identifier is hers. A device on which she says who she is becomes hers, with what
    was known of it, unless it was another person's before: then it is shared, and nobody is merged. Nor is a device that
    was taken apart from her.

    Parameters
    ----------
    names : of each event its identifiers; those that cannot be anybody's are left out of account
    """
    told = [[name for name in each if somebodys(name)] for each in names]
    # By digest, under which two ways to write one address are one.
    marks = [[(digest(shop.secret, name), name.kind) for name in each] for each in told]
    name_of = {
        mark: name
        for each, hers in zip(marks, told, strict=True)
        for (mark, _), name in zip(each, hers, strict=True)
    }
    at = work.known_by(shop.number, list(name_of))
    own = work.owned(shop.number, list(set(at.values())), HERS)
    customer: list[int] = []
    merged: list[tuple[int, int, int]] = []
    first: dict[str, int] = {}  # whose a name is that was not known
    fresh: list[list[Name]] = []  # numbered -2, -3 ... until they are welcomed
    for k, each in enumerate(marks):
        hers = [mark for mark, kind in each if kind in HERS]
        device = next((at[mark] for mark, kind in each if kind == ANONYMOUS and mark in at), None)
        known = next((at[mark] for mark in hers if mark in at), None)
        if not each:
            customer.append(-1)
            continue
        if known is None and device is not None and (not hers or device not in own):
            known = device  # nobody's device yet, or nobody said more
        if known is None:
            known = -2 - len(fresh)
            fresh.append(told[k])
        if hers:
            own.add(known)
        if device is not None and device != known and hers and device not in own:
            if known not in work.parted(shop.number, device):
                merged.append((k, device, known))
                at = {mark: known if who == device else who for mark, who in at.items()}
        for mark, _ in each:
            if mark not in at:
                # It stays so when this one is merged into somebody: the merge may be undone.
                at[mark] = first[mark] = known
        customer.append(known)
    numbers = (
        shop.welcome(work, len(fresh), [[(n.kind, n.value) for n in each] for each in fresh]) if fresh else []
    )

    def number(who: int) -> int:
        return numbers[-2 - who] if who <= -2 else who

    new = [(mark, number(who), name_of[mark].kind) for mark, who in first.items()]
    work.add_aliases(shop.number, new)
    named: dict[int, list[Name]] = {}
    for mark, who, _ in new:
        named.setdefault(who, []).append(name_of[mark])
    return Resolved(
        [number(who) for who in customer], [(k, number(a), number(b)) for k, a, b in merged], named
    )
