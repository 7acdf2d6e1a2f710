from dataclasses import replace

from monitor.history import LEFT_S, SERVER, History
from monitor.tests.test_alerts import CALM, FARM, OPERATORS, PI


def having(*names, downloads=0):
    own = replace(OPERATORS, downloads_today=downloads)
    return replace(FARM, builders=tuple(replace(PI, name=name) for name in names), operators=own)


def names(history, now):
    return [(seen.builder.name, seen.has_left) for seen in history.builders(now)]


def test_who_left_is_seen_for_five_seconds():
    history = History()
    history.take(having("pi-1", "pi-2"), 100.0)
    history.take(having("pi-2"), 101.0)

    assert names(history, 100 + LEFT_S - 0.1) == [("pi-1", True), ("pi-2", False)]
    assert names(history, 100 + LEFT_S) == [("pi-2", False)]
    # Of one that stays, nothing is forgotten, however long no look succeeds.
    assert names(history, 9999.0) == [("pi-2", False)]


def test_figures_are_kept_in_their_order_and_forgotten_with_their_builder():
    history = History()
    for number in range(3):
        hot = replace(PI, machine=replace(CALM, temperature_c=50.0 + number))
        history.take(replace(FARM, builders=(hot,)), float(number))

    assert history.figures("pi-1", "temperature_c") == (50.0, 51.0, 52.0)
    assert history.figures(SERVER, "load") == (0.5, 0.5, 0.5)
    history.take(having(), 3.0)
    history.builders(100.0)
    assert history.figures("pi-1", "temperature_c") == ()


def test_downloads_an_hour_are_told_after_a_minute():
    history = History()
    history.take(having(downloads=100), 0.0)
    history.take(having(downloads=110), 59.0)
    assert history.downloads_an_hour() is None

    history.take(having(downloads=120), 60.0)

    assert history.downloads_an_hour() == 1200.0
    assert history.downloads_in_last_hour() is None


def test_the_last_hour_is_told_once_it_was_watched():
    history = History()
    for minute in range(0, 131):
        history.take(having(downloads=min(minute, 60)), minute * 60.0)

    assert history.downloads_in_last_hour() == 0


def test_a_new_day_begins_to_count_anew():
    history = History()
    history.take(having(downloads=5000), 0.0)
    history.take(having(downloads=3), 60.0)

    assert history.downloads_an_hour() is None
