"""Long builds beside short ones, and that the first rows of one index are the next builds."""

from datetime import timedelta

import pytest
from django.db import connection

from builds import queue
from builds.models import Build, Size
from builds.tests.plans import explained
from builds.tests.rows import NOON, make_build, make_builder, make_target, make_version
from packages.models import Version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


class TestLongBuilds:
    """A build of three hours must not keep those of a minute waiting, nor wait for ever itself."""

    def make(self, long=6, short=6, builders=4):
        target = make_target()
        for number in range(long):
            make_build(make_version(f"1.{number}"), target, is_long=True, priority=50)
        for number in range(short):
            make_build(make_version(f"2.{number}"), target, priority=10)
        return target, [make_builder(f"pi-{number}", target) for number in range(builders)]

    def given(self, target, builders):
        return [build.is_long for build, _ in queue.next_for(target, builders, NOON)]

    def test_they_have_half_of_the_builders_while_shorter_ones_wait(self):
        target, builders = self.make()

        assert self.given(target, builders) == [True, True, False, False]

    def test_what_runs_already_counts(self):
        target, builders = self.make()
        running = Build.objects.filter(is_long=True).last()
        running.assign(builders[0], NOON)

        assert self.given(target, builders[1:]) == [True, False, False]

    def test_so_does_one_that_nobody_expected_to_be_long(self):
        target, builders = self.make()
        surprise = Build.objects.filter(is_long=False).last()
        surprise.assign(builders[0], NOON - timedelta(hours=1))
        surprise.claim(builders[0], surprise.version.files.get(), NOON - timedelta(hours=1))

        assert self.given(target, builders[1:]) == [True, False, False]

    def test_when_nothing_shorter_waits_they_have_all(self):
        target, builders = self.make(short=1)

        assert sorted(self.given(target, builders)) == [False, True, True, True]

    def test_a_single_builder_builds_them_in_their_turn(self):
        target, builders = self.make(builders=1)

        assert self.given(target, builders) == [True]


@pytest.mark.django_db(transaction=True)
def test_the_next_builds_are_the_first_rows_of_one_index():
    """However many are long, for larger builders or wait for a time: nobody has to pass them."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL tells how it would run a statement.")
    target = make_target()
    version = make_version()
    others = [Version(package=version.package, number=f"9.{n}", canonical=f"9.{n}") for n in range(3000)]
    Version.objects.bulk_create(others)
    Build.objects.bulk_create(
        Build(
            version=each,
            target=target,
            priority=n,
            size=Size.LARGE if n % 3 else Size.SMALL,
            is_long=n % 5 == 0,
            not_before=NOON if n % 7 == 0 else None,
        )
        for n, each in enumerate(others)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE builds_build")

    found, scans = explained(lambda: Build.objects.first_in_lanes(target, {"small": 10}))

    assert len(found) == 20
    scans = [each for each in scans if each["Relation Name"] == "builds_build"]
    assert {each.get("Index Name") for each in scans} == {"builds_build_lanes"}
    assert all(each["Actual Rows"] <= 10 for each in scans)
    assert not any(each.get("Rows Removed by Filter") for each in scans)
