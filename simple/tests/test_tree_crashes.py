"""Wherever the writer is killed, what it does next leaves the tree as the database has it."""

import hashlib
import re
import sys
import time
from contextlib import suppress
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from threading import Event, Thread

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from builder.tests.waiting import until
from builds.models import Wheel
from builds.tests.rebuilds import Farm
from builds.tests.rows import make_build
from builds.tests.storages import metadata_of
from packages.models import Package, UpstreamFile, Version
from simple import publishing, tree
from simple.formats import Format
from simple.models import Shown
from simple.tests.rows import make_wheel
from simple.tests.trees import contents, expected, out_of_step, settle

NOW = timezone.now()

# What changes files, as the interpreter tells it (PEP 578).
CHANGES = {"open", "os.link", "os.symlink", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime"}


class Killed(BaseException):
    """The process is no more."""


class StepKiller:
    """Kills the process at the n-th thing that it does to a file or with the database."""

    def __init__(self):
        self.left = None
        self.killed_at = ""

    def arm(self, left):
        self.left, self.killed_at = left, ""

    def disarm(self):
        """Tell at which kind of thing somebody was killed, if anybody was."""
        self.left = None
        return self.killed_at

    def step(self, kind):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.killed_at = kind
                raise Killed

    def hear(self, event, arguments):
        if self.left is not None and event in CHANGES and "/public" in str(arguments[0]):
            self.step("file")

    def ask(self, execute, sql, params, many, context):
        self.step("statement")
        return execute(sql, params, many, context)


# What a process has open is closed when it is killed; here it was only forgotten.
forgets_files = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# Who listens to the interpreter listens for ever.
killer = StepKiller()
sys.addaudithook(killer.hear)


def begin():
    """Publish two packages, and have three changed."""
    old, kept = make_wheel("old"), make_wheel("kept", tag="py3-none-any")
    settle(NOW)
    make_wheel("new", number="1!2.0+pi.1")
    old.withdraw(timezone.now())
    kept.yank("broken")
    make_wheel("kept", number="2.0")


@pytest.mark.django_db(transaction=True)
@forgets_files
@pytest.mark.parametrize("part", range(4))
def test_T02_a_writer_that_was_killed_anywhere_leaves_nothing_wrong(settings, tmp_path, caplog, part):
    caplog.set_level("CRITICAL")
    begin()
    settings.PIWHEELS_PUBLIC = tmp_path / "public"
    killed_at = []

    for step in count(part + 1, 4):
        with connection.execute_wrapper(killer.ask):
            killer.arm(step)
            with suppress(Killed):
                settle(NOW + timedelta(minutes=step))
        if not (kind := killer.disarm()):
            break
        killed_at.append(kind)

    # Each was killed a little later than the one before, and went on with what that had left.
    assert {*killed_at} == {"file", "statement"}
    assert len(killed_at) > 10
    settle(NOW + timedelta(hours=4))
    assert out_of_step() == set()
    assert contents() == expected(settings, tmp_path / "public-anew", NOW + timedelta(days=1))


@pytest.mark.django_db(transaction=True)
@forgets_files
def test_a_writer_that_was_killed_once_is_followed_by_one_that_does_the_rest(settings, tmp_path):
    killed_at = []

    for step in count(3, 13):
        # Each begins with nothing, as a test of its own does.
        call_command("flush", verbosity=0, interactive=False)
        settings.PIWHEELS_PUBLIC = tmp_path / f"public-{step}"
        begin()
        with connection.execute_wrapper(killer.ask):
            killer.arm(step)
            with suppress(Killed):
                settle(NOW + timedelta(minutes=10))
        if not (kind := killer.disarm()):
            break
        killed_at.append(kind)
        # What was new is hidden again, before anybody could note that it was written.
        Wheel.objects.get(package__name="new").withdraw(timezone.now())
        settle(NOW + timedelta(hours=1))
        assert out_of_step() == set()
        assert contents() == expected(settings, tmp_path / f"public-anew-{step}", NOW + timedelta(days=1))

    assert {*killed_at} == {"file", "statement"}
    assert len(killed_at) > 10


def killed_before_it_notes(execute, sql, params, many, context):
    """Kill the writer when all is written."""
    if sql.startswith('UPDATE "simple_shown"'):
        raise Killed
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("others", [0, 1])
def test_a_file_has_its_time_also_when_nobody_could_note_that_its_page_is_new(others):
    for number in range(others):
        make_wheel(number=f"3.{number}")
    first, second = make_wheel(number="1.0"), make_wheel(number="2.0")
    publishing.publish(NOW)
    first.withdraw(NOW)
    publishing.publish(NOW)
    later = NOW + Shown.LINGER * 2
    second.withdraw(later)
    with pytest.raises(Killed), connection.execute_wrapper(killed_before_it_notes):
        publishing.publish(later)

    publishing.publish(later + timedelta(seconds=1))

    assert (tree.folder("simple", "demo") / second.filename).exists()
    publishing.publish(later + timedelta(seconds=2) + Shown.LINGER)
    assert not (tree.folder("simple", "demo") / second.filename).exists()


class PageReader:
    """Reads a page as a web server does, and then all of its files, until it is told to stop."""

    LINK = re.compile(r'href="/simple/demo/([^"#]+)#sha256=([0-9a-f]{64})"')

    def __init__(self):
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.read = 0
        self._stop = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()

    def _run(self):
        folder = tree.folder("simple", "demo")
        while not self._stop.wait(0.001):
            page = (folder / "index.html").read_text()
            if not page.endswith("</html>\n"):
                self.wrong.append(page)
            self.seen.add(page)
            # Between a page and its files a client takes its time.
            self._stop.wait(0.15)
            for name, sha256 in self.LINK.findall(page):
                self._download(folder / name, sha256)

    def _download(self, path, sha256):
        """Read a file of the page; it must be there, and be what the page says of it."""
        try:
            content, metadata = path.read_bytes(), Path(f"{path}.metadata").read_bytes()
        except FileNotFoundError as error:
            self.wrong.append(str(error))
        else:
            self.read += 1
            if hashlib.sha256(content).hexdigest() != sha256 or metadata != metadata_of(content):
                self.wrong.append(f"{path.name} is not what the page says")


def changes(farm):
    """Do all that can happen to the wheels of a package, again and again, and name each thing done."""
    while True:
        latest = Wheel.objects.filter(version__number="1.0", yanked=False).last()
        ours, others = Version.objects.filter(number="1.0"), Wheel.objects.exclude(version__number="1.0")
        source = UpstreamFile.objects.filter(version__number="1.0")
        assert farm.make(farm.again(), latest.filename.encode()).status_code == 200
        yield "rebuild"
        ours.update(yanked=True, yanked_reason="broken")
        yield "yank"
        make_wheel("demo", number=f"{10 + latest.pk}.0")
        yield "release"
        ours.update(yanked=False)
        yield "un-yank"
        source.update(gone_at=timezone.now())
        yield "remove"
        others.last().yank("ours")
        yield "own yank"
        source.update(gone_at=None)
        yield "restore"
        others.last().unyank()
        yield "own un-yank"
        Wheel.objects.filter(version__number="1.0").last().withdraw(timezone.now())
        yield "withdraw"


def links():
    """Return the wheels that are in the package's folder, and those that its page lists."""
    folder = tree.folder("simple", "demo")
    listed = {name for name, _ in PageReader.LINK.findall((folder / "index.html").read_text())}
    return {path.name for path in folder.glob("*.whl")}, listed


@pytest.mark.django_db(transaction=True)
def test_F08_F09_whoever_reads_a_page_finds_all_of_it_and_each_file_as_it_says(monkeypatch):
    # Long enough for a reader of this machine, short enough to see it end.
    linger = timedelta(seconds=3)
    monkeypatch.setattr(Shown, "LINGER", linger)
    farm = Farm()
    assert farm.make(make_build()).status_code == 200
    make_wheel("demo", number="2.0")
    publishing.publish(timezone.now())
    kinds = set()

    with PageReader() as reader:
        for kind in islice(changes(farm), 27):
            kinds.add(kind)
            Package.objects.get().mark_changed()
            # Nobody waits for readers between one tick and the next, in which files may go.
            for _ in range(2):
                publishing.publish(timezone.now())
                time.sleep(0.01)
            if kind == "remove":
                time.sleep(linger.total_seconds())
                publishing.publish(timezone.now())
                there, listed = links()
                assert there == listed

    assert not reader.wrong
    assert len(kinds) == 9
    assert len(reader.seen) > 10
    assert reader.read > 50


@pytest.fixture
def often_interrupted():
    """Have threads take turns in the middle of everything, as processes do."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


WRITERS, CHANGES_OF_EACH = 4, 40


class Watcher:
    """Reads a package's page in both formats all the time, and notes where one has gone back."""

    def __init__(self):
        self.seen: dict[Format, list[dict[int, int]]] = {Format.HTML: [], Format.JSON: []}
        self.wrong = []

    def look(self):
        for kind, seen in self.seen.items():
            page = (tree.folder("simple", "demo") / tree.page_name(kind)).read_text()
            # How often each file was yanked, as its reason says.
            counts = {int(of): int(count) for count, of in re.findall(r"change (\d+) of (\d+)\b", page)}
            before = seen[-1] if seen else {}
            if any(counts.get(of, -1) < count for of, count in before.items()):
                self.wrong.append((kind, before, counts))
            if counts != before:
                seen.append(counts)

    def wait_for(self, of, count):
        """Wait until both formats tell of a change."""
        until(lambda: all(seen and seen[-1].get(of, -1) >= count for seen in self.seen.values()))


@pytest.mark.django_db(transaction=True)
def test_T45_of_four_writers_none_publishes_what_is_older(often_interrupted):
    wheels = [make_wheel(number=f"{number + 1}.0") for number in range(WRITERS)]
    settle(NOW)
    stop, watcher = Event(), Watcher()

    def until_the_end(deed, *arguments):
        while not stop.is_set():
            deed(*arguments)
        connection.close()

    def change(number):
        for turn in range(CHANGES_OF_EACH):
            wheels[number].yank(f"change {turn} of {number}")
            time.sleep(0.2)
            if turn % 10 == 9:
                # What changes while it is written waits for the next round, and would do so to the end.
                watcher.wait_for(number, turn)
        connection.close()

    going = [Thread(target=until_the_end, args=(lambda: publishing.publish(NOW),)) for _ in range(WRITERS)]
    going.append(Thread(target=until_the_end, args=(watcher.look,)))
    changing = [Thread(target=change, args=(number,)) for number in range(WRITERS)]
    for thread in going + changing:
        thread.start()
    for thread in changing:
        thread.join()
    stop.set()
    for thread in going:
        thread.join()
    publishing.publish(NOW)
    watcher.look()

    assert watcher.wrong == []
    last = dict.fromkeys(range(WRITERS), CHANGES_OF_EACH - 1)
    assert [seen[-1] for seen in watcher.seen.values()] == [last, last]
    assert min(len(seen) for seen in watcher.seen.values()) > 3
    assert not Package.objects.to_show().exists()
