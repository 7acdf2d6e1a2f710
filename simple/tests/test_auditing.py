import gzip
import shutil
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds.models import Wheel
from packages.models import Package
from simple import folders, publishing, roots, tree
from simple.tests.rows import make_wheel

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _published():
    for name in ("demo", "other"):
        make_wheel(name)
    publishing.publish(timezone.now())
    roots.publish(timezone.now(), at_once=True)


def check(*words):
    """Return what is printed, and the exit status."""
    out = StringIO()
    try:
        call_command("check_packages", *words, stdout=out)
    except CommandError as error:
        return out.getvalue() + str(error), error.returncode
    return out.getvalue(), 0


def folder(name="demo", index="simple"):
    return tree.folder(index, name)


def link(ending=".whl"):
    return next(path for path in folder().iterdir() if path.name.endswith(ending))


def test_a_tree_that_is_as_it_should_be_is_told_to_be_so():
    assert check("--hashes") == ("2 packages and 2 wheels were compared: all is well.\n", 0)


def lose_page():
    (folder() / "index.html").unlink()


def change_page():
    (folder(index="simple-platform") / "index.v1_json").write_text("{}")


def change_packed_page():
    (folder() / "index.html.gz").write_bytes(gzip.compress(b"nonsense"))


def lose_folder():
    shutil.rmtree(folder(index="simple-full"))


def lose_link():
    link().unlink()


def link_to_nothing():
    path = link()
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def replace_file():
    path = link(".metadata")
    path.unlink()
    path.write_text("Name: other")


def add_file():
    (folder() / "demo-9.whl").write_text("who knows")


def add_folder():
    shutil.copytree(folder(), folder("nobody"))


def keep_a_page_of_what_has_none():
    Package.objects.filter(name="demo").update(status="gone", shown_revision=-1)
    publishing.publish(timezone.now())
    folder().mkdir(exist_ok=True)
    (folder() / "index.html").write_text("old")


def change_list():
    (tree.folder("simple") / "index.html").write_text("nobody")


def change_packed_list():
    (tree.folder("simple") / "index.v1_json.gz").write_bytes(b"no zip at all")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lose_page, "missing page: simple/demo/index.html"),
        (change_page, "other page: simple-platform/demo/index.v1_json"),
        (change_packed_page, "other page: simple/demo/index.html.gz"),
        (lose_folder, "missing page: simple-full/demo/index.v1_json"),
        (lose_link, "missing file: simple/demo/demo-1.0"),
        (link_to_nothing, "link to nothing: simple/demo/demo-1.0"),
        (replace_file, "other file: simple/demo/demo-1.0"),
        (add_file, "extra file: simple/demo/demo-9.whl"),
        (add_folder, "extra folder: simple/nobody"),
        (keep_a_page_of_what_has_none, "extra page: simple/demo/index.html"),
        (change_list, "other list: simple/index.html:"),
        (change_packed_list, "other list: simple/index.v1_json.gz:"),
    ],
)
def test_what_is_wrong_is_found_once_and_mended_when_that_is_wanted(harm, told):
    harm()

    said, status = check()
    assert (told in said, status) == (True, 1)
    dry, status = check("--fix", "--dry-run")
    assert ("This would happen" in dry, status) == (True, 1)

    assert not LogEntry.objects.exists()
    assert check("--fix", "--yes")[1] == 1
    assert LogEntry.objects.get().change_message.startswith("fix index: ")

    assert check("--hashes")[1] == 0


def test_what_could_not_be_mended_is_said_and_noted(monkeypatch):
    lose_page()

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.Writing, "put", refuse)
    said, status = check("--fix", "--yes")

    assert "0 packages were written anew. 1 package could not be" in said
    assert status == 1
    assert "1 package could not be" in LogEntry.objects.get().change_message


def test_the_other_package_is_not_blamed():
    change_page()

    said, _ = check("other")

    assert said == "1 package and 1 wheel were compared: all is well.\n"


def test_bytes_are_compared_only_when_that_is_wanted():
    path = default_storage.path(Wheel.objects.get(package__name="demo").path)
    with open(path, "r+b") as file:  # noqa: PTH123 - in place, as a disk would spoil it
        file.write(b"spoilt")

    assert check()[1] == 0
    assert "spoilt file: simple/demo/demo-1.0" in check("--hashes")[0]


def test_a_file_that_is_nowhere_is_said_to_be_so_and_no_page_is_blamed():
    shutil.rmtree(default_storage.path(""))
    link().unlink()

    said, _ = check("demo")

    assert "nor in the storage: `check_storage` tells more" in said


def test_what_the_writer_has_not_come_to_yet_is_no_fault():
    change_page()
    Package.objects.get(name="demo").mark_changed()

    assert check()[1] == 0


def test_nothing_is_mended_unless_somebody_says_so():
    change_page()

    said, status = check("--fix")

    assert ("say --yes" in said, status) == (True, 2)
    assert check()[1] == 1


def test_what_can_be_no_name_is_refused():
    said, status = check("--", "-x")

    assert ("Give names of packages" in said, status) == (True, 2)
