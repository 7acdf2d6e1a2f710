import hashlib
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile

import pytest

from builder.tests.waiting import until
from builds.files.stored import TEMPORARY
from simple.bundle import archive, papers
from simple.bundle.archive import Member, WrongBytes
from simple.bundle.papers import Content, Entry

ENTRY = Entry("demo", "1.0", "demo-1.0-py3-none-any.whl", 9, "a" * 64, is_ours=True)

WRITE_FOR_EVER = """
import io, sys
from pathlib import Path
from simple.bundle.archive import Member, write

class Endless(io.RawIOBase):
    def read(self, size=-1):
        return bytes(size)

write(Path(sys.argv[1]), "bundle", {}, [Member("a.whl", 1 << 40, "0" * 64, Endless)])
"""


def member(name, content=b"some wheel"):
    return Member(name, len(content), hashlib.sha256(content).hexdigest(), lambda: io.BytesIO(content))


def content(**fields):
    told = {"system": "Trixie", "pi": "", "python": "3.13", "processor": "armv7l", "entries": (ENTRY,)}
    return Content(**{**told, "apt": (), "present": (), **fields})


def test_the_same_content_is_the_same_bytes_in_whatever_order_and_hour(tmp_path):
    wheels = [member("b.whl", b"b" * 9_000_000), member("a.whl")]
    texts = {"README.txt": "read", "install.sh": "run"}

    archive.write(tmp_path / "one.zip", "bundle", texts, wheels)
    time.sleep(2.1)  # Zips count in steps of two seconds.
    archive.write(tmp_path / "two.zip", "bundle", dict(reversed(texts.items())), wheels[::-1])

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_wheels_are_stored_as_they_are_and_the_script_can_be_run(tmp_path):
    size = archive.write(tmp_path / "a.zip", "bundle", {"install.sh": "run"}, [member("a.whl")])

    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        script, wheel = found.infolist()
        assert found.testzip() is None
    assert size == (tmp_path / "a.zip").stat().st_size
    assert (wheel.filename, wheel.compress_type) == ("bundle/wheels/a.whl", zipfile.ZIP_STORED)
    assert stat.S_IMODE(script.external_attr >> 16) == 0o755


@pytest.mark.parametrize("spoilt", [b"some wheeL", b"some", b"some wheel and more", b""])
def test_a_wheel_of_other_bytes_leaves_nothing(tmp_path, spoilt):
    good = member("a.whl")
    bad = Member(good.filename, good.size, good.sha256, lambda: io.BytesIO(spoilt))

    with pytest.raises(WrongBytes, match=r"a\.whl"):
        archive.write(tmp_path / "a.zip", "bundle", {}, [bad])

    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_middle_leaves_nothing_of_that_name(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "a.zip")])
    until(lambda: any(path.stat().st_size > 1 << 20 for path in tmp_path.iterdir()))
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()

    [left] = tmp_path.iterdir()
    assert left.name.startswith(TEMPORARY)


def test_the_papers_name_each_wheel_with_its_hash():
    found = papers.papers(content())

    assert found["SHA256SUMS"] == f"{'a' * 64}  wheels/demo-1.0-py3-none-any.whl\n"
    assert found["requirements.txt"] == f"demo==1.0 --hash=sha256:{'a' * 64}\n"
    assert "For Trixie: Python 3.13 on armv7l." in found["README.txt"]
    assert "apt.txt" not in found
    assert "apt" not in found["README.txt"]


def test_the_papers_name_what_the_system_needs_and_has():
    found = papers.papers(content(apt=("libpq5", "libz"), present=("six==1.0",)))

    assert found["apt.txt"] == "libpq5 libz\n"
    assert "    sudo apt install libpq5 libz\n" in found["README.txt"]
    assert "    six==1.0\n" in found["README.txt"]


def packed_for_apt(name, repository, *, depends=""):
    """Make a Debian package; return what a list of packages says of it."""
    tree = repository / "tree" / name
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: somebody\nDescription: small\n"
    control += f"Depends: {depends}\n" if depends else ""
    (tree / "DEBIAN" / "control").write_text(control)
    file = repository / f"{name}_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, file], check=True, capture_output=True)
    deb = file.read_bytes()
    return (
        f"{control}Filename: ./{file.name}\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n\n"
    )


