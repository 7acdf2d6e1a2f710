"""Moving between storages, while everybody reads."""

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds.files import logs, moving, storage, takedown
from builds.files.relocation import STAYS, Move
from builds.files.storage import WholeFileStorage
from builds.files.stored import LOST_AND_FOUND
from builds.tests.storages import folder, make_whole_wheel, opened, path_of, places, use
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

LATER = timezone.now() + 2 * STAYS
BOTH_WAYS = pytest.mark.parametrize(("old", "new"), [("folder", "bucket"), ("bucket", "folder")])


def move(**fields):
    """Move all that there is; return what was done."""
    new, before = moving.both()
    deed = Move(before, new, **{"now": LATER, **fields})
    for part in deed.parts():
        deed.run(part, lambda name: None)
    return deed.done


def command(*words):
    out = StringIO()
    call_command("move_storage", "--yes", *words, stdout=out)
    return out.getvalue()


def names(place):
    return names_of(opened(place))


def names_of(holder):
    return [file.name for file in holder.walk("")]


def all_are_shown():
    """Have the index show all packages as they are."""
    for package in Package.objects.all():
        Package.objects.note_shown({package.pk: (package.revision, package.shown_revision)})


def shown_anew():
    """The packages whose links are to be made anew."""
    return set(Package.objects.filter(shown_revision__lt=0).values_list("name", flat=True))


@BOTH_WAYS
def test_logs_are_moved_ten_thousand_builds_at_a_time(settings, tmp_path, old, new):
    """What is there in both is remembered for a folder, and the first hundred million are below one name."""
    both = places(tmp_path)
    use(settings, both[old])
    for build in (7, 10_007, 120_000_007):
        logs.append(build, 0, b"hello")
        logs.keep(build)
    use(settings, both[new], both[old])

    parts = Move(*reversed(moving.both()), now=LATER).parts()

    assert parts == ["logs/0000/0000", "logs/0000/0001", "logs/0001/2000"]
    assert move().copied == 3


@BOTH_WAYS
def test_all_is_copied_once_and_then_deleted_where_it_was(settings, tmp_path, old, new):
    both = places(tmp_path)
    use(settings, both[old])
    wheel = make_whole_wheel()
    logs.append(wheel.build_id, 0, b"hello")
    logs.keep(wheel.build_id)
    all_names = names(both[old])
    use(settings, both[new], both[old])

    dry = move(is_dry=True)
    assert (dry.copied, names(both[new])) == (4, [])
    assert move().copied == 4
    again = move()
    assert (again.copied, again.there) == (0, 4)
    assert names(both[new]) == names(both[old]) == all_names
    assert move(deletes=True, now=timezone.now()).too_new == 4
    assert move(deletes=True).deleted == 4

    assert (names(both[new]), names(both[old])) == (all_names, [])
    use(settings, both[new])
    assert storage.stored_sha256(default_storage, wheel.path) == wheel.sha256


def test_the_index_follows_with_its_links(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["bucket"])
    wheel, other = make_whole_wheel("demo"), make_whole_wheel("other")
    other.withdraw(timezone.now())
    all_are_shown()
    use(settings, both["folder"], both["bucket"])

    move()

    assert {wheel.package.name} <= shown_anew()


def two_folders(settings, tmp_path):
    """A wheel in the first of two folders, of which the second is written to from now on."""
    old, new = folder(tmp_path / "old"), folder(tmp_path / "new")
    use(settings, old)
    wheel = make_whole_wheel()
    use(settings, new, old)
    all_are_shown()
    return wheel


def test_the_index_follows_with_what_a_move_did_before_it_was_stopped(settings, tmp_path):
    wheel = two_folders(settings, tmp_path)
    new, before = moving.both()

    def stop(name):
        if name != wheel.path:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Move(before, new, LATER).run(wheel.path[:2], stop)

    assert names_of(new) == [wheel.path]
    assert shown_anew() == {"demo"}


def test_the_index_follows_with_what_a_move_did_before_it_was_killed(settings, tmp_path):
    """That one told nobody, so whoever goes on tells of all that is there."""
    two_folders(settings, tmp_path)
    move()
    all_are_shown()

    assert (move(is_dry=True).there, shown_anew()) == (3, set())
    assert (move().there, shown_anew()) == (3, {"demo"})


