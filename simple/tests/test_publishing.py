"""The published tree: what it holds is what the database says."""

import gzip
import os
import re
import shutil
import tempfile
import time
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from builds.files import storage
from builds.files.storage import Unreachable
from builds.models import Target, Wheel
from builds.wheels.yanks import SUPERSEDED
from packages.models import Package
from simple import folders, indexes, publishing, tree
from simple.models import Shown
from simple.tests.rows import make_package, make_upstream, make_wheel
from simple.views import PAGE

pytestmark = pytest.mark.django_db

NOW = timezone.now()
PAGES = ["index.html", "index.html.gz", "index.v1_json", "index.v1_json.gz"]


def folder(name="demo", index="simple"):
    return tree.folder(index, name)


def entries(name="demo", index="simple"):
    try:
        return sorted(path.name for path in folder(name, index).iterdir())
    except FileNotFoundError:
        return []


def page(name="demo", index="simple"):
    return (folder(name, index) / "index.html").read_text()


def written():
    """Return which files there are, and when each got its content and its names."""
    files = {path.name: path.stat() for path in folder().iterdir()}
    return {name: (told.st_ino, told.st_mtime_ns, told.st_ctime_ns) for name, told in files.items()}


def publish(after=timedelta(0)):
    return publishing.publish(NOW + after)


def test_a_package_gets_pages_and_links_to_its_files():
    wheel = make_wheel()

    publish()

    assert entries() == sorted([wheel.filename, f"{wheel.filename}.metadata", *PAGES])
    assert entries(index="simple-platform") == PAGES
    assert (folder() / wheel.filename).samefile(default_storage.path(wheel.path))
    assert (folder() / f"{wheel.filename}.metadata").samefile(default_storage.path(wheel.metadata_path))
    assert gzip.decompress((folder() / "index.html.gz").read_bytes()).decode() == page()


@pytest.fixture
def disk_heard(monkeypatch):
    """What the disk was told, in its order: to sync a file or folder, or to give a file its name."""
    heard: list[tuple[str, str]] = []
    synced: set[int] = set()
    fsync, replace = os.fsync, os.replace

    def hear_fsync(descriptor):
        heard.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def hear_replace(old, new, **more):
        # With a file, its other names are synced.
        heard.append(("name" if Path(old).stat().st_ino in synced else "too early", str(new)))
        replace(old, new, **more)

    monkeypatch.setattr(os, "fsync", hear_fsync)
    monkeypatch.setattr(os, "replace", hear_replace)
    return heard


def noted(execute, sql, params, many, context, heard):
    """Hear when rows say what is shown."""
    if sql.startswith('UPDATE "simple_shown"'):
        heard.append(("noted", ""))
    return execute(sql, params, many, context)


def test_the_disk_has_pages_before_their_names_and_these_before_the_rows(disk_heard):
    make_wheel()
    make_wheel("other")

    with connection.execute_wrapper(partial(noted, heard=disk_heard)):
        publish()

    pages = {path: (what, at) for at, (what, path) in enumerate(disk_heard) if Path(path).name in PAGES}
    assert len(pages) == 2 * 3 * len(PAGES)
    assert {what for what, _ in pages.values()} == {"name"}
    last = max(at for _, at in pages.values())
    until = disk_heard.index(("noted", ""))
    synced_at = {path: at for at, (what, path) in enumerate(disk_heard[:until]) if what == "sync"}
    for name in ("demo", "other"):
        for index in ("simple", "simple-full"):
            for place in (folder(name, index), tree.folder(index), tree.folder(index).parent):
                assert synced_at[str(place)] > last
    # One file of all indexes is synced once.
    files = [path for what, path in disk_heard[:until] if what == "sync" and path.endswith(".new")]
    assert len(files) == len(set(files)) == 2 * len(PAGES)


def test_the_disk_has_what_was_written_by_somebody_who_was_killed_then(disk_heard):
    make_wheel()
    publish()
    Shown.objects.update(modified=0)
    Package.objects.get().mark_changed()
    disk_heard.clear()

    publish()

    synced = {path for what, path in disk_heard if what == "sync"}
    assert {str(folder() / "index.html"), str(folder()), str(tree.folder("simple"))} <= synced


def test_what_is_noted_is_not_looked_at_again():
    make_wheel()
    assert publish() == 1

    assert publish() == 0
    assert not Package.objects.to_show().exists()


