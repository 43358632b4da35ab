"""Random numbers by name: a draw depends on who, when and what for, never on the order of asking.

A draw is named by (seed, purpose, consumer, day, occasion). The seed makes a Philox key (:func:`stream`); the
other four are the Philox counter. So the same name gives the same luck in every arm, batch, thread and shard,
and a policy that asks for one draw more shifts nobody else's.

The scalar functions are for kernels: they validate nothing and allocate nothing. The ``*_column`` functions
are for whole columns: they validate, and equal the scalar ones bit for bit. ``exp``, ``log`` and ``sigmoid``
are our own, in plain arithmetic without ``fastmath`` or the C library, so that every kernel and column agrees
to the last bit.

Every ``occasion`` lies in [0, 2**24): the top byte of the counter word counts the tries of
:func:`gamma_draw`.

Sources: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. Normal quantile,
Wichura, "Algorithm AS 241", Applied Statistics 37 (1988). Gamma, Marsaglia and Tsang, ACM TOMS 26 (2000).
"""

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from regulars.errors import SettingError, ShapeError

Word = np.uint32
Whole = int | np.integer[Any]
Real = float | np.floating[Any]
Words = NDArray[np.uint32]
Column = NDArray[np.float64]


class Purpose(enum.IntEnum):
    """What a draw is for; one line each.

    Add new purposes at the end with the next number. Never renumber or reuse one: that would change
    everybody's luck.
    """

    TRAITS = 1  #: who she is: tastes, sensitivities, habits
    WORLD = 2  #: the unfitted parameters of one world
    START = 3  #: her state on the first day
    TRIP = 4  #: whether she shops today
    SIZE = 5  #: how large the trip is
    CATEGORY = 6  #: which categories she buys
    PRODUCT = 7  #: which product within a category
    UNITS = 8  #: how many units
    STORE = 9  #: which store of a retailer
    RETAILER = 10  #: which retailer
    ATTENTION = 11  #: whether she notices a contact
    VERDICT = 12  #: how she judges what she noticed
    REACTION = 13  #: what she does about it
    DISCLOSE = 14  #: whether she shares or takes back data
    POLICY = 15  #: a policy's own choices
    CONTACT = 16  #: channel and hour of a contact
    WEATHER = 17  #: the day's weather and random events
    STOCK = 18  #: priority when stock is rationed
    DRIFT = 19  #: how she changes over time
    REDEEM = 20  #: whether a coupon in hand is used
    SUBSTITUTE = 21  #: what she does when something is out
    RATE = 22  #: how far her fitted rates are from their posterior means
    REGULARITY = 23  #: how regular she is, of what her purchases leave open


def stream(seed: int, world: int = 0) -> Words:
    """Key of one world of a seed: the first argument of every draw.

    It is the first two words of Philox under the seed's 64 bits as key, at the counter ``(world, 0, 0, 0)``.
    No draw has purpose 0, so a world's key is never a draw of another world.

    Parameters
    ----------
    seed : in [0, 2**64)
    world : in [0, 2**32)

    Returns
    -------
    (2,) uint32

    Raises
    ------
    SettingError
        when the seed or the world is out of range.
    """
    if not 0 <= seed < 1 << 64:
        raise SettingError(f"seed {seed} is out of range. Take a whole number from 0 to 2**64 - 1")
    if not 0 <= world < 1 << 32:
        raise SettingError(f"world {world} is out of range. Take a whole number from 0 to 2**32 - 1")
    key = np.empty(2, np.uint32)
    _fill_stream(np.uint64(seed), np.uint64(world), key)
    return key


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_stream(seed: np.uint64, world: np.uint64, key: Words) -> None:
    low, high, _, _ = philox(np.uint32(seed), np.uint32(seed >> np.uint64(32)), np.uint32(world), 0, 0, 0)
    key[0] = low
    key[1] = high


# ---- whole columns -----------------------------------------------------------------------------------------


def uniform_column(
    key: Words, purpose: int, consumers: ArrayLike, day: ArrayLike, occasion: ArrayLike = 0
) -> Column:
    """Uniform draws in [0, 1), one for each consumer; equal to :func:`uniform` bit for bit.

    Parameters
    ----------
    key : (2,) uint32, from :func:`stream`
    purpose : a :class:`Purpose`
    consumers : (n,) whole numbers in [0, 2**32)
    day : one day or (n,) days; negative days are warm-up
    occasion : one occasion or (n,) occasions, in [0, 2**24)

    Returns
    -------
    (n,) float64

    Raises
    ------
    ShapeError
        when the lengths differ or something is not a whole number.
    """
    return _column(_fill_uniforms, key, purpose, consumers, day, occasion)


