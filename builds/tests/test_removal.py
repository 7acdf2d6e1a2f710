from io import StringIO

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from builds.files import logs, takedown
from builds.files.stored import log_name
from builds.models import Build, Wheel
from builds.planning import plan
from builds.tests.rows import NOON, make_build, make_running_build, make_target, make_version
from builds.tests.storages import dead, make_whole_wheel, use
from packages.clock import database_now
from packages.models import Dirty, Package, Version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def run(*words):
    out = StringIO()
    call_command("remove_package", *words, stdout=out)
    return out.getvalue()


def fail(version, **fields):
    """Make a build that failed, with its log."""
    build = make_build(version, state="failed", finished_at=NOON, **fields)
    logs.append(build.pk, 0, b"error: no")
    logs.keep(build.pk)
    return build


@pytest.fixture
def wheel():
    """A wheel, a failed build of another version of the same package, and one that goes on."""
    wheel = make_whole_wheel()
    fail(make_version("0.9"))
    return wheel


def test_all_is_built_again_and_what_was_tried_is_forgotten(wheel):
    running, ticket = make_running_build(version=make_version("0.8"))
    failed = Build.objects.get(state="failed")

    told = run("demo", "--builds", "--reason", "A bad compiler.", "--yes")

    assert told.startswith("1 build is queued.")
    wheel.refresh_from_db()
    assert (wheel.withdrawn_reason, wheel.build.state) == ("A bad compiler.", "succeeded")
    assert not running.renew(ticket, NOON)
    assert not Build.objects.filter(pk__in=[running.pk, failed.pk]).exists()
    assert logs.content(failed.pk) == b""
    package = Package.objects.get()
    assert package.plan_needed
    plan.plan(package, NOON)
    assert {build.version.number for build in Build.objects.open()} == {"0.8", "0.9", "1.0"}


def test_one_version_is_built_again_and_the_others_stay(wheel):
    run("demo==0.9", "--builds", "--yes")

    assert not Build.objects.filter(version__number="0.9").exists()
    assert Wheel.objects.standing().get() == wheel


def test_a_version_is_built_no_more_and_its_wheels_are_out_of_the_index(wheel):
    assert "demo 1.0 is skipped: Its owner asked." in run(
        "demo==1.0", "--skip", "--reason", "Its owner asked.", "--yes"
    )

    assert not Wheel.objects.standing().exists()
    assert default_storage.exists(wheel.path)
    assert Version.objects.get(number="1.0").skip_reason == "Its owner asked."
    assert Build.objects.filter(version__number="0.9").exists()


def test_wheels_are_only_yanked(wheel):
    assert "1 wheel was yanked" in run("demo", "--yank", "--reason", "It crashes.", "--yes")

    wheel.refresh_from_db()
    assert (wheel.yanked_reason, wheel.withdrawn_at) == ("It crashes.", None)


def test_a_package_that_never_had_a_wheel_is_forgotten_without_a_trace():
    failed = fail(make_version(package="nothing"))
    Dirty.mark("nothing")

    assert "nothing is forgotten" in run("nothing", "--yes")

    for model in (Package, Version, Build, Dirty):
        assert not model.objects.exists()
    assert not default_storage.exists(log_name(failed.pk))


def test_what_a_storage_keeps_of_logs_is_told_and_keeps_nobody_from_forgetting(settings, tmp_path, caplog):
    failed = [fail(make_version(number, package="nothing")) for number in ("1.0", "2.0")]
    use(settings, dead(tmp_path))

    assert "nothing is forgotten" in run("nothing", "--yes")

    assert not Package.objects.exists()
    for build in failed:
        assert f"The log of build {build.pk} could not be removed" in caplog.text


def test_of_a_package_with_wheels_the_bytes_go_and_the_names_stay(wheel):
    old = make_whole_wheel("demo", "py3-none-any")
    old.withdraw(NOON, "Old.")

    assert "Its row stays" in run("demo", "--reason", "Its owner asked.", "--yes")

    takedown.remove_bytes(database_now() + 2 * takedown.PATIENCE, limit=10)
    assert not default_storage.exists(wheel.path)
    assert not default_storage.exists(old.path)
    assert Wheel.objects.is_taken_down(wheel.filename)
    package = Package.objects.get()
    assert package.skip_reason == "Its owner asked."
    plan.plan(package, NOON)
    assert not Build.objects.open().exists()


@pytest.mark.parametrize("watched", [["all"], ["Demo"]])
def test_what_would_be_followed_again_at_once_is_not_forgotten(wheel, settings, watched):
    settings.PIWHEELS_WATCH = watched

    for how in ("--dry-run", "--yes"):
        with pytest.raises(CommandError, match="PIWHEELS_WATCH has demo followed again"):
            run("demo", how)

    assert Wheel.objects.listed().exists()


def test_a_dry_run_counts_and_takes_nothing(wheel):
    make_running_build(version=make_version("0.8"))

    told = run("demo", "--builds", "--dry-run")

    assert "1 wheel, 2 builds without a wheel (1 of them open)." in told
    assert (Wheel.objects.standing().count(), Build.objects.count()) == (1, 3)


@pytest.mark.parametrize(
    ("words", "says", "status"),
    [
        (["other"], "does not follow", 1),
        (["demo==9", "--builds"], "no demo 9", 1),
        (["demo==1.0"], "it would come back: say --skip", 2),
        (["demo", "--skip"], "Give a --reason", 2),
        (["demo", "--yank", "--reason", "x" * 201], "Give a --reason", 2),
    ],
)
def test_what_cannot_be_removed_is_said(wheel, words, says, status):
    with pytest.raises(CommandError, match=says) as refusal:
        run(*words, "--yes")

    assert refusal.value.returncode == status
    assert Wheel.objects.listed().exists()


def test_a_target_that_is_no_more_keeps_nobody_from_removing(wheel):
    make_target(is_active=False)

    assert "cannot be built for" in run("demo", "--builds", "--yes")
