from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from builds import queue
from builds.models import Build, Builder, Target
from builds.planning import plan as planning
from builds.planning import wishes
from builds.planning.priority import Rank, span
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.batches import BATCH
from packages.models import Package, Version, canonical_version
from packages.tests.locks import waiting

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture
def target():
    return make_target()


def plan(name="demo"):
    Package.objects.update(plan_needed=True)
    return planning.plan(Package.objects.get(name=name), NOON)


def queued(**filters):
    return [str(build.version.number) for build in Build.objects.waiting().filter(**filters)]


def test_every_version_is_queued_the_newest_first(target):
    for number in ["1.0", "1.10", "1.9"]:
        make_version(number, released_at=NOON - timedelta(days=30 - int(number.split(".")[1])))

    assert plan() == 3

    assert queued() == ["1.10", "1.9", "1.0"]


def test_a_plan_made_twice_is_the_same(target):
    make_version()

    assert (plan(), plan()) == (1, 0)


def test_what_has_not_changed_is_not_planned(target):
    make_version()
    package = Package.objects.get()
    planning.plan(package, NOON)

    assert planning.plan_changed(NOON, limit=10) == 0
    assert not Package.objects.to_plan(NOON).exists()


def test_what_changed_is_planned_before_what_a_target_asks_of_all(target):
    for name in ("one", "two", "three"):
        make_version(package=name)
    target.ask_anew()

    Package.objects.get(name="two").request_plan()
    planning.plan_changed(NOON, limit=1)

    assert {package.name for package in Package.objects.to_plan(NOON)} == {"one", "three"}


def test_of_several_sources_the_tarball_is_built(target):
    version = make_version(source=False)
    make_source(version, ".zip")
    make_source(version, ".tar.gz")

    plan()

    assert wishes.source_of(Build.objects.get()).filename == "demo-1.0.tar.gz"


def test_a_python_that_the_newest_no_longer_admits_gets_the_last_that_does(target):
    make_target("bookworm-armhf-cp311")
    make_version("1.0")
    make_version("2.0")
    make_source(make_version("3.0", source=False), requires_python=">=3.12")
    Package.objects.update(depth=1)

    plan()

    assert queued(target=target) == ["3.0"]
    assert queued(target__key="bookworm-armhf-cp311") == ["2.0"]
    assert {span(Rank.NEWEST).start <= build.priority for build in Build.objects.all()} == {True}


def test_nightlies_are_not_built_and_prereleases_come_last(target):
    for number in ["1.0", "2.0a1", "2.0.dev3"]:
        make_version(number)

    plan()

    assert queued() == ["1.0", "2.0a1"]


def test_a_package_of_prereleases_alone_has_a_newest(target):
    make_version("1.0a1")
    make_version("1.0a2")

    plan()

    assert Build.objects.waiting().first().why == "It is the newest version."


def test_skipping_a_package_drops_what_waits_and_unskipping_brings_it_back(target):
    make_version()
    plan()

    Package.objects.get().skip("breaks builders")
    plan()
    assert Build.objects.get().state == "cancelled"

    Package.objects.get().unskip()
    plan()
    assert queued() == ["1.0"]


def test_a_quarantined_package_is_dropped_in_the_middle_of_a_build(target):
    build, ticket = make_running_build()
    Package.objects.update(status=Package.Status.QUARANTINED)

    plan()

    assert not build.renew(ticket, NOON)


def test_a_pure_wheel_serves_all_targets_and_drops_what_waits_for_them(target):
    make_target("bookworm-armhf-cp311")
    version = make_version()
    plan()
    assert Build.objects.open().count() == 2

    build = Build.objects.get(target=target)
    make_wheel(build=build, version=version, filename="demo-1.0-py3-none-any.whl")
    Build.objects.filter(pk=build.pk).update(state="succeeded", finished_at=NOON)
    plan()

    assert Build.objects.get(target__key="bookworm-armhf-cp311").state == "cancelled"


def test_while_purity_is_unknown_one_target_tries_alone(target):
    other = make_target("bookworm-armhf-cp311")
    version = make_version()
    make_build(version, other)
    make_running_build(make_builder(target=target), version=version)

    assert queue.next_for(other, [make_builder("pi-10", target=other)], NOON) == []


