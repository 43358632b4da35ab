"""Claims about draws: the published vectors, one luck however it is asked for, and honest distributions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from regulars import draws
from regulars.draws import Purpose
from regulars.errors import SettingError, ShapeError

consumers = st.integers(0, 2**32 - 1)
days = st.integers(-(2**31), 2**31 - 1)
occasions = st.integers(0, 2**24 - 1)
purposes = st.sampled_from(Purpose)
seeds = st.integers(0, 2**64 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    assert draws.philox(*key, *counter) == words


def test_a_draw_is_philox_at_its_name():
    key = np.array([7, 8], np.uint32)
    expected = draws.philox(7, 8, 5, 2**32 - 3, 2, int(Purpose.TRIP))
    assert draws.four(key, Purpose.TRIP, 5, -3, 2) == expected


# ---- streams -----------------------------------------------------------------------------------------------


def test_a_stream_is_philox_under_the_seed():
    seed = 0x0123456789ABCDEF
    assert tuple(draws.stream(seed, 9)) == draws.philox(0x89ABCDEF, 0x01234567, 9, 0, 0, 0)[:2]


def test_streams_of_seeds_and_worlds_differ():
    keys = {tuple(draws.stream(seed, world).tolist()) for seed in range(100) for world in range(20)}
    assert len(keys) == 2000


@pytest.mark.parametrize(("seed", "world"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**32)])
def test_a_stream_out_of_range_is_refused_with_its_value(seed, world):
    with pytest.raises(SettingError, match=str(seed if world == 0 else world)):
        draws.stream(seed, world)


def test_purposes_are_numbered_from_one_without_repeats():
    assert sorted(Purpose) == list(range(1, len(Purpose) + 1))


# ---- one luck, however asked for ---------------------------------------------------------------------------


@given(seeds, purposes, st.lists(consumers, min_size=1, max_size=40), days, occasions)
def test_columns_equal_scalars_bit_for_bit(seed, purpose, who, day, occasion):
    key = draws.stream(seed)
    uniform = draws.uniform_column(key, purpose, who, day, occasion)
    normal = draws.normal_column(key, purpose, who, day, occasion)
    assert uniform.tolist() == [draws.uniform(key, purpose, c, day, occasion) for c in who]
    assert normal.tolist() == [draws.normal(key, purpose, c, day, occasion) for c in who]


@given(seeds, purposes, st.lists(st.tuples(consumers, days, occasions), min_size=1, max_size=40))
def test_columns_of_days_and_occasions_equal_scalars_bit_for_bit(seed, purpose, names):
    key = draws.stream(seed)
    who, day, occasion = (np.array(column, np.int64) for column in zip(*names, strict=True))
    expected = [draws.uniform(key, purpose, *name) for name in names]
    assert draws.uniform_column(key, purpose, who, day, occasion).tolist() == expected
    assert draws.uniform_column(key, purpose, who.astype(np.uint32), day, occasion).tolist() == expected


def test_a_batch_does_not_change_anybodys_luck():
    key = draws.stream(1)
    everybody = draws.normal_column(key, Purpose.TRAITS, np.arange(10_000), 3)
    some = np.array([9_999, 17, 0, 4_242])
    assert draws.normal_column(key, Purpose.TRAITS, some, 3).tolist() == everybody[some].tolist()


@given(seeds, purposes, consumers, days, occasions)
def test_every_kind_of_draw_starts_from_the_same_words(seed, purpose, consumer, day, occasion):
    key = draws.stream(seed)
    name = (key, purpose, consumer, day, occasion)
    words = draws.four(*name)
    assert draws.uniforms4(*name) == tuple(int(word) * 2.0**-32 for word in words)
    assert draws.uniform(*name) == draws.uniforms4(*name)[0]
    assert draws.normal(*name) == draws.normal_quantile(draws.open_unit(words[0]))
    assert draws.exponential(*name) == -draws.log(draws.open_unit(words[0]))


@njit
def _inside_a_kernel(key, consumer, day, x):
    return (
        draws.uniform(key, Purpose.TRIP, consumer, day, 0),
        draws.exp(x),
        draws.gamma_draw(key, 1, consumer, day, 0, x),
    )


@given(consumers, days, st.floats(0.1, 100))
def test_a_kernel_gets_the_same_numbers(consumer, day, x):
    key = draws.stream(2)
    assert _inside_a_kernel(key, np.uint32(consumer), day, x) == (
        draws.uniform(key, Purpose.TRIP, consumer, day, 0),
        draws.exp(x),
        draws.gamma_draw(key, 1, consumer, day, 0, x),
    )


def test_an_empty_column_is_empty():
    assert draws.uniform_column(draws.stream(0), Purpose.TRIP, [], 0).shape == (0,)


@pytest.mark.parametrize(
    ("who", "day", "occasion"),
    [([1, 2], [1, 2, 3], 0), ([1, 2], 0, [1]), ([[1, 2]], 0, 0), ([1.5], 0, 0), ([1], 0.5, 0)],
)
def test_columns_that_do_not_fit_are_refused(who, day, occasion):
    with pytest.raises(ShapeError):
        draws.uniform_column(draws.stream(0), Purpose.TRIP, who, day, occasion)


def test_a_key_that_is_not_a_key_is_refused():
    with pytest.raises(ShapeError, match=r"stream\(seed\)"):
        draws.uniform_column(np.array([1, 2]), Purpose.TRIP, [1], 0)


# ---- honest distributions; keys are fixed, so these never flicker ------------------------------------------

MANY = np.arange(200_000)


@pytest.mark.parametrize("vary", ["consumer", "day", "occasion", "seed"])
def test_uniforms_are_even_along_every_part_of_the_name(vary):
    n = 100_000
    if vary == "seed":
        u = np.array([draws.uniform(draws.stream(seed), 4, 1, 1, 1) for seed in range(n // 5)])
    else:
        names = {"consumer": np.zeros(n, int), "day": np.zeros(n, int), "occasion": np.zeros(n, int)}
        names[vary] = np.arange(n)
        u = draws.uniform_column(draws.stream(11), 4, names["consumer"], names["day"], names["occasion"])
    counts = np.bincount((u * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 0.001
    pairs = np.histogram2d(u[:-1], u[1:], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 0.001


def test_draws_of_different_purposes_days_and_words_are_independent():
    key = draws.stream(12)
    first = draws.uniform_column(key, Purpose.TRIP, MANY, 1)
    others = [
        draws.uniform_column(key, Purpose.SIZE, MANY, 1),
        draws.uniform_column(key, Purpose.TRIP, MANY, 2),
        draws.uniform_column(key, Purpose.TRIP, MANY, 1, 1),
        draws.uniform_column(draws.stream(12, 1), Purpose.TRIP, MANY, 1),
        np.array([draws.uniforms4(key, Purpose.TRIP, c, 1, 0)[1] for c in MANY]),
    ]
    for other in others:
        assert stats.chisquare(np.histogram2d(first, other, bins=16)[0].ravel()).pvalue > 0.001


def test_uniforms_stay_below_one():
    assert draws.unit(np.uint32(ONES)) < 1.0
    assert draws.unit(np.uint32(0)) == 0.0
    assert 0.0 < draws.open_unit(np.uint32(0)) < draws.open_unit(np.uint32(ONES)) < 1.0


def test_normals_are_normal():
    assert stats.kstest(draws.normal_column(draws.stream(13), 1, MANY, 0), "norm").pvalue > 0.001


def test_exponentials_are_exponential():
    key = draws.stream(14)
    assert stats.kstest([draws.exponential(key, 1, c, 0, 0) for c in MANY], "expon").pvalue > 0.001


@pytest.mark.parametrize("shape", [0.05, 0.5, 1.0, 2.5, 40.0])
def test_gammas_are_gamma(shape):
    key = draws.stream(15)
    drawn = [draws.gamma_draw(key, 1, c, 0, 0, shape) for c in MANY[:50_000]]
    assert stats.kstest(drawn, stats.gamma(shape).cdf).pvalue > 0.001


def test_a_gamma_never_touches_another_occasions_words():
    key = draws.stream(16)
    drawn = np.array([[draws.gamma_draw(key, 1, c, 0, o, 1.0) for o in (0, 1)] for c in range(20_000)])
    assert abs(stats.spearmanr(drawn).statistic) < 0.03


@pytest.mark.parametrize("mean", [0.3, 2.0, 30.0])
def test_poissons_are_poisson(mean):
    key = draws.stream(17)
    drawn = np.array([draws.poisson(key, 1, c, 0, 0, mean) for c in MANY[:50_000]])
    low, high = stats.poisson(mean).ppf([0.001, 0.999]).astype(int)
    inner = np.arange(low, high + 1)
    counts = [(drawn < inner[0]).sum(), *((drawn == k).sum() for k in inner), (drawn > inner[-1]).sum()]
    chances = [
        stats.poisson.cdf(inner[0] - 1, mean),
        *stats.poisson.pmf(inner, mean),
        stats.poisson.sf(inner[-1], mean),
    ]
    kept = np.array(chances) > 0
    assert stats.chisquare(np.array(counts)[kept], np.array(chances)[kept] * len(drawn)).pvalue > 0.001


def test_poissons_end_whatever_the_mean():
    key = draws.stream(18)
    assert [draws.poisson(key, 1, 1, 0, 0, mean) for mean in (0.0, -1.0, math.nan)] == [0, 0, 0]
    assert draws.poisson(key, 1, 1, 0, 0, 1e9) == draws.POISSON_MOST


# ---- functions ---------------------------------------------------------------------------------------------


@given(st.floats(-708, 709))
def test_exp_is_accurate(x):
    assert draws.exp(x) == pytest.approx(math.exp(x), rel=4e-16, abs=0)


@given(st.floats(2.2250738585072014e-308, 1.7976931348623157e308))
def test_log_is_accurate(x):
    assert draws.log(x) == pytest.approx(math.log(x), rel=4e-16, abs=0)


@given(st.floats(-1, 1))
def test_log_is_accurate_near_one(x):
    assert draws.log(1.0 + x * 1e-3) == pytest.approx(math.log(1.0 + x * 1e-3), rel=4e-16, abs=0)


@given(st.floats(-708, 709))
def test_sigmoid_is_accurate(x):
    assert draws.sigmoid(x) == pytest.approx(1.0 / (1.0 + math.exp(-x)), rel=1e-15, abs=0)


@given(st.floats(1e-10, 1.0 - 1e-10))
def test_normal_quantile_is_accurate(p):
    assert draws.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=2e-14, abs=1e-15)


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (draws.exp, -800, 800),
        (draws.sigmoid, -800, 800),
        (draws.log, 1e-300, 1e300),
        (draws.normal_quantile, 1e-9, 1 - 1e-9),
    ],
)
def test_functions_never_fall_as_their_argument_grows(function, low, high):
    @given(st.floats(low, high), st.floats(low, high))
    def claim(a, b):
        a, b = sorted((a, b))
        assert function(a) <= function(b) or b - a <= 4 * math.ulp(b)

    claim()


def test_exp_never_falls_across_the_seams_of_its_range_reduction():
    seams = (np.arange(-1000, 1000) + 0.5) * math.log(2)
    steps = draws.exp_column(np.concatenate([seams * (1 - 1e-14), seams, seams * (1 + 1e-14)]).reshape(3, -1))
    rising = np.sort(steps, axis=0)
    assert (np.where(seams > 0, steps, steps[::-1]) == rising).all()


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        (draws.exp, 0.0, 1.0),
        (draws.exp, -0.0, 1.0),
        (draws.exp, -math.inf, 0.0),
        (draws.exp, math.inf, math.inf),
        (draws.log, 1.0, 0.0),
        (draws.log, 0.0, -math.inf),
        (draws.log, math.inf, math.inf),
        (draws.sigmoid, 0.0, 0.5),
        (draws.sigmoid, -math.inf, 0.0),
        (draws.sigmoid, math.inf, 1.0),
    ],
)
def test_functions_are_exact_where_they_should_be(function, x, y):
    assert function(x) == y


@pytest.mark.parametrize(("function", "x"), [(draws.exp, math.nan), (draws.log, math.nan), (draws.log, -1.0)])
def test_functions_own_up_to_what_is_not_a_number(function, x):
    assert math.isnan(function(x))


@given(st.lists(finite, max_size=50))
def test_function_columns_equal_scalars_bit_for_bit(xs):
    for column, scalar in (
        (draws.exp_column, draws.exp),
        (draws.log_column, draws.log),
        (draws.sigmoid_column, draws.sigmoid),
    ):
        assert column(xs).tobytes() == np.array([scalar(x) for x in xs], np.float64).tobytes()


def test_function_columns_keep_shape_and_leave_their_input_alone():
    x = np.arange(12.0).reshape(3, 4)[:, ::2]
    y = draws.exp_column(x)
    assert y.shape == (3, 2)
    assert y[2, 1] == draws.exp(10.0)
    assert x[2, 1] == 10.0
