"""What no purchase data can tell about consumers, as priors: one world is one draw of all of them.

Nothing in this file is fitted. Each parameter has a distribution, a source for its size or direction where
one is published, and a plain meaning; a report draws several worlds and says in how many of them a finding
holds. The distributions are ``LN`` (log-normal: median, s.d. of the log), ``U`` (uniform: low, high), ``N``
(normal: mean, s.d.) and ``fixed`` (a value, not drawn, but open to override).
"""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.draws import (
    Purpose,
    exp,
    exp_column,
    gamma_draw,
    normal,
    normal_column,
    normal_quantile,
    uniform,
    uniform_column,
)
from regulars.errors import SettingError, ShapeError
from regulars.terms import F32, U8

#: Privacy segments in the order of their sensitivity (Hann et al., 2002; Taylor, 2003).
UNCONCERNED, PRAGMATIST, GUARDIAN = 0, 1, 2


class World(NamedTuple):
    """All unfitted parameters of one world, as floats for kernels; :data:`PRIORS` says what they mean."""

    # value of a message
    fit_value: float
    saving_value: float
    surprise_value: float
    justification_value: float
    affinity_days: float
    exploration_floor: float
    generic_fit: float
    # annoyance
    load_weight: float
    irritation_weight: float
    repetition_weight: float
    repetition_days: float
    spacing_relief: float
    obtrusive_weight: float
    # thresholds
    compelling_threshold: float
    annoying_threshold: float
    noise: float
    # creep
    sigma_scale: float
    unconcerned_factor: float
    guardian_factor: float
    unconcerned: float
    guardians: float
    theta: float
    theta_spread: float
    fit_offsets_creep: float
    saving_offsets_creep: float
    creep_steepness: float
    obtrusive_creep: float
    trust_relief: float
    trust_relief_unexplained: float
    control_relief: float
    b_told: float
    b_here: float
    b_context: float
    b_elsewhere: float
    b_inferred: float
    detection: float
    disclosure_salience: float
    # memory
    irritation_half_life_days: float
    brand_half_life_days: float
    creep_half_life_days: float
    load_days: float
    irritation_ignored: float
    irritation_unopened: float
    value_rate: float
    ignored_value: float
    trust_gain: float
    trust_loss: float
    # store choice
    brand_scale: float
    brand_pull: float
    irritation_pull: float
    creep_pull: float
    trust_pull: float
    shut_out_penalty: float
    # attention
    budget: float
    budget_spread: float
    elsewhere_load: float
    elsewhere_spread: float
    load_slope: float
    open_base: float
    open_value: float
    open_app: float
    open_sms: float
    open_mail: float
    open_store: float
    filter_threshold: float
    filter_passes: float
    # reactions
    click_base: float
    click_value: float
    click_idle: float
    unlike_base: float
    unsubscribe_base: float
    complain_base: float
    block_base: float
    leave_irritation: float
    leave_creep: float
    leave_value: float
    complain_irritation: float
    revoke_chance: float
    # disclosure
    disclosure_gain: float
    endowment: float
    # what a message in hand does to demand
    exposure_lift: float
    exposure_half_life_days: float
    coupon_lift: float
    permission_premium: float
    # where she shops
    inside_mean: float
    inside_concentration: float
    share_concentration: float


class Prior(NamedTuple):
    """One row of the table of priors."""

    name: str
    kind: str  #: LN, U, N or fixed
    first: float  #: median, low, mean or value
    second: float  #: s.d. of the log, high, s.d. or 0
    source: str
    meaning: str


