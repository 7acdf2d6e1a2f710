"""From downloads, misses and dependencies to the order of the queue."""

from datetime import timedelta

import pytest

from builds.models import Build, Demand, Dependency
from builds.planning import plan
from builds.tests.rows import NOON, make_builder, make_running_build, make_target, make_version, make_wheel
from packages.models import Package
from simple import demand
from simple.models import Miss, PackageDownload

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

TODAY = NOON.date()


def make_built(name, needs=()):
    """A package with a wheel that needs others."""
    build, _ = make_running_build(make_builder(f"pi-{name}"), version=make_version("1.0", name))
    wheel = make_wheel(build=build, filename=f"{name}-1.0-cp313-cp313-linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON)
    for number, need in enumerate(needs):
        Dependency.objects.create(wheel=wheel, tool="pip", name=need, requirement=f"{need}>{number}")
    return wheel


def demands():
    return {
        row.package.name: (row.downloads, row.misses, row.dependents)
        for row in Demand.objects.select_related("package")
    }


@pytest.mark.parametrize("are_apart", [True, False])
def test_the_last_thirty_days_count(monkeypatch, are_apart):
    wheel = make_built("demo")
    missed = make_version("1.0", "missed").package
    # Keys go on from test to test, so a span of a fixed size would be many of nothing.
    monkeypatch.setattr(demand, "SPAN", missed.pk if are_apart else missed.pk + 1)
    for days, count in [(0, 1), (29, 2), (30, 4)]:
        PackageDownload.objects.create(package=wheel.package, day=TODAY - timedelta(days=days), count=count)
        Miss.objects.create(package=missed, day=TODAY - timedelta(days=days), count=10 * count)

    assert demand.count(NOON) == 2

    assert demands() == {"demo": (3, 0, 0), "missed": (0, 30, 0)}
    assert demand.count(NOON) == 0


def test_what_nobody_wants_any_more_is_forgotten():
    wheel = make_built("demo")
    PackageDownload.objects.create(package=wheel.package, day=TODAY, count=5)
    Miss.objects.create(package=wheel.package, day=TODAY, count=5)
    demand.count(NOON)

    demand.count(NOON + timedelta(days=100))

    assert demands() == {"demo": (0, 0, 0)}
    assert not Miss.objects.exists()


def test_who_is_needed_by_others_is_counted_by_packages():
    make_version("1.0", "base")
    make_built("one", ["base", "base", "unknown"])
    wheel = make_built("other", ["base"])
    tests = make_built("third")
    Dependency.objects.create(wheel=tests, tool="pip", name="base", requirement='base; extra == "test"')
    Dependency.objects.create(wheel=wheel, tool="apt", name="one", requirement="one")

    demand.count(NOON)

    assert demands() == {"base": (0, 0, 2)}


def test_what_is_suddenly_wanted_is_moved_forward_in_the_queue():
    make_target()
    for name in ("idle", "wanted"):
        make_version("1.0", name, released_at=NOON - timedelta(days=500 if name == "wanted" else 400))
    plan.plan_changed(NOON, limit=10)
    assert [build.version.package.name for build in Build.objects.waiting()] == ["idle", "wanted"]
    Miss.objects.create(package=Package.objects.get(name="wanted"), day=TODAY, count=50)

    demand.count(NOON)
    plan.plan_changed(NOON, limit=10)

    assert [build.version.package.name for build in Build.objects.waiting()] == ["wanted", "idle"]
    assert "Wanted in 30 days: 50 in vain." in Build.objects.waiting()[0].why


@pytest.mark.parametrize(("count", "is_planned"), [(101, False), (210, True)])
def test_only_a_doubling_has_a_package_planned_anew(count, is_planned):
    make_target()
    package = make_version("1.0", "demo").package
    Demand.objects.create(package=package, misses=100)
    plan.plan_changed(NOON, limit=10)
    Miss.objects.create(package=package, day=TODAY, count=count)

    demand.count(NOON)

    assert Package.objects.get().plan_needed == is_planned
    assert demands() == {"demo": (0, count, 0)}


def test_where_nothing_waits_nothing_is_planned():
    wheel = make_built("demo")
    Package.objects.update(plan_needed=False)
    PackageDownload.objects.create(package=wheel.package, day=TODAY, count=5000)

    demand.count(NOON)

    assert not Package.objects.get().plan_needed