def test_nothing_is_deleted_before_the_index_is_told(settings, tmp_path):
    wheel = two_folders(settings, tmp_path)
    move()
    all_are_shown()
    new, before = moving.both()
    told = []

    class Watched(WholeFileStorage):
        def delete(self, name):
            told.append(shown_anew())
            super().delete(name)

    Move(Watched(before.said()), new, LATER, deletes=True).run(wheel.path[:2], lambda name: None)

    assert told == 3 * [{"demo"}]


class Opened(WholeFileStorage):
    """A folder of which somebody opens a file while others do something."""

    def __init__(self, location, meanwhile):
        super().__init__(location)
        self.meanwhile = meanwhile

    def open(self, name, mode="rb"):
        file = super().open(name, mode)
        self.meanwhile(name)
        return file


@pytest.mark.parametrize("is_set_aside", [False, True])
def test_what_is_taken_down_while_it_is_copied_does_not_come_back(settings, tmp_path, is_set_aside):
    wheel = two_folders(settings, tmp_path)
    new, before = moving.both()
    stray = f"{LOST_AND_FOUND}/{wheel.path}" if is_set_aside else wheel.path
    if is_set_aside:
        before.rename(wheel.path, stray)

    def take_down(name):
        if name == stray:
            takedown.take_down([wheel], "Malware.", LATER)
            takedown.remove(wheel, LATER)

    deed = Move(Opened(before.said(), take_down), new, LATER)
    for part in deed.parts():
        deed.run(part, lambda name: None)

    assert [names_of(new), names_of(before)] == [[wheel.provenance_path], [wheel.provenance_path]]
    assert deed.done.faults == []


def test_what_another_move_deletes_while_it_is_copied_stays(settings, tmp_path):
    wheel = two_folders(settings, tmp_path)
    new, before = moving.both()

    Move(Opened(before.said(), before.delete), new, LATER).run(wheel.path[:2], lambda name: None)

    assert len(names_of(new)) == 3


def test_what_broke_off_is_done_anew_and_the_rest_is_passed_over(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["folder"])
    wheel = make_whole_wheel()
    use(settings, both["bucket"], both["folder"])
    new = moving.both()[0]
    new.bucket.Object(new._key(wheel.path)).put(Body=b"half")

    done = move()

    assert done.copied == 3
    assert storage.stored_sha256(new, wheel.path) == wheel.sha256


def test_a_spoilt_wheel_is_not_copied_and_its_storage_is_to_be_kept(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["folder"])
    wheel = make_whole_wheel()
    path_of(default_storage, wheel.path).write_bytes(bytes(wheel.size))
    use(settings, both["bucket"], both["folder"])

    with pytest.raises(CommandError, match="1 files are not in the new storage: keep "):
        command()

    assert wheel.path not in names(both["bucket"])


def test_what_differs_is_not_deleted(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["bucket"])
    wheel = make_whole_wheel()
    use(settings, both["folder"], both["bucket"])
    move()
    path_of(moving.both()[0], wheel.path).write_bytes(bytes(wheel.size))

    done = move(deletes=True)

    assert (done.deleted, len(done.faults)) == (2, 1)
    assert wheel.path in names(both["bucket"])


def test_the_command_says_when_the_old_storage_can_be_emptied(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["folder"])
    wheel = make_whole_wheel()
    (path_of(default_storage, "notes.txt")).write_text("mine")
    use(settings, both["bucket"], both["folder"])

    assert "3 files" in command("--dry-run")
    first, second = command(), command()

    assert "3 files" in first and "Say it again until nothing is copied" in first
    assert "0 files" in second and "Empty it with --delete" in second
    assert "Not ours, and left where it is: notes.txt" in second
    assert not LogEntry.objects.exists()
    assert "3 were copied less than 2:00:00 ago: say it again later." in command("--delete")
    assert LogEntry.objects.get().change_message.startswith("empty storage: 0 files deleted from ")
    assert wheel.path in names(both["folder"])


def test_without_two_storages_there_is_nothing_to_move():
    with pytest.raises(CommandError, match="PIWHEELS_STORAGE_BEFORE"):
        command()
