"""The rules by which somebody should look, each at both sides of its limit."""

from dataclasses import replace

import pytest

from monitor.alerts import Level, of_builder, of_farm, of_silence, worst
from monitor.farm import Builder, Disk, Farm, Machine, Operators, Queue

CALM = Machine(load=0.5, temperature_c=50.0, memory_used=0.5, swap_used=0.1, disk_used=0.5)
PI = Builder(
    **{"name": "pi-1", "target": "t", "mode": "active", "state": "free", "said": "waiting", "is_well": True},
    **{"reason": "", "heard_s": 5.0, "per_hour": 3, "task": None, "machine": CALM, "facts": ()},
    **{"up_s": 60.0, "clock_ahead_s": 0.0},
)
OPERATORS = Operators(
    **{"user": "ann", "may_act": True, "machine": CALM, "disks": (Disk(("wheels",), 10, 5),)},
    **{"sync_lag": 0, "sync_polled_s": 1.0, "sync_warning": "", "downloads_today": 5, "matters": ()},
    reasons={},
)
QUEUE = Queue(target="t", ready=5, pausing=0, builders=1, per_hour=1.0, empty_in_s=None)
FARM = Farm(builders=(PI,), queues=(QUEUE,), ended=3, built=3, operators=OPERATORS)


def words(alerts):
    return [(alert.word, alert.level) for alert in alerts]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"disk_used": 0.9}, None),
        ({"disk_used": 0.91}, "DISK"),
        ({"memory_used": 0.9}, None),
        ({"memory_used": 0.91}, "MEMORY"),
        ({"swap_used": 0.5}, None),
        ({"swap_used": 0.51}, "SWAP"),
        ({"swap_used": None}, None),
        ({"load": 4.0}, None),
        ({"load": 4.1}, "LOAD"),
        ({"load": 7.9, "processors": 8}, None),
        ({"temperature_c": 78.0}, None),
        ({"temperature_c": 78.1}, "HOT"),
        ({"temperature_c": None}, None),
    ],
)
def test_a_machine_has_limits(fields, word):
    found = of_builder(replace(PI, machine=replace(CALM, **fields)))

    assert words(found) == ([(word, Level.ALERT)] if word else [])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"heard_s": 89.0}, []),
        ({"heard_s": 90.0}, [("SILENT", Level.ALERT)]),
        ({"heard_s": 180.0}, [("SILENT", Level.DEAD)]),
        ({"heard_s": 9e9, "state": "stopped"}, []),
        ({"heard_s": None}, []),
        ({"state": "unwell"}, [("UNWELL", Level.DEAD)]),
        ({"state": "quarantined"}, [("QUARANTINED", Level.DEAD)]),
        ({"clock_ahead_s": -61.0}, [("CLOCK", Level.ALERT)]),
        ({"clock_ahead_s": 59.0}, []),
    ],
)
def test_a_builder_that_is_not_well_is_told_of(fields, expected):
    assert words(of_builder(replace(PI, **fields))) == expected


def test_the_worst_stands_first_and_counts():
    hot = replace(CALM, temperature_c=90.0)

    found = of_builder(replace(PI, machine=hot, heard_s=500.0))

    assert words(found) == [("SILENT", Level.DEAD), ("HOT", Level.ALERT)]
    assert worst(found) == Level.DEAD
    assert worst([]) == Level.WELL


@pytest.mark.parametrize(
    ("ended", "ready", "word"), [(0, 5, "NO BUILDS"), (0, 0, None), (1, 5, None), (1, 0, None)]
)
def test_an_hour_without_builds_is_told_of_if_some_wait(ended, ready, word):
    """The original compares a table with 0 here, and never tells."""
    found = of_farm(replace(FARM, ended=ended, queues=(replace(QUEUE, ready=ready),)), 5)

    assert words(found) == ([(word, Level.ALERT)] if word else [])


@pytest.mark.parametrize(("downloads", "word"), [(0, "NO DOWNLOADS"), (1, None), (None, None)])
def test_an_hour_without_downloads_is_told_of(downloads, word):
    assert words(of_farm(FARM, downloads)) == ([(word, Level.ALERT)] if word else [])


def test_the_server_may_be_less_hot_than_a_builder():
    warm = replace(OPERATORS, machine=replace(CALM, temperature_c=70.5))

    assert words(of_farm(replace(FARM, operators=warm), 5)) == [("HOT", Level.ALERT)]


def test_what_needs_a_decision_is_told_of_the_urgent_first():
    more = replace(OPERATORS, sync_warning="Look.", matters=(("later", False), ("now", True)))

    found = of_farm(replace(FARM, operators=more), 5)

    assert [alert.said for alert in found] == ["now", "Look.", "later"]


@pytest.mark.parametrize(("silence_s", "expected"), [(29.9, []), (30.0, [("NO ANSWER", Level.DEAD)])])
def test_a_server_that_does_not_answer_is_told_of_after_30_seconds(silence_s, expected):
    assert words(of_silence(silence_s)) == expected