# Name, distribution, source of the direction or order (- where assumed) and meaning. Sizes are assumed.
_TABLE = """
fit_value                 | LN 2.2 0.2    | - | value of an offer that fits fully
saving_value              | LN 4 0.3      | - | value of saving the whole price when it fits fully
surprise_value            | LN 0.5 0.4    | Venkatesan, Farris 2012 | value of seeing that the shop knows her
justification_value       | LN 0.35 0.35  | White et al. 2008 | value of a reason, at full trust
affinity_days             | LN 60 0.2     | - | interval, days, at which a category is half liked
exploration_floor         | LN 0.05 0.3   | - | fit of a category she never buys
generic_fit               | LN 0.1 0.3    | - | fit of a message about no category
load_weight               | LN 0.3 0.3    | - | annoyance per log of overload, when nothing fits
irritation_weight         | LN 0.7 0.3    | - | annoyance per unit of irritation she carries
repetition_weight         | LN 1.2 0.35   | Schmidt, Eisend 2015 | annoyance at the same category, at once
repetition_days           | LN 5 0.3      | - | days after which that is 1/e as much
spacing_relief            | LN 0.1 0.4    | Schmidt, Eisend 2015 | relief per log of days since the last
obtrusive_weight          | LN 0.12 0.4   | Goldfarb, Tucker 2011 | annoyance of full obtrusiveness
compelling_threshold      | N 1.3 0.2     | - | value less annoyance above which half are compelling
annoying_threshold        | N 1.8 0.25    | - | annoyance less value above which half are annoying
noise                     | fixed 0.5     | unit of the model | scale of the logistic noise in a verdict
sigma_scale               | LN 1.8 0.25   | Hann et al. 2002 | sensitivity of a pragmatist to uses of data
unconcerned_factor        | fixed 0.35    | Hann et al. 2002 | relative to a pragmatist, the unconcerned
guardian_factor           | fixed 2.2     | Hann et al. 2002 | relative to a pragmatist, a guardian
unconcerned               | U 0.1 0.25    | Taylor 2003 | share of the unconcerned
guardians                 | U 0.2 0.35    | Taylor 2003 | share of privacy guardians
theta                     | LN 0.8 0.25   | - | creep that half of people bear without fit
theta_spread              | fixed 0.25    | - | s.d. of the log of theta between consumers
fit_offsets_creep         | LN 0.8 0.3    | White et al. 2008 | creep borne for a full fit
saving_offsets_creep      | fixed 0       | van Doorn, Hoekstra 2013 | creep borne for a saving
creep_steepness           | U 2 4         | - | steepness of the log-logistic curve of creep
obtrusive_creep           | LN 1 0.3      | Goldfarb, Tucker 2011 | extra creep of full obtrusiveness
trust_relief              | U 0.4 0.8     | Aguirre et al. 2015 | creep that full trust and a reason take away
trust_relief_unexplained  | U 0.2 0.5     | - | part of that which needs no reason
control_relief            | U 0.6 0.95    | Tucker 2014 | creep that full control takes away
b_told                    | fixed 1       | Kim et al. 2019 | belief that the shop may know what she told it
b_here                    | U 0.7 0.9     | Kim et al. 2019 | belief that it may know what she bought there
b_context                 | U 0.35 0.65   | Kim et al. 2019 | belief that it may know where and when she is
b_elsewhere               | U 0.1 0.3     | Kim et al. 2019 | belief that it may know what she did elsewhere
b_inferred                | U 0 0.1       | Kim et al. 2019 | belief that it may know what it inferred
detection                 | U 0.02 0.3    | not identified | chance to notice a use of data that is hidden
disclosure_salience       | U 0.6 1       | not identified | how plainly a reason shows that data was used
irritation_half_life_days | LN 10 0.3     | Kronrod, Huber 2018 | half-life of irritation
brand_half_life_days      | LN 60 0.3     | Kronrod, Huber 2018 | half-life of brand memory
creep_half_life_days      | LN 365 0.2    | - | half-life of a creepy episode
load_days                 | fixed 7       | definition | days over which her load of messages is counted
irritation_ignored        | LN 0.03 0.4   | - | irritation per message read and ignored
irritation_unopened       | LN 0.01 0.4   | - | irritation per message seen and not opened
value_rate                | U 0.08 0.2    | - | weight of the latest message in what she expects
ignored_value             | U -0.4 -0.15  | - | what an ignored message counts (compelling 1, annoying -1)
trust_gain                | U 0.01 0.03   | - | trust gained per compelling message
trust_loss                | U 0.1 0.3     | - | trust lost per creepy message
brand_scale               | LN 8 0.5      | - | opened messages at which brand memory bends
brand_pull                | LN 0.33 0.35  | Sahni et al. 2019 | log-odds of the store per log of brand memory
irritation_pull           | LN 0.06 0.4   | - | log-odds of the store lost per unit of irritation
creep_pull                | LN 0.25 0.35  | not identified | log-odds of the store lost per creepy episode
trust_pull                | LN 0.25 0.35  | - | log-odds of the store from no trust to full
shut_out_penalty          | LN 1 0.4      | - | log-odds of the store lost when she shut it out
budget                    | LN 25 0.2     | - | messages a week she has attention for, median
budget_spread             | fixed 0.6     | - | s.d. of the log of the budget between consumers
elsewhere_load            | LN 20 0.25    | First Insight 2016 | messages a week from others, median
elsewhere_spread          | fixed 0.7     | First Insight 2016 | s.d. of the log of that between consumers
load_slope                | fixed 1       | definition | log-odds of opening lost per log of overload
open_base                 | N -0.3 0.2    | - | log-odds of opening an e-mail, load at budget
open_value                | LN 0.8 0.25   | - | log-odds of opening per unit of expected value
open_app                  | N 0.2 0.2     | - | log-odds added for an app message
open_sms                  | N 1.5 0.3     | - | log-odds added for a text message
open_mail                 | N 0.8 0.3     | - | log-odds added for paper mail
open_store                | N 0.5 0.3     | - | log-odds added in the store
filter_threshold          | N -0.5 0.1    | - | expected value below which a sender is filtered
filter_passes             | fixed 0.12    | - | chance of opening what is filtered, times the usual
click_base                | N -0.8 0.25   | - | log-odds of a click at the compelling threshold
click_value               | LN 0.5 0.3    | - | log-odds of a click per unit of value, once compelling
click_idle                | fixed 0.01    | - | chance of a click on an ignored message
unlike_base               | N -1.7 0.35   | - | log-odds of an unlike after an annoying or creepy one
unsubscribe_base          | N -2.3 0.35   | GDMA 2024 | log-odds of unsubscribing after one
complain_base             | N -4.5 0.4    | GDMA 2024 | log-odds of a complaint after one
block_base                | N -4.8 0.4    | - | log-odds of shutting out after one
leave_irritation          | LN 0.9 0.3    | GDMA 2024 | log-odds of unlike, unsubscribe, block per irritation
leave_creep               | LN 0.7 0.3    | - | log-odds of the same per creepy episode
leave_value               | LN 0.6 0.3    | - | log-odds of the same per unit of value no longer expected
complain_irritation       | LN 1.2 0.3    | Return Path 2015 | log-odds of a complaint per unit of irritation
revoke_chance             | U 0.2 0.4     | - | chance to take the scope back after a creepy message
disclosure_gain           | LN 0.3 0.2    | - | expected gain of sharing, as a share of fit_value
endowment                 | LN 0.3 0.3    | Acquisti et al. 2013 | reluctance to let data go
exposure_lift             | LN 0.15 0.35  | Venkatesan, Farris 2012 | rise of a need after a message about it
exposure_half_life_days   | LN 14 0.2     | Bleier, Eisenbeiss 2015 | half-life of that rise
coupon_lift               | LN 1.2 0.3    | - | log factor on a product per share saved by its coupon
permission_premium        | LN 0.05 0.4   | - | share of spend that leave to contact is worth after the run
inside_mean               | N 0.55 0.04   | East et al. 1995 | share of wallet at the run's retailers
inside_concentration      | fixed 10      | - | how alike consumers are in that share
share_concentration       | LN 0.8 0.15   | The Complete Journey | how it splits, small for few retailers
"""


