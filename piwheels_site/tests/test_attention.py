"""What needs a decision: each matter is found, leads to where it is decided, and goes when it is settled."""

import ast
import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from builder.contract import queue_for
from builds.figures import breakages, counting
from builds.files.stored import MARK
from builds.models import (
    Build,
    BuildDay,
    Builder,
    Campaign,
    Demand,
    Refusal,
    Skip,
    StorageCheck,
    Target,
    Wheel,
)
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)
from builds.tests.storages import dead, use
from packages.models import Dirty, Package, SyncCursor, Version
from piwheels_site import attention, machine
from piwheels_site.attention import builders
from piwheels_site.attention import builds as of_builds
from simple.models import Log, Shown

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture(autouse=True)
def _well(now):
    """A farm where nobody has to do anything."""
    make_builder(heard_at=now)
    counting.count_due(now)
    SyncCursor.objects.filter(pk=SyncCursor.current().pk).update(
        journal="xml-rpc", listing="serials", polled_at=now, listed_at=now, scanned_at=now
    )


def the_builder():
    return Builder.objects.filter(name="pi-07")


def keys(now):
    return [matter.key for matter in attention.found(now)]


def only(now):
    (matter,) = attention.found(now)
    return matter


def days(failure, *counts):
    """Note how often a class happened: today, yesterday and so on."""
    today = timezone.now().date()
    for age, count in enumerate(counts):
        BuildDay.objects.create(
            day=today - timedelta(days=age),
            target=make_target(),
            state="failed",
            failure=failure,
            count=count,
        )


def test_a_farm_that_is_well_needs_nobody(admin_client, now):
    assert keys(now) == []
    assert "All is well" in admin_client.get("/admin/").content.decode()


def silent(now):
    the_builder().update(heard_at=now - HOUR)


def quarantined(now):
    the_builder().get().quarantine("It spoils what others build.", now)


def unfit(now):
    the_builder().update(problem="Its clock is wrong.")


def never_heard(now):
    make_builder("pi-08", heard_at=None)


def drained(now):
    the_builder().get().drain("Dust.", now)


def full(now):
    the_builder().update(facts={"disk_bytes": 100, "disk_free_bytes": 2})


def unlucky(now):
    for number in range(builders.SPOILT):
        build, _ = make_running_build(the_builder().get(), now, version=make_version(f"1.{number}"))
        Build.objects.filter(pk=build.pk).update(state="lost", finished_at=now)


def unswept(now):
    build, _ = make_running_build(the_builder().get(), now, version=make_version("6.0"))
    Build.objects.filter(pk=build.pk).update(lease_until=now - HOUR)


def given_up(now):
    make_build(make_version("4.0"), state="lost", is_given_up=True, finished_at=now - HOUR)


def given_up_for_its_network(now):
    why = {"state": "failed", "failure": "index-unreachable"}
    make_build(make_version("4.1"), is_given_up=True, finished_at=now - HOUR, **why)


def nobody_builds(now):
    make_build(make_version("3.0"), make_target("bookworm-arm64-cp311"), queued_at=now - HOUR)
    counting.COUNTS[counting.Counting.Thing.QUEUE](None, now, now, 0.0)


def upstream_away(now):
    for number in range(of_builds.AWAY_LEAST):
        why = {"state": "failed", "failure": "source-unreachable"}
        make_build(make_version(f"10.{number}"), finished_at=now, **why)


def doubted(now):
    SyncCursor.objects.update(doubted_at=now - HOUR, doubted=33)


def behind(now):
    SyncCursor.objects.update(serial=1, upstream_serial=100_000)


def not_looked_up(now):
    Dirty.objects.create(name="numpy", marked_at=now - 3 * HOUR)


def refused(now):
    Refusal.objects.create(
        build=make_build(make_version("2.0")), filename="evil-1.0.whl", reason="It is no zip.", at=now - HOUR
    )


