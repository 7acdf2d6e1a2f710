"""What a builder has published is taken back when it is not believed any more."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from builds.models import Build, Wheel
from builds.tests.rebuilds import Farm
from builds.tests.rows import make_build, make_version, make_wheel
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

WHY = ("--reason", "Its card was stolen.")


def distrust(*words):
    out, err = StringIO(), StringIO()
    call_command("distrust", "pi-07", *words, *WHY, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


@pytest.fixture
def farm():
    return Farm("pi-07")


def built(farm, number, package="demo", days_ago=0):
    """A wheel that a builder has published so long ago."""
    version = make_version(number, package=package)
    build = make_build(version, farm.builder.target, state="succeeded", finished_at=database_now())
    Build.objects.filter(pk=build.pk).update(builder=farm.builder)
    wheel = make_wheel(build, filename=f"{package}-{number}-py3-none-any.whl")
    wheel.published_at = database_now() - timedelta(days=days_ago)
    wheel.save(update_fields=["published_at"])
    return wheel


def waiting():
    return {(str(build.version), build.rebuild_reason) for build in Build.objects.open()}


def test_T38_what_it_published_since_then_is_withdrawn_and_built_again(farm):
    before = built(farm, "1.0", days_ago=9)
    since = [built(farm, "2.0", days_ago=1), built(farm, "3.0", "other")]
    of_another = built(Farm("pi-08"), "4.0")
    farm.builder.retire("Stolen.", database_now())
    day = (database_now() - timedelta(days=5)).date()

    told = distrust("--since", str(day), "--yes")

    assert f"2 wheels were withdrawn that pi-07 had published since {day}" in told
    assert "2 builds were queued." in told
    assert set(Wheel.objects.standing()) == {before, of_another}
    assert {wheel.withdrawn_reason for wheel in Wheel.objects.filter(pk__in=[w.pk for w in since])} == {
        WHY[1]
    }
    # What is held goes out of reach with its page.
    assert all(Wheel.objects.get(pk=wheel.pk).held_reason for wheel in since)
    assert waiting() == {("demo 2.0", WHY[1]), ("other 3.0", WHY[1])}
    noted = LogEntry.objects.get()
    assert noted.change_message.startswith("withdraw wheel: 2 wheels were withdrawn")
    assert noted.change_message.endswith(WHY[1])


def test_what_a_paused_builder_still_has_is_taken_from_it(farm):
    build = make_build()
    order = farm.order(build)
    farm.builder.pause("Odd.", database_now())

    distrust("--always", "--yes")

    assert farm.report(build, order).status_code == 409
    assert not Wheel.objects.standing().exists()
    assert Build.objects.waiting().get().version == build.version


def test_what_an_honest_builder_makes_instead_is_published_under_a_name_of_its_own(farm):
    farm.make(make_build())
    farm.builder.stop("Odd.", database_now())

    distrust("--always", "--yes")
    honest = Farm("pi-08")
    answer = honest.make(Build.objects.waiting().get())

    assert answer.status_code == 200
    shown = Wheel.objects.listed().get()
    assert (shown.build.builder, shown.build_tag()) == (honest.builder, (1, ""))


@pytest.mark.parametrize(("state", "queued"), [("failed", 1), ("cancelled", 1), ("succeeded", 0)])
def test_what_was_tried_again_in_vain_is_built_again(farm, state, queued):
    wheel = built(farm, "1.0")
    later = wheel.build.again(losses=0, priority=0, why="Again.")
    Build.objects.filter(pk=later.pk).update(state=state, finished_at=database_now())
    farm.builder.retire("Stolen.", database_now())

    told = distrust("--always", "--yes")

    assert f"{queued} build{' was' if queued == 1 else 's were'} queued." in told
    assert Build.objects.open().count() == queued


def test_who_is_cut_short_says_it_again_and_it_goes_on(farm):
    wheel, _ = built(farm, "1.0"), built(farm, "2.0")
    farm.builder.pause("Odd.", database_now())
    # As if it had been killed after the first.
    wheel.withdraw(database_now(), WHY[1])

    assert "1 wheel was withdrawn" in distrust("--always", "--yes")
    assert {version for version, _ in waiting()} == {"demo 1.0", "demo 2.0"}
    assert "0 builds were queued." in distrust("--always", "--yes")


def test_what_cannot_be_built_again_is_said(farm):
    built(farm, "1.0")
    farm.builder.retire("Stolen.", database_now())
    farm.builder.target.deactivate()

    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="1 cannot be built again"):
        call_command("distrust", "pi-07", "--always", "--yes", *WHY, stdout=out, stderr=err)

    assert "1 wheel was withdrawn" in out.getvalue()
    assert "demo 1.0 cannot be built" in err.getvalue()
    assert not Wheel.objects.standing().exists()


def test_a_builder_at_work_would_build_them_itself(farm):
    built(farm, "1.0")

    with pytest.raises(CommandError, match="pi-07 is at work"):
        distrust("--always", "--yes")

    assert Wheel.objects.standing().exists()


def test_to_try_it_withdraws_nothing(farm):
    built(farm, "1.0")
    farm.builder.retire("Stolen.", database_now())

    assert "1 wheel is withdrawn that pi-07 has published ever" in distrust("--always", "--dry-run")
    assert Wheel.objects.standing().exists()
