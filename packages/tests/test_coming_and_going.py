"""What `merge` makes of packages and files that go, come back, or come back as another's."""

import logging

import pytest

from packages.models import Package, UpstreamFile, Version

pytestmark = pytest.mark.django_db


def version(number="1.0"):
    return Version.objects.get(number=number)


def settle():
    """Plan everything, so that the next request for a plan is seen."""
    Package.objects.update(plan_needed=False)


def test_what_comes_back_is_no_longer_gone(upstream, look_up):
    content = upstream.add_sdist("demo", "1.0").content
    upstream.add_sdist("demo", "2.0")
    look_up()
    upstream.remove("demo", "1.0")
    look_up()

    upstream.add_sdist("demo", "1.0", content)
    look_up()

    assert version("1.0").gone_at is None
    assert version("1.0").files.get().gone_at is None


def test_T47_a_quarantine_hides_everything_until_it_ends(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()

    upstream.quarantine("demo", "malware?")
    package = look_up()
    assert (package.status, package.status_reason) == ("quarantined", "malware?")
    assert (package.display_name, package.summary) == ("demo", "Made for a test")
    assert version().gone_at == now

    upstream.set_status("demo", None)
    package = look_up()
    assert (package.status, package.status_reason, package.generation) == ("active", "", 1)
    assert version().gone_at is None


def test_an_archived_package_keeps_its_versions(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    look_up()

    upstream.set_status("demo", "archived", "use other")
    package = look_up()

    assert (package.status, package.status_reason, package.revision) == ("archived", "use other", 2)
    assert version().gone_at is None


def test_a_package_that_vanished_is_gone_with_its_versions(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    settle()

    upstream.remove("demo")
    package = look_up()
    assert (package.status, package.generation, package.plan_needed) == ("gone", 1, True)
    assert version().gone_at == version().files.get().gone_at == now

    assert look_up().revision == package.revision == 2


def test_a_name_that_somebody_registers_anew_is_another_generation(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    look_up()

    upstream.add_sdist("demo", "2.0")
    package = look_up()

    assert (package.status, package.generation) == ("active", 2)
    assert version("1.0").gone_at is not None
    assert version("2.0").gone_at is None
    assert look_up().generation == 2
    assert package.registered_anew_at == now


def test_T47_a_name_that_changed_hands_before_we_looked_is_another_generation(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    upstream.add_sdist("demo", "1.0", filename="demo-1.0.zip")

    package = look_up()

    assert (package.generation, package.registered_anew_at) == (2, now)
    assert {file.filename: file.gone_at for file in UpstreamFile.objects.all()} == {
        "demo-1.0.tar.gz": now,
        "demo-1.0.zip": None,
    }


def test_a_name_that_changed_hands_after_all_its_files_went_is_another_generation(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo", "1.0")
    assert (look_up().status, look_up().generation) == ("active", 1)

    upstream.add_sdist("demo", "1.0", filename="demo-1.0.zip")
    package = look_up()

    assert (package.generation, package.registered_anew_at) == (2, now)


def test_a_file_that_comes_back_into_an_empty_project_is_no_change_of_hands(upstream, look_up):
    content = upstream.add_sdist("demo", "1.0").content
    look_up()
    upstream.remove("demo", "1.0")
    look_up()
    upstream.add_sdist("demo", "1.0", content)
    upstream.add_sdist("demo", "2.0")

    package = look_up()

    assert (package.generation, package.registered_anew_at) == (1, None)


def test_the_first_files_of_a_project_are_no_change_of_hands(upstream, look_up):
    upstream.add_version("demo", "1.0")
    look_up()
    upstream.add_sdist("demo", "1.0")

    assert look_up().generation == 1


def test_a_release_and_a_removal_are_no_change_of_hands(upstream, look_up):
    for number in ("1.0", "2.0"):
        upstream.add_sdist("demo", number)
    look_up()
    upstream.remove("demo", "1.0")
    upstream.add_sdist("demo", "3.0")

    package = look_up()

    assert (package.generation, package.registered_anew_at) == (1, None)


def test_other_bytes_under_a_known_name_are_an_alarm_and_not_taken(upstream, look_up, now, caplog):
    old = upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo", "1.0")
    new = upstream.add_sdist("demo", "1.0", b"other bytes")

    package = look_up()

    assert (version().files.get().sha256, version().files.get().gone_at) == (old.sha256, now)
    assert package.revision == 2
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert new.sha256 in record.getMessage()
