"""`check_storage`, `check_packages` and `rebuild_indexes` find all that is wrong, and nothing else."""

import random
from collections import Counter
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest

from tests.faults.conftest import CALM

pytestmark = [pytest.mark.whole, pytest.mark.faults]

OF_EACH = 8
# Looks two days from now, when what is no row's has been there for too long, at logs too.
LATER = """
import json
from datetime import timedelta
from builds.files.checking import Check
from builds.files.stored import PREFIXES
from packages.clock import database_now
check = Check.of_storage(database_now() + timedelta(days=2), reads=True, with_logs=True)
steps = [step for prefix in PREFIXES for step in check.part(prefix)]
print(json.dumps([(str(fault.kind), fault.name) for step in steps for fault in step.faults]))
"""
# Of each kind how a row comes to say what is not so.
TAMPERED = {
    "size": "size = size + 1",
    "metadata": f"metadata_sha256 = '{'0' * 64}'",
    "taken down": "taken_down_at = now(), withdrawn_at = now()",
    "found again": "lost_at = now(), withdrawn_at = now()",
}
# How many of the folders of packages are harmed in which way.
OF_TREE = ("other page", "missing page", "extra page", "missing file", "other file", "extra file")


def shared_out(things, ways):
    """Give each way to do harm with some of the things, as many for each."""
    for number, way in enumerate(ways):
        yield way, things[number * OF_EACH : (number + 1) * OF_EACH]


def spoil(path, chance):
    """Change one bit of a file, wherever else it has a name."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1
    path.write_bytes(content)


def told(done):
    """Return what a check found, by its kind and place."""
    lines = [line.split(": ")[:2] for line in done.stdout.splitlines()]
    return Counter((kind, place) for kind, place in lines)


def harm_tree(tree, names):
    """Harm some packages in each of the ways; return what must be found."""
    wanted = {("extra folder", f"simple/stranger{number}") for number in range(OF_EACH)}
    for number in range(OF_EACH):
        (tree / "simple" / f"stranger{number}").mkdir()
    for kind, some in shared_out(names, OF_TREE):
        for name in some:
            folder = tree / "simple" / name
            (wheel,) = folder.glob("*.whl")
            path = {
                "other page": folder / "index.html",
                "missing page": folder / "index.v1_json",
                "extra page": tree / "of-nobody" / "simple" / name / "index.html",
                "extra file": folder / f"{name}-9.0-py3-none-any.whl",
            }.get(kind, wheel)
            if not kind.startswith("extra"):
                content = path.read_bytes()
                # What is the same in all indexes is one file.
                path.unlink()
            if kind.startswith("other"):
                path.write_bytes(content.replace(b"sha256=", b"sha256=tampered"))
            elif kind.startswith("extra"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("Nobody knows this.")
            wanted.add((kind, str(path.relative_to(tree))))
    return wanted


def harm_storage(files, url, wheels, chance):
    """Harm some wheels in each of the ways; return what must be found now, and what in two days."""
    ways = dict(shared_out(wheels, ("spoilt", "missing", "lost metadata", *TAMPERED)))
    now, later = set(), set()
    for kind, some in ways.items():
        for path in some:
            metadata = path.with_name(f"{path.name}.metadata")
            if kind == "spoilt":
                spoil(path, chance)
            found = {"size": "spoilt", "metadata": "spoilt", "lost metadata": "missing"}.get(kind, kind)
            places = [metadata if "metadata" in kind else path]
            if found == "missing":
                places[0].unlink()
            elif kind == "taken down":
                # What it was made of stays on record.
                places = [path, metadata]
            now |= {(found, str(place.relative_to(files))) for place in places}
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for kind, change in TAMPERED.items():
            filenames = [path.name for path in ways[kind]]
            cursor.execute(f"UPDATE builds_wheel SET {change} WHERE filename = ANY(%s)", (filenames,))
    for number, path in enumerate(wheels[-OF_EACH:]):
        stranger = path.with_name(f"stranger{number}-1.0-py3-none-any.whl")
        stranger.write_bytes(b"Nobody knows this.")
        half = path.with_name(f".new-{number}")
        half.write_bytes(b"Half")
        later |= {("stranger", str(stranger.relative_to(files))), ("leftover", str(half.relative_to(files)))}
    return now, later


@pytest.mark.parametrize("world", [replace(CALM, packages=8 * OF_EACH, builders=3)], indirect=True)
def test_T48_an_audit_finds_every_fault_and_nothing_else(world, record_property):
    farm, chance = world.farm, random.Random(1)
    farm.wait_until(world.is_calm)
    # Who would mend some of it.
    for name in ("beat", "worker"):
        farm.end(name)
    files = farm.var / "files"
    assert "all is well" in farm.manage("check_packages", "--hashes").stdout
    assert "all is well" in farm.manage("check_storage", "--hashes").stdout
    # These builders send no logs.
    unlogged = {(kind, name) for kind, name in farm.ask(LATER)}
    assert Counter(kind for kind, _ in unlogged) == {"without log": 8 * OF_EACH}

    in_tree = harm_tree(farm.var / "public", world.names)
    said = farm.manage("check_packages", "--hashes")
    assert said.returncode == 1
    assert told(said) == Counter(in_tree)
    farm.manage("rebuild_indexes")
    assert "all is well" in farm.manage("check_packages", "--hashes").stdout

    wheels = sorted(files.rglob("*.whl"))
    assert len(wheels) == 8 * OF_EACH
    chance.shuffle(wheels)
    now, later = harm_storage(files, farm.postgres.url, wheels, chance)
    said = farm.manage("check_storage", "--hashes")
    assert said.returncode == 1
    assert told(said) == Counter(now)
    assert Counter((kind, name) for kind, name in farm.ask(LATER)) == Counter(now | later | unlogged)
    record_property("faults", len(in_tree) + len(now) + len(later))
