"""The whole way, for real: a version appears on a fake PyPI and ends in pip's and uv's environments."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm, clean_environment, new_environment

pytestmark = [pytest.mark.whole, pytest.mark.embedded]


@pytest.fixture(scope="module")
def upstream():
    with FakePyPI() as fake:
        fake.add_sdist("tiny", "1.0", sdists.c_sdist("tiny", "1.0"))
        fake.add_sdist("plain", "1.0", sdists.pure_sdist("plain", "1.0"))
        fake.add_sdist("broken", "1.0", sdists.failing_sdist("broken", "1.0", "no such luck"))
        yield fake


@pytest.fixture(scope="module")
def farm(tmp_path_factory, upstream, shared_database):
    watch = ("tiny", "plain", "broken")
    with Farm(tmp_path_factory.mktemp("farm"), upstream.simple_url, *watch, database=shared_database) as farm:
        yield farm


def test_a_version_becomes_a_wheel_that_pip_installs(farm, tmp_path):
    farm.wait_until(lambda: farm.files("tiny"))
    python = new_environment(tmp_path / "environment")

    subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--index-url",
            f"{farm.address}/simple/",
            "--only-binary",
            ":all:",
            "tiny",
        ],
        env=clean_environment(tmp_path),
        check=True,
    )

    subprocess.run([python, "-c", "import tiny, _tiny"], check=True)


def test_a_version_becomes_a_wheel_that_uv_installs(farm, tmp_path):
    farm.wait_until(lambda: farm.files("tiny"))
    python = new_environment(tmp_path / "environment")
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--python", python, "--default-index", f"{farm.address}/simple/"]

    subprocess.run([*install, "--only-binary", ":all:", "tiny"], env=clean_environment(tmp_path), check=True)

    subprocess.run([python, "-c", "import tiny, _tiny"], check=True)
    again = subprocess.run(
        [*install, "--only-binary", ":all:", "tiny"],
        check=True,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert "Installed" not in again.stderr


def test_every_listed_file_downloads_with_its_hash(farm):
    files = farm.wait_until(lambda: farm.files("plain"))

    for file in files.values():
        content = requests.get(f"{farm.address}/simple/plain/{file['filename']}", timeout=20).content
        assert hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"]


def test_what_cannot_be_built_says_why(farm):
    (build,) = farm.wait_until(lambda: farm.states("broken") == ["failed"] and farm.last_builds("broken"))

    page = requests.get(f"{farm.address}/builds/{build['build_id']}/", timeout=20).text
    assert "no such luck" in page
    assert requests.get(f"{farm.address}/simple/broken/", timeout=20).status_code == 404


def test_a_new_version_follows_by_itself_and_a_yank_too(farm, upstream):
    farm.wait_until(lambda: farm.files("plain"))

    upstream.add_sdist("plain", "2.0", sdists.pure_sdist("plain", "2.0"))
    upstream.yank("plain", "1.0", "it was wrong")

    files = farm.wait_until(lambda: len(farm.files("plain")) == 2 and farm.files("plain"))
    farm.wait_until(lambda: farm.files("plain")["plain-1.0-py3-none-any.whl"]["yanked"] == "it was wrong")
    assert files["plain-2.0-py3-none-any.whl"]["yanked"] is False


def test_a_source_with_another_hash_is_never_built(farm, upstream):
    file = upstream.add_sdist("swapped", "1.0", sdists.pure_sdist("swapped", "1.0"))
    file.announced = "0" * 64

    assert farm.manage("add_package", "swapped").returncode == 0

    (build,) = farm.wait_until(lambda: farm.states("swapped") == ["failed"] and farm.last_builds("swapped"))
    assert "sha256" in build["reason"]
    assert not farm.files("swapped")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no such name!"], "name"),
        (["nowhere-to-be-found"], "nowhere-to-be-found"),
        (["tiny", "9.9"], "9.9"),
        (["sourceless", "1.0"], "source"),
    ],
)
def test_a_package_that_cannot_be_added_is_answered_clearly(farm, upstream, words, says):
    upstream.add_wheel("sourceless", "1.0", sdists.make_wheel("sourceless", "1.0"))

    done = farm.manage("add_package", *words)

    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_one_version_can_be_asked_for(farm, upstream):
    for number in ("1.0", "2.0", "3.0"):
        upstream.add_sdist("chosen", number, sdists.pure_sdist("chosen", number))

    assert farm.manage("add_package", "chosen", "2.0").returncode == 0

    assert list(farm.wait_until(lambda: farm.files("chosen"))) == ["chosen-2.0-py3-none-any.whl"]


def test_T59_the_builder_saw_no_secret_of_the_farm(farm):
    token = (farm.var / "builder-token").read_text()
    builder = farm.processes["builder"].pid

    environment = Path(f"/proc/{builder}/environ").read_bytes().decode()

    assert "DATABASE_URL" not in environment
    assert "SECRET_KEY" not in environment
    assert token not in environment
    assert token not in farm.logs()
    assert (farm.var / "builder-token").stat().st_mode & 0o077 == 0
