from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from builds.models import Build, Skip, Wheel
from builds.planning import plan
from builds.tests.rows import NOON, make_build, make_target, make_version, make_wheel
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

KEY = "trixie-armhf-cp313"


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def version():
    make_target()
    make_target("trixie-arm64-cp313")
    return make_version()


def skipped():
    package = Package.objects.get()
    return (
        package.skip_reason,
        package.versions.get().skip_reason,
        list(Skip.objects.values_list("target__key", "reason")),
    )


@pytest.mark.parametrize(
    ("words", "what", "left"),
    [
        (["Demo"], "demo", ("Too big.", "", [])),
        (["demo==v1.0"], "demo 1.0", ("", "Too big.", [])),
        (["demo", "--target", KEY], f"demo for {KEY}", ("", "", [(KEY, "Too big.")])),
    ],
)
def test_a_skip_holds_until_it_is_taken_back(version, words, what, left):
    assert run("skip", *words, "--reason", "Too big.", "--yes") == f"{what} is skipped: Too big.\n"
    assert skipped() == left

    assert run("unskip", *words) == f"{what} is built again.\n"
    assert skipped() == ("", "", [])
    with pytest.raises(CommandError, match=f"{what} is not skipped"):
        run("unskip", *words)


def test_why_a_skip_ends_is_noted(version):
    run("skip", "demo", "--reason", "Too big.", "--yes")

    run("unskip", "demo", "--reason", "It has become smaller.")

    assert LogEntry.objects.latest("pk").change_message.endswith(" Reason: It has become smaller.")


def test_what_a_skip_drops_is_counted_before_and_dropped_by_the_plan(version):
    package = version.package
    plan.plan(package, NOON)

    told = run("skip", "demo", "--target", KEY, "--reason", "Too big.", "--dry-run")

    assert told == f"This would happen: demo for {KEY} is built no more, and 1 open build is dropped.\n"
    assert skipped() == ("", "", [])
    run("skip", "demo", "--target", KEY, "--reason", "Too big.", "--yes")
    package.refresh_from_db()
    plan.plan(package, NOON)
    assert [build.target.key for build in Build.objects.open()] == ["trixie-arm64-cp313"]


def test_another_reason_takes_the_place_of_the_one_before(version):
    for reason in ("Too big.", "Too slow."):
        run("skip", "demo", "--target", KEY, "--reason", reason, "--yes")

    assert skipped()[2] == [(KEY, "Too slow.")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["other", "--reason", "x"], "does not follow other"),
        (["demo==9", "--reason", "x"], "no demo 9"),
        (["demo", "--target", "x", "--reason", "x"], "no target x"),
        (["demo", "--reason", " "], "Give a reason"),
        (["demo", "--reason", "x" * 201], "at most 200"),
        (["demo==1.0", "--target", KEY, "--reason", "x"], "a version or a target"),
    ],
)
def test_what_cannot_be_skipped_so_is_said(version, words, says):
    with pytest.raises(CommandError, match=says):
        run("skip", *words, "--yes")

    assert skipped() == ("", "", [])


def yanked():
    return {wheel.filename: wheel.yanked_reason for wheel in Wheel.objects.filter(yanked=True)}


@pytest.fixture
def wheels():
    """Two wheels of version 1.0 and one of 2.0."""
    old, new = make_version("1.0"), make_version("2.0")
    made = [
        (old, KEY, "demo-1.0-cp313-cp313-linux_armv7l.whl"),
        (old, "trixie-arm64-cp313", "demo-1.0-cp313-cp313-linux_aarch64.whl"),
        (new, KEY, "demo-2.0-py3-none-any.whl"),
    ]
    return [
        make_wheel(
            make_build(version, make_target(key), state="succeeded", finished_at=NOON), filename=filename
        )
        for version, key, filename in made
    ]


def test_wheels_are_yanked_by_file_or_by_version_and_the_yank_is_taken_back(wheels):
    names = [wheel.filename for wheel in wheels]

    assert "1 wheel is yanked" in run("yank", names[2], "--reason", "Bad.", "--dry-run")
    assert yanked() == {}
    run("yank", names[2], "demo==1.0", "--reason", "Bad.", "--yes")
    assert yanked() == dict.fromkeys(names, "Bad.")
    # Who was yanked for another reason keeps that.
    assert "0 wheels" in run("yank", "demo", "--reason", "Worse.", "--yes")
    assert "2 wheels" in run("unyank", "demo==1.0", "--dry-run")
    run("unyank", "demo==1.0", "--yes")

    assert yanked() == {names[2]: "Bad."}


def test_what_a_rebuild_has_replaced_comes_back_by_its_own_name_alone(wheels):
    wheels[0].supersede(wheels[2])

    assert "0 wheels" in run("unyank", "demo", "--yes")
    assert "The yank of 1 wheel was" in run("unyank", wheels[0].filename, "--yes")


def test_a_wheel_that_is_not_there_is_said_and_nothing_is_done(wheels):
    with pytest.raises(CommandError, match=r"no wheel demo-9\.whl. Nothing was done"):
        run("yank", "demo==1.0", "demo-9.whl", "--reason", "Bad.", "--yes")

    assert yanked() == {}


def test_to_try_an_unskip_leaves_the_skip(wheels):
    run("skip", "demo", "--reason", "No.", "--yes")

    assert "This would happen: demo is built again." in run("unskip", "demo", "--dry-run")
    assert Package.objects.get().skip_reason == "No."
    with pytest.raises(CommandError, match="is not skipped"):
        run("unskip", "demo==1.0", "--dry-run")
