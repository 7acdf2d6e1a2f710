"""What is not as it should be does not come in with an import, and each thing is told with its reason."""

import errno
import gzip
import io
import os
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from builds.files import logs
from builds.files.stored import MARK, TEMPORARY
from builds.importing import storing
from builds.models import Build, Target, Wheel
from packages.models import Alias, Package
from simple.models import Download
from simple.tests.imports import imported, refusals
from tests import sdists
from tests.stack import database_of_tests

pytestmark = pytest.mark.django_db


def test_a_log_that_is_none_is_refused_and_its_build_comes_without_one(original):
    broken, cut, lacking = (original.build("demo", f"1.{n}") for n in range(3))
    original.log(broken).write_bytes(b"no gzip")
    original.log(cut).write_bytes(gzip.compress(os.urandom(5000))[:-100])
    original.log(lacking).unlink()

    _, status = imported(original)

    assert status == 1
    assert refusals("logs") == {
        str(broken): "it cannot be unpacked",
        str(cut): "it cannot be unpacked",
        str(lacking): "there is no such file",
    }
    assert Build.objects.count() == 3
    assert logs.content(lacking) == b""


@pytest.mark.parametrize("more", [10, 1 << 20])
def test_of_a_log_that_is_too_long_the_end_is_kept_which_says_why_it_failed(original, more):
    said = "src/demo.c:1:10: fatal error: ffi.h: No such file or directory\n"
    log = "x" * ((10 << 20) + more - len(said) - 1) + f"\n{said}"
    build = original.build("demo", "1.0", is_good=False, log=log)

    report, _ = imported(original)

    assert report["subjects"]["logs"]["cut"] == 1
    kept = logs.content(build)
    assert len(kept) == 10 << 20
    assert kept.endswith(said.encode())
    assert Build.objects.get().failure == "missing-header"


def test_a_log_that_unpacks_without_end_is_left_at_some_length(original, monkeypatch):
    monkeypatch.setattr(storing, "_MOST_UNPACKED", 20 << 20)
    original.build("demo", "1.0", log="x" * (64 << 20))
    sizes = []

    class Counted(gzip.GzipFile):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(storing.gzip, "open", Counted)
    imported(original)

    assert sum(sizes) <= 30 << 20


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
         "its bytes are others than the database says"),
        (lambda path: path.write_bytes(b"short"), "it has another size than the database says"),
        (lambda path: path.unlink(), "there is no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "it is no plain file"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "its link leads out of the folder"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "there is no such file"),
    ],
    ids=["bytes", "size", "missing", "folder", "out", "loop"],
)  # fmt: skip
def test_a_file_that_is_not_what_the_database_says_is_not_listed(original, spoil, reason):
    name = original.wheel(tag="cp311-cp311-linux_aarch64")
    spoil(original.path("demo", name))

    report, status = imported(original)

    assert status == 1
    assert report["refused"] == {"files": {reason: 1}}
    assert not Wheel.objects.exists()
    assert (Build.objects.get().state, Build.objects.get().failure) == ("failed", "file-lost")
    assert report["subjects"]["builds"]["failed"] == 1
    left = {path.name for path in (original.folder.parent / "files").rglob("*") if path.is_file()}
    assert left == {MARK, "0001.txt.gz"}


def hostile_files(original, build):
    """Give rows of files that nobody should serve, with the reason that each is refused for."""
    good = sdists.make_wheel("demo", "1.0", "py3-none-any")
    outside = original.folder / "secret-1.0-py3-none-any.whl"
    outside.write_bytes(good)
    path = "its name is no wheel's plain file name"
    for filename in (
        "../secret-1.0-py3-none-any.whl",
        "../../../etc/passwd",
        "demo-1.0-py3-none-any.whl\n",
        ".new-1.0-py3-none-any.whl",
        "<script>-1.0-py3-none-any.whl",
    ):
        original.row(build, filename, good)
        yield filename, path
    original.row(build, f"demo-1.0-{'.'.join(f'py{n}' for n in range(40))}-a.b.c.d-any.whl", good)
    yield (
        f"demo-1.0-{'.'.join(f'py{n}' for n in range(40))}-a.b.c.d-any.whl",
        "its name has more than 100 tags",
    )
    original.file(build, "demo", "demo-not.a.version-py3-none-any.whl", good)
    yield "demo-not.a.version-py3-none-any.whl", "its name is not one that installers of today take"
    original.file(build, "demo", "demo-1.1-py3-none-any.whl", b"PK\x03\x04 and no more")
    yield "demo-1.1-py3-none-any.whl", "it cannot be read as a wheel"
    original.file(build, "demo", "demo-1.2-py3-none-any.whl", good)
    original.sql("UPDATE files SET filehash = 'none' WHERE filename = 'demo-1.2-py3-none-any.whl'")
    yield "demo-1.2-py3-none-any.whl", "its size or hash in the database is none"


