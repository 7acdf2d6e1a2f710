import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from builds.files import nightly
from builds.files.stored import GRACE, PREFIXES
from builds.models import StorageCheck
from builds.tests.storages import dead, make_whole_wheel, unreadable, use
from packages.models import NEVER

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

NIGHT = timezone.now()


def test_a_night_looks_at_all_parts_and_reads_some():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.path)

    assert nightly.look(NIGHT, for_s=60) == 256
    assert nightly.look(NIGHT, for_s=60) == 0

    assert StorageCheck.objects.read_between(NIGHT, NIGHT) == StorageCheck.READ_PER_NIGHT
    [part] = StorageCheck.objects.filter(faults__gt=0)
    assert (part.prefix, part.wheels, part.files, part.faults) == (wheel.sha256[:2], 1, 2, 1)
    assert part.report == f"missing: {wheel.path}: It is not there."


def test_in_a_month_everything_is_read():
    StorageCheck.objects.bulk_create(
        StorageCheck(prefix=prefix, checked_at=NIGHT - timedelta(days=1), read_at=NIGHT - age)
        for prefix, age in (("aa", timedelta(days=29)), ("bb", timedelta(days=27)))
    )

    assert nightly.look(NIGHT, for_s=60) == 2

    assert list(StorageCheck.objects.filter(read_at=NIGHT).values_list("prefix", flat=True)) == ["aa"]
    assert StorageCheck.READ.days > 256 / StorageCheck.READ_PER_NIGHT


def test_what_was_checked_in_a_time_to_come_is_checked_and_read_again():
    ahead = NIGHT + timedelta(days=400)
    StorageCheck.objects.bulk_create(
        StorageCheck(prefix=prefix, checked_at=ahead, read_at=ahead) for prefix in PREFIXES
    )
    assert StorageCheck.objects.late_since(NIGHT) == ahead

    assert nightly.look(NIGHT, for_s=60) == 256

    assert StorageCheck.objects.late_since(NIGHT) is None
    assert StorageCheck.objects.filter(read_at=NIGHT).count() == StorageCheck.READ_PER_NIGHT


def test_a_check_that_has_no_more_time_goes_on_where_it_was():
    wheels = [make_whole_wheel(str(number)) for number in range(3)]
    for wheel in wheels:
        wheel.sha256 = f"ab{wheel.sha256[2:]}"
        wheel.save()
    part = StorageCheck.objects.create(prefix="ab", checked_at=NEVER)

    ticks = 0
    while not nightly._go_on(StorageCheck.objects.get(), NIGHT, until=0):
        ticks += 1

    part.refresh_from_db()
    assert ticks == 3
    assert (part.wheels, part.position, part.so_far) == (3, "", {})
    # Their files are below other hashes.
    assert part.faults == 9


def test_a_folder_that_cannot_be_listed_keeps_no_part_from_its_turn():
    unlistable("TRASH")
    wheel = make_whole_wheel()
    unlistable(wheel.sha256[:2])

    assert nightly.look(NIGHT, for_s=60) == 256

    found = dict(StorageCheck.objects.filter(faults__gt=0).values_list("prefix", "report"))
    assert set(found) == {"00", wheel.sha256[:2]}
    assert found["00"].startswith("unreadable: TRASH: It cannot be listed")
    assert str(Path(default_storage.path(wheel.sha256[:2]), "loop")) in found[wheel.sha256[:2]]


def unlistable(folder):
    """Put something into a folder by which not even root can list it."""
    path = Path(default_storage.path(folder), "loop")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path)


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_compared(monkeypatch):
    wheel = make_whole_wheel()
    default_storage.delete(wheel.metadata_path)
    unreadable(monkeypatch, wheel.path)
    part = StorageCheck.objects.create(prefix=wheel.sha256[:2])

    assert nightly.look(NIGHT, for_s=60) == 1

    part.refresh_from_db()
    assert part.report.splitlines() == [
        f"unreadable: {wheel.path}: It cannot be read: [Errno 5] Input/output error",
        f"missing: {wheel.metadata_path}: It is not there.",
    ]


def test_no_name_of_a_file_ends_a_check():
    """Neither one that is no text, nor a log's of a build that no database could have."""
    for name in (b"00/\xff\x1b[2J.whl", b"logs/0000/0000/" + b"9" * 30 + b".txt.gz"):
        path = Path(os.fsdecode(os.fsencode(default_storage.path("")) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    StorageCheck.objects.create(prefix="00")

    assert nightly.look(NIGHT + 2 * GRACE, for_s=60) == 1

    assert StorageCheck.objects.get().report.splitlines() == [
        "stranger: 00/��[2J.whl: It belongs to no row.",
        f"stranger: logs/0000/0000/{'9' * 30}.txt.gz: It belongs to no row.",
    ]


def test_a_storage_that_fails_as_a_whole_is_no_fault_of_a_part(settings, tmp_path, caplog):
    make_whole_wheel()
    use(settings, dead(tmp_path))

    assert nightly.look(NIGHT, for_s=60) == 0

    assert "The storage cannot be checked" in caplog.text
    assert not StorageCheck.objects.exclude(checked_at=NEVER).exists()


def test_health_tells_what_was_found(client):
    nightly.look(NIGHT, for_s=60)

    told = client.get("/healthz").json()["storage"]

    assert told["faults"] == 0
    assert told["oldest"]