def test_a_wheel_with_machine_code_frees_the_other_targets(target):
    other = make_target("bookworm-armhf-cp311")
    third = make_target("bullseye-armhf-cp39")
    version = make_version()
    wanted = make_build(version, other)
    build, _ = make_running_build(make_builder(target=target), version=version)
    make_wheel(build=build, version=version, filename="demo-1.0-cp313-cp313-linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON)
    make_running_build(make_builder("pi-09", target=third), version=version)

    builder = make_builder("pi-10", target=other)
    assert queue.next_for(other, [builder], NOON) == [(wanted, builder)]


OLD, NEW = "bookworm-armhf-cp311", "trixie-armhf-cp313"


def first_for(target, count):
    """What so many free builders of a target would get."""
    builders = [make_builder(f"pi-q{number}", target) for number in range(count)]
    pairs = queue.next_for(target, builders, NOON)
    Builder.objects.filter(name__startswith="pi-q").delete()
    return [build for build, _ in pairs]


def make_targets(**fields):
    """Two releases, the older one first."""
    return (
        make_target(OLD, glibc="2.36", glibcxx="3.4.30", **fields),
        make_target(NEW, glibc="2.41", glibcxx="3.4.33", **fields),
    )


def test_an_older_system_builds_first_what_both_wait_for():
    old, new = make_targets()
    both, alone = (make_version(number, released_at=NOON) for number in ("1.0", "2.0"))
    make_build(both, old, released_at=NOON)
    shared, own = make_build(both, new, released_at=NOON), make_build(alone, new, released_at=NOON)

    assert first_for(new, 1) == [own]
    # Rather than be idle, it takes the other as well.
    assert first_for(new, 2) == [own, shared]
    assert first_for(old, 1)[0].version == both


@pytest.mark.parametrize(
    "other",
    [
        {"key": OLD, "glibc": ""},
        {"key": OLD, "glibc": "2.41"},
        {"key": OLD, "glibc": "2.4", "is_active": False},
        {"key": "bookworm-arm64-cp311", "glibc": "2.36"},
    ],
)
def test_who_is_not_an_older_system_of_the_same_kind_is_not_waited_for(other):
    _, new = make_targets()
    other = make_target(**other)
    both, alone = (make_version(number, released_at=NOON) for number in ("1.0", "2.0"))
    make_build(both, other, released_at=NOON)
    shared = make_build(both, new, released_at=NOON)
    make_build(alone, new, released_at=NOON)

    assert first_for(new, 1) == [shared]


def test_a_request_does_not_wait_for_an_older_system():
    old, new = make_targets()
    both, alone = make_version("1.0"), make_version("2.0")
    make_build(both, old, priority=span(Rank.PERSON)[0])
    asked = make_build(both, new, priority=span(Rank.PERSON)[0])
    make_build(alone, new, priority=span(Rank.RELEASE)[0])

    assert first_for(new, 1) == [asked]


def test_the_next_builds_cost_a_few_queries(django_assert_num_queries):
    old, new = make_targets()
    for minor in range(30):
        version = make_version(f"1.{minor}")
        make_build(version, old)
        make_build(version, new)

    builders = [make_builder(f"pi-q{number}", new) for number in range(5)]

    with django_assert_num_queries(3):
        assert len(queue.next_for(new, builders, NOON)) == 5


def test_an_inactive_target_gets_nothing(target):
    make_version()
    target.deactivate()

    assert plan() == 0


def test_a_target_that_becomes_active_gets_its_builds(target):
    make_version()
    target.deactivate()
    plan()

    target.activate()

    assert planning.plan_changed(NOON, limit=10) == 1


def test_a_target_that_changed_asks_some_packages_at_a_time_and_goes_on_after_a_crash(target):
    Package.objects.bulk_create(
        Package(name=f"p-{number}", display_name=f"p-{number}", plan_needed=False)
        for number in range(BATCH + 1)
    )
    target.activate()
    target.ask_some()
    asked = Package.objects.filter(plan_needed=True).count()

    (left,) = Target.objects.changed()
    assert [left.ask_some() for _ in range(3)] == [True, False, False]

    assert (asked, Package.objects.filter(plan_needed=True).count()) == (BATCH, BATCH + 1)
    assert not Target.objects.changed().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_package_whose_plan_is_being_made_as_a_target_changes_gets_another():
    package = make_version().package
    target = make_target(is_active=False)
    Package.objects.update(plan_needed=True)

    with transaction.atomic():
        assert package.begin_plan()
        with waiting(lambda: change(target)):
            pass

    assert Package.objects.get().plan_needed


def change(target):
    """Have a target built for, and all packages asked for another plan."""
    target.activate()
    target.ask_some()


def test_a_plan_costs_the_same_for_one_version_and_for_many(target, django_assert_max_num_queries):
    for minor in range(60):
        make_version(f"1.{minor}")
    Package.objects.update(plan_needed=True)

    with django_assert_max_num_queries(17):
        planning.plan(Package.objects.get(), NOON)


def test_a_package_that_cannot_be_planned_does_not_keep_others_from_their_plans(target, caplog):
    make_version(package="bad", canonical="this is no version")
    make_version(package="good")

    assert planning.plan_changed(NOON, limit=10) == 1

    assert queued() == ["1.0"]
    assert "No plan could be made for bad" in caplog.text


def test_a_plan_that_failed_is_made_again_after_an_hour_or_when_its_package_changes(target, caplog):
    version = make_version(canonical="this is no version")

    def tries(after):
        caplog.clear()
        planning.plan_changed(NOON + after, limit=10)
        return caplog.text.count("No plan could be made")

    first, minute, hour = timedelta(), timedelta(minutes=1), timedelta(hours=1, seconds=1)
    assert [tries(after) for after in (first, minute, hour, hour + minute)] == [1, 0, 1, 0]
    version.package.request_plan()
    assert [tries(hour + 2 * minute), tries(hour + 3 * minute)] == [1, 0]

    Version.objects.update(canonical=canonical_version("1.0")[0])
    assert planning.plan_changed(NOON + 3 * hour, limit=10) == 1


def test_a_plan_that_failed_stands_behind_what_a_target_asks_of_all(target):
    make_version(package="bad", canonical="this is no version")
    planning.plan_changed(NOON, limit=10)
    make_version(package="good")
    target.ask_anew()

    assert planning.plan_changed(NOON + timedelta(hours=2), limit=1) == 1


def test_a_pass_ends_in_time_and_the_next_one_goes_on(target):
    for name in ("one", "two"):
        make_version(package=name)

    assert planning.plan_changed(NOON, limit=10, for_s=0) == 0
    assert planning.plan_changed(NOON, limit=10) == 2


def test_a_database_that_fails_costs_no_package_its_plan(target, monkeypatch):
    make_version()

    def fail(*_):
        raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(planning, "look", fail)
        with pytest.raises(OperationalError):
            planning.plan_changed(NOON, limit=10)

    assert planning.plan_changed(NOON, limit=10) == 1