def test_hostile_rows_of_files_are_refused_each_with_its_reason(original):
    build = original.build("demo", "1.0")
    expected = {"".join(c if c.isprintable() else "\ufffd" for c in name): why
                for name, why in hostile_files(original, build)}  # fmt: skip

    imported(original)

    assert refusals("files") == expected
    assert not Wheel.objects.exists()


def test_hostile_packages_versions_and_builds_are_refused_with_all_that_is_theirs(original):
    original.package("Not-Canonical", "x")
    original.package("..", "..")
    original.package("gone", "gone", skip="deleted")
    original.package("good", "good", "evil")
    original.version("good", "2.0", skip="deleted")
    original.version("good", "1\n2")
    original.wheel("gone")
    original.wheel("good", "2.0", tag="py3-none-any")
    timeless = original.build("good", "1.0")
    original.sql("UPDATE builds SET built_at = 'infinity' WHERE build_id = %s", timeless)
    negative = original.build("good", "1.1")
    original.sql("UPDATE builds SET build_id = -5 WHERE build_id = %s", negative)
    odd = original.build("good", "1.2", duration_s=1e9)

    imported(original)

    assert set(Package.objects.values_list("name", flat=True)) == {"good"}
    assert set(Alias.objects.values_list("name", flat=True)) == {"good"}
    assert refusals("packages") == {
        "Not-Canonical": "its name is none that an index can have",
        "..": "its name is none that an index can have",
        "gone": "it is being deleted there",
    }
    assert refusals("versions")["good 2.0"] == "it is being deleted there"
    assert refusals("versions")["good 1\ufffd2"] == "its number is none that an index can have"
    assert set(refusals("builds").values()) == {
        "its package is not taken",
        "its version is not taken",
        "it has no time",
        "its number is taken by a build of ours, or is none",
    }
    # A clock that jumped has made years of it.
    assert list(Build.objects.values_list("pk", "duration_s")) == [(odd, None)]
    assert not Wheel.objects.exists()


def test_a_farm_that_has_built_something_is_left_alone(original):
    package = Package.objects.create(name="own", display_name="own")
    version = package.versions.create(number="1.0", canonical="1.0")
    Build.objects.create(version=version, target=Target.objects.get(key="trixie-armhf-cp313"))
    original.wheel()

    with pytest.raises(CommandError, match="has built nothing yet"):
        imported(original)


def test_the_database_of_another_farm_is_not_gone_on_with(original):
    original.wheel()
    imported(original)
    original.sql("INSERT INTO packages VALUES ('other'); INSERT INTO versions VALUES ('other', '1.0')")
    original.sql("UPDATE builds SET package = 'other'")

    with pytest.raises(CommandError, match="name the database of the farm that was begun with"):
        imported(original)


def test_a_second_import_at_once_is_refused_and_counts_nothing_twice(original):
    original.download(original.wheel(), "2020-01-01")
    with closing(psycopg2.connect(database_of_tests())) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('import_piwheels'))")
        with pytest.raises(CommandError, match="An import goes on"):
            imported(original)
        cursor.execute("SELECT pg_advisory_unlock_all()")

    _, status = imported(original)

    assert status == 0
    assert Download.objects.get().count == 1


def test_a_database_of_something_else_is_refused(original):
    original.sql("ALTER TABLE files DROP COLUMN location")

    with pytest.raises(CommandError, match=r"it lacks files\.location") as error:
        imported(original)

    assert error.value.returncode == 2


def test_a_password_is_not_told_again():
    with pytest.raises(CommandError) as error:
        call_command("import_piwheels", "host=x passw ord=secret", "/nowhere")

    assert "secret" not in str(error.value)


def test_a_folder_that_is_none_is_said_before_anything_is_read(original):
    (original.folder / "simple").rmdir()

    with pytest.raises(CommandError, match="name the one that has simple/ and logs/"):
        imported(original)


