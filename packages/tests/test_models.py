from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from packages.models import Dirty, Package, UpstreamFile, Version, canonical_version
from packages.models.version import MAX_CANONICAL

pytestmark = pytest.mark.django_db


def make_package(name="demo", **fields):
    return Package.objects.create(name=name, display_name=name, **fields)


@pytest.mark.parametrize("name", ["Demo", "demo_pkg", "demo.pkg", "-demo", "demo-", "de--mo", ""])
def test_only_a_canonical_name_is_a_packages(name):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_package(name)

    make_package("demo-pkg2")


def test_a_wish_is_written_with_the_plan_that_it_asks_for_or_not_at_all(monkeypatch):
    version = Version.objects.create(package=make_package(), number="1.0")

    def die(package):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Package, "request_plan", die)
        version.request(timezone.now())

    version.refresh_from_db()
    assert version.requested_at is None


def test_only_a_digest_is_a_files():
    version = Version.objects.create(package=make_package(), number="1.0")

    with pytest.raises(IntegrityError), transaction.atomic():
        UpstreamFile.objects.create(version=version, filename="a", sha256="A" * 64)

    UpstreamFile.objects.create(version=version, filename="a", sha256="a" * 64)


def test_versions_are_ordered_as_pep_440_has_it():
    numbers = ["2.0", "10.0", "2.0rc1", "2004d", "1!0.1"]
    versions = [Version(number=number, canonical=canonical_version(number)[0]) for number in numbers]

    ordered = [version.number for version in sorted(versions, key=lambda version: version.sort_key)]

    assert ordered == ["2004d", "2.0rc1", "2.0", "10.0", "1!0.1"]


def test_a_package_that_is_marked_changed_has_another_revision():
    package = make_package()

    package.mark_changed()
    package.mark_changed()

    package.refresh_from_db()
    assert package.revision == 2


def test_only_the_first_planner_gets_a_package():
    package = make_package()

    assert package.begin_plan()
    assert not package.begin_plan()

    package.request_plan()
    assert package.begin_plan()


def test_a_skip_asks_for_a_plan_and_can_be_taken_back():
    package = make_package(plan_needed=False)

    package.skip("no compiler")
    package.refresh_from_db()
    assert (package.skip_reason, package.plan_needed, package.revision) == ("no compiler", True, 1)

    package.unskip()
    package.refresh_from_db()
    assert (package.skip_reason, package.revision) == ("", 2)


def test_a_request_for_a_version_asks_for_a_plan():
    package = make_package(plan_needed=False)
    version = Version.objects.create(package=package, number="1.0")
    now = timezone.now()

    version.request(now)

    version.refresh_from_db()
    package.refresh_from_db()
    assert (version.requested_at, package.plan_needed) == (now, True)


def test_packages_that_wait_to_be_looked_up_are_told_from_those_that_do_not():
    for name in ("demo", "waiting"):
        make_package(name)
    Dirty.mark("waiting")
    Dirty.mark("stranger")

    assert [package.name for package in Package.objects.unmarked()] == ["demo"]


def test_two_marks_are_one():
    Dirty.mark("Demo.Pkg")
    Dirty.mark("demo-pkg", wanted_serial=7)
    Dirty.mark("demo_pkg")

    dirty = Dirty.objects.get()
    assert (dirty.name, dirty.wanted_serial) == ("demo-pkg", 7)


def test_what_a_person_asks_for_no_longer_waits_behind_a_first_look_at_everything():
    now = timezone.now() - timedelta(minutes=1)
    Dirty.remind(["demo", "other"], Dirty.Why.FIRST, now)
    Dirty.objects.get(name="demo").put_off(now, "no answer")

    Dirty.mark("demo")

    demo = Dirty.objects.get(name="demo")
    assert (demo.why, demo.attempts, demo.marked_at) == (Dirty.Why.PERSON, 0, now)
    [first] = Dirty.hold_due(timezone.now() + timedelta(seconds=1), 1)
    assert first.name == "demo"


