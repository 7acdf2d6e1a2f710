import random

import pytest
import requests

from tests.fake_pypi import FakePyPI
from tests.fake_pypi_pages import SIMPLE_JSON
from tests.weather import Weather


@pytest.fixture
def upstream():
    with FakePyPI() as server:
        for name in ("a", "b"):
            server.add_sdist(name, "1.0")
        yield server


def somebody(chance: random.Random) -> str:
    return chance.choice(["a", "b"])


def outcome(upstream, path):
    headers = {"Accept": SIMPLE_JSON}
    try:
        answer = requests.get(f"{upstream.url}{path}", headers=headers, timeout=60)
        return (answer.status_code, answer.content, answer.headers.get("ETag"))
    except requests.RequestException as error:
        return type(error)


def test_everything_goes_wrong_in_time_and_is_well_again_in_the_end(upstream):
    paths = ["/simple/", "/simple/a/", "/pypi/b/json"]
    well = [outcome(upstream, path) for path in paths]
    weather = Weather(upstream, somebody, seed=1)

    turns, answers = set(), set()
    for _ in range(150):
        turns.add(weather.turn())
        answers |= {str(outcome(upstream, path)) for path in paths}
    weather.clear()

    assert turns == set(weather.kinds)
    assert len(answers) > 10
    assert [outcome(upstream, path) for path in paths] == well


def test_the_same_seed_has_the_same_weather(upstream):
    one, two = (Weather(upstream, somebody, seed=7) for _ in range(2))

    assert [one.turn() for _ in range(20)] == [two.turn() for _ in range(20)]
