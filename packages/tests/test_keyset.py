import threading

import pytest
from django.db import connections

from packages import keyset
from packages.models import Dirty, Package

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded]


def packages(count):
    Package.objects.bulk_create(Package(name=f"demo-{number}") for number in range(count))


def elsewhere(deed):
    """Do something on another connection, and wait for its end."""

    def run():
        deed()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)


def test_all_rows_come_once_in_the_order_of_their_keys(monkeypatch):
    monkeypatch.setattr(keyset, "PAGE", 3)
    packages(7)

    found = list(keyset.each(Package.objects.exclude(name="demo-2").order_by("-name"), "name"))

    assert found == sorted(found)
    assert [name for _, name in found] == [f"demo-{number}" for number in (0, 1, 3, 4, 5, 6)]
    assert list(keyset.keys(Package.objects.none())) == []


def test_who_reads_on_may_write_what_others_have_written_to_meanwhile(monkeypatch):
    """On SQLite, who has a question open may not: it is of a time before."""
    monkeypatch.setattr(keyset, "PAGE", 3)
    packages(7)

    for key in keyset.keys(Package.objects.all()):
        elsewhere(lambda: Dirty.mark("other"))
        Package.objects.filter(pk=key).update(serial=1)

    assert Package.objects.filter(serial=1).count() == 7
