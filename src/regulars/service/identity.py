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
    merged: list[tuple[int, int]]  #: (from, into)


def resolve(work: Transaction, shop: Shop, names: Sequence[tuple[Name, ...]]) -> Resolved:
    """The customer of each event, welcoming whoever is new.

    An event that carries a person's own identifier is hers. A device on which she says who she is becomes hers, with what
    was known of it, unless it was another person's before: then it is shared, and nobody is merged.

    Parameters
    ----------
    names : of each event its identifiers; those that cannot be anybody's are left out of account
    """
    told = [tuple(name for name in each if somebodys(name)) for each in names]
    digests = {name: digest(shop.secret, name) for each in told for name in each}
    kinds = {d: name.kind for name, d in digests.items()}
    found = work.aliases(shop.number, list(set(digests.values())))
    into = work.merged_into(shop.number, list(set(found.values())))
    # By digest: two ways to write one address are one name.
    at = {d: into.get(who, who) for d, who in found.items()}
    own = work.owned(shop.number, list(set(at.values())), HERS)
    customer: list[int] = []
    merged: list[tuple[int, int]] = []
    fresh: list[tuple[Name, ...]] = []  # numbered -2, -3 ... until they are welcomed
    for each in told:
        hers = [name for name in each if name.kind in HERS]
        devices = [name for name in each if name.kind == ANONYMOUS]
        known = next((at[digests[name]] for name in hers if digests[name] in at), None)
        device = next((at[digests[name]] for name in devices if digests[name] in at), None)
        if not each:
            customer.append(-1)
            continue
        if known is None and device is not None and (not hers or device not in own):
            known = device  # nobody's device yet, or nobody said more
        if known is None:
            known = -2 - len(fresh)
            fresh.append(each)
        if hers:
            own.add(known)
        if device is not None and device != known and hers and device not in own:
            merged.append((device, known))
            at = {d: known if who == device else who for d, who in at.items()}
        for name in each:
            at.setdefault(digests[name], known)
        customer.append(known)
    numbers = (
        shop.welcome(work, len(fresh), [[(n.kind, n.value) for n in each] for each in fresh]) if fresh else []
    )

    def number(who: int) -> int:
        return numbers[-2 - who] if who <= -2 else who

    work.add_aliases(
        shop.number,
        [(d, number(who), kinds[d]) for d, who in at.items() if d not in found],
    )
    return Resolved([number(who) for who in customer], [(number(a), number(b)) for a, b in merged])
