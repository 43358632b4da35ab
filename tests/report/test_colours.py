"""Claims about colours: everybody can tell them apart, on white."""

import itertools

import numpy as np
import pytest

from regulars.report import colours

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _linear(colour):
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _lab(linear):
    x, y, z = TO_XYZ @ np.clip(linear, 0, 1) / (0.95047, 1.0, 1.08883)
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _contrast(colour, other="#ffffff"):
    one, two = (float(TO_XYZ[1] @ _linear(each)) for each in (colour, other))
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("palette", [colours.POLICIES, colours.VERDICTS], ids=["policies", "verdicts"])
def test_every_two_colours_can_be_told_apart(sight, palette):
    seen = {name: _lab(np.array(SIGHTS[sight]) @ _linear(colour)) for name, colour in palette.items()}
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 18, (a, b)


@pytest.mark.parametrize("colour", [*colours.POLICIES.values(), *colours.FURTHER])
def test_lines_and_dots_stand_out_from_the_card(colour):
    assert _contrast(colour) >= 3.0


@pytest.mark.parametrize("colour", [colours.INK, colours.FAINT])
def test_words_can_be_read_on_the_card(colour):
    assert _contrast(colour) >= 4.5


def test_a_policy_of_the_user_s_own_gets_a_colour_that_no_other_has():
    chosen = colours.policies(["mine", "blast", "another"])
    assert len(set(chosen.values())) == 3
    assert chosen["blast"] == colours.POLICIES["blast"]
