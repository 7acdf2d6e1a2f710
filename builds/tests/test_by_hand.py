import hashlib
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from builds import by_hand, dispatch, results
from builds.files import logs, storage, takedown
from builds.management.commands.import_wheels import seconds
from builds.models import Build, Builder, Wheel
from builds.tests.rows import make_build, make_builder, make_running_build, make_target, make_version
from builds.tests.storages import make_whole_wheel
from builds.tests.wheels import make_wheel as wheel_bytes
from builds.tests.wheels import wheel_of
from packages.clock import database_now
from packages.models import UpstreamFile

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

KEY = "trixie-armhf-cp313"
PURE = "demo-1.0-py3-none-any.whl"
NATIVE = "demo-1.0-cp313-cp313-linux_armv7l.whl"


def run(*words):
    out = StringIO()
    call_command("import_wheels", *map(str, words), stdout=out)
    return out.getvalue()


@pytest.fixture
def version():
    make_target()
    return make_version()


@pytest.fixture
def put(tmp_path):
    """Return what puts a wheel into a folder, by its name."""

    def put(filename, **fields):
        name, number, *build, python, abi, platform = filename.removesuffix(".whl").split("-")
        path = tmp_path / filename
        if build:
            tagged = f"Build: {build[0]}\n".encode()
            fields["wheel"] = wheel_of(f"{python}-{abi}-{platform}") + tagged
        path.write_bytes(wheel_bytes(name, number, f"{python}-{abi}-{platform}", **fields))
        return path

    return put


