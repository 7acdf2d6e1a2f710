"""Questions that upstream may answer with "as it was"."""

from datetime import timedelta

import pytest

from packages.models import Dirty, Package, SyncCursor, Version

pytestmark = pytest.mark.django_db


@pytest.fixture
def known(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    package = look_up()
    upstream.requests.clear()
    return package


def mark(now, **fields):
    Dirty.objects.create(name="demo", not_before=now, **fields)


def statuses(upstream):
    return [request.headers.get("If-None-Match") is not None for request in upstream.requests]


def test_an_unchanged_state_costs_one_question_and_changes_only_when_we_looked(upstream, known, refresh, now):
    mark(now)

    assert refresh(after=60) == 1

    assert upstream.paths() == ["/simple/demo/"]
    again = Package.objects.get()
    assert again.fetched_at >= now + timedelta(seconds=60)
    assert (again.revision, again.serial) == (known.revision, known.serial)


def test_a_changed_state_is_fetched_whole(upstream, known, refresh, now):
    upstream.yank("demo", "1.0")
    mark(now, wanted_serial=upstream.serial)

    assert refresh() == 1

    assert upstream.paths() == ["/simple/demo/", "/pypi/demo/json"]
    assert Version.objects.get().yanked


def test_an_old_state_that_has_not_changed_is_a_cache(upstream, known, refresh, now):
    upstream.go_stale("demo")
    upstream.yank("demo", "1.0")
    mark(now, wanted_serial=upstream.serial)

    assert refresh() == 0

    assert SyncCursor.objects.get().stale_answers == 1
    upstream.refresh("demo")
    assert refresh(after=5) == 1
    assert Version.objects.get().yanked


def test_the_second_try_asks_for_the_whole_answer(upstream, known, refresh, now):
    mark(now, attempts=1)

    refresh()

    assert statuses(upstream) == [False, False]


@pytest.mark.parametrize("api", ["simple", "pypi"])
def test_a_state_joined_of_two_ages_has_no_mark(upstream, look_up, known, api):
    upstream.go_stale("demo", api)
    upstream.yank("demo", "1.0")
    Package.objects.update(serial=None)

    assert look_up().etag == ""


def test_a_state_that_one_api_does_not_know_has_no_mark(upstream, look_up, known):
    upstream.json_api = False

    assert look_up().etag == ""


def test_a_package_that_is_gone_has_no_mark(upstream, look_up, known):
    upstream.remove("demo")

    assert look_up().etag == ""


def test_a_look_up_that_a_person_asks_for_is_whole(upstream, look_up, known):
    look_up()

    assert statuses(upstream) == [False, False]


def test_an_index_without_marks_is_asked_for_everything(upstream, refresh, look_up, now):
    upstream.etags = False
    upstream.add_sdist("demo", "1.0")
    look_up()
    mark(now)

    assert refresh() == 1
    assert statuses(upstream) == [False] * 4
