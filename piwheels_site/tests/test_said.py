from datetime import UTC, datetime, timedelta

import pytest

from builds.models import Build
from piwheels_site import charts
from piwheels_site.templatetags import said

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.5, "just now"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (200, "3 minutes ago"),
        (3600, "1 hour ago"),
        (5 * 86400, "5 days ago"),
        (2000 * 86400, "2,000 days ago"),
        (-90, "in 2 minutes"),
    ],
)
def test_a_moment_is_said_in_words(seconds, expected):
    assert f">{expected}</time>" in said.ago(NOW - timedelta(seconds=seconds), NOW)


def test_a_moment_is_said_in_utc_too():
    moment = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)

    for filtered in (said.ago(moment, NOW), said.day(moment)):
        assert 'datetime="2026-11-26T13:00:00Z" title="2026-11-26 13:00:00 UTC"' in filtered


def test_no_moment_is_said_by_nothing():
    assert said.ago(None, NOW) == said.day(None) == said.lasting(None) == said.counted(None) == ""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (41.4, "41 s"),
        (61, "1 min 1 s"),
        (7980, "2 h 13 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_duration_is_as_exact_as_one_wants_it(seconds, expected):
    assert said.lasting(seconds) == expected


def test_each_state_has_a_sign_and_a_word_of_its_own():
    words = [said.state_word(state) for state in Build.State]

    assert len(set(words)) == len(words)
    assert all(said.state_sign(state) for state in Build.State)


def test_bars_fill_the_picture_and_the_highest_reaches_its_top():
    chart = charts.bars("Downloads", [("Monday", 0), ("Tuesday", 5), ("Wednesday", 10)])

    assert [(bar.height, bar.y) for bar in chart.bars] == [(0, 120), (60, 60), (120, 0)]
    assert chart.bars[-1].x + chart.bars[-1].width < charts.WIDTH
    assert (chart.first, chart.last, chart.most) == ("Monday", "Wednesday", "10")


@pytest.mark.parametrize("series", [[], [("Monday", 0)]])
def test_a_chart_of_nothing_is_no_error(series):
    assert charts.bars("Downloads", series).most == "0"