def test_what_cannot_be_deleted_is_published_and_noted_all_the_same(version, put, monkeypatch):
    path, unlink = put(NATIVE), Path.unlink

    def refuse(each, *, missing_ok=False):
        if each == path:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(each, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setenv("SUDO_USER", "ben")

    with pytest.raises(CommandError, match=r"They are published.*Permission denied") as fault:
        run(path, "--delete", "--yes")

    assert fault.value.returncode == 1
    assert Wheel.objects.listed().get().filename == NATIVE
    assert "(ben on the command line.)" in LogEntry.objects.get().change_message


def test_a_wheel_is_published_as_a_build_of_its_own(version, put, tmp_path):
    path = put(NATIVE)
    (tmp_path / "build.log").write_bytes(b"it compiles\n")
    (tmp_path / "apt.txt").write_text("libxml2 (>= 2.9)\n\nlibxslt1.1\n")

    told = run(
        *(path, "--duration", "1h30m", "--output", tmp_path / "build.log"),
        *("--dependencies", tmp_path / "apt.txt", "--delete", "--yes"),
    )

    assert told == f"Of demo 1.0 for {KEY}, 1 wheel is published.\n"
    wheel, build = Wheel.objects.listed().get(), Build.objects.get()
    assert (build.state, build.duration_s, build.builder.name) == ("succeeded", 5400.0, "by-hand")
    assert build.source == UpstreamFile.objects.get()
    assert storage.stored_sha256(default_storage, wheel.path) == wheel.sha256
    assert logs.content(build.pk) == b"it compiles\n"
    assert sorted(wheel.dependencies.values_list("name", flat=True)) == ["libxml2", "libxslt1.1"]
    assert not path.exists()
    statement = json.loads(storage.read_bytes(wheel.provenance_path))["predicate"]
    assert statement["runDetails"]["builder"]["id"] == "urn:piwheels:builder:by-hand"
    assert "imported by" in statement["buildDefinition"]["internalParameters"]["environment"]


def test_several_wheels_are_one_build(version, put):
    run(put(NATIVE), put(PURE), "--yes")

    assert Build.objects.get().wheels.count() == 2


def test_a_build_that_waits_is_the_one_that_was_made(version, put):
    waiting = make_build(version)

    run(put(NATIVE), "--yes")

    waiting.refresh_from_db()
    assert (waiting.state, Build.objects.count()) == ("succeeded", 1)


def test_what_no_source_is_upstream_of_can_be_imported(put):
    make_target()
    make_version(source=False)

    run(put(NATIVE), "--yes")

    assert Wheel.objects.listed().sourced().exists()


def test_whoever_builds_by_hand_gets_no_builds_and_no_way_in(version, put):
    run(put(NATIVE), "--yes")

    by_hand = Builder.objects.get()
    assert (by_hand.standing, by_hand.is_at_work(database_now())) == ("retired", False)
    make_build(make_version("2.0"))
    assert dispatch.dispatch(database_now()) == 0


def test_a_pure_wheel_does_not_say_its_target(version, put):
    make_target("trixie-arm64-cp313")
    path = put(PURE)

    with pytest.raises(CommandError, match=f"for .*{KEY}.*: say with --target which"):
        run(path, "--yes")

    run(path, "--target", KEY, "--yes")
    assert Build.objects.get().target.key == KEY


def test_a_version_may_be_named_as_upstream_spells_it(put):
    make_target()
    make_version("1.0.0")
    other = make_version("1.0")
    path = put(NATIVE)

    with pytest.raises(CommandError, match="has several spellings"):
        run(path, "--yes")

    run(path, "--package", "Demo==1.0", "--yes")
    assert Build.objects.get().version == other


def test_a_rebuild_by_hand_takes_the_place_of_the_wheel_before(version, put):
    run(put(NATIVE), "--yes")

    run(put("demo-1.0-1-cp313-cp313-linux_armv7l.whl", files={"demo/new.py": b""}), "--yes")

    assert [(wheel.filename, wheel.yanked) for wheel in Wheel.objects.all()] == [
        ("demo-1.0-1-cp313-cp313-linux_armv7l.whl", False),
        (NATIVE, True),
    ]


@pytest.mark.parametrize("words", [["--yes"], ["--dry-run"]])
def test_other_bytes_under_a_name_are_refused_before_anything_is_begun(version, put, words):
    run(put(NATIVE), "--yes")

    with pytest.raises(CommandError, match="the bytes behind a name never change"):
        run(put(NATIVE, files={"demo/other.py": b""}), *words)

    assert Build.objects.get().state == "succeeded"


@pytest.mark.parametrize("words", [["--yes"], ["--dry-run"]])
def test_a_name_that_was_taken_down_is_refused_before_anything_is_begun(version, put, words):
    path = put(NATIVE)
    run(path, "--yes")
    takedown.take_down([Wheel.objects.get()], "Malware.", database_now())

    with pytest.raises(CommandError, match="nothing gets its name again"):
        run(path, *words)

    assert Build.objects.get().state == "succeeded"


@pytest.fixture(params=["", "Ann wants it."])
def reason(request):
    """Why a build waits, besides that it is lacking."""
    return request.param


@pytest.fixture
def taken(version, put, monkeypatch, reason):
    """A file that another build takes the name of after it was looked at."""
    prepare = by_hand.prepare

    def prepare_and_lose(*arguments):
        wanted = prepare(*arguments)
        monkeypatch.setattr(by_hand, "prepare", prepare)
        run(put(NATIVE, files={"demo/other.py": b""}), "--yes")
        Build.objects.get().again(losses=0, priority=7, why="", rebuild_reason=reason)
        put(NATIVE)
        return wanted

    monkeypatch.setattr(by_hand, "prepare", prepare_and_lose)
    return put(NATIVE)


def test_who_comes_too_late_for_a_name_is_refused_and_what_waited_waits_again_and_as_before(taken, reason):
    with pytest.raises(CommandError, match="the bytes behind a name never change"):
        run(taken, "--yes")

    assert [build.state for build in Build.objects.order_by("pk")] == ["succeeded", "failed", "queued"]
    waiting = Build.objects.waiting().get()
    assert (waiting.priority, waiting.rebuild_reason) == (7, reason)
    texts = LogEntry.objects.order_by("-pk").values_list("change_message", flat=True)
    assert "never change" in texts[0]


def test_what_waited_waits_again_also_if_the_import_is_killed_as_it_is_refused(taken, reason, monkeypatch):
    class Killed(BaseException):
        """Nobody catches a kill."""

    def kill(text, build):
        if "failed" in text:
            raise Killed

    monkeypatch.setattr(results, "way", SimpleNamespace(say=kill))
    with pytest.raises(Killed):
        run(taken, "--yes")

    waiting = Build.objects.waiting().get()
    assert (waiting.priority, waiting.rebuild_reason) == (7, reason)


def test_no_builder_has_a_reason_to_make_what_a_killed_import_was_to_bring(version, put):
    build = make_build(version, rebuild_reason="Imported by hand by ann.")
    build.take(Builder.by_hand(build.target), None, database_now())
    Build.objects.update(lease_until=database_now() - timedelta(seconds=1))

    dispatch.close_lost(database_now())

    assert Build.objects.waiting().get().rebuild_reason == ""


def test_what_waited_for_another_reason_outlives_a_killed_import(version, put):
    build = make_build(version, rebuild_reason="Ann wants it.")
    wanted = by_hand.prepare([put(NATIVE)])
    by_hand._begin(wanted, by_hand.Told(by="me"), database_now())
    assert Build.objects.get().pk == build.pk
    Build.objects.update(lease_until=database_now() - timedelta(seconds=1))

    dispatch.close_lost(database_now())

    assert Build.objects.waiting().get().rebuild_reason == "Ann wants it."


def bad(put):
    return [put(NATIVE, without=["demo/__init__.py"])]


def no_zip(put):
    path = put(NATIVE)
    path.write_bytes(b"no zip at all")
    return [path]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (bad, "RECORD"),
        (no_zip, "zip"),
        (lambda put: [put(NATIVE).with_name("demo-1.0.tar.gz")], "Invalid wheel filename"),
        (lambda put: [put(NATIVE).with_name("demo-1.0-py2-none-any.whl")], "none that is here"),
        (lambda put: [put("other-1.0-py3-none-any.whl")], "does not follow other"),
        (lambda put: [put("demo-9-cp313-cp313-linux_armv7l.whl")], "demo 9 is not there"),
        (lambda put: [put("demo-1.0-cp310-cp310-linux_armv7l.whl")], "none that is here"),
        (lambda put: [put(NATIVE), put(NATIVE)], "each once"),
        (lambda put: [put(NATIVE), put("other-1.0-py3-none-any.whl")], "none that is here"),
        (lambda put: [put(NATIVE), "--duration", "soon"], "is no time"),
        (lambda put: [put(NATIVE), "--output", "/nowhere/log"], "No such file"),
        (lambda put: [put(NATIVE), "--package", "demo"], "wants a version"),
        (lambda put: [put(NATIVE), "--package", "demo==1.0", "--target", "x"], "no target x"),
        (lambda put: [put(NATIVE).with_name("demo-1.0-cp313-none-any.whl")], "cannot be read"),
    ],
)
def test_what_is_not_right_is_refused_before_anything_is_begun(version, put, files, says):
    with pytest.raises(CommandError, match=says):
        run(*files(put), "--yes")

    assert not Build.objects.exists()