def held(now):
    build = make_build(version=make_version("5.0"), state="succeeded", finished_at=now)
    make_wheel(build, held_reason="It has a file of root's.")


def unremoved(now):
    build = make_build(version=make_version("8.0"), state="succeeded", finished_at=now)
    make_wheel(build, filename="evil-8.0-py3-none-any.whl").take_down(now - HOUR, "Malware.")
    Package.objects.update(changed_at=now)


def a_bad_campaign(now):
    figures = {"succeeded": 5, "failed": 40}
    Campaign.objects.create(
        name="spring", target=make_target(), kind="wanted", count=100, counted=figures, started_at=now
    )


def release_fails(now):
    """A package that people want; its new release fails where the one before was built."""
    make_build(make_version("12.0"), state="succeeded", finished_at=now, released_at=now - HOUR)
    failed = {"state": "failed", "failure": "missing-header"}
    make_build(make_version("12.1"), finished_at=now, released_at=now, **failed)
    Demand.objects.create(package=Package.objects.get(), downloads=5)
    breakages.note_day(now.date())


def index_late(now):
    make_version("9.0")
    Package.objects.update(revision=2, changed_at=now - 2 * HOUR)


def index_fault(now):
    Shown.objects.create(package=make_version("9.1").package, retry_at=now + Shown.RETRY)


def storage_faults(now):
    StorageCheck.objects.create(prefix="ab", faults=3, checked_at=now)


def storage_unchecked(now):
    for number, days in enumerate([0, 5, 0]):
        StorageCheck.objects.create(prefix=f"0{number}", checked_at=now - timedelta(days=days))
    StorageCheck.objects.create(prefix="03")


def storage_never_checked(now):
    StorageCheck.objects.create(prefix="00")
    MigrationRecorder.Migration.objects.update(applied=now - timedelta(days=5))


def tasks_stand_still(now):
    counting.Counting.objects.update(at=now - HOUR)


MATTERS = [
    (silent, "builder-silent:pi-07"),
    (quarantined, "builder-quarantined:pi-07"),
    (unfit, "builder-unfit:pi-07"),
    (never_heard, "builder-new:pi-08"),
    (drained, "builder-drained:pi-07"),
    (full, "builder-disk:pi-07"),
    (unlucky, "builder-faults:pi-07"),
    (unswept, "unswept"),
    (given_up, "given-up"),
    (given_up_for_its_network, "given-up"),
    (nobody_builds, "no-builder:bookworm-arm64-cp311"),
    (upstream_away, "upstream-away"),
    (doubted, "sync"),
    (behind, "sync-lag"),
    (not_looked_up, "sync-waits"),
    (refused, "refused"),
    (held, "held"),
    (unremoved, "unremoved"),
    (a_bad_campaign, "campaign:"),
    (release_fails, "release-fails:"),
    (index_late, "index-late"),
    (index_fault, "index-fault"),
    (storage_faults, "storage"),
    (storage_unchecked, "storage-unchecked"),
    (storage_never_checked, "storage-unchecked"),
    (tasks_stand_still, "tasks"),
]


@pytest.mark.parametrize(("happens", "key"), MATTERS, ids=[each[0].__name__ for each in MATTERS])
def test_a_matter_is_found_and_leads_to_where_it_is_decided(admin_client, now, happens, key):
    happens(now)

    matter = only(now)

    assert matter.key.startswith(key)
    answer = admin_client.get(matter.url)
    assert answer.status_code == 200, matter.url
    first = admin_client.get("/admin/").content.decode()
    assert f'href="{matter.url.replace("&", "&amp;")}"' in first
    assert matter.deed in first


def test_a_builder_that_says_hello_and_takes_no_rings_is_told(now, broker):
    the_builder().update(created_at=now - HOUR)
    broker.lpush(queue_for("pi-07"), "A ring.")

    told = keys(now)
    broker.rpop(queue_for("pi-07"))

    assert (told, keys(now)) == (["builder-deaf:pi-07"], [])


