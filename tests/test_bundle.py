"""A bundle does what it is for: it installs where there is no network, and has what pip on that Pi takes."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builds.models import Build, Target
from builds.tests.rows import make_target
from packages import sync
from packages.clock import database_now
from simple.bundle import work
from simple.bundle.asking import Question, ask
from simple.machines import BY_KEY
from simple.tests.rows import make_package, make_version, make_wheel
from tests.fake_pypi import FakePyPI
from tests.farm import clean_environment
from tests.sdists import make_wheel as wheel_bytes

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

ABI = f"cp{sys.version_info.major}{sys.version_info.minor}"
HOST = platform.machine()
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}
PI = "cp313-cp313-linux_armv6l.linux_armv7l"
# Ten packages that need each other, some by extras, by markers and in a circle.
NEEDS = {
    "p0": ("p1>=1", "p2[fast]"),
    "p1": ("p3; sys_platform == 'linux'", "p9; sys_platform == 'win32'"),
    "p2": ("p4", "p5; extra == 'fast'"),
    "p3": ("p1",),
    "p4": ("p6~=1.0",),
    "p5": (),
    "p6": (),
    "p7": ("p8", "six-of-the-machine"),
    "p8": (),
    "p9": (),
}


@pytest.fixture
def upstream(settings):
    with FakePyPI() as fake:
        settings.PIWHEELS_PYPI = fake.simple_url
        yield fake


def made(text, target, model=None, installed=""):
    """Return a bundle that is made."""
    bundle = ask(Question(text, installed, target, model), "192.0.2.1", database_now())
    assert work.make_next(database_now)
    bundle.refresh_from_db()
    assert bundle.problem == ""
    return bundle


def needs_namespace():
    """Skip where nobody may make a network of their own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a network namespace takes root and util-linux's unshare")
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets not even root make a network namespace")


def host_target():
    return Target.objects.create(
        key=f"test-{DEBIAN[HOST]}-{ABI}",
        os_release="test",
        os_name="Test",
        architecture=DEBIAN[HOST],
        python=platform.python_version().rpartition(".")[0],
        abi=ABI,
        platform_tags=[f"linux_{HOST}"],
        glibc=platform.libc_ver()[1],
        is_active=True,
    )


def without_network(folder, *command):
    """Run a command where there is no network, not even a loopback."""
    # As on every Raspberry Pi: pip is told of an index; here, it would find none.
    config = folder / "pip.conf"
    config.write_text("[global]\nextra-index-url = https://nowhere.invalid/simple\n")
    environment = {**clean_environment(folder), "PIP_CONFIG_FILE": str(config)}
    return subprocess.run(
        ["unshare", "-n", *command],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_ten_packages_install_by_their_own_script_where_there_is_no_network(tmp_path, upstream):
    needs_namespace()
    target = host_target()
    for name, needs in NEEDS.items():
        if name in ("p5", "p8"):
            upstream.add_wheel(name, "1.2", wheel_bytes(name, "1.2", requires=needs))
            sync.look_up(sync.upstream(), name, now=database_now())
        else:
            tag = "py3-none-any" if name in ("p2", "p3") else f"{ABI}-{ABI}-linux_{HOST}"
            make_wheel(name, "1.2", tag, requires=needs, build=_build(name, target))
    place = tmp_path / "space station"
    place.mkdir()

    bundle = made("p0\np7\np9", target, installed="six-of-the-machine==1.0")
    shutil.copy(work.zip_path(bundle.digest), place / bundle.filename)
    folder = f"bundle-{bundle.digest[:12]}"
    unpacked = without_network(place, sys.executable, "-m", "zipfile", "-e", bundle.filename, ".")
    _have_installed(place, "six-of-the-machine")
    script = without_network(place, "env", f"PYTHON={sys.executable}", "sh", f"{folder}/install.sh", "venv")
    python = str(place / "venv/bin/python")
    tried = without_network(
        place, python, "-c", f"import {', '.join(NEEDS)}; print(sum(m.ANSWER for m in ({','.join(NEEDS)})))"
    )
    checked = without_network(place, python, "-m", "pip", "check")

    assert unpacked.returncode == 0, unpacked.stderr
    assert script.returncode == 0, script.stdout + script.stderr
    assert tried.stdout == "420\n", tried.stderr
    assert checked.returncode == 0, checked.stdout
    assert len(bundle.content["entries"]) == 10

    # A byte that changed on the way is found before anything is installed.
    wheel = next((place / folder / "wheels").iterdir())
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    spoilt = without_network(
        place, "env", f"PYTHON={sys.executable}", "sh", f"{folder}/install.sh", "other-venv"
    )
    assert spoilt.returncode != 0
    assert not (place / "other-venv").exists()


def _build(name, target):
    return Build.objects.create(
        version=make_version(make_package(name), "1.2"),
        target=target,
        state="succeeded",
        finished_at=database_now(),
    )


def _have_installed(place: Path, name: str) -> None:
    """Make the environment that the machine has, with one package in it."""
    wheel = place / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes(name, "1.0"))
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True, timeout=300)
    subprocess.run(
        [place / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-index", wheel],
        check=True,
        timeout=300,
        env=clean_environment(place),
    )
    wheel.unlink()


@pytest.mark.parametrize("model", ["4", "zero"])
def test_the_files_for_an_arm_target_are_those_that_its_pip_downloads(tmp_path, upstream, live_server, model):
    pi = make_target("test-armhf-cp313")
    processor = BY_KEY[model].bits32
    make_wheel("a", "1.0", PI, requires=("b[x]", "c>1"))
    make_wheel("a", "2.0", "cp312-cp312-linux_armv7l")
    make_wheel("b", "1.0", "py3-none-any", requires=("d; extra == 'x'",))
    make_wheel("c", "1.5", "cp313-cp313-linux_armv7l")
    make_wheel("c", "1.4", PI)
    make_wheel("c", "3.0rc1", PI)
    upstream.add_wheel("b", "1.1", wheel_bytes("b", "1.1", requires=("d<2; extra == 'x'", "e")))
    upstream.add_wheel("d", "1.9")
    upstream.add_wheel("d", "2.0")
    upstream.add_wheel("e", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64")
    upstream.add_wheel("e", "0.9")
    upstream.add_sdist("e", "1.1")
    for name in "bde":
        sync.look_up(sync.upstream(), name, now=database_now())

    bundle = made("a", pi, BY_KEY[model])
    downloaded = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", tmp_path / "wheels", "a"),
            *("--platform", f"linux_{processor}", "--python-version", "313", "--implementation", "cp"),
            *("--abi", "cp313", "--only-binary", ":all:", "--index-url", upstream.simple_url),
            *("--extra-index-url", f"{live_server.url}/test/simple/", "--no-cache-dir"),
        ],
        env=clean_environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert downloaded.returncode == 0, downloaded.stderr
    with zipfile.ZipFile(work.zip_path(bundle.digest)) as found:
        packed = {Path(name).name: found.read(name) for name in found.namelist() if name.endswith(".whl")}
    assert packed == {path.name: path.read_bytes() for path in (tmp_path / "wheels").iterdir()}
    assert len(packed) == 5