def normal_column(
    key: Words, purpose: int, consumers: ArrayLike, day: ArrayLike, occasion: ArrayLike = 0
) -> Column:
    """Standard normal draws, one for each consumer; equal to :func:`normal` bit for bit.

    Parameters, result and errors as for :func:`uniform_column`.
    """
    return _column(_fill_normals, key, purpose, consumers, day, occasion)


def exp_column(x: ArrayLike) -> Column:
    """Element-wise :func:`exp` of an array of any shape, bit for bit."""
    return _mapped(_fill_exp, x)


def log_column(x: ArrayLike) -> Column:
    """Element-wise :func:`log` of an array of any shape, bit for bit."""
    return _mapped(_fill_log, x)


def sigmoid_column(x: ArrayLike) -> Column:
    """Element-wise :func:`sigmoid` of an array of any shape, bit for bit."""
    return _mapped(_fill_sigmoid, x)


def _column(
    fill: Callable[..., None],
    key: Words,
    purpose: int,
    consumers: ArrayLike,
    day: ArrayLike,
    occasion: ArrayLike,
) -> Column:
    if key.shape != (2,) or key.dtype != np.uint32:
        raise ShapeError(
            f"a key is 2 uint32 words but this is {key.dtype} {key.shape}. Make one with stream(seed)"
        )
    who = _words(consumers, "consumers")
    if who.ndim != 1:
        raise ShapeError(f"consumers has {who.ndim} dimensions. Give one column")
    days, occasions = _words(day, "day"), _words(occasion, "occasion")
    for name, words in (("day", days), ("occasion", occasions)):
        if words.shape not in ((), who.shape):
            raise ShapeError(
                f"{len(who)} consumers but {name} of shape {words.shape}. Give one, or one for each"
            )
    out = np.empty(len(who), np.float64)
    if days.ndim or occasions.ndim:
        days = np.ascontiguousarray(np.broadcast_to(days, who.shape))
        occasions = np.ascontiguousarray(np.broadcast_to(occasions, who.shape))
    else:
        # Length one means the same for all: spares two arrays in the usual call.
        days, occasions = days.reshape(1), occasions.reshape(1)
    fill(key, np.uint32(int(purpose)), who, days, occasions, out)
    return out


def _words(values: ArrayLike, name: str) -> Words:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise ShapeError(f"{name} is {array.dtype}. Give whole numbers")
    # A C cast wraps negative days to the top of the range, as the kernels do.
    return array if array.dtype == np.uint32 else array.astype(np.uint32, casting="unsafe")


def _mapped(fill: Callable[..., None], x: ArrayLike) -> Column:
    values = np.asarray(x, np.float64, order="C")
    out = np.empty(values.shape, np.float64)
    fill(values.reshape(-1), out.reshape(-1))
    return out


# ---- draws, for kernels ------------------------------------------------------------------------------------
# numba gives these functions their types at each call, so they carry their shapes and units in words. Those
# that are forced inline let LLVM turn a plain loop over consumers into SIMD: 2 ns for four words, not 10.


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def four(
    key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole
) -> tuple[Word, Word, Word, Word]:
    """Four independent uint32 words of one name: the cheapest way to several draws at once.

    ``key`` is (2,) uint32, the others are whole numbers; ``day`` may be negative. Word 0 is the one that
    :func:`uniform`, :func:`normal`, :func:`exponential` and :func:`poisson` use. Turn a word into a number
    with :func:`unit` or :func:`open_unit`. Draws that must be independent need different names or words.
    """
    return philox(
        key[0], key[1], np.uint32(consumer), np.uint32(day), np.uint32(occasion), np.uint32(purpose)
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def uniform(key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole) -> float:
    """Uniform float64 in [0, 1), a multiple of 2**-32; arguments as for :func:`four`."""
    return unit(four(key, purpose, consumer, day, occasion)[0])


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def uniforms4(
    key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole
) -> tuple[float, float, float, float]:
    """Four independent uniforms in [0, 1) of one name, the first being :func:`uniform`."""
    a, b, c, d = four(key, purpose, consumer, day, occasion)
    return unit(a), unit(b), unit(c), unit(d)


@njit(cache=True, nogil=True, error_model="numpy")
def normal(key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole) -> float:
    """Standard normal float64, by inversion of one uniform; never beyond 6.4 standard deviations."""
    return normal_quantile(open_unit(four(key, purpose, consumer, day, occasion)[0]))


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole) -> float:
    """Exponential float64 with mean 1, by inversion of one uniform; above 0, never beyond 22.9."""
    return -log(open_unit(four(key, purpose, consumer, day, occasion)[0]))


GAMMA_TRIES = 16