def test_a_builder_that_may_yet_take_its_ring_is_not_deaf(now, broker):
    the_builder().update(created_at=now - HOUR)
    broker.lpush(queue_for("pi-07"), "A ring.")
    build, _ = make_running_build(the_builder().get(), now)
    while_it_builds = keys(now)
    build.close(Build.State.SUCCEEDED, "", now)

    assert (while_it_builds, keys(now)) == ([], [])


def test_a_class_of_failure_that_never_was_is_told(now):
    days("missing-header", 0, 0, 0, 0, 5)
    days("rust-too-old", 2, 2)

    assert only(now).key == "failure:rust-too-old"


def test_on_a_young_farm_no_class_is_news(now):
    days("rust-too-old", 2, 2)

    assert keys(now) == []


@pytest.mark.parametrize(("today", "is_told"), [(90, True), (30, False), (19, False)])
def test_a_class_that_grows_is_told(now, today, is_told):
    days("missing-header", today, 0, *[10] * 14)

    assert keys(now) == (["failure:missing-header"] if is_told else [])


@pytest.mark.parametrize(("today", "is_told"), [(90, True), (30, False)])
def test_a_farm_of_some_days_is_compared_with_these(now, today, is_told):
    days("missing-header", today, 0, *[10] * 3)

    assert keys(now) == (["failure:missing-header"] if is_told else [])


def test_a_full_disk_of_the_server_is_told(now, monkeypatch):
    usage = type(shutil.disk_usage("/"))(100 << 30, 99 << 30, 1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)

    matters = attention.found(now)

    assert {matter.key.partition(":")[0] for matter in matters} == {"disk"}
    assert matters[0].is_urgent


@pytest.mark.parametrize("days", [0, 3, -3])
def test_a_storage_that_is_compared_or_to_be_compared_soon_is_no_matter(now, days):
    StorageCheck.objects.create(prefix="00")
    assert keys(now) == []

    StorageCheck.objects.create(prefix="01", checked_at=now - timedelta(days=days))
    assert keys(now) == []


def test_a_storage_that_is_not_mounted_is_told_at_once(now, tmp_path):
    make_wheel(make_build())
    (tmp_path / "files" / MARK).unlink()

    [away] = [matter for matter in attention.found(now) if matter.key.startswith("storage-away:")]

    assert away.is_urgent


def test_a_folder_for_uploads_that_nobody_may_write_to_is_told_at_once(now, settings, tmp_path):
    (tmp_path / "file").touch()
    settings.PIWHEELS_INCOMING = tmp_path / "file" / "incoming"

    [away] = [matter for matter in attention.found(now) if matter.key.startswith("storage-away:")]
    assert away.is_urgent


def test_a_storage_and_uploads_that_are_away_are_two_matters(now, settings, tmp_path):
    make_wheel(make_build())
    (tmp_path / "files" / MARK).unlink()
    (tmp_path / "file").touch()
    settings.PIWHEELS_INCOMING = tmp_path / "file" / "incoming"

    away = [matter for matter in attention.found(now) if matter.key.startswith("storage-away:")]

    assert len(away) == 2


def test_a_disk_that_gives_only_errors_takes_nothing_else_from_the_first_screen(
    admin_client, now, settings, tmp_path, monkeypatch
):
    never_heard(now)
    use(settings, dead(tmp_path))
    settings.PIWHEELS_STORAGE = default_storage.path("")
    monkeypatch.setattr(machine, "POSTGRESQL", tmp_path / "nowhere")

    away, new = keys(now)
    assert (away.partition(":")[0], new) == ("storage-away", "builder-new:pi-08")
    assert "gives only errors" in admin_client.get("/admin/").content.decode()
    assert [disk.holds for disk in machine.disks()] == [("everything else",)]


