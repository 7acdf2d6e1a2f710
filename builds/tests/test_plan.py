"""What is wanted and where it stands, on a target that fills gaps and on one that has everything."""

from datetime import timedelta

import pytest
from django.db import connection

from builds.models import Build, Demand, Push, Skip, Wheel
from builds.planning import plan, raising
from builds.planning.priority import Rank, class_of
from builds.tests.rows import (
    NOON,
    make_build,
    make_running_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import Package, UpstreamFile, Version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ARM64, ARMHF = "trixie-arm64-cp313", "trixie-armhf-cp313"
OLD = NOON - timedelta(days=400)


def make_plan(name="demo", now=NOON):
    package = Package.objects.get(name=name)
    package.request_plan()
    return plan.plan(package, now)


def make_upstream(version, tags, **fields):
    return make_source(version, f"-{tags}.whl", kind="wheel", **fields)


def ranks(**filters):
    """The class of each waiting build, by version, in the order of the queue."""
    found = Build.objects.waiting().filter(**filters).select_related("version")
    return [(build.version.number, class_of(build.priority)[0].name.lower()) for build in found]


def test_a_wheel_that_comes_upstream_drops_what_waits_and_its_going_brings_it_back():
    make_target()
    wheel = make_upstream(make_version(), "py3-none-any", gone_at=NOON)
    make_plan()
    assert Build.objects.open().count() == 1

    UpstreamFile.objects.filter(pk=wheel.pk).update(gone_at=None)
    make_plan()
    assert not Build.objects.open().exists()

    UpstreamFile.objects.filter(pk=wheel.pk).update(gone_at=NOON)
    make_plan()
    assert Build.objects.open().get().attempt == 2


def make_for_both():
    """The wheel of one target that serves another, too, with a plan that has seen it."""
    make_target(ARM64)
    wheel = make_wheel()
    wheel.build.close(Build.State.SUCCEEDED, "", NOON, 1.0)
    make_plan()
    assert not Build.objects.open().exists()
    return wheel


@pytest.mark.parametrize("take_out", [Wheel.withdraw, Wheel.take_down, Wheel.lose, Wheel.distrust])
def test_what_is_taken_out_of_the_index_is_built_for_the_other_targets_that_it_served(take_out):
    wheel = make_for_both()

    take_out(wheel, NOON, "It does not work.")
    plan.plan_changed(NOON, limit=10)

    assert [build.target.key for build in Build.objects.open()] == [ARM64]


def test_what_comes_back_serves_the_other_targets_again():
    wheel = make_for_both()
    wheel.lose(NOON, "Lost.")
    plan.plan_changed(NOON, limit=10)

    assert wheel.come_back()
    plan.plan_changed(NOON, limit=10)

    assert not Build.objects.open().exists()


def test_another_policy_has_everything_planned_anew():
    target = make_target()
    make_upstream(make_version(), "py3-none-any")
    make_plan()

    target.policy = "everything"
    target.save()
    target.ask_anew()

    assert plan.plan_changed(NOON, limit=10) == 1


def test_a_skip_is_for_its_target_alone_and_can_be_taken_back():
    skipped = make_target(ARM64)
    make_target(ARMHF)
    version = make_version()
    make_plan()
    skip = Skip(package=version.package, target=skipped, reason="Its tests burn the board.")

    skip.begin()
    plan.plan_changed(NOON, limit=10)
    assert [build.target.key for build in Build.objects.open()] == [ARMHF]

    skip.end()
    plan.plan_changed(NOON, limit=10)
    assert Build.objects.open().count() == 2


def test_each_version_has_its_class():
    make_target()
    for number, released_at, fields in [
        ("1.0", OLD, {}),
        ("2.0", OLD, {"requested_at": NOON}),
        ("3.0", OLD, {}),
        ("4.0rc1", NOON, {}),
        # A fix for those who stay with an old one.
        ("1.0.1", NOON - timedelta(hours=3), {}),
    ]:
        make_version(number, released_at=released_at, **fields)

    make_plan()

    assert ranks() == [
        ("2.0", "person"),
        ("1.0.1", "release"),
        ("3.0", "newest"),
        ("1.0", "history"),
        ("4.0rc1", "prerelease"),
    ]


def test_what_is_wanted_goes_first_among_its_like():
    make_target()
    for name, downloads, dependents in [("leaf", 0, 0), ("base", 0, 900), ("loved", 10**6, 0)]:
        version = make_version("1.0", name, released_at=OLD)
        Demand.objects.create(package=version.package, downloads=downloads, dependents=dependents)
        make_plan(name)

    assert [build.version.package.name for build in Build.objects.waiting()] == ["loved", "base", "leaf"]


class TestNewReleases:
    def test_a_release_that_came_while_the_farm_stood_still_is_new(self):
        make_target()
        make_build(make_version("1.0", released_at=OLD), state="succeeded", finished_at=NOON)
        Build.objects.update(queued_at=NOON - timedelta(days=30))
        make_version("1.1", released_at=NOON - timedelta(days=20))

        make_plan()

        assert ranks() == [("1.1", "release")]

    def test_it_is_not_new_for_a_target_that_came_later(self):
        make_target(ARMHF)
        make_version("1.0", released_at=NOON - timedelta(days=30))
        make_plan(now=NOON - timedelta(days=30))
        Build.objects.update(queued_at=NOON - timedelta(days=30))

        make_target(ARM64)
        make_plan()

        assert ranks(target__key=ARM64) == [("1.0", "newest")]

    def test_it_stays_new_until_it_is_built(self):
        make_target()
        make_version("1.0", released_at=NOON - timedelta(hours=20))
        make_plan()
        Build.objects.update(queued_at=NOON)

        make_plan(now=NOON + timedelta(days=3))

        assert ranks() == [("1.0", "release")]

    def test_of_what_a_whole_index_had_before_us_little_is_new(self):
        make_target()
        for days in (0, 2, 300):
            make_version(f"1.{999 - days}", released_at=NOON - timedelta(days=days))

        make_plan()

        assert [rank for _, rank in ranks()] == ["release", "history", "history"]


class TestPushes:
    def test_a_package_is_pushed_with_all_its_versions_for_the_target_that_is_named(self):
        arm64 = make_target(ARM64)
        make_target(ARMHF)
        for number in ("1.0", "2.0"):
            version = make_version(number, released_at=OLD)

        Push(package=version.package, target=arm64).begin()
        make_plan()

        assert ranks(target=arm64) == [("2.0", "operator"), ("1.0", "operator")]
        assert ranks(target__key=ARMHF) == [("2.0", "newest"), ("1.0", "history")]

    def test_a_class_is_moved_some_at_a_time_and_back(self):
        make_target()
        for number in range(5):
            for minor in range(2):
                make_version(f"1.{minor}", f"demo-{number}", released_at=OLD)
            make_plan(f"demo-{number}")
        before = ranks()
        push = Push(rank=Rank.HISTORY)
        push.begin()

        assert [raising.raise_classes(limit=3) for _ in range(3)] == [3, 2, 0]
        assert [rank for _, rank in ranks()] == ["history"] * 5 + ["newest"] * 5

        # A plan that is made meanwhile puts it in the same place.
        where = set(Build.objects.values_list("pk", "priority"))
        for number in range(5):
            make_plan(f"demo-{number}")
        assert set(Build.objects.values_list("pk", "priority")) == where

        push.end()
        assert raising.raise_classes(limit=100) == 5
        assert ranks() == before

    def test_what_a_plan_places_at_the_same_moment_is_not_moved_twice(self):
        make_target()
        for minor in range(2):
            make_version(f"1.{minor}", released_at=OLD)
        make_plan()
        Push(rank=Rank.HISTORY).begin()
        plans = iter([make_plan])

        def place_first(execute, sql, params, many, context):
            if sql.startswith("UPDATE") and (plan := next(plans, None)):
                plan()
            return execute(sql, params, many, context)

        with connection.execute_wrapper(place_first):
            raising.raise_classes(limit=3)

        where = ranks()
        make_plan()
        assert ranks() == where


def test_a_build_has_the_length_of_those_before_it():
    make_target(ARM64)
    make_version("1.0", released_at=OLD)
    build, _ = make_running_build(version=Version.objects.get())
    build.close(Build.State.SUCCEEDED, "", NOON, 5000.0)
    make_version("1.1", released_at=OLD)

    make_plan()

    found = Build.objects.waiting().filter(version__number="1.1")
    assert {(each.target.key, each.expected_s, each.is_long) for each in found} == {
        (ARMHF, 5000.0, True),
        # By another target's, as long as there are none of its own.
        (ARM64, 5000.0, True),
    }
