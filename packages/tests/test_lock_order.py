"""Who changes several rows takes them in the order that all keep, so that no two wait for each other."""

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from packages.models import Dirty, Package, Version
from packages.tests.locks import waiting

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def is_free(rows):
    try:
        with transaction.atomic():
            return bool(list(rows.select_for_update(nowait=True)))
    except OperationalError:
        return False


@pytest.mark.parametrize("deed", [Dirty.keep, Dirty.let_go, lambda held, now: Dirty.forget(held)])
def test_whoever_waits_for_one_name_has_none_behind_it(deed):
    now = timezone.now()
    # In the table they lie the other way round.
    held = [Dirty.objects.create(name=name, not_before=now) for name in ("b", "a")]

    with transaction.atomic():
        Dirty.objects.select_for_update().get(name="a")
        with waiting(lambda: deed(held, now)):
            assert is_free(Dirty.objects.filter(name="b"))


@pytest.mark.parametrize(
    "deed", [lambda version: version.request(timezone.now()), lambda version: version.skip("Bad.")]
)
def test_whoever_waits_for_a_package_has_none_of_its_versions(deed):
    package = Package.objects.create(name="demo", display_name="demo")
    version = Version.objects.create(package=package, number="1.0")

    with transaction.atomic():
        package.hold()
        with waiting(lambda: deed(version)):
            assert is_free(Version.objects.filter(pk=version.pk))