def _rows(table: str) -> tuple[Prior, ...]:
    rows = []
    for line in table.strip().splitlines():
        name, form, source, meaning = (cell.strip() for cell in line.split("|"))
        kind, first, *second = form.split()
        source = "assumed" if source == "-" else source
        rows.append(Prior(name, kind, float(first), float(second[0]) if second else 0.0, source, meaning))
    return tuple(rows)


#: Every parameter of :class:`World`, in its order.
PRIORS: tuple[Prior, ...] = _rows(_TABLE)

_ALL_B = 0.5  # one belief for every basis: as if she had no idea who may know what

#: Each mechanism by name, with the values that take it out of a world.
ABLATIONS: dict[str, dict[str, float]] = {
    "irritation": {
        "irritation_weight": 0.0,
        "irritation_pull": 0.0,
        "leave_irritation": 0.0,
        "complain_irritation": 0.0,
    },
    "brand_memory": {"brand_pull": 0.0},
    "expectation": {
        "b_told": _ALL_B,
        "b_here": _ALL_B,
        "b_context": _ALL_B,
        "b_elsewhere": _ALL_B,
        "b_inferred": _ALL_B,
    },
    "control": {"control_relief": 0.0},
    "justification": {
        "justification_value": 0.0,
        "trust_relief_unexplained": 1.0,
        "disclosure_salience": 0.0,
    },
    "ignored": {"annoying_threshold": -1e9},
    "fit_offsets_creep": {"fit_offsets_creep": 0.0},
    "creep": {"sigma_scale": 0.0},
    "exposure": {"exposure_lift": 0.0},
    "attention": {"load_weight": 0.0, "load_slope": 0.0},
    "trust": {
        "trust_relief": 0.0,
        "trust_pull": 0.0,
        "trust_gain": 0.0,
        "trust_loss": 0.0,
        "justification_value": 0.0,
    },
    "coupons": {"coupon_lift": 0.0},
    "saving_in_creep": {"saving_offsets_creep": 4.0},
}