@njit(cache=True, nogil=True, error_model="numpy")
def gamma_draw(
    key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole, shape: Real
) -> float:
    """Gamma float64 with the given shape (above 0) and scale 1, by Marsaglia and Tsang's rejection.

    Each try takes its own Philox block, numbered in the top byte of the occasion, so that however many are
    needed no other occasion's luck is touched. A try succeeds with probability above 0.95; should all 16 fail
    (under 1 in 10**20) the draw is the proposal's centre. For a shape below 1 it draws at shape + 1 and
    scales by a uniform to the power 1 / shape.
    """
    boosted = shape < 1.0
    centre = float(shape) + (1.0 if boosted else 0.0) - 1.0 / 3.0
    width = 1.0 / float(np.sqrt(9.0 * centre))
    drawn = centre
    for attempt in range(GAMMA_TRIES):
        first, second, _, _ = four(
            key, purpose, consumer, day, np.uint32(occasion) | np.uint32(attempt << 24)
        )
        z = normal_quantile(open_unit(first))
        root = 1.0 + width * z
        cube = root * root * root
        if cube > 0.0 and log(open_unit(second)) < 0.5 * z * z + centre - centre * cube + centre * log(cube):
            drawn = centre * cube
            break
    if boosted:
        _, _, third, _ = four(key, purpose, consumer, day, occasion)
        drawn *= exp(log(open_unit(third)) / shape)
    return drawn


POISSON_MOST = 1000


