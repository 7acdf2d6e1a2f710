import hashlib
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from builds import failures
from builds.files import logs, storage
from builds.models import Build, Builder, Wheel
from builds.publish import expected_of
from builds.tests.rows import NOON, make_version
from builds.wheels.verify import verify
from packages.models import Package, UpstreamFile
from piwheels_site.models import Notice
from piwheels_site.sample import catalogue, fill, history, printed
from piwheels_site.sample.live import Live
from piwheels_site.sample.printed import by_name
from simple.models import Download, DownloadDay, PackageDownload

pytestmark = pytest.mark.django_db

FEW = 12


@pytest.fixture
def written():
    """A sample that nobody has published or counted yet, which takes longer than all the rest."""
    cache.clear()
    fill.write(FEW, 1, timezone.now())
    yield
    cache.clear()


@pytest.fixture
def sample(written):
    fill.show(timezone.now())


def drawn():
    """What of a sample must be the same each time."""
    # Which of the packages that have changed is planned first is the database's affair.
    place = ("version__package__name", "version__number", "target__key", "attempt")
    builds = Build.objects.order_by(*place).values_list(*place, "state", "failure")
    return [*builds, *Wheel.objects.order_by("pk").values_list("filename", "sha256", "held_reason")]


@pytest.mark.embedded
def test_each_wheel_is_what_its_row_says(written, tmp_path):
    wheels = Wheel.objects.filter(removed_at=None).select_related("build__target", "package", "version")

    assert len(wheels) > FEW
    for wheel in wheels:
        with storage.default_storage.open(wheel.path) as file:
            found = verify(file.file, wheel.filename, expected_of(wheel.build), scratch=tmp_path)
        assert (found.size, found.sha256) == (wheel.size, wheel.sha256)
        assert hashlib.sha256(found.metadata).hexdigest() == wheel.metadata_sha256
        needs = wheel.dependencies.filter(tool="pip").values_list("requirement", flat=True)
        assert sorted(found.requires_dist) == sorted(needs)


def test_the_index_offers_the_files_that_it_lists(sample, client):
    listed = client.get("/simple/spidev/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}).json()

    assert len(listed["files"]) > 3
    for file in listed["files"]:
        content = b"".join(client.get(f"/simple/spidev/{file['filename']}"))
        assert hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"]


def test_every_page_says_that_it_is_a_sample(sample, client):
    for path in ("/", "/project/numpy/", f"/builds/{Build.objects.first().pk}/", "/nothing"):
        assert "Sample data:</b> Everything here was made up" in client.get(path).content.decode()


def test_the_same_seed_draws_the_same_farm(tmp_path, settings):
    farms = []
    for number, seed in enumerate((1, 1, 2)):
        settings.PIWHEELS_PUBLIC = tmp_path / f"public{number}"
        place = {
            "BACKEND": "builds.files.storage.WholeFileStorage",
            "OPTIONS": {"location": str(tmp_path / f"{number}")},
        }
        settings.STORAGES = {**settings.STORAGES, "default": place}
        with transaction.atomic():
            fill.write(FEW, seed, NOON)
            farms.append(drawn())
            transaction.set_rollback(True)

    assert farms[0] == farms[1]
    assert farms[0] != farms[2]


def test_builds_are_in_every_state(written):
    assert set(Build.objects.values_list("state", flat=True)) == set(Build.State)
    assert set(Builder.Mode) - {"stopped"} <= {builder.standing for builder in Builder.objects.all()}
    assert not Build.objects.filter(finished_at__gt=timezone.now()).exists()


def test_each_class_of_failure_comes_up():
    drawing = history.History([], {}, 1, NOON)

    found = {next(drawing.failures).key for _ in printed.by_name()}

    # A lost build and a refused wheel have rows of their own, and old packages what they fail with; nothing
    # of it was imported, and no two builds made one name.
    old = {printed.by_name()[entry.fails].key for entry in catalogue.entries(120, 1) if entry.fails}
    assert found | {"builder-lost", "refused", "file-lost", "name-taken"} | old == set(failures.classes())


def test_downloads_add_up(sample):
    day = timezone.now().date() - timedelta(days=40)

    counts = [
        sum(model.objects.filter(day=day).values_list("count", flat=True))
        for model in (Download, PackageDownload, DownloadDay)
    ]

    assert counts[0] == counts[1] == counts[2] > 0
    assert DownloadDay.objects.count() == 90


def test_a_farm_that_is_there_already_is_left_alone():
    make_version()
    before = Package.objects.count(), Notice.objects.count()

    with pytest.raises(CommandError, match="the database has packages"):
        call_command("play")

    assert (Package.objects.count(), Notice.objects.count()) == before


def test_files_of_a_farm_are_left_alone():
    storage.store_bytes("ab/file", b"content")

    with pytest.raises(fill.NotEmpty, match="the storage has files"):
        fill.fill(FEW, 1, NOON)


def test_a_sample_is_not_written_over(written):
    with pytest.raises(CommandError, match="is here already"):
        call_command("play")


def test_a_real_farm_does_not_move_by_itself(written):
    make_version(package="real-one")
    assert UpstreamFile.objects.filter(version__package__name="real-one").exists()

    with pytest.raises(CommandError, match="There is no sample here"):
        call_command("play", live=True)


def test_a_live_sample_prints_ends_and_begins(written):
    live, now = Live(FEW, 1), timezone.now()
    running = Build.objects.filter(state=Build.State.BUILDING).first()
    before, _ = logs.tail(running, 1_000_000)

    live.tick(now)
    after, _ = logs.tail(running, 1_000_000)
    for second in range(1, 100):
        live.tick(now + timedelta(seconds=second))

    assert after.startswith(before)
    assert len(after) > len(before)
    running.refresh_from_db()
    assert running.state in {"succeeded", "failed"}
    assert Build.objects.filter(claimed_at__gt=now).exists()
    assert Package.objects.filter(versions__number__contains=".post").exists()


def test_an_invented_package_has_a_name_of_its_own():
    names = [entry.name for entry in catalogue.entries(1000, 1)]

    assert len(set(names)) == 1000


def test_a_log_of_a_real_build_is_classified_as_ever():
    assert by_name()["missing-header-clang"].key == "missing-header"
    assert by_name()["missing-header-clang"].about == "portaudio.h"