def draw_world(
    key: NDArray[np.uint32],
    overrides: Mapping[str, float] | None = None,
    ablate: frozenset[str] = frozenset(),
) -> World:
    """One world: every parameter drawn from its prior, some set by hand, some mechanisms taken out.

    Each parameter has its own named draw, so that a new one shifts no other.

    Parameters
    ----------
    key : (2,) uint32, from :func:`regulars.draws.stream`
    overrides : values by parameter name, instead of the draws
    ablate : names from :data:`ABLATIONS`; they win over overrides

    Raises
    ------
    SettingError
        when a name is unknown; the nearest known one is named.
    """
    occasions = np.array([occasion(prior.name) for prior in PRIORS], np.uint32)
    nobody = np.zeros(len(PRIORS), np.uint32)
    uniforms = uniform_column(key, Purpose.WORLD, nobody, 0, occasions)
    normals = normal_column(key, Purpose.WORLD, nobody, 0, occasions)
    values = {
        prior.name: _value(prior, float(u), float(z))
        for prior, u, z in zip(PRIORS, uniforms, normals, strict=True)
    }
    return _adjusted(values, overrides or {}, ablate)


def occasion(name: str) -> int:
    """The occasion under which a parameter is drawn: of its name alone, so that a new one shifts no other."""
    return zlib.crc32(name.encode()) & 0xFFFFFF


def medians(overrides: Mapping[str, float] | None = None, ablate: frozenset[str] = frozenset()) -> World:
    """The world at the middle of every prior; arguments and errors as for :func:`draw_world`."""
    middle = {prior.name: _value(prior, 0.5, 0.0) for prior in PRIORS}
    return _adjusted(middle, overrides or {}, ablate)


def quantile(name: str, level: float) -> float:
    """The value of a parameter at one level of its prior, for sweeps.

    Raises
    ------
    SettingError
        when the name is unknown or the level is not between 0 and 1.
    """
    known = {prior.name: prior for prior in PRIORS}
    if name not in known:
        raise SettingError(f"{name!r} is no parameter of a world. {_nearest(name, known)}")
    if not 0.0 < level < 1.0:
        raise SettingError(f"level {level} is out of range. Take one between 0 and 1")
    return _value(known[name], level, float(normal_quantile(level)))


def assumed() -> list[tuple[str, str, str, float, float]]:
    """Every drawn parameter as (name, meaning, source, 5% and 95% of its prior), for reports."""
    return [
        (prior.name, prior.meaning, prior.source, quantile(prior.name, 0.05), quantile(prior.name, 0.95))
        for prior in PRIORS
        if prior.kind != "fixed"
    ]


def _value(prior: Prior, u: float, z: float) -> float:
    if prior.kind == "LN":
        return prior.first * float(exp_column(prior.second * z))
    if prior.kind == "U":
        return prior.first + (prior.second - prior.first) * u
    return prior.first + prior.second * z if prior.kind == "N" else prior.first


def _adjusted(values: dict[str, float], overrides: Mapping[str, float], ablate: frozenset[str]) -> World:
    for name, value in overrides.items():
        if name not in values:
            raise SettingError(f"{name!r} is no parameter of a world. {_nearest(name, values)}")
        values[name] = float(value)
    for name in sorted(ablate):
        if name not in ABLATIONS:
            raise SettingError(f"{name!r} is no mechanism that can be taken out. {_nearest(name, ABLATIONS)}")
        values.update(ABLATIONS[name])
    return World(**values)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.0)
    return f"The nearest is {near[0]!r}"


