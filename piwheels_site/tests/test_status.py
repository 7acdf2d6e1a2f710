"""The page of how everything stands."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.figures import counting
from builds.models import StorageCheck
from builds.tests.rows import make_builder, make_version
from packages.models import Dirty, Package, SyncCursor
from piwheels_site.models import Notice
from simple.models import DownloadDay, Log, Shown

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def well(now):
    """A farm where everything is as it should be."""
    make_builder(heard_at=now)
    counting.count_due(now)
    cursor = SyncCursor.current()
    SyncCursor.objects.filter(pk=cursor.pk).update(
        journal="xml-rpc",
        listing="serials",
        polled_at=now - timedelta(minutes=12),
        listed_at=now - timedelta(hours=2),
        scanned_at=now - timedelta(minutes=3),
    )


def page(client):
    return " ".join(client.get("/status/").content.decode().split())


def test_a_farm_that_is_well_says_so_first(client, well):
    found = page(client)

    assert "Everything is as it should be." in found
    for sentence in (
        "Its journal was read to the end 12 minutes ago.",
        "No package waits to be looked up.",
        "All names were last compared with upstream&#x27;s list 2 hours ago.",
        "1 builder is at work.",
        "The index shows all that there is.",
        "counted as they happen",
        "the first one is to come",
    ):
        assert sentence in found


def test_a_farm_that_has_not_begun_says_what_to_do(client):
    found = page(client)

    assert "beat and a worker are to be started" in found
    assert "No builder is at work." in found
    assert "2 things need a look</b>, 2 are behind." in found


def test_what_is_behind_upstream_is_said(client, well, now):
    Dirty.objects.create(name="numpy", marked_at=now - timedelta(hours=3))
    SyncCursor.objects.update(serial=1, upstream_serial=20_001, paused_until=now + timedelta(minutes=5))

    found = page(client)

    assert "1 thing is behind" in found
    assert "20,000 events are still to be read." in found
    assert "waits for 3 hours to be looked up" in found
    assert "Upstream wants to be left alone" in found


def test_a_journal_that_is_not_heard_needs_a_look(client, well, now):
    SyncCursor.objects.update(polled_at=now - timedelta(hours=1))

    found = page(client)

    assert "1 thing needs a look" in found
    assert "journal was last read at" in found


def test_builders_that_fell_silent_are_named_but_not_without_end(client, well, now):
    for number in range(7):
        make_builder(f"silent-{number}", heard_at=now - timedelta(hours=1))
    make_builder("resting", heard_at=now - timedelta(hours=1), mode="paused")

    found = page(client)

    assert "Nothing is heard of silent-0, silent-1, silent-2, silent-3, silent-4 and 2 more." in found
    assert "resting" not in found


@pytest.mark.parametrize(
    ("minutes", "verdict"), [(1, "Everything is as"), (20, "1 thing is behind"), (90, "1 thing needs a look")]
)
def test_packages_that_wait_for_the_index_are_said(client, well, now, minutes, verdict):
    make_version("1.0")
    Package.objects.update(revision=2, changed_at=now - timedelta(minutes=minutes))

    found = page(client)

    assert verdict in found
    assert "1 package waits to be written into it" in found


def test_nobody_waits_for_what_is_only_written_anew(client, well, now):
    make_version("1.0")
    Package.objects.update(revision=2, shown_revision=2, changed_at=now - timedelta(days=300))
    Package.objects.show_anew([Package.objects.get().pk])

    found = page(client)

    assert "1 package waits to be written anew. Nobody waits for that." in found
    assert "Everything is as" in found


def test_a_package_that_cannot_be_written_needs_a_look(client, well, now):
    make_version("1.0")
    Shown.objects.create(package=Package.objects.get(), retry_at=now + timedelta(minutes=1))

    assert "1 package waits after a fault." in page(client)


@pytest.mark.parametrize(
    ("hours", "verdict", "said"),
    [
        (None, "1 thing is behind", "no log of the web server has been read"),
        (1, "Everything is as", "last counted 1 hour ago"),
        (72, "1 thing needs a look", "last counted 3 days ago"),
    ],
)
def test_how_late_downloads_are_counted_is_said(client, well, now, settings, hours, verdict, said):
    settings.PIWHEELS_COUNT_DOWNLOADS = False
    DownloadDay.objects.create(day=now.date(), count=1234)
    if hours:
        Log.objects.create(
            first_line="x", path="access.log", is_followed=True, read_at=now - timedelta(hours=hours)
        )

    found = page(client)

    assert verdict in found
    assert said in found
    assert "Today there were 1,234." in found
    assert "access.log" not in found


def test_faults_of_the_storage_need_a_look(client, well, now):
    StorageCheck.objects.create(prefix="00", checked_at=now - timedelta(hours=5), faults=2)

    assert "the last time 5 hours ago. 2 faults were found." in page(client)


def test_files_that_the_nights_leave_out_need_a_look(client, well, now):
    StorageCheck.objects.create(prefix="00")
    StorageCheck.objects.create(prefix="01", checked_at=now - timedelta(hours=5))
    StorageCheck.objects.create(prefix="02", checked_at=now - timedelta(days=5))

    found = page(client)

    assert "1 thing needs a look" in found
    assert "the last time 5 hours ago. Some have been left out for days." in found


def test_a_server_whose_tasks_stand_still_says_so(client, well, now):
    counting.Counting.objects.update(at=now - timedelta(hours=2))

    assert "The last one that can be seen here ran 2 hours ago." in page(client)


def test_incidents_that_go_on_are_before_those_that_are_over(client, well, now):
    for title, begins, ends in [
        ("Over", 3, 2),
        ("Going on", 5, None),
        ("Long over", 200, 100),
        ("To come", -1, None),
    ]:
        Notice.objects.create(
            kind="incident",
            title=f"<b>{title}",
            text="So it is.",
            begins_at=now - timedelta(days=begins),
            ends_at=now - timedelta(days=ends) if ends else None,
        )
    Notice.objects.create(kind="sample", title="Made up", begins_at=now - timedelta(days=9), ends_at=now)

    articles = page(client).split("<article")[1:]

    assert [article.partition("&lt;b&gt;")[2].partition("<")[0] for article in articles] == [
        "Going on",
        "Over",
    ]


def test_without_incidents_it_says_so(client):
    assert "There were none." in page(client)


def test_however_much_there_is_the_queries_are_the_same(client, well, now, django_assert_num_queries):
    client.get("/status/")
    for number in range(5):
        make_version("1.0", f"p{number}")
        make_builder(f"b{number}", heard_at=None)
        Notice.objects.create(title="x", begins_at=now, ends_at=now)
    cache.delete("status")

    # The time, incidents, and what the lines ask: 2 + 1, 2, 1, 3, 2, 3.
    with django_assert_num_queries(16):
        client.get("/status/")
    with django_assert_num_queries(2):
        client.get("/status/")


def test_an_address_without_its_slash_leads_to_the_page(client):
    assert client.get("/status")["Location"] == "/status/"
