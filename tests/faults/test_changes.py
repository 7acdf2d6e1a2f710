"""What is meant to happen to a farm that goes on meanwhile: restarts, restores, and nginx alone."""

import subprocess
import threading
import time
from contextlib import contextmanager

import psycopg2
import pytest
import requests

from tests import services
from tests.farm import clean_environment, new_environment

# Nobody who reads a page waits for longer while its server is started anew.
LONGEST_S = 10.0

pytestmark = [pytest.mark.whole, pytest.mark.faults]


@contextmanager
def asking(address):
    """Ask for a page all the time; give what was not answered well."""
    bad, ended = [], threading.Event()

    def ask():
        while not ended.wait(0.05):
            try:
                answer = requests.get(address, timeout=LONGEST_S)
            except requests.RequestException as fault:
                bad.append(repr(fault))
            else:
                if not answer.ok:
                    bad.append(f"{answer.status_code}")
            # One client may have 20 pages a second.
            time.sleep(0.06)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield bad
    finally:
        ended.set()
        asker.join()


def test_T21_one_after_the_other_is_started_anew_and_nobody_who_reads_notices(world):
    with (
        world.reader("simple", 1) as reader,
        asking(f"{world.farm.nginx.url}/project/{world.names[0]}/") as bad,
    ):
        for name in ("web", "worker", "beat", *world.farm.builders, "nginx"):
            for package in world.names:
                world.release(package)
            world.farm.restart(name)
        world.farm.wait_until(world.is_calm)

    assert bad == []
    reader.check(downloads=len(world.names))
    assert world.wrong() == []
    assert world.operators.ask("unbuilt") == []


def test_T20_a_package_that_kills_its_builder_is_given_up_and_nobody_waits_for_it(world):
    world.upstream.add_sdist("kills-its-builder", "1.0", b"Nobody builds this.")
    for name in world.names:
        world.release(name)

    def is_over():
        world.farm.revive()
        return world.is_calm() and world.operators.ask("lost_for_good")

    world.farm.wait_until(is_over, seconds=240)

    assert world.operators.ask("lost_for_good") == ["kills-its-builder 1.0: 4 attempts"]
    (given_up,) = world.operators.ask("unbuilt")
    assert given_up.startswith("kills-its-builder 1.0: ")


def empty_database(url):
    """Make a database anew, from another one."""
    server, _, name = url.rpartition("/")
    connection = psycopg2.connect(f"{server}/template1")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
    connection.close()


def test_T23_yesterdays_database_with_todays_files_is_a_whole_farm(world):
    dump = world.farm.var / "backup.dump"
    words = [
        services.postgres_program("pg_dump"),
        "--format=custom",
        f"--file={dump}",
        world.farm.postgres.url,
    ]
    subprocess.run(words, check=True)
    for name in world.names:
        world.release(name)
    world.farm.wait_until(lambda: len(world.published()) == 2 * len(world.names))
    world.farm.wait_until(world.is_calm)
    for name in ("beat", "worker", "web"):
        world.farm.end(name)

    empty_database(world.farm.postgres.url)
    restore = [
        services.postgres_program("pg_restore"),
        "--exit-on-error",
        f"--dbname={world.farm.postgres.url}",
        dump,
    ]
    subprocess.run(restore, check=True)
    for name in ("web", "worker", "beat"):
        world.farm.bring_back(name)
    rebuilt = world.farm.manage("rebuild_indexes")
    assert rebuilt.returncode == 0, rebuilt.stderr
    for name in world.names:
        world.release(name)
    world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=240)

    with world.reader("simple", 1) as reader:
        time.sleep(5)
    reader.check(downloads=3 * len(world.names))
    checked = world.farm.manage("check_storage", "--hashes")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert world.wrong() == []


def test_T24_nginx_alone_goes_on_serving_all_that_was_published(world, tmp_path):
    for name in reversed(list(world.farm.processes)):
        if name != "nginx":
            world.farm.kill(name)
    # That the web server is away cuts nothing off here, as nothing comes from it.
    first, second = (world.reader(index, 1, cut_by="nginx") for index in ("simple", "simple-platform"))
    with first, second:
        python = new_environment(tmp_path / "place")
        index = f"{world.farm.nginx.url}/simple/"
        words = [python, "-m", "pip", "install", "-q", "--no-deps", "--index-url", index, *world.names]
        subprocess.run(words, env=clean_environment(tmp_path), check=True)
        world.farm.wait_until(lambda: min(first.downloads, second.downloads) >= 3 * len(world.names))

    for reader in (first, second):
        reader.check(downloads=3 * len(world.names))


def test_T04_a_builder_that_freezes_as_it_waits_and_is_killed_loses_nothing(world):
    for turn in range(6):
        victim = world.farm.builders[turn % len(world.farm.builders)]
        with world.farm.frozen(victim):
            world.release(world.names[turn % len(world.names)])
            time.sleep(2)
            world.farm.kill(victim)
        world.farm.bring_back(victim)
    world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=120)

    # One that was killed as it was told so does not know that its wheel was taken.
    published = world.published()
    assert len(published) == len(set(published))