@pytest.mark.parametrize(
    ("free", "says"),
    [((5, 900), "is 95% full"), ((900, 5), "has 95% of the files that it can have"), ((900, 900), None)],
)
def test_a_disk_is_full_when_it_takes_no_more_bytes_or_no_more_files(now, tmp_path, monkeypatch, free, says):
    size, files = free
    monkeypatch.setattr(machine, "POSTGRESQL", tmp_path / "nowhere")
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda place: SimpleNamespace(total=100, used=95 if size == 5 else 10, free=size),
    )
    monkeypatch.setattr(
        os, "statvfs", lambda place: SimpleNamespace(f_files=100 if files == 5 else 1000, f_favail=files)
    )

    said = [matter.said for matter in attention.found(now) if matter.key.startswith("disk:")]

    assert [says in each for each in said] == ([True] if says else [])


@pytest.mark.parametrize(
    ("engine", "host", "is_here"),
    [
        ("postgresql", "/run/postgresql", True),
        ("postgresql", "", True),
        ("postgresql", "localhost", True),
        ("postgresql", "127.0.0.1", True),
        ("postgresql", "::1", True),
        ("postgresql", "db.example.org", False),
        ("sqlite3", "", False),
    ],
)
def test_the_disk_of_a_database_on_this_machine_is_watched(monkeypatch, engine, host, is_here):
    # A file system of its own, wherever this runs.
    monkeypatch.setattr(machine, "POSTGRESQL", Path("/proc"))
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{engine}")
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", host)

    assert [disk.holds for disk in machine.disks() if disk.place == Path("/proc")] == (
        [("the database",)] if is_here else []
    )


def test_folders_that_somebody_wants_watched_are_and_each_disk_is_told_once(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "POSTGRESQL", tmp_path / "nowhere")
    settings.VAR = tmp_path
    settings.PIWHEELS_WATCH_DISKS = ["/proc", str(tmp_path), "/proc/self", "/nowhere"]

    assert [disk.holds for disk in machine.disks()] == [
        ("everything else", str(tmp_path)),
        ("/proc", "/proc/self"),
    ]


def test_a_disk_of_which_only_the_size_is_not_told_is_left_out(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: os.statvfs(f"{place}/{'x' * 300}"))

    assert machine.disks() == ()


def test_a_look_that_failed_is_a_matter_and_the_others_are_shown(admin_client, now, monkeypatch):
    never_heard(now)
    monkeypatch.setitem(attention.LOOKS, "moon", lambda now: 1 / 0)

    assert sorted(keys(now)) == ["builder-new:pi-08", "look-failed"]
    first = admin_client.get("/admin/").content.decode()
    assert "The look at moon failed (ZeroDivisionError)" in first
    assert "pi-08 was enrolled" in first


