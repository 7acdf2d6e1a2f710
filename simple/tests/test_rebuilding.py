import shutil

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds.models import Wheel
from packages.models import Package
from simple import publishing, tree
from simple.tests.rows import make_package, make_wheel

pytestmark = pytest.mark.django_db


def page(name):
    return tree.folder("simple", name) / "index.html"


@pytest.fixture(autouse=True)
def _published():
    for name in ("demo", "other"):
        make_wheel(name)
    publishing.publish(timezone.now())


def test_what_was_lost_or_changed_is_put_right(capsys):
    before = page("demo").read_bytes()
    page("demo").write_text("nonsense")
    shutil.rmtree(tree.folder("simple", "other"))

    call_command("rebuild_indexes")

    assert page("demo").read_bytes() == before
    assert page("other").exists()
    assert "2 packages were written anew, 0 folders" in capsys.readouterr().out


def test_only_the_packages_named_are_rebuilt(capsys):
    for name in ("demo", "other"):
        page(name).write_text("nonsense")

    call_command("rebuild_indexes", "Demo")

    assert page("demo").read_text() != "nonsense"
    assert page("other").read_text() == "nonsense"
    assert "1 package was written anew, 0" in capsys.readouterr().out


def test_folders_of_no_package_and_of_packages_without_wheels_go():
    make_package("empty")
    for name in ("nobody", "empty"):
        shutil.copytree(tree.folder("simple", "demo"), tree.folder("simple", name))
        shutil.copytree(tree.folder("simple-full", "demo"), tree.folder("simple-full", name))
    Package.objects.filter(name="empty").update(status="gone")

    call_command("rebuild_indexes")

    assert sorted(path.name for path in tree.folder("simple-full").iterdir() if path.is_dir()) == [
        "demo",
        "other",
    ]
    assert not tree.folder("simple", "nobody").exists()


def test_the_lists_of_all_projects_are_written():
    call_command("rebuild_indexes")

    assert b">demo</a>" in (tree.folder("simple") / "index.html").read_bytes()


def test_what_cannot_be_written_is_told():
    shutil.rmtree(tree.folder("simple", "demo"))
    tree.folder("simple", "demo").write_text("This is no folder.")

    with pytest.raises(CommandError, match="1 package could not"):
        call_command("rebuild_indexes")


def test_what_is_no_name_is_told():
    with pytest.raises(CommandError, match="-x"):
        call_command("rebuild_indexes", "--", "-x")


def test_after_a_database_came_back_from_a_backup_the_tree_follows_it():
    Wheel.objects.filter(package__name="demo").update(withdrawn_at=timezone.now())

    call_command("rebuild_indexes")

    assert not page("demo").exists()


def test_to_try_it_counts_and_writes_nothing(capsys):
    page("demo").write_text("nonsense")

    call_command("rebuild_indexes", "--dry-run")

    assert capsys.readouterr().out == "This would happen: 2 packages are written anew.\n"
    assert page("demo").read_text() == "nonsense"
