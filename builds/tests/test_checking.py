"""What `check_storage` finds, and what it mends."""

import hashlib
import os
import shutil
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from builds.files import logs, storage, stored
from builds.files.checking import Check, Fault, Kind
from builds.files.mending import Mender
from builds.files.stored import GRACE, PREFIXES, Stored
from builds.management.commands import check_storage
from builds.models import Build, Wheel
from builds.tests.rows import make_build, make_version
from builds.tests.storages import (
    folder,
    make_whole_wheel,
    metadata_of,
    opened,
    path_of,
    places,
    unreadable,
    use,
)
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

NOW = timezone.now()


def check(*words, at=None, after=timedelta()):
    """Return what is printed, and the exit status; with a name or a wheel only the part where that is.

    After is how long the clock has gone on meanwhile.
    """
    out = StringIO()
    if at is not None:
        prefix = getattr(at, "sha256", at)[:2]
        number = 100 if prefix == "lo" else 1 + (PREFIXES.index(prefix) if prefix in PREFIXES else 0)
        words = (*words, "--slice", f"{number}/256")
    try:
        with patch.object(check_storage, "database_now", lambda: database_now() + after):
            call_command("check_storage", "--yes", *words, stdout=out)
    except CommandError as error:
        return out.getvalue() + str(error), error.returncode
    return out.getvalue(), 0


def spoil(name):
    path = path_of(default_storage, name)
    path.write_bytes(bytes(path.stat().st_size))


def test_a_whole_storage_is_told_to_be_so():
    for name in ("demo", "other", "third"):
        make_whole_wheel(name)

    said, status = check("--hashes")

    assert status == 0
    assert said.startswith("3 wheels and 9 files")


@pytest.mark.parametrize("which", ["path", "metadata_path", "provenance_path"])
def test_what_a_wheel_lacks_is_found(which):
    wheel = make_whole_wheel()
    default_storage.delete(getattr(wheel, which))

    said, status = check(at=wheel)

    assert status == 1
    assert f"missing: {getattr(wheel, which)}: It is not there." in said
    assert "1 missing." in said


def test_half_a_file_is_found_without_reading_it():
    wheel = make_whole_wheel()
    path_of(default_storage, wheel.path).write_bytes(b"half")

    assert f"It has 4 bytes instead of {wheel.size}." in check(at=wheel)[0]


@pytest.mark.parametrize("which", ["path", "metadata_path"])
def test_other_bytes_are_found_by_reading_them(which):
    wheel = make_whole_wheel()
    spoil(getattr(wheel, which))

    assert check(at=wheel)[1] == 0
    said, status = check("--hashes", at=wheel)
    assert status == 1
    assert f"spoilt: {getattr(wheel, which)}: Its bytes are others" in said


def test_a_withdrawn_wheel_may_have_its_files_or_not():
    withdrawn, gone = make_whole_wheel("demo"), make_whole_wheel("other")
    for wheel in (withdrawn, gone):
        wheel.withdraw(timezone.now())
    default_storage.delete(gone.path)

    assert check()[1] == 0


@pytest.mark.parametrize(
    "name",
    [
        "ab/x.whl",
        f"ab/ab{'0' * 62}/demo-1.0-py3-none-any.whl",
        f"ab/ab{'0' * 62}.bak/demo-1.0-py3-none-any.whl",
        "AB/x.whl",
        "notes.txt",
        "logs/0000/0099/9999.txt.gz",
        "readme/logs",
    ],
)
def test_a_file_without_a_row_is_set_aside_after_a_day(name):
    make_whole_wheel()
    default_storage.save(name, ContentFile(b"?"))

    assert check("--fix", at=name)[1] == 0
    said, status = check("--fix", at=name, after=2 * GRACE)

    assert status == 1
    assert f"stranger: {name}: It belongs to no row. [moved to lost-and-found/{name}]" in said
    assert storage.read_bytes(f"lost-and-found/{name}") == b"?"
    assert check(at=name)[1] == 0


def test_a_file_without_a_row_that_was_written_anew_meanwhile_is_left():
    make_whole_wheel()
    name = f"ab/ab{'0' * 62}/demo-1.0-py3-none-any.whl"
    default_storage.save(name, ContentFile(b"?"))
    later = NOW + 2 * GRACE
    fault = Fault(Kind.STRANGER, name, "It belongs to no row.")
    mender = Mender(default_storage, None, NOW, may_withdraw=0)

    # As of its last writing, it was found too early.
    assert mender.mend(fault) == "left, as it was just written"
    assert storage.read_bytes(name) == b"?"
    assert replace(mender, now=later).mend(fault) == f"moved to lost-and-found/{name}"


def test_a_file_whose_name_is_no_text_is_set_aside_too():
    make_whole_wheel()
    path = Path(os.fsdecode(os.fsencode(default_storage.path("")) + b"/\xff.txt"))
    path.touch()

    said, _ = check("--fix", at="00", after=2 * GRACE)

    assert "[moved to lost-and-found/�.txt]" in said
    assert not path.exists()
    assert "lost-and-found/�.txt" in LogEntry.objects.get().change_message


