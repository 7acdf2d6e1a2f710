"""The operators of a campaign see what was built too often, and what nobody built."""

import pytest

from builds.models import Build
from builds.tests.rows import NOON, make_build, make_version
from tests.operators import twice_built, unfulfilled

pytestmark = pytest.mark.django_db


def again(build, state="succeeded", reason=""):
    """End a build, and return the next attempt."""
    ended(build, state)
    return build.again(losses=0, priority=0, why="", rebuild_reason=reason)


def ended(build, state="succeeded"):
    Build.objects.filter(pk=build.pk).update(state=state, finished_at=NOON)


def test_a_version_that_was_built_once_and_once_for_each_wish_is_well():
    lost = again(make_build(), "lost")
    first = again(lost, reason="Bad.")
    ended(again(again(first, "lost"), reason="Worse."))

    assert twice_built() == []
    assert unfulfilled([("demo", "1.0", "Bad."), ("demo", "1.0", "Worse.")]) == []


@pytest.mark.parametrize("wishes", [[], ["Bad."]])
def test_what_is_built_again_after_its_success_is_found(wishes):
    """An attempt that nobody wished for has none of the reasons of those before it."""
    build = make_build()
    for reason in wishes:
        build = again(build, reason=reason)

    ended(again(build))

    assert twice_built() == ["demo 1.0: 2 times for ''"]


def test_a_rebuild_that_was_dropped_is_found_and_one_that_was_given_up_is_not():
    ended(again(make_build(), reason="Bad."), "cancelled")
    lost = again(make_build(make_version("2.0")), reason="Bad.")
    lost.give_up()
    ended(lost, "lost")

    wishes = [("demo", "1.0", "Bad."), ("demo", "2.0", "Bad."), ("demo", "2.0", "Never.")]

    assert unfulfilled(wishes) == ["demo 1.0, 'Bad.': ['cancelled']", "demo 2.0, 'Never.': []"]
