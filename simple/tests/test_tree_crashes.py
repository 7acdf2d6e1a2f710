"""Wherever the writer is killed, what it does next leaves the tree as the database has it."""

import os
import sys
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from builds.models import Wheel
from packages.models import Package
from simple import publishing, roots, tree
from simple.tests.rows import make_wheel

NOW = timezone.now()

# What changes files, as the interpreter tells it (PEP 578).
CHANGES = {"open", "os.link", "os.symlink", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime"}


class Killed(BaseException):
    """The process is no more."""


class Killer:
    """Kills the process at the n-th thing that it does to a file or with the database."""

    def __init__(self):
        self.left = None

    def arm(self, left):
        self.left = left

    def disarm(self):
        """Tell whether nobody was killed."""
        survived, self.left = self.left is not None and self.left > 0, None
        return survived

    def step(self):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Killed

    def hear(self, event, arguments):
        if self.left is not None and event in CHANGES and "/public" in str(arguments[0]):
            self.step()

    def ask(self, execute, sql, params, many, context):
        self.step()
        return execute(sql, params, many, context)


# Who listens to the interpreter listens for ever.
killer = Killer()
sys.addaudithook(killer.hear)


def contents():
    """Return all that readers see of the tree: pages by their bytes, links by the file that they are."""
    public = tree.folder("simple").parent
    paths = [path for path in public.rglob("[!.]*") if path.is_file()]
    return {
        str(path.relative_to(public)): path.stat().st_ino if ".whl" in path.name else path.read_bytes()
        for path in paths
    }


def settle(after):
    """Do what the writer does in the time to come."""
    for wait in (timedelta(0), timedelta(minutes=2), timedelta(minutes=4)):
        publishing.publish(NOW + after + wait)
    roots.publish(NOW + after + timedelta(hours=1), at_once=True)


def expected(settings, folder):
    """Return what a tree would be that is made of the same rows from nothing."""
    before, settings.PIWHEELS_PUBLIC = settings.PIWHEELS_PUBLIC, folder
    Package.objects.update(shown_revision=-1)
    settle(timedelta(days=1))
    made, settings.PIWHEELS_PUBLIC = contents(), before
    return made


def begin():
    """Publish two packages, and have three changed."""
    old, kept = make_wheel("old"), make_wheel("kept", tag="py3-none-any")
    settle(timedelta(0))
    make_wheel("new", number="1!2.0+pi.1")
    old.withdraw(timezone.now())
    kept.yank("broken")
    make_wheel("kept", number="2.0")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", range(4))
def test_a_writer_that_was_killed_anywhere_leaves_nothing_wrong(settings, tmp_path, caplog, part):
    caplog.set_level("CRITICAL")
    begin()
    settings.PIWHEELS_PUBLIC = tmp_path / "public"
    survived, step = False, part + 1

    while not survived:
        with connection.execute_wrapper(killer.ask):
            killer.arm(step)
            with suppress(Killed):
                settle(timedelta(minutes=step))
            survived = killer.disarm()
        step += 4

    # Each was killed a little later than the one before, and went on with what that had left.
    settle(timedelta(hours=4))
    assert contents() == expected(settings, tmp_path / "public-anew")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", [*range(3, 200, 13)])
def test_a_writer_that_was_killed_once_is_followed_by_one_that_does_the_rest(settings, tmp_path, step):
    begin()
    with connection.execute_wrapper(killer.ask):
        killer.arm(step)
        with suppress(Killed):
            settle(timedelta(minutes=10))
        killer.disarm()
    # What was new is hidden again, before anybody could note that it was written.
    new = Wheel.objects.get(package__name="new")
    new.withdraw(timezone.now())

    settle(timedelta(hours=1))

    assert contents() == expected(settings, tmp_path / "public-anew")


@pytest.mark.django_db(transaction=True)
def test_whoever_reads_a_page_finds_each_file_of_it(tmp_path):
    wheels = [make_wheel("demo", number=f"{number}.0") for number in range(4)]
    settle(timedelta(0))
    stop = Event()
    seen: set[tuple[str, ...]] = set()
    missing: list[str] = []

    def read():
        """Read the page from the tree, as a web server does, and then each file of it."""
        while not stop.wait(0.001):
            page = (tree.folder("simple", "demo") / "index.html").read_text()
            assert page.endswith("</html>\n")
            names = [part.partition("#")[0] for part in page.split('href="/simple/demo/')[1:]]
            seen.add(tuple(names))
            # Between a page and its files a client takes its time.
            stop.wait(0.02)
            missing.extend(
                name
                for name in names
                for file in (name, f"{name}.metadata")
                if not os.path.exists(tree.folder("simple", "demo") / file)  # noqa: PTH110
            )

    reader = Thread(target=read)
    reader.start()
    for step in range(18):
        wheel = wheels[step % 4]
        if step % 3 == 0:
            wheels.append(make_wheel("demo", number=f"{10 + step}.0"))
        elif step % 3 == 1:
            wheel.yank(str(step))
        else:
            Wheel.objects.filter(pk=wheel.pk).update(withdrawn_at=None if step % 2 else timezone.now())
            wheel.package.mark_changed()
        publishing.publish(NOW + timedelta(seconds=10 * step))
    stop.set()
    reader.join()

    assert not missing
    assert len(seen) > 3


@pytest.mark.django_db(transaction=True)
def test_of_two_writers_none_publishes_what_is_older():
    wheel = make_wheel()
    settle(timedelta(0))

    def write():
        while not stop.is_set():
            publishing.publish(NOW)
        connection.close()

    stop = Event()
    writers = [Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for number in range(20):
        wheel.yank(f"reason {number}")
    stop.set()
    for writer in writers:
        writer.join()
    publishing.publish(NOW)

    assert "reason 19" in Client().get("/simple/demo/").content.decode()
    assert not Package.objects.to_show().exists()
