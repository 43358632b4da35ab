import numpy as np
import pytest

from regulars import settings
from regulars.errors import SettingError
from regulars.settings import RetailerSettings, Scenario


def test_the_shipped_scenarios_load():
    assert settings.shipped() == ("main-street", "one-chain", "sensitivity")
    assert settings.load("one-chain").mode == "arms"
    assert len(settings.load("main-street").retailers) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("days = 'many'", "must be of type int"),
        ("dayz = 3", "did you mean 'days'"),
        ("days = 0", "from 1 to 3650"),
        ("mode = 'both'", "'arms' or 'market'"),
        ("mode = ", "not TOML"),
        ("[[retailer]]\nname='a'\n[[retailer]]\nname='a'", "mode 'arms'"),
        ("mode='market'\n[[retailer]]\nname='a'\n[[retailer]]\nname='a'", "different names"),
        ("[[retailer]]\nmargn=0.2", "did you mean 'margin'"),
        ("[sweep]\nworlds='two'", "must be of type int"),
        ("worlds = true", "must be of type int"),
        ("priors = {creep_pull='x'}", "priors is {'creep_pull': 'x'}; it must be of type table of float"),
        ("priors = {creep_pull=true}", "must be of type table of float"),
        ("policies = [1]", "policies is [1]; it must be of type list of str"),
        ("policies = 'blast'", "policies is 'blast'; it must be of type list of str"),
        ("ablate = [['creep']]", "must be of type list of str"),
        ("columns = {date=3}", "columns is {'date': 3}; it must be of type table of str"),
        ("retailer = 3", "[[retailer]]"),
        ("retailer = [3]", "[[retailer]] 1 is 3; it must be a table"),
        ("[[retailer]]\nmargin=-5", "[[retailer]] 1: margin is -5.0; it must be from 0 to 1"),
        ("[[retailer]]\nmargin_private=nan", "margin_private is nan; it must be from 0 to 1"),
        ("[[retailer]]\ncoupon_funded=1.5", "coupon_funded is 1.5; it must be from 0 to 1"),
        ("[[retailer]]\nmail_cost=-1", "mail_cost is -1.0; it must be from 0 to 1000"),
        ("[[retailer]]\nprice_level=0", "price_level is 0.0; it must be from 0.1 to 10"),
        ("[[retailer]]\nweeks_of_stock=-1", "weeks_of_stock is -1.0; it must be from 0 to 520"),
        ("sweep = 3", "[sweep] is 3; it must be a table"),
        ("[sweep]\nworlds=0", "[sweep]: worlds is 0; it must be from 1 to 1000"),
        ("[sweep]\nconsumers=-5", "[sweep]: consumers is -5; it must be from 0 to"),
        ("[sweep]\nfrequency=['a']", "[sweep]: frequency is ['a']; it must be of type list of float"),
        ("[sweep]\nfrequency=[20]", "[sweep]: frequency is 20; it must be from 0 to 14"),
        ("[sweep]\nfrequency=[3, 3.0]", "[sweep]: frequency is [3, 3.0]; give each once"),
    ],
)
def test_a_wrong_file_says_where_and_what(text, said):
    with pytest.raises(SettingError) as error:
        settings.parse(text, "mine.toml")
    assert "mine.toml" in str(error.value)
    assert said in str(error.value)


def test_a_scenario_made_in_python_is_held_to_the_same():
    with pytest.raises(SettingError, match="priors is"):
        Scenario(priors={"creep_pull": "x"})
    with pytest.raises(SettingError, match="margin is -5"):
        RetailerSettings(margin=-5)
    assert Scenario(policies=["silence"], days=np.int64(30)).days == 30


def test_a_scenario_survives_being_written_down():
    import json
    from dataclasses import asdict

    for name in settings.shipped():
        scenario = settings.load(name)
        assert settings.from_dict(json.loads(json.dumps(asdict(scenario)))) == scenario