def test_a_folder_beside_that_of_a_hash_hides_no_wheel():
    wheel = make_whole_wheel()
    name = f"{wheel.path.rsplit('/', 1)[0]}.bak/{wheel.filename}"
    default_storage.save(name, ContentFile(b"?"))

    said, _ = check(at=name, after=2 * GRACE)

    assert said.count("stranger: ") == 1
    assert "missing" not in said


def test_logs_belong_to_builds():
    wheel = make_whole_wheel()
    logs.append(wheel.build_id, 0, b"hello")
    logs.keep(wheel.build_id)

    assert check(at=wheel, after=2 * GRACE)[1] == 0


def test_what_a_crash_left_half_written_is_removed_after_a_day():
    wheel = make_whole_wheel()
    name = f"{wheel.path.rsplit('/', 1)[0]}/.new-abc"
    path_of(default_storage, name).write_bytes(b"half")

    assert check("--fix", at=name)[1] == 0

    assert "1 leftover" in check("--fix", at=name, after=2 * GRACE)[0]
    assert not default_storage.exists(name)


def test_an_old_file_that_was_just_linked_is_left_to_who_will_write_its_row(tmp_path):
    """An import links files of many years ago, and writes the rows of many at once."""
    make_whole_wheel()
    old, name = tmp_path / "old.whl", f"ab/ab{'0' * 62}/demo-1.0-py3-none-any.whl"
    old.write_bytes(b"old")
    os.utime(old, (1, 1))

    taken = default_storage.take(old, by_link=True)
    assert check("--fix")[1] == 0
    default_storage.settle(taken, name)

    assert old.samefile(default_storage.path(name))
    assert check("--fix")[1] == 0
    assert "1 stranger" in check("--fix", after=2 * GRACE)[0]


def test_lost_metadata_is_taken_out_of_the_wheel():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.metadata_path)

    assert "[restored from the wheel]" in check("--fix", at=wheel)[0]

    assert storage.read_bytes(wheel.metadata_path) == metadata_of(storage.read_bytes(wheel.path))
    assert check("--hashes", at=wheel)[1] == 0


def test_of_several_packages_metadata_in_a_wheel_its_own_is_taken(tmp_path):
    """As wheels that were imported may have them."""
    wheel, path = make_whole_wheel(), tmp_path / "two.whl"
    own = metadata_of(storage.read_bytes(wheel.path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("another-1.0.dist-info/METADATA", "Name: another")
        archive.writestr("demo-1.0.dist-info/METADATA", own)
    default_storage.delete(wheel.metadata_path)
    default_storage.delete(wheel.path)
    wheel.sha256, wheel.size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
    wheel.save()
    default_storage.save(wheel.path, ContentFile(path.read_bytes()))

    assert "[restored from the wheel]" in check("--fix", at=wheel)[0]

    assert storage.read_bytes(wheel.metadata_path) == own


def test_a_lost_file_comes_from_the_storage_before(settings, tmp_path):
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    spoil(wheel.path)
    before = folder(tmp_path / "before")
    opened(before).save(wheel.path, ContentFile(content))
    use(settings, settings.STORAGES["default"], before)

    assert "[restored from " in check("--fix", "--hashes", at=wheel)[0]

    assert storage.read_bytes(wheel.path) == content
    wheel.refresh_from_db()
    assert wheel.withdrawn_at is None
    assert not Build.objects.open().exists()


def test_what_is_only_in_the_storage_before_is_not_missing(settings, tmp_path):
    wheel = make_whole_wheel()

    (tmp_path / "new").mkdir()
    use(settings, folder(tmp_path / "new"), settings.STORAGES["default"])

    assert check("--hashes", at=wheel)[1] == 0


def test_a_wheel_whose_bytes_are_lost_is_withdrawn_and_built_again_once():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.path)

    assert check(at=wheel)[1] == 1
    assert not LogEntry.objects.exists()
    assert "[withdrawn, and queued to be built again]" in check("--fix", at=wheel)[0]
    assert "[withdrawn, and queued to be built again]" in LogEntry.objects.get().change_message
    assert check("--fix", at=wheel)[1] == 0

    wheel.refresh_from_db()
    assert wheel.withdrawn_at and wheel.path in wheel.withdrawn_reason
    [build] = Build.objects.open()
    assert (build.version, build.target, build.attempt) == (wheel.version, wheel.build.target, 2)
    wheel.package.refresh_from_db()
    assert wheel.package.plan_needed


def test_a_lost_wheel_whose_file_is_back_is_shown_again():
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    default_storage.delete(wheel.path)
    check("--fix", at=wheel)

    storage.store_bytes(wheel.path, content)
    assert "found again" in check("--fix", at=wheel)[0]

    wheel.refresh_from_db()
    assert (wheel.withdrawn_at, wheel.lost_at) == (None, None)


def test_no_more_wheels_are_withdrawn_than_an_operator_allows():
    for name in ("demo", "other", "third"):
        default_storage.delete(make_whole_wheel(name).path)

    said, _ = check("--fix", "--withdraw", "2")

    assert said.count("[withdrawn,") == 2
    assert said.count("see --withdraw]") == 1
    assert Wheel.objects.listed().count() == 1


def test_a_file_that_cannot_be_read_is_no_reason_to_withdraw_its_wheel(monkeypatch):
    wheel = make_whole_wheel()
    unreadable(monkeypatch, wheel.path)

    assert check(at=wheel)[1] == 0
    said, status = check("--hashes", "--fix", at=wheel)

    assert status == 1
    assert f"unreadable: {wheel.path}: It cannot be read: [Errno 5] Input/output error [left]" in said
    wheel.refresh_from_db()
    assert wheel.withdrawn_at is None


def test_what_cannot_be_listed_is_named_and_left_and_the_rest_is_compared():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.metadata_path)
    strange = path_of(default_storage, "00/loop")
    strange.parent.mkdir(exist_ok=True)
    strange.symlink_to(strange)

    said, status = check("--fix")

    assert status == 1
    assert "unreadable: 00: It cannot be listed" in said
    assert said.count("[left]") == 1
    assert f"missing: {wheel.metadata_path}: It is not there. [restored from the wheel]" in said