@pytest.mark.parametrize("why", [Dirty.Why.LISTING, Dirty.Why.FIRST])
def test_what_somebody_waits_for_stays_urgent_when_a_list_tells_of_it_too(why):
    now = timezone.now()
    Dirty.mark("asked-for")
    Dirty.hint({"told": 7}, Dirty.Why.JOURNAL, now)
    Dirty.remind(["neither"], Dirty.Why.AGE, now)

    Dirty.hint(dict.fromkeys(["asked-for", "told", "neither"], 8), why, now)

    assert dict(Dirty.objects.values_list("name", "why")) == {
        "asked-for": "person",
        "told": "journal",
        "neither": why,
    }
    assert set(Dirty.objects.values_list("wanted_serial", flat=True)) == {8}


def test_what_is_no_name_cannot_be_marked():
    with pytest.raises(ValueError):
        Dirty.mark("no/name")


def test_only_the_first_holder_gets_a_marked_name():
    Dirty.mark("demo")
    first, second = Dirty.objects.get(), Dirty.objects.get()
    now = timezone.now() + timedelta(seconds=1)

    assert first.hold(now)
    assert not second.hold(now)
    assert not Dirty.objects.due(now).exists()


def test_a_hold_ends_by_itself():
    Dirty.mark("demo")
    dead, next_one = Dirty.objects.get(), Dirty.objects.get()
    now = timezone.now() + timedelta(seconds=1)
    dead.hold(now)

    later = now + Dirty.HOLD

    assert Dirty.objects.due(later).exists()
    assert next_one.hold(later)
    dead.clear()
    assert Dirty.objects.exists()


def test_who_is_still_at_names_keeps_those_that_are_not_settled():
    now = timezone.now() + timedelta(seconds=1)
    for name in ("demo", "settled", "marked-again"):
        Dirty.mark(name)
    held = Dirty.hold_due(now, 10)
    next(dirty for dirty in held if dirty.name == "settled").put_off(now, "No.")
    Dirty.mark("marked-again")
    later = now + Dirty.HOLD - timedelta(seconds=1)

    Dirty.keep(held, later)

    assert {dirty.name for dirty in Dirty.objects.due(now + Dirty.HOLD)} == {"settled", "marked-again"}
    demo = next(dirty for dirty in held if dirty.name == "demo")
    assert "demo" in {dirty.name for dirty in Dirty.objects.due(later + Dirty.HOLD)}
    demo.clear()
    assert not Dirty.objects.filter(name="demo").exists()


def test_a_name_is_forgotten_once_it_is_looked_up():
    Dirty.mark("demo")
    dirty = Dirty.objects.get()
    dirty.hold(timezone.now() + timedelta(seconds=1))

    dirty.clear()

    assert not Dirty.objects.exists()


@pytest.mark.parametrize("end", ["clear", "put_off"])
def test_a_mark_during_a_look_up_is_not_lost(end):
    Dirty.mark("demo")
    dirty = Dirty.objects.get()
    now = timezone.now() + timedelta(seconds=1)
    dirty.hold(now)

    Dirty.mark("demo")
    dirty.clear() if end == "clear" else dirty.put_off(now, "no answer")

    assert Dirty.objects.due(now).exists()


def test_each_failure_makes_the_pause_longer():
    Dirty.mark("demo")
    now = timezone.now() + timedelta(seconds=1)
    pauses = []

    for _ in range(14):
        dirty = Dirty.objects.get()
        assert dirty.hold(now)
        dirty.put_off(now, "x" * 600)
        before, now = now, Dirty.objects.get().not_before
        pauses.append((now - before).total_seconds())

    assert pauses[:4] == [2, 4, 8, 16]
    assert max(pauses) == pauses[-1] == 3600
    assert Dirty.objects.get().error == "x" * 500


def test_a_number_whose_form_has_no_room_is_a_legacy_one():
    fits, longer = "1" * (MAX_CANONICAL - 2) + ".1", "1" * (MAX_CANONICAL - 2) + "-1"

    assert canonical_version(fits) == (fits, False)
    assert canonical_version(longer) == ("", False)
