import pytest

from regulars import settings
from regulars.errors import SettingError


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
    ],
)
def test_a_wrong_file_says_where_and_what(text, said):
    with pytest.raises(SettingError) as error:
        settings.parse(text, "mine.toml")
    assert "mine.toml" in str(error.value)
    assert said in str(error.value)


def test_a_scenario_survives_being_written_down():
    import json
    from dataclasses import asdict

    for name in settings.shipped():
        scenario = settings.load(name)
        assert settings.from_dict(json.loads(json.dumps(asdict(scenario)))) == scenario