def test_a_disk_that_is_not_mounted_is_no_reason_to_withdraw_all(settings, tmp_path):
    wheel = make_whole_wheel()
    use(settings, folder(tmp_path / "nowhere"))
    shutil.rmtree(tmp_path / "nowhere")

    assert check("--fix", at=wheel)[1] == 2
    (tmp_path / "nowhere").mkdir()
    said, status = check("--fix", at=wheel)

    assert (status, "mount it" in said) == (2, True)
    wheel.refresh_from_db()
    assert wheel.withdrawn_at is None


def test_slices_together_are_the_whole():
    wheels = [make_whole_wheel(name) for name in ("demo", "other", "third", "fourth")]
    for wheel in wheels:
        default_storage.delete(wheel.path)

    found = [check("--slice", f"{number}/3")[0].count("missing: ") for number in (1, 2, 3)]

    assert sum(found) == 4
    assert len({wheel.sha256[:2] for wheel in wheels}) > 1


@pytest.mark.parametrize("part", ["0/3", "4/3", "1/257", "x", "1/0"])
def test_what_is_no_slice_is_refused(part):
    with pytest.raises(CommandError, match="is not N/M"):
        call_command("check_storage", "--slice", part)


def test_a_part_goes_on_after_a_hash():
    hashes = [f"ab{hashlib.sha256(bytes([n])).hexdigest()[2:]}" for n in range(5)]
    for sha256 in hashes:
        default_storage.save(f"ab/{sha256}/x.whl", ContentFile(b"?"))
    middle = sorted(hashes)[2]

    steps = list(Check.of_storage(timezone.now(), reads=False).part("ab", after=middle))

    assert [step.position for step in steps] == sorted(hashes)[3:]


class Endless:
    """A storage of which one part has twenty thousand young files, whose names alone are megabytes."""

    def walk(self, folder, after=""):
        for number in range(20_000 if folder == "ab" else 0):
            yield Stored(f"ab/ab{number:062}/demo-1.0-py3-none-any.whl", 1, NOW)

    def folders(self, folder):
        return []


def test_what_a_check_keeps_does_not_grow_with_the_storage():
    check = Check(NOW, reads=False, holder=Endless(), before=None)
    tracemalloc.start()
    try:
        files = sum(step.files for step in check.part("ab"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert files == 20_000
    assert peak < 1 << 20


def test_a_part_is_found_by_its_index_however_many_wheels_there_are():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite uses no index on an expression that is compared with a parameter.")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    assert "builds_wheel_prefix" in Wheel.objects.below("ab").explain()


def test_builds_that_left_no_log_are_named_only_when_that_is_asked_for():
    wheel = make_whole_wheel()
    number = wheel.build_id
    made = Build.objects.filter(pk=number)
    made.update(finished_at=NOW - 2 * GRACE)
    make_build(make_version("2.0"), state="cancelled", finished_at=NOW - 2 * GRACE)
    make_build(make_version("3.0"), state="failed", finished_at=NOW)

    assert check()[1] == 0
    said, status = check("--logs")
    assert (f"without log: {stored.log_name(number)}" in said, "1 without log" in said) == (True, True)
    assert status == 1

    logs.append(number, 0, b"hello")
    logs.keep(number)
    assert check("--logs")[1] == 0


def test_a_log_that_has_not_moved_yet_is_not_missed(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["bucket"])
    wheel = make_whole_wheel()
    Build.objects.update(finished_at=NOW - 2 * GRACE)
    logs.append(wheel.build_id, 0, b"hello")
    logs.keep(wheel.build_id)
    use(settings, both["folder"], both["bucket"])

    said, _ = check("--logs")

    assert "without log" not in said


def test_a_dry_run_of_mending_only_looks():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.metadata_path)

    said, _ = check("--fix", "--dry-run")

    assert "This would happen: The files of 1 wheel are compared" in said
    assert not default_storage.exists(wheel.metadata_path)