def apts_lines(readme, first):
    """Return what a shell is told in the part of the text that begins with this line, as nobody's root."""
    part = readme[readme.index(f"    {first}") :]
    return part[: part.index("\n\n")].replace("sudo ", "")


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get here")
def test_what_the_wheels_need_comes_without_a_network_with_all_that_it_needs_itself(tmp_path):
    repository = tmp_path / "repository"
    needs = {"libpq5": "libldap2, libc-base", "libldap2": "libsasl2", "libsasl2": "", "libc-base": ""}
    listed = {name: packed_for_apt(name, repository, depends=needs[name]) for name in needs}
    (repository / "Packages").write_text("".join(listed.values()))
    installed = {
        name: text.replace("Version", "Status: install ok installed\nVersion")
        for name, text in listed.items()
    }
    # The machine with the network has all of it already, and the one without has the base alone.
    (tmp_path / "helpers").write_text("".join(installed.values()))
    (tmp_path / "status").write_text(installed["libc-base"])
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sources").write_text(f"deb [trusted=yes] copy:{repository} ./\n")
    readme = papers.papers(content(apt=("libpq5",)))["README.txt"]

    def told(lines, *, status, sources):
        own = {"Dir::State": "state", "Dir::State::status": status, "Dir::Cache": "cache", "Dir::Log": "log"}
        own |= {"Dir::Etc::sourcelist": sources}
        text = "".join(f'{name} "{tmp_path / value}";\n' for name, value in own.items())
        text += 'Dir::Etc::sourceparts "-";\nDir::Etc::parts "-";\nDebug::NoLocking "1";\n'
        text += 'APT::Sandbox::User "root";\nAPT::Get::Assume-Yes "1";\n'
        (tmp_path / "apt.conf").write_text(text)
        done = subprocess.run(
            ["sh", "-euc", lines],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "APT_CONFIG": str(tmp_path / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    told(apts_lines(readme, "mkdir"), status="helpers", sources="sources")
    shutil.rmtree(repository)
    install = apts_lines(readme, "sudo apt-get install --no-install-recommends ./debs")
    words = told(f"{install} --simulate", status="status", sources="none").splitlines()

    wanted = {"libpq5", "libldap2", "libsasl2"}
    assert {file.name.partition("_")[0] for file in (tmp_path / "debs").glob("*.deb")} == wanted
    assert {word.split()[1] for word in words if word.startswith("Inst ")} == wanted


def test_only_names_of_debian_packages_get_on_apts_line():
    named = ["libpq5", "g++", "-y", "a; rm -rf /", "$(id)", "Lib", "", "x", "lib\nx", "libpq5"]

    assert papers.apt_names(named) == ("g++", "libpq5")


@pytest.mark.parametrize(("is_systems", "is_in_environment"), [(True, False), (True, True), (False, False)])
def test_the_script_says_so_where_python_is_the_systems(tmp_path, is_systems, is_in_environment):
    """As Debian's is (PEP 668): pip would refuse, in words about all that one could do."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    texts = papers.papers(content(python=version))
    for name in ("install.sh", "requirements.txt"):
        (tmp_path / name).write_text(texts[name])
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'').hexdigest()}  empty\n")
    (tmp_path / "empty").touch()
    if is_systems:
        (tmp_path / "EXTERNALLY-MANAGED").touch()
    # A Python that says where it is, and for which pip is only a word.
    base = sys.prefix if not is_in_environment else "/usr"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, sysconfig\n"
        f"sys.prefix, sys.base_prefix = {sys.prefix!r}, {base!r}\n"
        f"sysconfig.get_path = lambda name: {str(tmp_path)!r}\n"
    )
    (tmp_path / "pip.py").write_text("print('installed')\n")

    done = subprocess.run(
        ["sh", tmp_path / "install.sh"],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    refuses = is_systems and not is_in_environment
    assert ("belongs to the system" in done.stderr, "installed" in done.stdout) == (refuses, not refuses)


def test_nothing_of_a_stranger_is_in_the_script():
    evil = Entry("evil", "1.0", "$(touch x).whl", 1, "a" * 64, is_ours=False, wanted_by=("`id`",))

    assert papers.papers(content(entries=(evil,)))["install.sh"] == papers.papers(content())["install.sh"]
