"""A recipe's Debian packages come from a real archive, made here, through the real apt."""

import hashlib
import shutil
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import pytest

from builder import apt
from builder.client import DeadTicket
from builder.log import Log

TRIPLET = sysconfig.get_config_var("MULTIARCH")
LIBRARIES = f"usr/lib/{TRIPLET}"

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="a system without apt")


def make_deb(archive: Path, name: str, version: str, files: dict[str, str], depends: str = "") -> None:
    """Put a package into an archive; a file whose text begins with `->` is a link."""
    tree = archive / name
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            (tree / path).symlink_to(text[2:])
        else:
            (tree / path).write_text(text)
    about = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n"
    )
    about += f"Depends: {depends}\n" if depends else ""
    about += "Description: a test\n"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN" / "control").write_text(about)
    deb = archive / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(deb)], check=True, capture_output=True)
    shutil.rmtree(tree)
    with (archive / "Packages").open("a") as index:
        sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
        index.write(f"{about}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sha256}\n\n")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive with a -dev package and what it depends on, which is all that apt knows of."""
    archive = tmp_path / "archive"
    archive.mkdir()
    files = {
        "usr/include/knot.h": "#define KNOT 1\n",
        f"{LIBRARIES}/pkgconfig/knot.pc": "prefix=/usr\nlibdir=/usr/lib\nName: knot\nVersion: 2\n",
        # Where the library itself is already installed, only its -dev package is unpacked.
        f"{LIBRARIES}/libknot.so": "->libc.so.6",
        "DEBIAN/shlibs": "libknot 2 libknot2\n",
    }
    make_deb(archive, "libknot-dev", "2.1-1", files, depends="knot-data")
    make_deb(archive, "knot-data", "2.1-1", {"usr/share/knot/table": "1 2 3\n"})
    make_deb(archive, "knot-broken", "1", {}, depends="nothing-of-that-name")
    state = tmp_path / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (state / folder).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [trusted=yes] file:{archive} ./\n")
    (state / "apt.conf").write_text(
        f'Dir::State::Lists "{state}/lists"; Dir::Cache "{state}/cache";\n'
        f'Dir::Etc::SourceList "{state}/sources.list"; Dir::Etc::SourceParts "{state}/parts";\n'
        'APT::Sandbox::User "";\n'
    )
    monkeypatch.setitem(apt._ENVIRONMENT, "APT_CONFIG", str(state / "apt.conf"))
    subprocess.run(["apt-get", "-qq", "update"], env=apt._ENVIRONMENT, check=True)
    return archive


@pytest.fixture
def unpack(tmp_path):
    """Unpacks packages into a folder of a build."""
    folder = tmp_path / "place"
    folder.mkdir()
    stop = threading.Event()
    with Log(tmp_path) as log:

        def unpack(*packages, is_shown=True):
            return apt.unpack_extra(packages, folder, log, stop, is_shown=is_shown)

        unpack.stop, unpack.log = stop, log
        yield unpack


def test_packages_and_what_they_depend_on_are_unpacked_for_one_build(archive, unpack):
    extra = unpack("libknot-dev")

    assert sorted(extra.packages) == ["knot-data (2.1-1)", "libknot-dev (2.1-1)"]
    assert (extra.root / "usr/include/knot.h").read_text() == "#define KNOT 1\n"
    assert (extra.root / "usr/share/knot/table").read_text() == "1 2 3\n"
    assert b"unpacking" in unpack.log.read(0, 1000)


def test_what_names_its_own_place_names_the_one_in_the_sandbox(archive, unpack):
    extra = unpack("libknot-dev")

    described = (extra.root / LIBRARIES / "pkgconfig/knot.pc").read_text()
    assert "prefix=/run/apt/usr\n" in described
    assert "libdir=/run/apt/usr/lib\n" in described
    assert (extra.root / LIBRARIES / "libknot.so").readlink() == Path(f"/{LIBRARIES}/libc.so.6")


def test_without_a_sandbox_a_build_sees_them_where_they_lie(archive, unpack):
    extra = unpack("libknot-dev", is_shown=False)

    assert extra.environment(path="/bin")["CPATH"].endswith(str(extra.root / "usr/include"))
    assert f"prefix={extra.root}/usr\n" in (extra.root / LIBRARIES / "pkgconfig/knot.pc").read_text()


def test_dpkg_would_know_of_their_libraries(archive, unpack):
    extra = unpack("libknot-dev")

    assert (extra.database / "libknot-dev:all.shlibs").read_text() == "libknot 2 libknot2\n"
    assert f"/{LIBRARIES}/libknot.so\n" in (extra.database / "libknot-dev:all.list").read_text()


@pytest.mark.parametrize("name", ["no-such-package", "knot-broken"])
def test_what_apt_cannot_give_is_said_in_its_words(archive, unpack, name):
    with pytest.raises(apt.NoSuchPackages, match=r"no-such-package|nothing-of-that-name"):
        unpack(name)


def test_a_package_whose_bytes_are_not_the_archives_is_not_unpacked(archive, unpack):
    deb = archive / "knot-data_2.1-1_all.deb"
    deb.write_bytes(deb.read_bytes()[:-1] + b"x")

    with pytest.raises(apt.NotFetched, match="apt-get failed"):
        unpack("libknot-dev")


@pytest.fixture
def elsewhere(tmp_path):
    """Name another place of the archive to apt; it then has lists of its own, and not what lies there."""

    def elsewhere(address):
        state = tmp_path / "apt"
        (state / "sources.list").write_text(f"deb [trusted=yes] {address} ./\n")
        with (state / "apt.conf").open("a") as file:
            file.write('Acquire::Retries "0";\n')

    return elsewhere


def test_lists_that_are_older_than_the_archive_are_read_anew_for_the_build(archive, unpack, elsewhere):
    elsewhere(f"copy:{archive}")
    subprocess.run(["apt-get", "-qq", "update"], env=apt._ENVIRONMENT, check=True)
    (archive / "knot-data_2.1-1_all.deb").unlink()
    make_deb(archive, "knot-data", "2.2-1", {"usr/share/knot/table": "4 5 6\n"})

    extra = unpack("libknot-dev")

    assert sorted(extra.packages) == ["knot-data (2.2-1)", "libknot-dev (2.1-1)"]
    assert (extra.root / "usr/share/knot/table").read_text() == "4 5 6\n"
    assert b"trying again with what the archive has now" in unpack.log.read(0, 10_000)


def test_a_package_that_came_after_the_lists_is_found(archive, unpack, elsewhere):
    elsewhere(f"copy:{archive}")
    subprocess.run(["apt-get", "-qq", "update"], env=apt._ENVIRONMENT, check=True)
    make_deb(archive, "knot-new", "1", {"usr/share/knot/new": "1\n"})

    assert unpack("knot-new").packages == ("knot-new (1)",)


def test_an_archive_that_does_not_answer_says_nothing_of_the_recipe(archive, unpack, elsewhere):
    elsewhere("http://127.0.0.1:9")

    with pytest.raises(apt.NotFetched, match="apt-get failed"):
        unpack("knot-new")


def test_a_build_that_is_called_off_does_not_wait_for_apt(archive, unpack, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "apt-get"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setitem(apt._ENVIRONMENT, "PATH", f"{slow.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    threading.Timer(0.3, unpack.stop.set).start()
    began = time.monotonic()

    with pytest.raises(DeadTicket):
        unpack("libknot-dev")

    assert time.monotonic() - began < 10
