"""The order of the queue as a table: each line goes before those below it."""

from itertools import pairwise

import pytest

from builds.planning import priority
from builds.planning.priority import RAISABLE, Facts, Rank


def facts(rank=Rank.HISTORY, depth=1, **fields):
    return Facts(rank=rank, depth=depth, **fields)


def points(facts, raised=()):
    return priority.place(facts, raised).priority


# What counts more stands higher, however much of what counts less the line below has.
WANTED = {"downloads": 10**9, "misses": 10**9, "dependents": 10**6, "expected_s": 1.0}
ORDER = [
    facts(Rank.OPERATOR, depth=5000),
    facts(Rank.PERSON, depth=5000),
    facts(Rank.RELEASE, depth=5000),
    facts(Rank.NEWEST, **WANTED),
    facts(Rank.NEWEST),
    facts(Rank.CAMPAIGN, **WANTED),
    # Of history: everybody's second newest version before anybody's third ...
    facts(depth=2),
    facts(depth=3, **WANTED),
    # ... of these what is downloaded, or looked for in vain, ten times as often ...
    facts(depth=3, downloads=1000),
    facts(depth=3, downloads=140, misses=160),
    # ... what ten times as many others need ...
    facts(depth=3, downloads=10, dependents=100),
    facts(depth=3, downloads=10, dependents=10),
    # ... and what is quickly built; what was never built is in between.
    facts(depth=3, downloads=10, expected_s=20),
    facts(depth=3, downloads=10),
    facts(depth=3, downloads=10, expected_s=10_000),
    facts(Rank.PRERELEASE, **WANTED),
]


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
def test_each_line_goes_before_the_next(first, second):
    assert points(first) > points(second)


@pytest.mark.parametrize("rank", RAISABLE)
def test_a_raised_class_goes_before_all_but_what_was_asked_for_by_name(rank):
    raised = points(facts(rank, depth=9999), {rank})

    others = [each for each in Rank if each != rank]

    assert [each for each in others if points(facts(each)) > raised] == [Rank.PERSON, Rank.OPERATOR]


def test_raised_classes_keep_their_order_among_themselves():
    values = [points(facts(rank), set(RAISABLE)) for rank in RAISABLE]

    assert values == sorted(values)


@pytest.mark.parametrize("rank", Rank)
@pytest.mark.parametrize("extremes", [{"depth": 1, **WANTED}, {"depth": 10**6, "expected_s": 1e9}])
def test_the_class_can_be_read_from_the_number(rank, extremes):
    for raised in (set(), {rank} & set(RAISABLE)):
        value = points(Facts(rank=rank, **extremes), raised)

        assert priority.class_of(value) == (rank, bool(raised))
        assert value in priority.span(rank, raised)


def test_a_number_of_before_there_were_classes_is_the_lowest_class():
    assert priority.class_of(50) == (Rank.PRERELEASE, False)


def test_the_number_fits_its_column():
    assert points(facts(Rank.OPERATOR, **WANTED)) < 2**31


def test_a_person_can_read_why():
    place = priority.place(
        facts(Rank.HISTORY, depth=4, downloads=1200, misses=7, dependents=35, expected_s=150.0)
    )

    assert place.why == (
        "It is an older version. 3 newer versions of it come first. "
        "Wanted in 30 days: 1,200 downloads, 7 in vain. 35 packages need it. It takes about 2 min."
    )


def test_one_newer_version_is_one():
    assert "1 newer version of it comes first." in priority.place(facts(depth=2)).why


def test_what_nobody_knows_is_not_said():
    assert priority.place(facts(Rank.NEWEST)).why == "It is the newest version."


def test_the_parts_add_up_to_the_number():
    found = priority.parts(ORDER[9])

    assert sum(part.points for part in found) == points(ORDER[9])
    assert [part.name for part in found] == ["rank", "depth", "demand", "dependents", "length"]


def test_a_note_stands_first_and_fits_the_row():
    place = priority.place(facts(Rank.OPERATOR), note="Needed for the fair. " * 30)

    assert place.why.startswith("Needed for the fair.")
    assert len(place.why) <= 300


@pytest.mark.parametrize(("expected_s", "is_long"), [(None, False), (900.0, False), (901.0, True)])
def test_what_takes_more_than_a_quarter_of_an_hour_is_long(expected_s, is_long):
    assert priority.place(facts(expected_s=expected_s)).is_long == is_long
