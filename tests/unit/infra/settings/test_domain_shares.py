"""Shares of the domains: constants and lines, and what is refused with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.domain_shares import fractions_at, share_at
from infra.settings.load import load, settings_json
from infra.settings.sources import InvalidSettingsError, parse_assignment
from infra.settings.tree import Settings

POINTS = ((0, 2.0), (100, 1.0), (300, 0.0))


@pytest.mark.parametrize(
    ("share", "step", "weight"),
    [
        (1.5, 7, 1.5),
        *((POINTS, *pair) for pair in ((0, 2.0), (50, 1.5), (100, 1.0), (200, 0.5), (300, 0.0), (999, 0.0))),
    ],
)
def test_a_share_is_on_the_line_between_its_points(share, step, weight):
    assert share_at(share, step) == pytest.approx(weight)


def test_before_its_first_point_a_share_is_what_it_is_there():
    assert share_at(((10, 3.0), (20, 1.0)), 0) == 3.0


@given(st.dictionaries(st.integers(0, 50), st.floats(0, 9), min_size=1).map(lambda found: tuple(sorted(found.items()))))
def test_a_share_goes_through_its_points_and_never_beyond_them(points):
    weights = [weight for _, weight in points]
    assert [share_at(points, step) for step, _ in points] == pytest.approx(weights)
    assert all(min(weights) - 1e-9 <= share_at(points, step) <= max(weights) + 1e-9 for step in range(60))


def test_fractions_are_of_the_domains_that_have_prompts():
    shares = {"mathematics": POINTS, "coding": 0.5}
    assert fractions_at(shares, 100, ["mathematics", "writing"]) == {"mathematics": 0.5, "writing": 0.5}
    assert fractions_at(shares, 0, ["mathematics", "coding"]) == {"mathematics": 0.8, "coding": 0.2}
    assert fractions_at(shares, 300, ["mathematics"]) == {"mathematics": 0.0}


def test_a_recipe_an_option_and_a_run_s_settings_read_the_same(tmp_path):
    recipe = tmp_path / "early.toml"
    recipe.write_text("[selector.domain_shares]\nmathematics = [[0, 2.0], [100, 1.0]]\ncoding = [[0, 2], [50, 1]]\n")
    chosen = load(str(recipe), [parse_assignment("selector.domain_shares.coding=[[0, 3]]")]).settings
    assert chosen.selector.domain_shares == {"mathematics": ((0, 2.0), (100, 1.0)), "coding": ((0, 3.0),)}
    assert Settings.model_validate_json(settings_json(chosen)) == chosen


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("-1", r"mathematics.*greater than or equal to 0; got '-1'"),
        ("inf", "finite number"),
        ("[]", r"mathematics\.points .*there is no point"),
        ("[[0, 2], [0, 1]]", "steps must rise from point to point, but 0 follows 0"),
        ("[[0, -2]]", r"points\.0\.1.*greater than or equal to 0; got -2"),
        ("[[0.5, 2]]", r"points\.0\.0.*valid integer"),
        ('{"0": 2}', "valid number"),
    ],
)
def test_a_share_that_is_none_is_refused_with_its_place(value, reason):
    with pytest.raises(InvalidSettingsError, match=reason):
        load(None, [parse_assignment(f"selector.domain_shares.mathematics={value}")])
