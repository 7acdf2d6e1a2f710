"""Disks that are full, or can be written no more."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
import requests

from builds.models import Build
from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm
from tests.faults.conftest import CALM

pytestmark = [pytest.mark.whole, pytest.mark.faults]

if os.geteuid():
    pytest.skip("To mount a small disk needs root.", allow_module_level=True)

LOST = """
import json
from builds.models import Build
print(json.dumps(Build.objects.exclude(losses=0).count()))
"""


@contextmanager
def small_disk(folder: Path, size: str):
    """Have what is in a folder on a disk of that size."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.mkdir(parents=True, exist_ok=True)
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", folder], check=True)
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


@contextmanager
def large_disk(folder: Path):
    """Have an empty folder on a disk that has room for a build, and costs nothing until it is written to."""
    image = folder.with_name(f"{folder.name}.img")
    with image.open("wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    shutil.rmtree(folder)
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def reserve(folder: Path) -> Path:
    """Leave nothing free on a disk, without writing so much."""
    ballast = folder / "ballast"
    step = 4 << 30
    with ballast.open("wb") as file:
        while step >= 1 << 20:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
            except OSError:
                step //= 2
    fill(folder / "lost+found")
    return ballast


def fill(folder: Path) -> Path:
    """Write until the disk is full."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


@pytest.mark.parametrize("world", [replace(CALM, pause_s=3.0)], indirect=True)
def test_T11_a_full_storage_publishes_nothing_and_all_waits_until_there_is_room(world):
    def state():
        return world.operators.ask("state")

    with small_disk(world.farm.var / "files", "4m") as files, world.reader("simple", 1) as reader:
        before = len(world.published())
        building, *waiting = world.names
        world.release(building)
        world.farm.wait_until(lambda: state()["building"])
        ballast = fill(files)
        for name in waiting:
            world.release(name)
        # The one that is being built comes and is not taken, the others are not given out.
        world.farm.wait_until(lambda: "can store nothing now" in world.farm.logs())
        world.farm.wait_until(lambda: state()["builds"] == len(world.names))
        time.sleep(10)
        assert (state()["building"], len(world.published())) == (1, before)

        ballast.unlink()

        world.farm.wait_until(lambda: len(world.published()) == before + len(world.names), seconds=240)
        world.farm.wait_until(world.is_calm)
        # It looks for the tree's links behind the disk, so before that is gone.
        assert world.wrong() == []
    reader.check(downloads=len(world.names))
    assert world.operators.ask("unbuilt") == []
    assert world.farm.ask(LOST) == 0


def test_T12_a_full_disk_of_the_database_stops_nobody_who_reads(world, record_property):
    farm, data = world.farm, world.farm.postgres.home / "data"
    farm.end("postgresql")
    with small_disk(data, "400m"):
        shutil.chown(data, data.with_name("data-aside").owner())
        subprocess.run(["chown", "-R", data.with_name("data-aside").owner(), data], check=True)
        data.chmod(0o700)
        farm.bring_back("postgresql")
        with world.reader("simple", 1) as reader:
            ballast = fill(data)
            with pytest.raises(psycopg2.Error):
                fill_rows(farm.postgres.url)
            # So far only tables cannot grow; it gives up when it cannot write its log either.
            with pytest.raises(psycopg2.Error):
                fill_log(farm.postgres.url)
            before = (reader.pages, reader.downloads)
            for name in world.names:
                world.release(name)
            answers = written_to(farm, 20)
            # Meanwhile nobody who reads was told of it.
            assert reader.wrong == []
            assert reader.pages > before[0] + 20
            assert reader.downloads > before[1] + 20
            # A builder asks again after any of them.
            assert set(answers) <= {500, 503}
            assert requests.get(f"{farm.nginx.url}/simple/{world.names[0]}/", timeout=5).ok

            ballast.unlink()
            has_ended = farm.processes["postgresql"].poll() is not None
            if has_ended:
                # Whoever runs it starts it again when there is room, as the alert says.
                farm.bring_back("postgresql")
            farm.wait_until(farm.postgres.answers)
            empty_rows(farm.postgres.url)

            farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=240)
            assert world.wrong() == []
        assert reader.wrong == []
        # A row without its file would be half a publish.
        checked = farm.manage("check_storage", "--hashes")
        assert checked.returncode == 0, checked.stdout
        farm.end("postgresql")
    record_property("times that PostgreSQL gave up", has_ended)
    record_property("refusals", len(answers))


def written_to(farm, seconds):
    """Say hello as a builder does, which is written down, for as long; return the status of each answer."""
    told = {"Authorization": f"Bearer {farm.environment(farm.builders[0])['PIWHEELS_BUILDER_TOKEN']}"}
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        answer = requests.post(f"{farm.nginx.url}/builder/v1/hello", b"{}", headers=told, timeout=60)
        assert "Traceback" not in answer.text
        found.append(answer.status_code)
        time.sleep(0.2)
    return found


def fill_rows(url):
    """Write rows until the database has no room for them."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS ballast (content text)")
        for _ in range(1000):
            cursor.execute(
                "INSERT INTO ballast SELECT repeat(md5(n::text), 100) FROM generate_series(1, 3000) n"
            )


def fill_log(url):
    """Write into PostgreSQL's log of what it is about to write until there is no room for that."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 1000000))")


def empty_rows(url):
    """Remove them again."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS ballast")


@pytest.fixture
def real_farm(tmp_path, database):
    """A farm with a real builder that knows one package."""
    with FakePyPI() as upstream:
        upstream.add_sdist("demo", "1.0", sdists.slow_sdist("demo", "1.0", 0.1))
        with Farm(tmp_path, upstream.simple_url, "all", database=database) as farm:
            farm.wait_until(lambda: farm.states("demo") == ["succeeded"])
            yield farm, upstream


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_T13_a_builder_whose_disk_takes_nothing_gets_nothing_until_it_does(real_farm, fault):
    farm, upstream = real_farm
    farm.end("builder")
    with large_disk(farm.var / "work") as work:
        farm.start("builder")
        farm.wait_until(lambda: (farm.var / "builder.log").read_text().count(" ready.") == 2)
        if fault == "full":
            ballast = reserve(work)
        else:
            # Not while a file is open for writing, as in the trial of a sandbox.
            read_only = ["mount", "-o", "remount,ro", work]
            farm.wait_until(lambda: subprocess.run(read_only, check=False).returncode == 0)
        upstream.add_sdist("later", "1.0", sdists.slow_sdist("later", "1.0", 0.1))
        farm.wait_until(lambda: farm.states("later"), seconds=120)
        farm.wait_until(lambda: any_problem(farm), seconds=120)
        farm.wait_until(lambda: not set(Build.ASSIGNED).intersection(farm.states("later")), seconds=120)
        tried = farm.builds()
        time.sleep(5)
        assert any_problem(farm)
        assert farm.builds() == tried
        # The package has nothing to do with it.
        assert "failed" not in farm.states("later")

        if fault == "full":
            ballast.unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", work], check=True)
        farm.manage("builder", "local-1", "resume")

        farm.wait_until(lambda: farm.states("later") == ["succeeded"], seconds=240)
        farm.end("builder")


def any_problem(farm):
    """Return why the builder is given nothing, if so."""
    found = farm.ask(
        "import json; from builds.models import Builder; "
        "print(json.dumps(list(Builder.objects.values_list('problem', 'mode'))))"
    )
    return [each for each in found if each[0] or each[1] != "active"]