@njit(cache=True, nogil=True, error_model="numpy")
def poisson(key: Words, purpose: Whole, consumer: Whole, day: Whole, occasion: Whole, mean: Real) -> int:
    """Poisson int64 by inversion of one uniform, in about ``mean`` steps; made for means up to 30 or so.

    Exact to rounding for means up to 500; a mean of 0 or less gives 0; never more than 1000.
    """
    u = uniform(key, purpose, consumer, day, occasion)
    count = 0
    rate = float(mean)
    mass = exp(-rate)
    below = mass
    while u >= below and count < POISSON_MOST:
        count += 1
        mass *= rate / count
        below += mass
    return count


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def unit(word: Word) -> float:
    """Uint32 word to float64 in [0, 1): ``word * 2**-32``."""
    return np.float64(word) * 2.0**-32


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def open_unit(word: Word) -> float:
    """Uint32 word to float64 in (0, 1), both ends excluded: ``(word + 0.5) * 2**-32``."""
    return (np.float64(word) + 0.5) * 2.0**-32


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def philox(k0: Whole, k1: Whole, c0: Whole, c1: Whole, c2: Whole, c3: Whole) -> tuple[Word, Word, Word, Word]:
    """Philox4x32-10: four uint32 words from a key of two and a counter of four uint32 words."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a, b, c, d = np.uint64(c0) & low, np.uint64(c1) & low, np.uint64(c2) & low, np.uint64(c3) & low
    j, k = np.uint64(k0) & low, np.uint64(k1) & low
    for _ in range(10):
        # Words stay in uint64 below 2**32: LLVM then multiplies 32 x 32 -> 64 bits in one SIMD instruction.
        p = np.uint64(0xD2511F53) * a
        q = np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> half) ^ b ^ j, q & low, (p >> half) ^ d ^ k, p & low
        j = (j + np.uint64(0x9E3779B9)) & low
        k = (k + np.uint64(0xBB67AE85)) & low
    return np.uint32(a), np.uint32(b), np.uint32(c), np.uint32(d)


# ---- functions of one float64, for kernels -----------------------------------------------------------------

_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to a whole number, found in the low bits
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # its last 21 bits are zero, so a whole number up to 2**20 times it is exact
_LN2_LOW = 1.9082149292705877e-10


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def exp(x: Real) -> float:
    """Exponential of a float64, without branches; relative error below 4e-16 over [-708, 709].

    Below -708 it is 0, above 709 infinity; NaN stays NaN. ``x = n * ln 2 + r``; a polynomial of degree 11
    gives ``e ** r`` (the Taylor series economised over Chebyshev polynomials), the exponent bits give ``2 **
    n``.
    """
    inside = -708.0 if x < -708.0 else float(x)
    inside = 709.0 if inside > 709.0 else inside
    shifted = inside * _LOG2_E + _SHIFT
    n = shifted - _SHIFT
    r = (inside - n * _LN2_HIGH) - n * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    # Estrin's order: half the latency of Horner's, and the same bits everywhere because it is written out.
    low = (0.5 + r * 0.1666666666666667) + r2 * (0.04166666666662416 + r * 0.008333333333326141)
    mid = (0.0013888888917198588 + r * 0.00019841269874802173) + r2 * (
        2.4801521319879672e-05 + r * 2.755725542387984e-06
    )
    high = 2.762007691611333e-07 + r * 2.510520706464424e-08
    power = 1.0 + (r + r2 * (low + r4 * (mid + r4 * high)))
    scale = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    result = 0.0 if x < -708.0 else float(power * scale)
    return np.inf if x > 709.0 else result


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def log(x: Real) -> float:
    """Natural logarithm of a float64, without branches; relative error below 3e-16 for normal positive x.

    0 and subnormals give minus infinity, infinity stays, negatives and NaN give NaN. ``x = 2 ** k * m`` with
    m in [0.707, 1.414]; then the series of ``log((1 + s) / (1 - s))`` as in fdlibm's ``e_log.c`` (Sun, 1993).
    """
    bits = np.float64(x).view(np.int64)
    # Counted from the bits of sqrt(1/2), so that m straddles 1 and log(1) is exactly 0.
    k = (bits - 0x3FE6A09E667F3BCD) >> 52
    m = np.int64(bits - (k << 52)).view(np.float64)
    # The same shift as in exp, backwards: SIMD has no conversion from int64 before AVX-512.
    kf = np.int64(k + 0x4338000000000000).view(np.float64) - _SHIFT
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = z * (
        0.6666666666666735130
        + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    )
    even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    half = 0.5 * f * f
    result = float(kf * _LN2_HIGH - ((half - (s * (half + (odd + even)) + kf * _LN2_LOW)) - f))
    result = -np.inf if x < 2.2250738585072014e-308 else result
    result = np.nan if x < 0.0 else result
    result = np.inf if x == np.inf else result
    return np.nan if x != x else result


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def sigmoid(x: Real) -> float:
    """1 / (1 + e ** -x) for a float64, without branches; in [0, 1], relative error below 1e-15 above -708."""
    return 1.0 / (1.0 + exp(-x))


@njit(cache=True, nogil=True, error_model="numpy")
def normal_quantile(p: Real) -> float:
    """Standard normal quantile of p in (0, 1), to about 1e-15 (Wichura's AS 241, PPND16)."""
    q = float(p) - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = 2509.0809287301226727 * r + 33430.575583588128105
        top = (top * r + 67265.770927008700853) * r + 45921.953931549871457
        top = (top * r + 13731.693765509461125) * r + 1971.5909503065514427
        top = (top * r + 133.14166789178437745) * r + 3.387132872796366608
        bottom = 5226.495278852545925 * r + 28729.085735721942674
        bottom = (bottom * r + 39307.89580009271061) * r + 21213.794301586595867
        bottom = (bottom * r + 5394.1960214247511077) * r + 687.1870074920579083
        bottom = (bottom * r + 42.313330701600911252) * r + 1.0
        return q * top / bottom
    r = float(np.sqrt(-log(p if q < 0.0 else 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        top = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
        top = (top * r + 0.24178072517745061177) * r + 1.27045825245236838258
        top = (top * r + 3.64784832476320460504) * r + 5.7694972214606914055
        top = (top * r + 4.6303378461565452959) * r + 1.42343711074968357734
        bottom = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
        bottom = (bottom * r + 0.0151986665636164571966) * r + 0.14810397642748007459
        bottom = (bottom * r + 0.68976733498510000455) * r + 1.6763848301838038494
        bottom = (bottom * r + 2.05319162663775882187) * r + 1.0
    else:
        r -= 5.0
        top = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        top = (top * r + 0.0012426609473880784386) * r + 0.026532189526576123093
        top = (top * r + 0.29656057182850489123) * r + 1.7848265399172913358
        top = (top * r + 5.4637849111641143699) * r + 6.6579046435011037772
        bottom = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
        bottom = (bottom * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4
        bottom = (bottom * r + 0.0148753612908506148525) * r + 0.13692988092273580531
        bottom = (bottom * r + 0.59983220655588793769) * r + 1.0
    return -top / bottom if q < 0.0 else top / bottom


# ---- kernels of the columns --------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_uniforms(
    key: Words, purpose: Word, consumers: Words, days: Words, occasions: Words, out: Column
) -> None:
    if len(days) == len(out):
        for i in range(len(out)):
            out[i] = uniform(key, purpose, consumers[i], days[i], occasions[i])
    else:
        k0, k1, day, occasion = key[0], key[1], days[0], occasions[0]
        for i in range(len(out)):
            out[i] = unit(philox(k0, k1, consumers[i], day, occasion, purpose)[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_normals(
    key: Words, purpose: Word, consumers: Words, days: Words, occasions: Words, out: Column
) -> None:
    _fill_uniforms(key, purpose, consumers, days, occasions, out)
    for i in range(len(out)):
        # uniform's half step is exact: both are multiples of 2**-33 below 1.
        out[i] = normal_quantile(out[i] + 2.0**-33)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_exp(x: Column, out: Column) -> None:
    for i in range(len(out)):
        out[i] = exp(x[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_log(x: Column, out: Column) -> None:
    for i in range(len(out)):
        out[i] = log(x[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_sigmoid(x: Column, out: Column) -> None:
    for i in range(len(out)):
        out[i] = sigmoid(x[i])
