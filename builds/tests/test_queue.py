from datetime import timedelta

import pytest

from builds import queue
from builds.models import Build, Size
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
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture
def target():
    return make_target()


def plan(name="demo"):
    Package.objects.update(plan_needed=True)
    return queue.plan(Package.objects.get(name=name), NOON)


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
    queue.plan(package, NOON)

    assert queue.plan_changed(NOON, limit=10) == 0
    assert not Package.objects.to_plan().exists()


@pytest.mark.parametrize(
    "change",
    [
        {"yanked": True},
        {"skip_reason": "too big"},
        {"gone_at": NOON},
        {"canonical": ""},
    ],
)
def test_a_version_that_nobody_should_install_is_not_built(target, change):
    make_version(**change)

    assert plan() == 0


def test_a_version_without_a_source_waits_for_one(target):
    version = make_version(source=False)
    assert plan() == 0

    make_source(version)

    assert plan() == 1


@pytest.mark.parametrize("ending", [".exe", ".rpm", ".egg"])
def test_a_source_that_pip_cannot_unpack_is_none(target, ending):
    make_source(make_version(source=False), ending)

    assert plan() == 0


def test_of_several_sources_the_tarball_is_built(target):
    version = make_version(source=False)
    make_source(version, ".zip")
    make_source(version, ".tar.gz")

    plan()

    assert queue.source_of(Build.objects.get()).filename == "demo-1.0.tar.gz"


def test_of_equal_versions_the_last_is_built(target):
    make_version("1.0", released_at=NOON - timedelta(days=2))
    make_version("1.0.0", released_at=NOON - timedelta(days=1))

    plan()

    assert queued() == ["1.0.0"]


def test_a_python_that_the_source_excludes_gets_no_build(target):
    make_target("bullseye-armhf-cp39")
    make_source(make_version(source=False), requires_python=">=3.10")

    plan()

    assert [str(build.target) for build in Build.objects.all()] == ["trixie-armhf-cp313"]


def test_depth_limits_history_but_not_requests(target):
    for number in ["1.0", "2.0", "3.0", "4.0a1", "5.0.dev1"]:
        make_version(number)
    Package.objects.update(depth=1)
    Package.objects.get().versions.get(number="1.0").request(NOON)

    plan()

    assert queued() == ["1.0", "3.0"]


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


def test_what_an_operator_cancelled_stays_cancelled(target):
    make_version()
    plan()
    Build.objects.get().cancel("no", NOON)

    assert plan() == 0


def test_a_failure_is_final(target):
    build, _ = make_running_build()
    build.close(Build.State.FAILED, "no compiler", NOON)

    assert plan() == 0


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

    assert queue.next_for(other, 1, Size.SMALL) == []


def test_a_wheel_with_machine_code_frees_the_other_targets(target):
    other = make_target("bookworm-armhf-cp311")
    third = make_target("bullseye-armhf-cp39")
    version = make_version()
    wanted = make_build(version, other)
    build, _ = make_running_build(make_builder(target=target), version=version)
    make_wheel(build=build, version=version, filename="demo-1.0-cp313-cp313-linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON)
    make_running_build(make_builder("pi-09", target=third), version=version)

    assert queue.next_for(other, 1, Size.SMALL) == [wanted]


def test_an_inactive_target_gets_nothing(target):
    make_version()
    target.deactivate()

    assert plan() == 0


def test_a_target_that_becomes_active_gets_its_builds(target):
    make_version()
    target.deactivate()
    plan()

    target.activate()

    assert queue.plan_changed(NOON, limit=10) == 1


def test_a_plan_costs_the_same_for_one_version_and_for_many(target, django_assert_max_num_queries):
    for minor in range(60):
        make_version(f"1.{minor}")
    Package.objects.update(plan_needed=True)

    with django_assert_max_num_queries(12):
        queue.plan(Package.objects.get(), NOON)


def test_a_package_that_cannot_be_planned_does_not_keep_others_from_their_plans(target, caplog):
    make_version(package="bad", canonical="this is no version")
    make_version(package="good")

    assert queue.plan_changed(NOON, limit=10) == 1

    assert queued() == ["1.0"]
    assert "No plan could be made for bad" in caplog.text
    assert not Package.objects.to_plan().exists()
