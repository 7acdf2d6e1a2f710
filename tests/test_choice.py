"""`simple.choose` agrees with real installers about which file they take, in cases drawn at random."""

import bz2
import gzip
import io
import json
import platform
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from simple.choose import Installer, Machine, Offer, choose
from tests.fake_pypi import FakePyPI
from tests.farm import clean_environment
from tests.sdists import make_wheel, module_name, pure_sdist, stem

pytestmark = pytest.mark.whole

CASES = 100
PYTHON = platform.python_version()
ABI = f"cp{sys.version_info.major}{sys.version_info.minor}"
GLIBC = platform.libc_ver()[1]
HOST = platform.machine()

VERSIONS = ["1.0", "1.1", "2.0rc1", "2.0", "3.0.dev1"]
TAGS = [
    *("py3-none-any", "py2.py3-none-any", f"{ABI}-none-any", "py3-none-linux_armv7l"),
    *(f"{ABI}-{ABI}-linux_armv6l.linux_armv7l", f"{ABI}-{ABI}-linux_armv7l", f"{ABI}-{ABI}-linux_{HOST}"),
    *("cp38-abi3-linux_armv7l", f"cp38-abi3-linux_{HOST}", "cp27-cp27mu-linux_armv7l"),
    *(f"{ABI}-{ABI}-manylinux_2_17_{HOST}", f"{ABI}-{ABI}-manylinux_2_28_{HOST}.manylinux_2_17_{HOST}"),
    *(f"{ABI}-{ABI}-manylinux_2_99_{HOST}", f"{ABI}-{ABI}-win_amd64"),
]
REQUIRES = [None, None, None, ">=3.8", ">=3.99", "<3.9", "~=3.5", f"!={PYTHON}", "nonsense"]


def zipped(sdist):
    """Return a .tar.gz as a .zip."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive, zipfile.ZipFile(packed, "w") as into:
        for member in archive.getmembers():
            if member.isfile():
                into.writestr(member.name, archive.extractfile(member).read())
    return packed.getvalue()


PACKED = {
    ".tar.gz": lambda sdist: sdist,
    ".zip": zipped,
    ".tgz": lambda sdist: sdist,
    ".tar.bz2": lambda sdist: bz2.compress(gzip.decompress(sdist)),
    ".tar.Z": lambda sdist: sdist,
}


class Drawn:
    """Projects on two indexes, each of them a case of its own."""

    def __init__(self, seed, main, extra):
        self.random = random.Random(seed)
        self.indexes = {"main": main, "extra": extra}
        self.offers = {}
        # By what a wheel's module says, the index and the file.
        self.files = {}
        for number in range(CASES):
            self.draw(f"case{number}")

    def draw(self, name):
        """Draw the files of one project."""
        self.offers[name] = []
        for index in ("main", "extra") if self.random.random() < 0.5 else ("main",):
            for version in self.random.sample(VERSIONS, self.random.randint(1, 3)):
                yanked = "broken" if self.random.random() < 0.2 else None
                # As in what people build: the files of a version come from one source, and say the same.
                requires = self.random.choice(REQUIRES)
                for tag in self.random.sample(TAGS, self.random.randint(1, 3)):
                    self.add_wheel(name, version, tag, index, yanked, requires)
                if self.random.random() < 0.25:
                    self.add_sdist(name, version, index, yanked, requires)

    def add_wheel(self, name, version, tag, index, yanked, requires):
        build = self.random.choice(["", "", "1", "9", "10a"])
        filename = "-".join([stem(name, version), *([build] if build else []), tag]) + ".whl"
        said = len(self.files) + 1000
        self.files[said] = (index, filename)
        readable = requires if requires != "nonsense" else ""
        content = make_wheel(name, version, tag, build_tag=build, answer=said, requires_python=readable or "")
        file = self.indexes[index].add_wheel(
            name, version, content, filename=filename, requires_python=requires
        )
        file.yanked = yanked
        self.offers[name].append(Offer(filename, index, name, requires or "", yanked is not None))

    def add_sdist(self, name, version, index, yanked, requires):
        spelt = self.random.choice([version, re.sub(r"\.?(rc|dev)", r"-\1", version), f"v{version}"])
        suffix = self.random.choice(list(PACKED))
        filename = f"{self.random.choice([name, name.title()])}-{spelt}{suffix}"
        content = PACKED[suffix](pure_sdist(name, version))
        file = self.indexes[index].add_sdist(
            name, version, content, filename=filename, requires_python=requires
        )
        file.yanked = yanked
        self.offers[name].append(Offer(filename, index, name, requires or "", yanked is not None))

    def chosen(self, machine, installer):
        """Return what our own rules take of each project, told of the indexes in the installer's order."""
        first = "extra" if installer is Installer.UV else "main"
        found = {}
        for name, offers in self.offers.items():
            # Pages are sorted by us and by nobody else; what decides is the order of the indexes.
            ordered = sorted(offers, key=lambda offer: offer.index != first)
            taken = choose(ordered, machine, installer).taken
            found[name] = (taken.offer.index, taken.offer.filename) if taken else None
        return found