def test_several_folders_of_one_disk_are_one_matter(now, monkeypatch, settings, tmp_path):
    usage = type(shutil.disk_usage("/"))(100 << 30, 95 << 30, 5 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    settings.VAR = settings.PIWHEELS_STORAGE = settings.PIWHEELS_INCOMING = tmp_path
    settings.PIWHEELS_STORAGE = str(tmp_path)
    settings.PIWHEELS_PUBLIC = settings.PIWHEELS_BUNDLES = tmp_path

    assert [matter.said for matter in attention.found(now)] == [
        f"The server's disk of {tmp_path} is 95% full: 5.0 GiB are left."
    ]


@pytest.mark.parametrize(
    ("counts_itself", "is_followed", "days", "is_told"),
    [(False, False, 2, True), (False, False, 0, False), (False, True, 2, False), (True, False, 2, False)],
)
def test_that_nobody_counts_downloads_is_told(
    admin_client, now, settings, counts_itself, is_followed, days, is_told
):
    settings.PIWHEELS_COUNT_DOWNLOADS = counts_itself
    Log.objects.create(path="/var/log/access.log", first_line="1", is_followed=is_followed)
    make_wheel(build=make_build(state="succeeded", finished_at=now), published_at=now - timedelta(days=days))

    assert keys(now) == (["uncounted"] if is_told else [])
    assert ("follow_downloads" in admin_client.get("/admin/").content.decode()) is is_told


def test_what_somebody_requeued_is_settled(now):
    given_up(now)

    Build.objects.get().again(losses=0, priority=0, why="Again.")

    assert keys(now) == []


def skip_there(build):
    Skip(package=build.version.package, target=build.target, reason="Too large.").begin()


@pytest.mark.parametrize(
    "decide",
    [
        skip_there,
        lambda build: build.version.package.skip("Too large."),
        lambda build: build.target.deactivate(),
        lambda build: Version.objects.filter(pk=build.version_id).update(yanked=True),
        lambda build: Version.objects.filter(pk=build.version_id).update(gone_at=NOON),
    ],
    ids=["skipped there", "skipped", "target off", "yanked", "gone"],
)
def test_what_nobody_wants_built_any_more_needs_no_person(now, decide):
    given_up(now)

    decide(Build.objects.get())
    Package.objects.update(changed_at=now)

    assert keys(now) == []


def test_what_was_decided_is_not_asked_again(now):
    held(now)
    Wheel.objects.get().withdraw(now)
    nobody_builds(now)
    Target.objects.get(key="bookworm-arm64-cp311").deactivate()
    Package.objects.update(changed_at=now)

    assert keys(now) == []


def test_what_is_urgent_comes_first_and_then_the_oldest(now):
    silent(now)
    index_late(now)
    drained(now)
    never_heard(now)
    Builder.objects.filter(name="pi-08").update(created_at=now - 9 * HOUR)

    assert keys(now) == ["index-late", "builder-new:pi-08", "builder-drained:pi-07"]


def test_it_costs_as_many_queries_however_much_there_is(admin_client, now, django_assert_max_num_queries):
    for happens, _ in MATTERS:
        if happens not in (quarantined, drained, given_up_for_its_network, storage_never_checked):
            happens(now)
    for number in range(20):
        make_builder(f"silent-{number}", heard_at=now - HOUR)
        make_build(version=make_version(f"7.{number}"), state="lost", losses=3, finished_at=now)

    with django_assert_max_num_queries(27):
        matters = attention.found(now)

    assert len(matters) > 30


def raised():
    """The beginnings of all keys that `attention` can give, as its source has them."""
    sources = [ast.parse(file.read_text()) for file in Path(attention.__file__).parent.glob("*.py")]
    calls = [node for tree in sources for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "Matter":
            key = call.args[0].values[0] if isinstance(call.args[0], ast.JoinedStr) else call.args[0]
            yield key.value.partition(":")[0]


def test_each_alert_has_a_section_that_says_what_to_do():
    text = (settings.BASE_DIR / "docs" / "alerts.md").read_text()
    _, _, told = text.partition("## What the farm tells of\n")
    told, _, _ = told.partition("\n## ")

    sections = dict(section.split("\n", 1) for section in told.split("\n### ")[1:])

    assert sorted(sections) == sorted(raised())
    assert [name for name, said in sections.items() if len(said.split()) < 10] == []


def test_an_upstream_that_is_there_for_others_or_again_is_no_matter(now):
    upstream_away(now)
    build, _ = make_running_build(the_builder().get(), now, version=make_version("11.0"))
    build.close(Build.State.SUCCEEDED, "", now)

    assert keys(now) == []
    Build.objects.filter(state="succeeded").delete()
    assert keys(now) == ["upstream-away"]
    assert list(of_builds.find_upstream(now + of_builds.AWAY + HOUR)) == []


@pytest.mark.parametrize(("hours", "is_told"), [(25, False), (27, True)])
def test_that_the_backup_is_late_is_told(now, settings, tmp_path, hours, is_told):
    settings.VAR = tmp_path
    assert "backup-late" not in keys(now)

    (tmp_path / "backed-up").touch()
    ended = (now - timedelta(hours=hours)).timestamp()
    os.utime(tmp_path / "backed-up", (ended, ended))

    assert ("backup-late" in keys(now)) is is_told