def test_packages_that_can_be_no_packages_are_refused(version, put, tmp_path):
    (tmp_path / "apt.txt").write_text("rm -rf /")

    with pytest.raises(CommandError, match="list of apt packages"):
        run(put(NATIVE), "--dependencies", tmp_path / "apt.txt", "--yes")

    assert not Wheel.objects.exists()


def test_what_a_builder_is_at_is_left_to_it(version, put):
    make_running_build(version=version)

    with pytest.raises(CommandError, match="is being made at this moment"):
        run(put(NATIVE), "--yes")


def test_two_imports_do_not_go_on_at_the_same_time(version, put):
    now = database_now()
    by_hand = Builder.by_hand(make_target())
    make_build(make_version("2.0")).take(by_hand, None, now)

    with pytest.raises(CommandError, match="Another import goes on"):
        run(put(NATIVE), "--yes")

    assert Build.objects.filter(version=version).count() == 0


def test_a_file_that_vanishes_meanwhile_leaves_nothing_behind(version, put):
    path = put(NATIVE)
    wanted = by_hand.prepare([path])
    make_build(version, priority=7)
    path.unlink()

    with pytest.raises(by_hand.CannotImport, match="Nothing was published"):
        by_hand.run(wanted, by_hand.Told(by="me"), database_now())

    assert [build.state for build in Build.objects.order_by("pk")] == ["cancelled", "queued"]


def test_a_storage_that_is_not_there_leaves_nothing_behind(version, put, tmp_path):
    path, other = put(NATIVE), make_whole_wheel("other")
    (tmp_path / "files").rename(tmp_path / "unmounted")

    with pytest.raises(CommandError, match="Nothing was published"):
        run(path, "--yes")

    assert Build.objects.exclude(pk=other.build_id).get().state == Build.State.CANCELLED
    (tmp_path / "unmounted").rename(tmp_path / "files")
    assert "published" in run(path, "--yes")


def test_a_real_builder_of_that_name_is_not_used(version, put):
    make_builder(Builder.BY_HAND)

    with pytest.raises(CommandError, match="a real builder is called by-hand"):
        run(put(NATIVE), "--yes")


def test_a_dry_run_only_looks(version, put):
    path = put(NATIVE)

    told = run(path, "--dry-run", "--delete")

    assert told == f"This would happen: Of demo 1.0 for {KEY}, 1 wheel is published for good.\n"
    assert path.exists()
    assert not Build.objects.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("5.5s", 5.5), ("15m", 900), ("1h30m", 5400), ("2h", 7200), ("0s", 0)],
)
def test_a_time_is_read_as_people_write_it(text, expected):
    assert seconds(text) == expected


def test_the_bytes_are_those_of_the_file(version, put):
    path = put(NATIVE)

    run(path, "--yes")

    assert Wheel.objects.get().sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