@pytest.fixture(scope="module")
def drawn():
    with FakePyPI() as main, FakePyPI() as extra:
        yield Drawn(20261126, main, extra)


def run(tmp_path, words, host):
    env = {**clean_environment(tmp_path), "_PYTHON_HOST_PLATFORM": host, "PIP_NO_BUILD_ISOLATION": "0"}
    return subprocess.run(
        words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("processor", [HOST, "armv7l", "armv6l"])
def test_pip_takes_what_we_say(drawn, tmp_path, processor):
    # pip believes a manylinux wheel of ARM only on a Python that is a program of ARM.
    machine = Machine(PYTHON, ABI, processor, GLIBC if processor == HOST else "")
    chosen = drawn.chosen(machine, Installer.PIP)
    usable = [name for name, taken in chosen.items() if taken]
    urls = [drawn.indexes["main"].simple_url, drawn.indexes["extra"].simple_url]
    index = ["--index-url", urls[0], "--extra-index-url", urls[1], "--no-cache-dir", "--ignore-installed"]
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", *index]

    done = run(tmp_path, [*words, "--quiet", "--report", "-", *usable], f"linux-{processor}")
    assert done.returncode == 0, done.stderr
    taken = {}
    for each in json.loads(done.stdout)["install"]:
        url = each["download_info"]["url"]
        at = "main" if url.startswith(urls[0].removesuffix("simple/")) else "extra"
        taken[each["metadata"]["name"]] = (at, url.rpartition("/")[2])

    assert taken == {name: chosen[name] for name in usable}
    refused = [name for name in chosen if name not in usable]
    assert refused
    for name in refused[:3]:
        assert "No matching distribution" in run(tmp_path, [*words, name], f"linux-{processor}").stderr


@pytest.mark.parametrize("processor", [HOST, "armv7l", "armv6l"])
def test_uv_takes_what_we_say(drawn, tmp_path, processor):
    machine = Machine(PYTHON, ABI, processor, GLIBC)
    chosen = drawn.chosen(machine, Installer.UV)
    usable = [name for name, taken in chosen.items() if taken]
    uv = str(Path(sys.executable).with_name("uv"))
    index = [
        "--default-index",
        drawn.indexes["main"].simple_url,
        "--index",
        drawn.indexes["extra"].simple_url,
    ]
    words = [uv, "pip", "install", "--no-deps", "--python", sys.executable, "--target", "got", *index]

    done = run(tmp_path, [*words, *usable], f"linux-{processor}")
    assert done.returncode == 0, done.stderr
    taken = {name: said(tmp_path / "got" / f"{module_name(name)}.py") for name in usable}

    assert {name: drawn.files.get(number) for name, number in taken.items()} == {
        name: chosen[name] if chosen[name][1].endswith(".whl") else None for name in usable
    }
    refused = [name for name in chosen if name not in usable]
    assert refused
    for name in refused:
        assert run(tmp_path, [*words, name], f"linux-{processor}").returncode != 0, name


def said(module):
    """Return what a module's ANSWER is."""
    return int(module.read_text().split("=")[1])


def test_the_cases_are_not_all_alike(drawn):
    for installer in Installer:
        machine = Machine(PYTHON, ABI, "armv7l", "")
        taken = list(drawn.chosen(machine, installer).values())
        assert 20 < len([each for each in taken if each]) < CASES
        assert {each[0] for each in taken if each} == {"main", "extra"}
