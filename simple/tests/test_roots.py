"""The lists of all projects, as they are written."""

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from builds.models import Target
from packages.models import Package
from simple import publishing, roots, tree
from simple.formats import Format, ListedProject
from simple.models import PublishedTree, Shown
from simple.pages import root
from simple.tests.rows import make_wheel

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def publish(after=timedelta(0)):
    publishing.publish(NOW + after)
    return roots.publish(NOW + after)


def listed(index="simple"):
    page = json.loads((tree.folder(index) / "index.v1_json").read_bytes())
    return [project["name"] for project in page["projects"]]


def test_names_come_and_go_with_their_pages():
    demo = make_wheel("Demo")
    make_wheel("other")
    assert publish()
    assert listed() == ["Demo", "other"]

    demo.withdraw(NOW)

    assert publish(timedelta(minutes=1))
    assert listed() == ["other"]


def test_the_disk_has_lists_and_their_names_before_they_are_noted(monkeypatch):
    make_wheel()
    publishing.publish(NOW)
    synced = []

    def hear(descriptor, fsync=os.fsync):
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        synced.append((path, PublishedTree.current().names_listed))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", hear)
    roots.publish(NOW)

    assert {listed for _, listed in synced} == {0}
    where = [path for path, _ in synced]
    index = tree.folder("simple")
    first, last = where.index(f"{index}/.index.html.new"), where.index(str(index))
    assert first < last
    assert str(index.parent) in where


def test_a_list_is_the_same_in_each_form():
    make_wheel("Foo.Bar")
    make_wheel("demo")
    publish()

    for format in (Format.HTML, Format.JSON):
        path = tree.folder("simple") / tree.page_name(format)
        whole = b"".join(root([ListedProject("demo", "demo"), ListedProject("foo-bar", "Foo.Bar")], format))
        assert path.read_bytes() == whole
        assert gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()) == whole


def test_each_index_lists_what_it_has():
    make_wheel("native", tag="cp313-cp313-linux_armv7l")
    pure = make_wheel("pure", tag="py3-none-any")
    make_wheel("newer", tag="cp314-cp314-linux_armv7l")
    pure.version.files.create(
        filename="pure-1.0-py3-none-any.whl", kind="wheel", url="https://files.invalid/x", sha256="0" * 64
    )
    Target.objects.update(is_active=True)
    publish()

    assert listed() == listed("simple-full") == ["native", "newer", "pure"]
    assert listed("simple-platform") == ["native", "newer"]
    assert listed("test/simple") == ["native", "pure"]


def test_they_are_written_only_when_names_change():
    wheel = make_wheel()
    assert publish()
    assert not publish(timedelta(minutes=1))

    wheel.yank("broken")
    assert not publish(timedelta(minutes=2))

    Package.objects.update(display_name="DEMO")
    wheel.package.mark_changed()
    assert publish(timedelta(minutes=3))
    assert listed() == ["DEMO"]


def test_a_list_that_took_long_is_left_alone_for_a_hundred_times_as_long():
    make_wheel()
    publish()
    PublishedTree.objects.update(listing_s=36)
    make_wheel("other")

    assert not publish(timedelta(minutes=59))
    assert listed() == ["demo"]
    assert publish(timedelta(minutes=60))
    assert listed() == ["demo", "other"]


def test_a_clock_that_was_put_back_keeps_no_list_from_being_written():
    make_wheel()
    publish(timedelta(days=1))
    make_wheel("other")

    assert publish()
    assert listed() == ["demo", "other"]


def test_a_list_that_is_the_same_stays_and_another_one_has_another_second():
    make_wheel()
    publish()
    path = tree.folder("simple") / "index.html"
    before = path.stat()
    roots.publish(NOW + timedelta(hours=1), at_once=True)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    make_wheel("other")
    publishing.publish(NOW)
    roots.publish(NOW - timedelta(hours=1), at_once=True)

    assert path.stat().st_mtime_ns >= before.st_mtime_ns + 10**9
    seconds = {int((tree.folder("simple") / name).stat().st_mtime) for name in tree.PAGES.values()}
    assert {second % 2 for second in seconds} == {0, 1}


def test_names_are_read_and_written_in_pieces(monkeypatch):
    wheels = [make_wheel(f"demo-{number}") for number in range(5)]
    publishing.publish(NOW)
    monkeypatch.setattr(roots, "CHUNK_ROWS", 2)
    monkeypatch.setattr(roots, "CHUNK_BYTES", 10)

    roots.publish(NOW)

    assert listed() == [wheel.package.name for wheel in wheels]
    assert (
        gzip.decompress((tree.folder("simple") / "index.v1_json.gz").read_bytes())
        == (tree.folder("simple") / "index.v1_json").read_bytes()
    )


def test_the_list_of_an_index_that_is_no_more_goes(settings):
    make_wheel()
    publish()
    settings.PIWHEELS_FULL_INDEX = False

    publish(timedelta(hours=1))

    assert not (tree.folder("simple-full") / "index.html").exists()
    assert Shown.objects.get().indexes.split() == ["simple", "simple-platform"]


def test_nothing_half_written_is_left_behind():
    make_wheel()
    publish()

    assert [path.name for path in tree.folder("simple").glob(".*")] == []


def test_only_one_writes_them_at_a_time():
    make_wheel()
    publishing.publish(NOW)

    with tree.held(roots.LOCK):
        assert not roots.publish(NOW)

    assert roots.publish(NOW)
