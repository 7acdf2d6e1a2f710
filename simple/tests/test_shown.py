"""Which packages the published tree does not show as they are."""

import pytest
from django.db import connection
from django.utils import timezone

from builds.tests.plans import explained
from packages.models import Package, PackageQuerySet
from simple import publishing, shown
from simple.tests.rows import make_package, make_wheel

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def test_what_changed_and_has_a_wheel_is_to_be_written():
    make_package("empty").mark_changed()
    package = make_wheel().package

    assert shown.look(NOW, 9) == ([package.pk], 1)
    assert list(Package.objects.to_show()) == [package]


def test_what_is_to_be_written_anew_comes_after_what_changed():
    first, second = (make_wheel(name).package for name in ("first", "second"))
    publishing.publish(NOW)
    Package.objects.show_anew([first.pk])
    second.mark_changed()

    assert shown.look(NOW, 1) == ([second.pk], 0)
    assert shown.look(NOW, 2) == ([first.pk, second.pk], 0)


def test_packages_of_which_there_is_nothing_keep_none_behind_them_waiting(monkeypatch):
    monkeypatch.setattr(shown, "LOOKED_AT", 2)
    for number in range(5):
        make_package(f"empty-{number}").mark_changed()
    package = make_wheel().package
    Package.objects.filter(pk=package.pk).update(shown_revision=-1)

    assert publishing.publish(NOW) == 6

    assert not Package.objects.to_show().exists()


def test_what_comes_while_it_is_passed_over_is_shown(monkeypatch):
    package = make_package("demo")
    package.mark_changed()
    note = PackageQuerySet.note_shown

    def note_late(packages, revisions):
        """Let a wheel come after it was seen that there is none."""
        monkeypatch.setattr(PackageQuerySet, "note_shown", note)
        make_wheel("demo")
        packages.note_shown(revisions)

    monkeypatch.setattr(PackageQuerySet, "note_shown", note_late)

    assert shown.look(NOW, 9) == ([], 1)

    assert shown.look(NOW, 9) == ([package.pk], 0)


def test_a_look_reads_no_rows_but_those_of_what_changed():
    """PostgreSQL takes nearly all packages to have changed, and reads all wheels if it may."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL tells how it would run a statement.")
    for number in range(30):
        make_wheel(f"demo-{number}")
    publishing.publish(NOW)
    Package.objects.get(name="demo-7").mark_changed()
    with connection.cursor() as cursor:
        # As if there were millions, of which nobody would read all.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("ANALYZE")

    (found, _), scans = explained(lambda: shown.look(NOW, 9))

    assert len(found) == 1
    assert {"packages_package", "builds_wheel", "simple_shown"} == {each["Relation Name"] for each in scans}
    assert max(each["Actual Rows"] * each["Actual Loops"] for each in scans) == 1