def test_packages_of_which_there_is_nothing_are_passed_over_in_bulk(django_assert_max_num_queries):
    for number in range(30):
        make_package(f"empty-{number}").mark_changed()
    publish()
    Package.objects.update(revision=7)

    with django_assert_max_num_queries(8):
        assert publish() == 30

    assert not Package.objects.to_show().exists()
    assert not Shown.objects.exists()
    assert not Path(tree.folder("simple")).exists()


def test_what_is_to_be_written_anew_as_it_is_written_is_written_once_more(monkeypatch):
    package = make_wheel().package
    publish()
    Package.objects.show_anew([package.pk])
    sync = folders.sync

    def sync_slowly(paths):
        """Let somebody replace a file, who has all of it linked anew, before the disk has what is written."""
        Package.objects.show_anew([package.pk])
        sync(paths)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "sync", sync_slowly)
        publishing._Writer(indexes.current(), ("simple",), NOW).publish([package.pk])

    assert Package.objects.to_show().exists()
    publish()
    assert not Package.objects.to_show().exists()


def test_packages_of_which_there_is_nothing_are_passed_over_when_the_others_are_written_anew():
    for number in range(2):
        make_package(f"empty-{number}").mark_changed()
    make_wheel()
    publish()
    Package.objects.update(shown_revision=-1)

    assert publish() == 3

    assert not Package.objects.to_show().exists()
    assert list(Shown.objects.values_list("package__name", flat=True)) == ["demo"]


def test_files_go_after_the_pages_and_only_when_nobody_can_have_just_read_of_them():
    gone, stays = make_wheel(), make_wheel(number="2.0")
    publish()

    gone.withdraw(timezone.now())
    publish(timedelta(seconds=1))

    assert gone.filename not in page()
    assert gone.filename in entries()
    publish(Shown.LINGER)
    assert gone.filename in entries()
    publish(Shown.LINGER + timedelta(seconds=2))
    assert entries() == sorted([stays.filename, f"{stays.filename}.metadata", *PAGES])


def test_a_file_stays_for_as_long_as_a_cache_may_have_a_page_with_it():
    (stale_s,) = re.findall(r"stale-if-error=(\d+)", PAGE)

    assert timedelta(seconds=int(stale_s)) <= Shown.LINGER


def test_each_file_has_its_own_time_however_often_its_package_changes():
    wheels = [make_wheel(number=f"{number}.0") for number in range(3)]
    publish()
    half = Shown.LINGER / 2

    for turn, wheel in enumerate(wheels[:2]):
        wheel.withdraw(timezone.now())
        publish(turn * half)
    wheels[2].yank("broken")
    publish(2 * half + timedelta(seconds=5))

    assert wheels[0].filename not in entries()
    assert wheels[1].filename in entries()
    publish(3 * half + timedelta(seconds=5))
    assert entries() == sorted([wheels[2].filename, f"{wheels[2].filename}.metadata", *PAGES])
    assert Shown.objects.get().sweep_at is None


def test_a_file_that_was_listed_again_has_its_whole_time_anew():
    wheel, _ = make_wheel(), make_wheel(number="2.0")
    publish()
    third = Shown.LINGER / 3
    for turn, withdrawn_at in enumerate([NOW, None, NOW]):
        Wheel.objects.filter(pk=wheel.pk).update(withdrawn_at=withdrawn_at)
        wheel.package.mark_changed()
        publish(turn * third)

    publish(Shown.LINGER + third)
    assert wheel.filename in entries()
    publish(Shown.LINGER + 2 * third + timedelta(seconds=5))
    assert wheel.filename not in entries()


@pytest.mark.parametrize("spoilt", ["", "{", "[]", '{"demo-1.0-py3-none-any.whl": 7}'])
def test_a_note_of_unlisted_files_that_is_spoilt_is_made_anew(spoilt):
    wheel = make_wheel()
    publish()
    wheel.withdraw(timezone.now())
    publish()
    (folder() / ".unlisted").write_text(spoilt)

    publish(Shown.LINGER + timedelta(seconds=5))

    assert wheel.filename in entries()
    publish(Shown.LINGER * 2 + timedelta(seconds=10))
    assert entries() == []


def test_what_a_builder_in_wrong_hands_has_published_goes_at_once():
    wheel, other = make_wheel(), make_wheel(number="2.0")
    publish()

    wheel.distrust(timezone.now(), "Its card was stolen.")
    publish()

    assert entries() == sorted([other.filename, f"{other.filename}.metadata", *PAGES])


