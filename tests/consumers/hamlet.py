"""A hamlet of made-up consumers with a few repertoire rows each, and messages to send them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regulars.consumers import memory, verdict
from regulars.consumers.hand import Hand, empty_hands
from regulars.consumers.memory import Mind
from regulars.consumers.population import UNKNOWN, Habits, Needs
from regulars.consumers.priors import Traits, World, draw_traits
from regulars.draws import stream
from regulars.terms import Messages, Responses

#: Categories of the hamlet's shop, and rows of each consumer's repertoire.
CATEGORIES, ROWS = 40, 3
#: A category nobody buys.
FOREIGN = 1000


def made_habits(n: int, seed: int = 0) -> Habits:
    """n consumers who buy three categories each, every two weeks or so; columns not read here are bare."""
    luck = np.random.default_rng(seed)
    category = np.argsort(luck.random((n, CATEGORIES)), axis=1)[:, :ROWS]
    interval = np.exp(np.log(14.0) + 0.6 * luck.standard_normal(n * ROWS)).astype(np.float32)
    told = {
        "consumer": np.arange(n, dtype=np.uint32),
        "row_ptr": np.arange(n + 1, dtype=np.int64) * ROWS,
        "row_category": np.sort(category, axis=1).astype(np.uint16).ravel(),
        "row_interval": interval,
        "product_ptr": np.zeros(n * ROWS + 1, np.int64),
        "product": np.zeros(0, np.int32),
        "age": np.full(n, UNKNOWN, np.uint8),
        "income": np.full(n, UNKNOWN, np.uint8),
    }
    bare = np.zeros(1, np.float32)
    return Habits(**{name: told.get(name, bare) for name in Habits._fields})


def made_needs(last_bought: NDArray[np.int32]) -> Needs:
    """Needs that know only when each row was last bought."""
    bare = np.zeros(1, np.float32)
    return Needs(**{name: last_bought if name == "last_bought" else bare for name in Needs._fields})


_DEFAULTS: dict[str, tuple[Any, Any]] = {
    "channel": (0, np.uint8),
    "offer": (1, np.int32),
    "category": (FOREIGN, np.int32),
    "saving": (0.2, np.float32),
    "last_day": (400, np.int32),
    "basis": (0, np.uint8),
    "revealed": (0.0, np.float32),
    "justification": (0.0, np.float32),
    "obtrusiveness": (0.0, np.float32),
    "control": (0.0, np.float32),
    "asks": (255, np.uint8),
    "exchange": (0.0, np.float32),
}


def mail(consumers: NDArray[Any], **columns: Any) -> Messages:
    """One message to each of these consumers; what is not said is a plain e-mail about something foreign."""
    n = len(consumers)
    filled = {
        name: np.broadcast_to(np.asarray(columns.get(name, usual), kind), n).copy()
        for name, (usual, kind) in _DEFAULTS.items()
    }
    return Messages(consumer=consumers.astype(np.int32), **filled)


class Scene(NamedTuple):
    """Everything that judging needs, in one world."""

    key: NDArray[np.uint32]
    world: World
    traits: Traits
    mind: Mind
    hand: Hand
    habits: Habits
    needs: Needs

    def judge(self, day: int, messages: Messages, retailer: int = 0) -> tuple[Responses, NDArray[np.float32]]:
        """All messages judged; the mind and the hand change."""
        n = len(messages.consumer)
        responses = Responses(np.zeros(n, np.uint8), np.zeros(n, np.uint16), np.zeros(n, np.uint8))
        fit = np.zeros(n, np.float32)
        verdict.judge(
            self.key, day, self.world, self.traits, self.mind, self.hand, self.habits, self.needs,
            messages, retailer, n, responses, fit,
        )  # fmt: skip
        return responses, fit


def scene(
    world: World,
    habits: Habits,
    *,
    key: NDArray[np.uint32] | None = None,
    due: float = 1.0,
    retailers: int = 1,
    trust: float = 0.5,
    traits: Traits | None = None,
) -> Scene:
    """Consumers without a past on day 0 who last bought each row ``due`` of its own interval ago."""
    key = stream(1) if key is None else key
    n = len(habits.consumer)
    mind = memory.start(n, retailers)
    mind.trust[:] = trust
    needs = made_needs((-due * habits.row_interval).astype(np.int32))
    if traits is None:
        traits = draw_traits(key, habits.consumer, retailers, world)
    return Scene(key, world, traits, mind, empty_hands(n, retailers), habits, needs)
