from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from builds import nightly
from builds.models import StorageCheck
from builds.tests.storages import make_whole_wheel
from packages.models import NEVER

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

NIGHT = timezone.now()


def test_a_night_looks_at_all_parts_and_reads_some():
    wheel = make_whole_wheel()
    default_storage.delete(wheel.path)

    assert nightly.look(NIGHT, for_s=60) == 256
    assert nightly.look(NIGHT, for_s=60) == 0

    assert StorageCheck.objects.read_since(NIGHT) == StorageCheck.READ_PER_NIGHT
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


def test_health_tells_what_was_found(client):
    nightly.look(NIGHT, for_s=60)

    told = client.get("/healthz").json()["storage"]

    assert told["faults"] == 0
    assert told["oldest"]
