import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.utils import timezone

from packages.models import Dirty, Package, SyncCursor, Version

pytestmark = pytest.mark.django_db


def run(capsys, *arguments):
    call_command(*arguments)
    return capsys.readouterr().out


def test_a_package_is_followed(followed, capsys):
    followed.add_sdist("Demo.Pkg", "1.0")

    assert run(capsys, "add_package", "demo_pkg") == "Demo.Pkg is followed.\n"

    package = Package.objects.get()
    assert (package.name, package.depth, package.plan_needed) == ("demo-pkg", None, True)
    assert Version.objects.get().requested_at is None


def test_a_package_is_followed_to_a_depth(followed):
    followed.add_sdist("demo", "1.0")

    call_command("add_package", "demo", "--depth", "3")

    assert Package.objects.get().depth == 3


def test_a_new_package_asked_for_by_version_is_built_in_that_one_only(followed, capsys):
    followed.add_sdist("demo", "1.0")
    followed.add_sdist("demo", "2.0")

    assert run(capsys, "add_package", "demo", "1.0") == "demo 1.0 is asked for.\n"
    assert LogEntry.objects.get().change_message.startswith("add package: demo 1.0 is asked for.")

    assert Package.objects.get().depth == 0
    assert Version.objects.get(number="1.0").requested_at is not None
    assert Version.objects.get(number="2.0").requested_at is None


def test_a_version_asked_for_leaves_a_known_package_as_it_is(followed):
    followed.add_sdist("demo", "1.0")
    call_command("add_package", "demo", "--depth", "3")

    call_command("add_package", "demo", "1.0")

    assert Package.objects.get().depth == 3


def test_a_version_may_be_spelled_otherwise(followed):
    followed.add_sdist("demo", "1.0.0")

    call_command("add_package", "demo", "v1.0")

    assert Version.objects.get().requested_at is not None


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["no/name"], "is no package's name"),
        (["x" * 201], "too long"),
        (["nothing-here"], "There is no nothing-here"),
        (["demo", "9.9"], "demo has no version 9.9: the newest are 11.0, 10.0, 9.0, 8.0, 7.0."),
        (["empty", "1.0"], "it has none at all"),
        (["wheels", "1.0"], "wheels 1.0 has no source upstream"),
        (["legacy", "2004d"], "is no version to PEP 440"),
        (["taken-back", "1.0"], r"taken-back 1\.0 is yanked upstream: It eats files\. Ask for another"),
        (["demo", "--depth", "-1"], "cannot be negative"),
    ],
)
def test_what_cannot_be_added_is_refused_with_a_reason(followed, arguments, told):
    for number in range(7, 12):
        followed.add_sdist("demo", f"{number}.0")
    followed.add_project("empty")
    followed.add_wheel("wheels", "1.0")
    followed.add_sdist("legacy", "2004d", filename="legacy-2004d.tar.gz")
    followed.add_sdist("taken-back", "1.0")
    followed.yank("taken-back", "1.0", "It eats files.")

    with pytest.raises(CommandError, match=told):
        call_command("add_package", *arguments)

    # To try it says the same.
    with pytest.raises(CommandError, match=told):
        call_command("add_package", *arguments, "--dry-run")
    assert not Package.objects.exists()
    assert not LogEntry.objects.exists()


def test_to_try_it_adds_nothing(followed, capsys):
    followed.add_sdist("demo", "1.0")

    assert run(capsys, "add_package", "demo", "1.0", "--dry-run") == (
        "This would happen: demo 1.0 is asked for.\n"
    )

    assert not Package.objects.exists()
    assert not Dirty.objects.exists()


def test_what_an_operator_skips_is_not_asked_for(followed):
    followed.add_sdist("demo", "1.0")
    call_command("add_package", "demo")
    Version.objects.get().skip("does not build")

    with pytest.raises(CommandError, match=r"demo 1\.0 is skipped: does not build"):
        call_command("add_package", "demo", "1.0")

    Package.objects.get().skip("not ours")
    with pytest.raises(CommandError, match="demo is skipped: not ours"):
        call_command("add_package", "demo", "--depth", "3")
    assert Package.objects.get().depth is None


def test_nothing_is_added_while_upstream_is_away(followed):
    followed.fail("/simple/", 503)

    with pytest.raises(CommandError, match=r"503.*try again later"):
        call_command("add_package", "demo")

    assert not Package.objects.exists()


def test_named_packages_are_looked_up_now(followed, capsys):
    followed.add_sdist("demo", "1.0")
    followed.add_sdist("other", "1.0")

    assert run(capsys, "sync_pypi", "Demo") == "1 package is up to date with upstream.\n"

    assert Package.objects.get().name == "demo"