def test_the_time_of_a_file_begins_when_its_page_is_written_and_not_when_others_were():
    wheel = make_wheel()
    publish()
    wheel.withdraw(timezone.now())

    def take_time(execute, sql, params, many, context):
        time.sleep(0.02)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(take_time):
        publish()

    sweep_at = Shown.objects.get().sweep_at
    assert sweep_at
    assert sweep_at > NOW + Shown.LINGER + timedelta(seconds=0.1)


def test_what_may_be_malware_goes_at_once_and_leaves_an_empty_page():
    wheel = make_wheel()
    publish()

    Package.objects.update(status="quarantined")
    wheel.package.mark_changed()
    publish()

    assert set(entries()) <= set(PAGES)
    assert wheel.filename not in page()


@pytest.mark.parametrize("hidden", ["held", "withdrawn", "unsourced"])
def test_a_package_all_of_whose_wheels_are_hidden_leaves_nothing(hidden):
    wheel = make_wheel()
    publish()

    if hidden == "held":
        Wheel.objects.update(held_reason="A person must look.")
    elif hidden == "withdrawn":
        wheel.withdraw(timezone.now())
    else:
        wheel.package.versions.update(gone_at=timezone.now())
    wheel.package.mark_changed()
    publish(timedelta(seconds=1))

    # What is held may do harm.
    left = [".unlisted", wheel.filename, f"{wheel.filename}.metadata"]
    assert entries() == ([] if hidden == "held" else left)
    publish(Shown.LINGER * 2)
    assert not any(folder(index=index).exists() for index in tree.published_indexes())


def test_a_page_that_would_be_the_same_is_not_written_again():
    wheel = make_wheel()
    publish()
    before = written()

    wheel.package.mark_changed()
    publish(timedelta(hours=1))

    assert not Package.objects.to_show().exists()
    assert written() == before


def test_each_change_of_a_page_has_a_whole_second_of_its_own_even_after_it_was_gone():
    wheel = make_wheel()
    seen: dict[str, list[int]] = {name: [] for name in PAGES}
    for withdrawn_at in [None, NOW, None, NOW, None]:
        Wheel.objects.update(withdrawn_at=withdrawn_at, yanked_reason=str(len(seen["index.html"])))
        wheel.package.mark_changed()
        publish()
        for name in set(PAGES) & set(entries()):
            seen[name].append((folder() / name).stat().st_mtime_ns)

    for moments in seen.values():
        assert len(moments) == 3
        assert all(before + 1e9 <= after for before, after in pairwise(moments))
        assert all(moment % 10**9 == 0 for moment in moments)
    assert set(seen["index.html"]).isdisjoint(seen["index.v1_json"])


def test_indexes_with_the_same_content_share_one_file():
    make_wheel()
    publish()

    assert (folder() / "index.html").samefile(folder(index="simple-platform") / "index.html")
    assert (folder() / "index.v1_json.gz").samefile(folder(index="simple-full") / "index.v1_json.gz")


def test_small_pages_are_not_packed():
    wheel = make_wheel()
    publish()
    Package.objects.update(status="quarantined")
    wheel.package.mark_changed()

    publish()

    # The HTML of an empty page is still worth it, its JSON is not.
    assert entries() == ["index.html", "index.html.gz", "index.v1_json"]


def test_a_wheel_that_was_lost_is_not_listed_and_is_an_error_in_the_log(caplog):
    lost, there = make_wheel(), make_wheel(number="2.0")
    default_storage.delete(lost.metadata_path)

    publish()

    assert lost.filename not in page()
    assert there.filename in page()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_wheel_that_is_linked_stays_whatever_becomes_of_the_store():
    wheel = make_wheel()
    publish()
    default_storage.delete(wheel.path)
    wheel.yank("broken")

    publish()

    assert wheel.filename in page()
    assert (folder() / wheel.filename).stat().st_size == wheel.size


@pytest.mark.parametrize("is_mount_point_left", [False, True])
def test_a_storage_that_is_not_mounted_takes_nothing_out_of_the_index(is_mount_point_left, tmp_path):
    wheel = make_wheel()
    publish()
    new = make_wheel(number="2.0")
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    if is_mount_point_left:
        (tmp_path / "files").mkdir()

    with pytest.raises(Unreachable, match="mount it"):
        publish()
    with pytest.raises(Unreachable, match="mount it"):
        storage.store_bytes("logs/0000/0000/0001.txt.gz", b"Would be hidden by the disk later.")

    assert wheel.filename in page()
    if is_mount_point_left:
        (tmp_path / "files").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "files")
    publish()
    assert new.filename in page()


