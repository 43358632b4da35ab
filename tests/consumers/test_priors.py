import ast
from pathlib import Path

import numpy as np
import pytest

from regulars.consumers import priors
from regulars.consumers.priors import (
    ABLATIONS,
    PRIORS,
    Traits,
    World,
    draw_traits,
    draw_world,
    medians,
    quantile,
)
from regulars.draws import stream
from regulars.errors import SettingError, ShapeError


def test_the_table_tells_every_parameter_of_a_world_in_order():
    assert tuple(prior.name for prior in PRIORS) == World._fields
    assert all(prior.meaning and prior.source and prior.kind in ("LN", "U", "N", "fixed") for prior in PRIORS)


def test_a_world_is_the_same_for_the_same_key_and_another_for_another():
    assert draw_world(stream(3, 1)) == draw_world(stream(3, 1))
    assert draw_world(stream(3, 1)).fit_value != draw_world(stream(3, 2)).fit_value


def test_each_parameter_has_luck_of_its_own():
    occasions = {priors.occasion(prior.name) for prior in PRIORS}
    assert len(occasions) == len(PRIORS)


def test_drawn_worlds_spread_as_the_priors_say():
    worlds = np.array([draw_world(stream(1, k)) for k in range(400)])
    for j, prior in enumerate(PRIORS):
        if prior.kind == "fixed":
            assert (worlds[:, j] == prior.first).all()
        else:
            below = (worlds[:, j] < quantile(prior.name, 0.25)).mean()
            above = (worlds[:, j] > quantile(prior.name, 0.75)).mean()
            assert 0.15 < below < 0.35 and 0.15 < above < 0.35, prior.name


def test_medians_are_the_middle_of_every_prior():
    middle = medians()
    for prior in PRIORS:
        assert getattr(middle, prior.name) == pytest.approx(quantile(prior.name, 0.5))


def test_an_override_changes_one_parameter_and_no_other():
    plain, changed = draw_world(stream(1)), draw_world(stream(1), {"creep_pull": 0.0})
    assert changed.creep_pull == 0.0
    assert changed._replace(creep_pull=plain.creep_pull) == plain


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_names_and_wins_over_an_override(name):
    pinned = dict.fromkeys(ABLATIONS[name], 0.123)
    plain, without = draw_world(stream(1)), draw_world(stream(1), pinned, frozenset({name}))
    changed = {f for f in World._fields if getattr(plain, f) != getattr(without, f)}
    assert changed
    assert changed <= set(ABLATIONS[name])
    assert all(getattr(without, f) == value for f, value in ABLATIONS[name].items())


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match=r"'creep_pul' is no parameter .* 'creep_pull'"):
        draw_world(stream(1), {"creep_pul": 1.0})
    with pytest.raises(SettingError, match=r"'irritations' is no mechanism .* 'irritation'"):
        medians(ablate=frozenset({"irritations"}))
    with pytest.raises(SettingError, match="nearest is 'theta'"):
        quantile("teta", 0.5)
    with pytest.raises(SettingError, match="level 1"):
        quantile("theta", 1.0)


def test_what_is_assumed_is_told_with_its_range():
    rows = {row[0]: row for row in priors.assumed()}
    name, meaning, source, low, high = rows["creep_pull"]
    assert (name, source) == ("creep_pull", "not identified")
    assert meaning and low == pytest.approx(0.1406, abs=1e-3) and high == pytest.approx(0.4446, abs=1e-3)
    assert "noise" not in rows


def test_traits_of_one_alone_equal_her_row_in_the_crowd():
    world, names = draw_world(stream(2)), np.arange(1000, dtype=np.uint32)
    crowd = draw_traits(stream(2), names, 3, world)
    some = np.array([7, 400, 999])
    alone = draw_traits(stream(2), names[some], 3, world)
    for column, part in zip(crowd, alone, strict=True):
        assert np.array_equal(column[some], part)


def test_traits_are_spread_as_assumed():
    world = medians()
    traits = draw_traits(stream(1), np.arange(50_000, dtype=np.uint32), 2, world)
    assert (traits.segment == priors.GUARDIAN).mean() == pytest.approx(world.guardians, abs=0.01)
    assert (traits.segment == priors.UNCONCERNED).mean() == pytest.approx(world.unconcerned, abs=0.01)
    guardian = traits.sensitivity[traits.segment == priors.GUARDIAN]
    assert np.allclose(guardian, world.sigma_scale * world.guardian_factor)
    assert np.median(traits.budget) == pytest.approx(world.budget, rel=0.03)
    assert np.median(traits.elsewhere) == pytest.approx(world.elsewhere_load, rel=0.03)
    assert traits.inside.mean() == pytest.approx(world.inside_mean, abs=0.01)
    assert 0.25 < np.quantile(traits.inside, 0.05) < 0.35 and 0.75 < np.quantile(traits.inside, 0.95) < 0.85
    assert np.allclose(traits.share.sum(axis=1), 1.0, atol=1e-6)
    assert traits.share.max(axis=1).mean() > 0.75


def test_with_one_retailer_her_whole_inside_share_is_its():
    assert (draw_traits(stream(1), np.arange(9, dtype=np.uint32), 1, medians()).share == 1.0).all()


def test_traits_refuse_no_retailer_and_names_of_another_type():
    with pytest.raises(SettingError, match="0 retailers"):
        draw_traits(stream(1), np.arange(3, dtype=np.uint32), 0, medians())
    with pytest.raises(ShapeError, match="int64"):
        draw_traits(stream(1), np.arange(3), 1, medians())


def test_the_page_tells_every_prior_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "priors.md").read_text()
    for prior in PRIORS:
        second = "" if prior.kind == "fixed" else f" {prior.second:g}"
        row = f"| `{prior.name}` | {prior.kind} {prior.first:g}{second} | {prior.meaning} | {prior.source} |"
        assert row in page, row
    assert all(f"`{name}`" in page for name in ABLATIONS)


def test_every_parameter_and_trait_is_read_somewhere():
    source = Path(priors.__file__).parents[1]
    read = {
        (ast.unparse(node.value).rpartition(".")[2], node.attr)
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    unread = {("world", name) for name in World._fields} | {("traits", name) for name in Traits._fields}
    assert unread - read == set()