class Traits(NamedTuple):
    """What stays the same about N consumers and no purchase tells; R is the number of retailers."""

    segment: U8  #: (N,) UNCONCERNED, PRAGMATIST or GUARDIAN
    sensitivity: F32  #: (N,) to uses of data that she does not expect
    theta: F32  #: (N,) creep she bears without fit
    budget: F32  #: (N,) messages a week she has attention for
    elsewhere: F32  #: (N,) messages a week from senders outside the run
    inside: F32  #: (N,) share of her grocery shopping done at the run's retailers
    share: F32  #: (N, R) how that splits among them, at rest


# A block of occasions of its own, so that other tastes drawn under the same purpose are never touched.
_SEGMENT = 0x400000
_THETA = 0x400001
_BUDGET = 0x400002
_ELSEWHERE = 0x400003
_INSIDE = 0x400004
_OUTSIDE = 0x400005
_SHARE = 0x400100


def draw_traits(
    key: NDArray[np.uint32], consumer: NDArray[np.uint32], retailers: int, world: World
) -> Traits:
    """The private traits of each consumer, by her name: alone or among a million, she is the same.

    Parameters
    ----------
    key : (2,) uint32, from :func:`regulars.draws.stream`
    consumer : (N,) names, ``habits.consumer``
    retailers : retailers in the run, at least 1

    Raises
    ------
    SettingError
        when there is no retailer.
    ShapeError
        when the names are not one column of uint32.
    """
    if retailers < 1:
        raise SettingError(f"{retailers} retailers. A run needs at least 1")
    if consumer.ndim != 1 or consumer.dtype != np.uint32:
        raise ShapeError(
            f"names are {consumer.dtype} {consumer.shape}. Give one column of uint32, as habits.consumer"
        )
    n = len(consumer)
    traits = Traits(
        np.empty(n, np.uint8),
        np.empty(n, np.float32),
        np.empty(n, np.float32),
        np.empty(n, np.float32),
        np.empty(n, np.float32),
        np.empty(n, np.float32),
        np.empty((n, retailers), np.float32),
    )
    _fill_traits(key, consumer, world, traits)
    return traits


_TRAITS = int(Purpose.TRAITS)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_traits(key, consumer, world, traits):
    retailers = traits.share.shape[1]
    for i in range(len(consumer)):
        name = consumer[i]
        u = uniform(key, _TRAITS, name, 0, _SEGMENT)
        if u < world.unconcerned:
            traits.segment[i] = UNCONCERNED
            traits.sensitivity[i] = world.sigma_scale * world.unconcerned_factor
        elif u < 1.0 - world.guardians:
            traits.segment[i] = PRAGMATIST
            traits.sensitivity[i] = world.sigma_scale
        else:
            traits.segment[i] = GUARDIAN
            traits.sensitivity[i] = world.sigma_scale * world.guardian_factor
        traits.theta[i] = world.theta * exp(world.theta_spread * normal(key, _TRAITS, name, 0, _THETA))
        traits.budget[i] = world.budget * exp(world.budget_spread * normal(key, _TRAITS, name, 0, _BUDGET))
        traits.elsewhere[i] = world.elsewhere_load * exp(
            world.elsewhere_spread * normal(key, _TRAITS, name, 0, _ELSEWHERE)
        )
        # Beta and Dirichlet as ratios of gammas.
        inside = gamma_draw(key, _TRAITS, name, 0, _INSIDE, world.inside_mean * world.inside_concentration)
        outside = gamma_draw(
            key, _TRAITS, name, 0, _OUTSIDE, (1.0 - world.inside_mean) * world.inside_concentration
        )
        traits.inside[i] = inside / (inside + outside)
        if retailers == 1:
            traits.share[i, 0] = 1.0
            continue
        total = 0.0
        for r in range(retailers):
            # Never quite 0: a store she never went to can still win her.
            part = 1e-6 + gamma_draw(key, _TRAITS, name, 0, _SHARE + r, world.share_concentration / retailers)
            traits.share[i, r] = part
            total += part
        for r in range(retailers):
            traits.share[i, r] /= total
