"""The library as a person meets it in a notebook."""

import pytest

import regulars as rg
from regulars.errors import SettingError


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"consumers": "a"}, "consumers is 'a'; it must be of type int"),
        ({"policies": 3}, "policies is 3; it must be of type list"),
        ({"policies": [3]}, "policies is .3.; it must be of type list of str"),
        ({"policys": ["silence"]}, "did you mean 'policies'"),
        ({"priors": {"creep_pull": "much"}}, "priors is .*creep_pull.*; it must be of type table of float"),
        ({"ablate": "nonsense"}, "'nonsense' is no mechanism that can be taken out. Choose from irritation"),
    ],
)
def test_a_change_that_cannot_be_made_is_a_setting_error(changes, said):
    with pytest.raises(SettingError, match=said):
        rg.simulate(**changes)


def test_one_policy_may_be_named_alone():
    run = rg.simulate(policies="silence", consumers=40, days=7, worlds=1)
    assert run.totals["arm"].unique().to_list() == ["silence"]


def test_data_of_less_than_a_year_are_lived_with_a_warning(tmp_path):
    rows = [f"2024-01-{1 + k % 28:02d},{k % 9},{k % 7}.50" for k in range(200)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["date,card,net", *rows]), "utf-8")
    with pytest.warns(UserWarning, match="sales.csv covers 28 days"):
        run = rg.simulate(source=path, policies="silence", worlds=1)
    assert run.about["days"] == 28