def test_an_abi_that_nobody_knows_has_to_be_given_a_target(original):
    original.abi("cp312")

    with pytest.raises(CommandError, match="--target ABI=KEY"):
        imported(original)
    with pytest.raises(CommandError, match="There is no target noble"):
        imported(original, "--target", "cp312=noble")

    report, _ = imported(original, "--target", "cp312=bookworm-armhf-cp311")
    assert report["targets"]["cp312"] == "bookworm-armhf-cp311"


def test_an_abi_that_only_old_builds_have_is_said_before_the_work(original):
    original.sql("UPDATE builds SET abi_tag = 'cp32m' WHERE build_id = %s", original.build("demo", "1.0"))

    with pytest.raises(CommandError, match="Nothing is known of the ABI cp32m"):
        imported(original)

    assert not Package.objects.exists()


def test_a_place_of_files_without_a_folder_is_said_before_the_work(original, tmp_path):
    build = original.build("demo", "1.0")
    name, content = "demo-1.0-py3-none-any.whl", sdists.make_wheel("demo", "1.0")
    original.row(build, name, content, location="https://far.example.org/simple")
    for archives in ([], ["--archive", f"https://far.example.org={tmp_path}"]):
        with pytest.raises(CommandError, match=r"files are at https://far\.example\.org/simple: say with"):
            imported(original, *archives)
    assert not Package.objects.exists()

    imported(original, "--archive", f"https://far.example.org/simple={tmp_path}")

    assert refusals("files") == {name: "there is no such file"}


def test_an_archive_that_no_file_is_in_is_said_before_the_work(original, tmp_path):
    original.wheel()

    with pytest.raises(
        CommandError, match=r"no file that it is at https://fra\.example\.org, but at /simple:"
    ):
        imported(original, "--archive", f"https://fra.example.org={tmp_path}")


class Broken(io.BytesIO):
    """A file on a disk that gives errors."""

    def read(self, size=-1):
        raise OSError(errno.EIO, "Input/output error")


def test_a_file_on_a_disk_that_gives_errors_is_refused_and_all_others_come(original, monkeypatch):
    bad, good = (original.wheel(name, tag="py3-none-any") for name in ("bad", "good"))
    opened = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, *how, **more: (
            Broken() if self == original.path("bad", bad) else opened(self, *how, **more)
        ),
    )

    imported(original, "--copy")

    assert refusals("files") == {bad: "it cannot be read"}
    assert Wheel.objects.get().filename == good
    # Nothing half stays.
    assert not list(Path(default_storage.path("")).glob(f"{TEMPORARY}*"))


@pytest.mark.parametrize("options", [(), ("--copy",)])
def test_a_file_that_vanishes_as_it_is_taken_is_refused_and_all_others_come(original, monkeypatch, options):
    bad, good = (original.wheel(name, tag="py3-none-any") for name in ("bad", "good"))
    readable = storing._be_readable

    def vanish(path):
        """Have the other farm delete it after it was found to be there."""
        readable(path)
        if path == original.path("bad", bad):
            path.unlink()

    monkeypatch.setattr(storing, "_be_readable", vanish)

    imported(original, *options)

    assert refusals("files") == {bad: "it cannot be read"}
    assert Wheel.objects.get().filename == good


def elsewhere(storages, location):
    """Return Django's setting with another folder."""
    return {**storages, "default": {**storages["default"], "OPTIONS": {"location": location}}}


def test_a_storage_that_cannot_be_written_stops_the_import_and_no_file_is_refused_for_it(original, settings):
    name = original.wheel(tag="py3-none-any")
    good = settings.STORAGES["default"]["OPTIONS"]["location"]
    blocked = original.folder.parent / "blocked"
    blocked.write_text("a file where the folder should be")
    settings.STORAGES = elsewhere(settings.STORAGES, str(blocked))

    with pytest.raises(CommandError, match="it goes on from here") as error:
        imported(original)

    assert error.value.returncode == 2
    assert refusals("files") == {}
    settings.STORAGES = elsewhere(settings.STORAGES, good)
    assert imported(original)[1] == 0
    assert Wheel.objects.get().filename == name


def test_a_log_with_characters_that_no_database_keeps_is_told_without_them(original):
    build = original.build("demo", "1.0", is_good=False, log="error: \0 command \x1b[31m'x\0y' failed\n")

    imported(original)

    assert Build.objects.get(pk=build).state == "failed"
    assert "\0" not in Build.objects.get().reason
