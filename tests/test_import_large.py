"""A farm of piwheels.org's software with 100,000 files: imported over kills, and compared page by page."""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import html5lib
import psycopg2
import pytest

from deploy import farm as miniature
from tests import conftest
from tests.original import farm, server
from tests.original.large import LargeFarm

# How many files and logs are compared byte by byte.
SPOTS = 500
# The import is killed when it has been at builds for so many seconds.
KILLED_AFTER_S = (8, 15)


@dataclass
class Ended:
    """How a command ended, what it printed, how long it took and how much memory it had at the most."""

    status: int
    out: str
    took_s: float
    peak_mb: float


@dataclass
class Imported:
    """A farm of ours in scratch folders."""

    env: dict[str, str]
    original: farm.OriginalFarm
    folder: Path

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command of manage.py."""
        return subprocess.Popen(
            [*miniature.MANAGE, *words], env=self.env, cwd=miniature.ROOT, text=True, stdout=subprocess.PIPE
        )

    def manage(self, *words: str) -> Ended:
        """Run a command to its end."""
        began = time.monotonic()
        process = self.begin(*words)
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        return Ended(process.returncode, out, time.monotonic() - began, used.ru_maxrss / 1024)

    def words(self) -> list[str]:
        """Return the import as it is said."""
        return ["import_piwheels", self.original.url, str(self.original.folder), "--json"]

    def kill_after(self, seconds: float) -> None:
        """Begin the import, and kill it in the middle of the builds."""
        process = self.begin(*self.words())
        before = self.rows("builds_build")
        while self.rows("builds_build") == before and process.poll() is None:
            time.sleep(0.1)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    def rows(self, table: str) -> int:
        """Return how many rows a table of ours has."""
        return int(self.ask(f"SELECT count(*) FROM {table}")[0][0])

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask our database."""
        connection = psycopg2.connect(self.env["DATABASE_URL"])
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()


@pytest.fixture
def imported(tmp_path):
    """Return an empty farm of ours, beside one of theirs."""
    with (
        server.running() as address,
        server.database(address) as theirs,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DATABASE_URL", address)
        with conftest.new_database() as ours, farm.made(theirs, tmp_path / "original") as original:
            env = {**os.environ, "DATABASE_URL": ours, "PIWHEELS_VAR": str(tmp_path / "var")}
            made = Imported(env, original, tmp_path)
            assert made.manage("migrate").status == 0
            yield made


def links(page: bytes):
    """Return what an installer reads of a page: address, hash, Requires-Python, whether it is yanked."""
    root = html5lib.parse(page, namespaceHTMLElements=False)
    return {
        (
            *each.get("href").partition("#")[::2],
            each.get("data-requires-python", ""),
            "data-yanked" in each.attrib,
        )
        for each in root.iter("a")
    }


def compare_pages(imported, spoilt):
    """Compare each package's page with the one that their scribe wrote; return how many files both have."""
    public = imported.folder / "var" / "public" / "simple"
    count = 0
    for page in sorted((imported.original.folder / "simple").glob("*/index.html")):
        theirs = {link for link in links(page.read_bytes()) if link[0].rsplit("/", 1)[1] not in spoilt}
        ours = public / page.parent.name / "index.html"
        assert (links(ours.read_bytes()) if ours.exists() else set()) == theirs, page
        count += len(theirs)
    return count


def compare_spots(imported, filenames, builds):
    """Compare some files and logs byte by byte at their addresses in the tree and in the storage."""
    chance = random.Random(2)
    for filename in chance.sample(filenames, min(SPOTS, len(filenames))):
        package = filename.split("-", 1)[0].replace("_", "-")
        ours = imported.folder / "var" / "public" / "simple" / package / filename
        theirs = imported.original.path(package, filename)
        assert hashlib.sha256(ours.read_bytes()).digest() == hashlib.sha256(theirs.read_bytes()).digest()
    for build in chance.sample(range(1, builds + 1), min(SPOTS, builds)):
        theirs = imported.original.log(build)
        ours = imported.folder / "var" / "files" / theirs.relative_to(imported.original.folder)
        assert ours.read_bytes() == theirs.read_bytes()


def check(imported, files):
    """Make a farm of so many files, import it over two kills, and compare all that can be compared."""
    began = time.monotonic()
    large = LargeFarm(imported.original, files)
    large.fill()
    imported.original.write_pages()
    print(f"\nmade: {dict(large.counted)}, spoilt {dict(large.spoilt)}, in {time.monotonic() - began:.0f} s")

    for seconds in KILLED_AFTER_S if files > 10_000 else (0.0,):
        imported.kill_after(seconds)
        print(f"killed with {imported.rows('builds_build')} builds", flush=True)
    ended = imported.manage(*imported.words())
    report = json.loads(ended.out)
    print(f"went on for {ended.took_s:.0f} s, {ended.peak_mb:.0f} MB at the most: {ended.out}", flush=True)

    reasons = {
        "missing": "there is no such file",
        "size": "it has another size than the database says",
        "bytes": "its bytes are others than the database says",
    }
    assert ended.status == (1 if large.spoilt else 0)
    refused = (
        {"files": {reasons[kind]: count for kind, count in large.spoilt.items()}} if large.spoilt else {}
    )
    if lost := large.counted["lost needs"]:
        refused["dependencies"] = {"its file is not taken": lost}
    assert report["refused"] == refused
    subjects = report["subjects"]
    assert subjects["builds"]["read"] == subjects["builds"]["written"] == large.counted["builds"]
    assert subjects["files"]["read"] == large.counted["files"]
    assert subjects["files"]["written"] == len(large.names) == imported.rows("builds_wheel")
    assert subjects["logs"]["written"] == large.counted["builds"]
    distinct = "count(DISTINCT (filename, accessed_at::date, accessed_by, arch))"
    expected = imported.original.sql(f"SELECT {distinct} FROM downloads")[0][0]
    assert imported.ask("SELECT sum(count) FROM simple_download")[0][0] == expected
    assert subjects["downloads"]["written"] == expected

    again = imported.manage(*imported.words())
    print(f"said again, it took {again.took_s:.0f} s", flush=True)
    for each in (report, told := json.loads(again.out)):
        each.pop("seconds")
    assert told == report

    published = imported.manage("rebuild_indexes")
    print(f"published in {published.took_s:.0f} s: {published.out}", flush=True)
    assert published.status == 0
    spoilt = {
        row[0] for row in imported.ask("SELECT key FROM packages_importrefusal WHERE subject = 'files'")
    }
    assert compare_pages(imported, spoilt) == len(large.names)
    compare_spots(imported, large.names, large.counted["builds"])
    checked = imported.manage("check_storage")
    print(checked.out)
    assert checked.status == 0


@pytest.mark.whole
def test_a_farm_of_six_hundred_files_is_the_same_here(imported):
    check(imported, 600)


@pytest.mark.imports
def test_a_farm_of_a_hundred_thousand_files_is_the_same_here(imported):
    check(imported, int(os.environ.get("PIWHEELS_IMPORT_FILES", "100000")))