def test_a_package_that_cannot_be_written_keeps_nobody_waiting(caplog):
    make_wheel("broken")
    make_wheel("other")
    tree.folder("simple").mkdir(parents=True)
    folder("broken").write_text("This is no folder.")

    publish()

    assert entries("other")
    assert "The pages of broken could not be written" in caplog.text
    assert publish() == 0
    folder("broken").unlink()
    assert publish(timedelta(minutes=2)) == 1
    assert entries("broken")


def test_what_was_taken_down_is_nowhere_although_its_page_cannot_be_written(monkeypatch):
    evil, good = make_wheel(), make_wheel(number="2.0")
    publish()
    evil.take_down(NOW, "It is malware.")

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(folders.Writing, "put", fail)
    publish()

    assert not (folder() / evil.filename).exists()
    assert not (folder() / f"{evil.filename}.metadata").exists()
    assert (folder() / good.filename).exists()
    assert Shown.objects.failing(NOW).exists()


def test_a_page_that_lacks_a_wheel_is_looked_at_again_until_its_file_is_there():
    wheel = make_wheel()
    path = Path(default_storage.path(wheel.path))
    aside = path.rename(path.with_suffix(".aside"))
    publish()
    assert "index.html" not in entries()

    assert publish(timedelta(minutes=59)) == 0
    publish(timedelta(minutes=61))
    aside.rename(path)
    publish(timedelta(minutes=122))

    assert wheel.filename in page()
    assert Shown.objects.get().sweep_at is None


def test_what_a_clock_that_was_put_back_has_put_off_is_written():
    make_wheel()
    Shown.announce(Package.objects.values_list("pk", flat=True))
    Shown.objects.update(retry_at=NOW + timedelta(days=1))

    assert publish() == 1
    assert entries()


def test_links_across_file_systems_are_symbolic(settings, tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as public:
        settings.PIWHEELS_PUBLIC = Path(public)
        wheel = make_wheel()

        publish()

        assert (folder() / wheel.filename).readlink() == Path(default_storage.path(wheel.path))


def test_a_bucket_has_no_links_and_pages_name_the_address_of_its_files(settings):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "simple.tests.test_files.Bucket"}}
    wheel = make_wheel(number="1.0+pi.1")
    publish()
    assert f'href="/simple/demo/{quote(wheel.filename)}#' in page()

    settings.PIWHEELS_FILES_URL = "https://files.invalid/"
    publish()

    assert entries() == PAGES
    assert f'href="https://files.invalid/{quote(wheel.path)}#' in page()


def test_a_folder_that_was_lost_is_filled_again(caplog):
    make_wheel()
    publish()
    shutil.rmtree(tree.folder("simple").parent)

    publish()

    assert "PIWHEELS_PUBLIC" in caplog.text
    assert set(PAGES) < set(entries())


def test_new_releases_get_their_pages_and_old_ones_keep_them():
    make_wheel()
    publish()
    assert entries(index="test/simple") == []

    Target.objects.update(is_active=True)
    publish()
    assert entries(index="test/simple") == PAGES

    Target.objects.update(is_active=False)
    make_wheel("other")
    publish()
    assert entries("other", index="test/simple") == PAGES


def test_another_policy_of_a_target_is_soon_on_the_pages_of_its_wheels():
    wheel = make_wheel(tag="py3-none-any")
    make_upstream(wheel.version, wheel.filename)
    publish()
    assert SUPERSEDED in page()

    Target.objects.update(policy=Target.Policy.EVERYTHING)
    publish()
    assert SUPERSEDED not in page()

    Target.objects.update(policy=Target.Policy.GAPS)
    publish()
    assert SUPERSEDED in page()


def test_the_index_with_upstreams_files_can_be_left_out(settings):
    make_wheel()
    publish()
    assert entries(index="simple-full") == PAGES

    settings.PIWHEELS_FULL_INDEX = False
    publish()

    assert entries(index="simple-full") == []


def test_only_one_writes_at_a_time():
    make_wheel()

    with tree.held(publishing.LOCK) as is_ours:
        assert is_ours
        assert publish() == 0

    assert publish() == 1


def test_a_change_while_a_package_is_read_is_published_in_the_next_round():
    wheel = make_wheel()
    changes: list[str] = []

    def change(execute, sql, params, many, context):
        if not changes and sql.startswith("SELECT") and "builds_wheel" in sql and "requires_python" in sql:
            changes.append(sql)
            result = execute(sql, params, many, context)
            wheel.yank("meanwhile")
            return result
        return execute(sql, params, many, context)

    with connection.execute_wrapper(change):
        publish()

    assert changes
    assert 'data-yanked="meanwhile"' in page()
    assert not Package.objects.to_show().exists()
