import hashlib
import io
import random
import re
import subprocess
import sys
import tarfile

import pytest
import requests

from tests.fake_pypi_pages import SIMPLE_JSON
from tests.quick_sdists import quick_sdist
from tests.synthetic_pypi import SyntheticPyPI


@pytest.fixture
def upstream():
    with SyntheticPyPI(projects=600, seed=1, versions=4) as server:
        yield server


def get(path, upstream):
    answer = requests.get(upstream.url + path, headers={"Accept": SIMPLE_JSON}, timeout=60)
    answer.raise_for_status()
    return answer.json()


def names(upstream):
    return [project["name"] for project in get("/simple/", upstream)["projects"]]


def journal(upstream):
    return [entry.row for entry in upstream.since(0, 1_000_000)]


def test_a_synthetic_pypi_shows_all_of_its_projects_and_stores_none(upstream):
    found = names(upstream)

    kinds = set()
    for name in found[:100]:
        files = get(f"/simple/{upstream.catalogue.name(found.index(name))}/", upstream)["files"]
        kinds |= {re.sub(r".*(\.tar\.gz|any\.whl|64\.whl)$", r"\1", file["filename"]) for file in files}
    assert len(found) == 598, "two are in quarantine"
    assert kinds == {".tar.gz", "any.whl", "64.whl"}
    assert upstream.catalogue.changed == {}


def test_the_same_seed_gives_the_same_pypi_and_another_gives_another(upstream):
    upstream.happen(300)
    with SyntheticPyPI(projects=600, seed=1, versions=4) as twin:
        twin.happen(300)
        assert journal(twin) == journal(upstream)
        assert list(twin.listed()[1]) == list(upstream.listed()[1])
    with SyntheticPyPI(projects=600, seed=2, versions=4) as other:
        other.happen(300)
        assert journal(other) != journal(upstream)
        assert not {*names(other)} & {*names(upstream)}


@pytest.mark.parametrize("suffix", [".tar.gz", ".whl"])
def test_the_bytes_of_a_file_fit_its_digest_and_its_size(upstream, suffix):
    pages = (get(f"/simple/{upstream.catalogue.name(number)}/", upstream) for number in range(100))
    file = next(file for page in pages for file in page["files"] if file["filename"].endswith(suffix))

    body = requests.get(file["url"], timeout=60).content

    assert (len(body), hashlib.sha256(body).hexdigest()) == (file["size"], file["hashes"]["sha256"])


def test_pip_builds_a_quick_sdist(tmp_path):
    (tmp_path / "demo-1.0.tar.gz").write_bytes(quick_sdist("demo", "1.0", ">=3.9"))

    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--quiet"),
            *("--wheel-dir", tmp_path, tmp_path / "demo-1.0.tar.gz"),
        ],
        check=True,
    )

    assert (tmp_path / "demo-1.0-py3-none-any.whl").exists()


def test_a_quick_sdist_is_a_whole_archive():
    with tarfile.open(fileobj=io.BytesIO(quick_sdist("Demo.Pkg", "1.0"))) as archive:
        assert archive.extractfile("demo_pkg-1.0/PKG-INFO").read().startswith(b"Metadata-Version")
        assert len(archive.getnames()) == 5


def test_all_that_can_happen_does(upstream):
    upstream.happen(3000)

    happened = {re.sub(r" (file|Owner|from) .*", r" \1", row[3]) for row in journal(upstream)}
    assert happened == {
        *("create", "new release", "add source file", "add py3 file", "add cp311 file", "add Owner"),
        *("yank release", "unyank release", "remove file", "remove release", "remove project"),
        *("release quarantined", "release quarantine cleared"),
        *("project quarantined", "project quarantine cleared"),
        *("rename from", "update summary", "docdestroy", "nuke user"),
    }


def test_pages_and_root_have_the_serial_of_the_journal(upstream):
    upstream.happen(300)
    last = {row[0].lower().replace("_", "-").replace(".", "-"): row[4] for row in journal(upstream)}

    shown = {name: serial for name, serial in upstream.listed()[1]}

    assert len(last) > 100
    for spelling, serial in shown.items():
        name = spelling.lower().replace("_", "-").replace(".", "-")
        if name in last:
            assert get(f"/simple/{name}/", upstream)["meta"]["_last-serial"] == serial == last[name]


def test_a_file_that_was_removed_never_has_other_bytes(upstream):
    digests: dict[str, str] = {}
    for _ in range(10):
        upstream.happen(100)
        for project in upstream.catalogue.changed.values():
            for file in project.files if project else []:
                assert digests.setdefault(file.filename, file.sha256) == file.sha256
    assert len(digests) > 500


def test_names_do_not_grow_however_often_a_newcomer_gives_rise_to_another():
    with SyntheticPyPI(3, seed=1, versions=2) as upstream:
        for number in range(200):
            upstream.do("begin", upstream.somebody(random.Random(number)), random.Random(number))

        assert max(len(name) for name in upstream.catalogue.changed) < 40
