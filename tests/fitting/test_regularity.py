"""Levels of regularity are drawn from what purchases say, so that they lie as far apart as households do."""

import numpy as np

from regulars.fitting.regularity import drawn_level

LEVELS = np.array([-0.5, 0.0, 0.5, 1.0])


def likelihood(truth, noise, seed=1):
    """Log-likelihood of each level for households that were measured with this error."""
    measured = truth + np.random.default_rng(seed).normal(0, noise, len(truth))
    return -0.5 * ((measured[:, None] - LEVELS) / noise) ** 2


def test_drawn_levels_lie_as_far_apart_as_households_do():
    shares = np.array([0.1, 0.5, 0.3, 0.1])
    truth = np.random.default_rng(7).choice(LEVELS, 4_000, p=shares)
    fit = likelihood(truth, noise=0.6)
    drawn = drawn_level(fit, LEVELS, occasion=0)
    posterior = shares * np.exp(fit)
    posterior /= posterior.sum(1, keepdims=True)
    assert abs(drawn.std() - truth.std()) < 0.06
    assert (posterior @ LEVELS).std() < truth.std() - 0.06  # which means alone would not
    assert abs(drawn.mean() - truth.mean()) < 0.03


def test_what_is_well_known_is_kept():
    truth = np.repeat(LEVELS, 50)
    assert np.allclose(drawn_level(likelihood(truth, noise=0.02), LEVELS, occasion=0), truth, atol=0.05)


def test_two_kinds_of_regularity_have_luck_of_their_own():
    fit = np.zeros((500, len(LEVELS)))
    one, other = (drawn_level(fit, LEVELS, occasion) for occasion in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.15
    assert np.array_equal(one, drawn_level(fit, LEVELS, 0))