def test_without_names_all_that_is_followed_is_looked_up(followed, settings, capsys):
    for name in ("added", "watched", "neither"):
        followed.add_sdist(name, "1.0")
    settings.PIWHEELS_WATCH = ["Watched"]
    call_command("add_package", "added")
    followed.yank("added", "1.0")

    assert "2 packages" in run(capsys, "sync_pypi")

    assert {package.name for package in Package.objects.all()} == {"added", "watched"}
    assert Version.objects.get(package__name="added").yanked


@pytest.mark.parametrize("command", ["add_package", "sync_pypi"])
def test_a_package_that_upstream_denies_to_a_command_is_not_gone(followed, command):
    followed.add_sdist("demo", "1.0")
    call_command("add_package", "demo")
    followed.remove("demo")

    with pytest.raises(CommandError, match=r"no demo|no such package"):
        call_command(command, "demo")

    assert (Package.objects.get().status, Version.objects.get().gone_at) == ("active", None)


def test_one_failure_fails_the_command_and_stops_no_other_package(followed):
    followed.add_sdist("good", "1.0")
    followed.fail("/simple/bad/", 503)

    with pytest.raises(CommandError) as raised:
        call_command("sync_pypi", "bad", "nothing-here", "good")

    first, bad, nothing = str(raised.value).splitlines()
    assert first == "2 of 3 failed."
    assert "503" in bad and "Try again" in bad
    assert "spelling" in nothing
    assert Package.objects.get().name == "good"


@pytest.mark.parametrize("arguments", [[], ["no/name"]])
def test_a_look_up_of_nothing_is_refused(followed, arguments):
    with pytest.raises(CommandError):
        call_command("sync_pypi", *arguments)


def test_all_names_are_compared_now(followed, settings, capsys):
    settings.PIWHEELS_WATCH = ["all"]
    followed.add_sdist("demo", "1.0")

    assert run(capsys, "reconcile") == "1 package is to be looked up.\n"

    assert Dirty.objects.get().name == "demo"


def test_a_comparison_that_could_not_be_made_fails(followed, settings):
    settings.PIWHEELS_WATCH = ["all"]
    followed.fail("/simple/", 503)

    with pytest.raises(CommandError, match="not read to its end"):
        call_command("reconcile")


def test_an_operator_may_say_that_upstream_is_right(followed, capsys):
    SyncCursor.objects.create(doubted_at=timezone.now(), doubted=20)

    assert "believed for a day" in run(capsys, "reconcile", "--believe", "--yes")

    assert SyncCursor.objects.get().doubted_at is None


def test_all_of_upstream_is_looked_up_now(followed, capsys):
    for name in ("one", "two"):
        followed.add_sdist(name, "1.0")

    assert (
        run(capsys, "sync_pypi", "--all", "--processes=1")
        == "2 packages were looked up; 0 more will be tried again.\n"
    )

    assert {package.name for package in Package.objects.all()} == {"one", "two"}


def test_all_of_upstream_is_not_looked_up_while_it_is_away(followed):
    followed.fail("/simple/", 503)

    with pytest.raises(CommandError, match="Try again later"):
        call_command("sync_pypi", "--all", "--processes=1")


def test_names_and_all_is_one_too_many(followed):
    with pytest.raises(CommandError, match="--all"):
        call_command("sync_pypi", "--all", "demo")


def test_a_new_package_is_looked_at_again_as_the_journal_was_read_without_it(followed):
    followed.add_sdist("demo", "1.0")

    call_command("add_package", "demo")
    assert Dirty.objects.get().not_before > timezone.now()

    Dirty.objects.all().delete()
    call_command("add_package", "demo", "1.0")
    assert not Dirty.objects.exists()


def test_a_package_can_be_tried_before_it_is_added(followed, capsys):
    followed.add_sdist("demo", "1.0")

    assert run(capsys, "add_package", "demo", "--dry-run") == "This would happen: demo is followed.\n"
    assert "demo 1.0 is asked for" in run(capsys, "add_package", "demo", "1.0", "--dry-run")
    with pytest.raises(CommandError, match="has no version 9"):
        call_command("add_package", "demo", "9", "--dry-run")

    assert not Package.objects.exists()
    assert not LogEntry.objects.exists()


def test_to_try_a_look_up_asks_nobody(capsys):
    # Nobody answers where the settings of the tests lead.
    assert "2 packages are looked up." in run(capsys, "sync_pypi", "one", "two", "--dry-run")
    assert "All that upstream has" in run(capsys, "sync_pypi", "--all", "--dry-run")

    assert not Package.objects.exists()
