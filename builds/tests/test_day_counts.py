"""What is counted of one day."""

from datetime import date, timedelta

import pytest

from builds.figures import counting, day_counts
from builds.models import Build, BuilderDay, Wheel, WheelDay
from builds.tests.rows import NOON, make_build, make_builder, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

TODAY = NOON.date()


def make_ended(at=NOON, state="succeeded", target=None, **fields):
    version = make_version(f"1.{Build.objects.count()}")
    return make_build(version, target, **{"state": state, "finished_at": at, **fields})


def make_wheel(build, tag, size=100):
    return Wheel.objects.create(
        build=build,
        package=build.version.package,
        version=build.version,
        filename=f"demo-{build.version.number}-{tag}.whl",
        size=size,
        sha256="0" * 64,
        metadata_sha256="0" * 64,
    )


def of_builders():
    return set(BuilderDay.objects.values_list("day", "builder__name", "state", "count", "seconds"))


def test_a_builders_builds_are_counted_by_how_they_ended():
    pi = make_builder("pi-1")
    make_ended(builder=pi, duration_s=60.0)
    make_ended(builder=pi, duration_s=30.5)
    make_ended(builder=pi, state="lost")
    make_ended(builder=make_builder("pi-2"), state="failed", duration_s=1.0)
    make_ended(builder=pi, state="cancelled")
    make_ended(NOON - timedelta(days=1), builder=pi)
    make_ended()

    day_counts.count_by_builder(TODAY)

    assert of_builders() == {
        (TODAY, "pi-1", "succeeded", 2, 90.5),
        (TODAY, "pi-1", "lost", 1, 0),
        (TODAY, "pi-2", "failed", 1, 1.0),
    }


def test_wheels_are_counted_on_the_day_on_which_their_build_ended():
    make_wheel(make_ended(), "cp313-cp313-linux_armv6l.linux_armv7l", 10)
    make_wheel(make_ended(), "cp313-cp313-linux_armv6l.linux_armv7l", 20)
    make_wheel(make_ended(), "py2.py3-none-any")
    make_wheel(make_ended(), "cp39-abi3-linux_armv7l")
    make_wheel(make_ended(NOON - timedelta(days=1)), "py3-none-any")

    day_counts.count_wheels(TODAY)

    found = set(WheelDay.objects.values_list("day", "kind", "count", "size"))
    assert found == {
        (TODAY, "cp313-armhf", 2, 30),
        (TODAY, "pure", 1, 100),
        (TODAY, "abi3-armhf", 1, 100),
    }


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("demo-1.0-py3-none-any.whl", "pure"),
        ("demo-1.0-2-cp313-cp313t-linux_aarch64.whl", "cp313t-arm64"),
        ("demo-1.0-py3-none-linux_aarch64.whl", "none-arm64"),
        ("demo-1.0-cp313-=cmd-linux_aarch64.whl", "other"),
        ("nothing.whl", "other"),
    ],
)
def test_a_name_says_what_runs_a_wheel(filename, kind):
    assert day_counts.kind_of(filename, "arm64") == kind


def test_what_is_counted_again_is_counted_once():
    pi = make_builder("pi-1")
    make_wheel(make_ended(builder=pi), "py3-none-any")

    for _ in range(2):
        day_counts.count_by_target(TODAY)
        day_counts.count_by_builder(TODAY)
        day_counts.count_wheels(TODAY)

    assert BuilderDay.objects.get().count == WheelDay.objects.get().count == 1


def test_days_before_anybody_counted_are_counted_too():
    pi = make_builder("pi-1")
    for days in (0, 2, 400):
        make_wheel(make_ended(NOON - timedelta(days=days), builder=pi), "py3-none-any")

    counting.count_due(NOON, for_s=600)

    wanted = {TODAY, TODAY - timedelta(days=2), TODAY - timedelta(days=400)}
    assert {row.day for row in BuilderDay.objects.all()} == wanted
    assert {row.day for row in WheelDay.objects.all()} == wanted


def test_what_ends_late_in_a_day_that_is_over_is_counted():
    yesterday = date(2026, 11, 23)
    midnight = NOON.replace(hour=0)
    pi = make_builder("pi-1")
    make_ended(midnight - timedelta(hours=1), builder=pi)
    counting.count_due(midnight + timedelta(minutes=1))
    make_ended(midnight - timedelta(seconds=1), builder=pi)

    counting.count_due(midnight + timedelta(minutes=16))

    assert BuilderDay.objects.get(day=yesterday).count == 2
