"""E: the real pip and the real uv, with this index as their only one (standards.md 1.5)."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from builds.models import Wheel
from simple import downloads
from simple.tests.rows import make_rebuild, make_wheel

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]


def run(tmp_path, *command, fails=False):
    """Run an installer that knows nothing of this machine's configuration, and return what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment = {
        **kept,
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def pip(tmp_path, live_server, *arguments, **options):
    index = ["--index-url", f"{live_server.url}/simple/", "--no-cache-dir", "--disable-pip-version-check"]
    return run(tmp_path, sys.executable, "-m", "pip", *arguments, *index, **options)


def uv(tmp_path, live_server, *arguments, **options):
    command = [str(Path(sys.executable).with_name("uv")), "pip", *arguments]
    index = ["--default-index", f"{live_server.url}/simple", "--python", sys.executable]
    return run(tmp_path, *command, *index, **options)


def stored(wheel):
    with default_storage.open(wheel.path) as file:
        return file.read()


def test_E01_pip_downloads_a_wheel(live_server, tmp_path):
    wheel = make_wheel("De.mo", tag="py3-none-any", requires_python=">=3.9")

    pip(tmp_path, live_server, "download", "de_mo", "--no-deps", "--dest", str(tmp_path / "got"))

    assert (tmp_path / "got" / wheel.filename).read_bytes() == stored(wheel)
    assert downloads.total() == 1


def test_E01_uv_installs_a_wheel(live_server, tmp_path):
    make_wheel("De.mo", number="1!2.0+pi.1", tag="py3-none-any", requires_python=">=3.9")

    uv(tmp_path, live_server, "install", "de_mo", "--target", str(tmp_path / "got"))

    assert (tmp_path / "got" / "de_mo.py").read_text() == "ANSWER = 42\n"


def test_E02_E03_cutoff_dates_find_our_upload_times(live_server, tmp_path):
    wheel = make_wheel(tag="py3-none-any")
    before, after = (
        (wheel.published_at + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ") for hours in (-1, 1)
    )

    for cutoff, fails in ((before, True), (after, False)):
        pip(tmp_path, live_server, "download", "demo", "--uploaded-prior-to", cutoff, fails=fails)
        into = ["--target", str(tmp_path / "got")]
        uv(tmp_path, live_server, "install", "demo", "--exclude-newer", cutoff, *into, fails=fails)
        assert (tmp_path / wheel.filename).exists() is not fails
        assert (tmp_path / "got" / "demo.py").exists() is not fails


def test_E04_pip_reads_the_metadata_beside_the_wheel_and_agrees_with_it(live_server, tmp_path):
    wheel = make_wheel(tag="py3-none-any", requires_python=">=3.9")

    said = pip(tmp_path, live_server, "install", "-vv", "demo", "--target", str(tmp_path / "got"))

    url = f"{live_server.url}/simple/demo/{wheel.filename}.metadata"
    assert f"Obtaining dependency information for demo from {url}" in said
    assert (tmp_path / "got" / "demo.py").exists()


def test_E06_a_yanked_version_is_not_chosen(live_server, tmp_path):
    older = make_wheel(tag="py3-none-any")
    make_wheel(number="2.0", tag="py3-none-any").yank("broken")

    pip(tmp_path, live_server, "download", "demo", "--dest", str(tmp_path / "got"))

    assert [path.name for path in (tmp_path / "got").iterdir()] == [older.filename]


def locked(tmp_path, wheel):
    """Return a lock file that has the hash of one wheel."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"demo==1.0 --hash=sha256:{wheel.sha256}\n")
    return str(path)


@pytest.mark.parametrize("tag", ["py3-none-any", "py2.py3-none-any"])
def test_E08_a_rebuild_leaves_lock_files_as_they_are(live_server, tmp_path, tag):
    first = make_wheel(tag=tag)
    second = make_rebuild(first, answer=43)
    third = make_rebuild(second, answer=44)

    for wheel in (first, second, third):
        lock = locked(tmp_path, wheel)
        into = tmp_path / wheel.filename
        pip(tmp_path, live_server, "download", "--require-hashes", "-r", lock, "--dest", str(into))
        assert (into / wheel.filename).read_bytes() == stored(wheel)
        uv(tmp_path, live_server, "install", "--require-hashes", "-r", lock, "--target", str(into / "uv"))
        assert f"ANSWER = {42 + [first, second, third].index(wheel)}" in (into / "uv/demo.py").read_text()


@pytest.mark.parametrize("wanted", ["demo", "demo==1.0"])
def test_E08_whoever_has_no_lock_file_gets_the_rebuild(live_server, tmp_path, wanted):
    # The tenth rebuild is higher than the ninth only as a number.
    wheels = [make_wheel(tag="py3-none-any")]
    for answer in range(43, 53):
        wheels.append(make_rebuild(wheels[-1], answer))

    said = pip(tmp_path, live_server, "download", wanted, "--dest", str(tmp_path / "pip"))
    uv(tmp_path, live_server, "install", wanted, "--target", str(tmp_path / "uv"))

    assert [path.name for path in (tmp_path / "pip").iterdir()] == ["demo-1.0-10-py3-none-any.whl"]
    assert (tmp_path / "uv/demo.py").read_text() == "ANSWER = 52\n"
    assert "yanked" not in said


def test_E08_pip_says_in_plain_words_why_a_locked_file_is_yanked(live_server, tmp_path):
    first = make_wheel(tag="py3-none-any")
    make_rebuild(first)

    said = pip(
        tmp_path, live_server, "install", "--require-hashes", "-r", locked(tmp_path, first), "--target", "got"
    )

    reason = "it was built anew, and demo-1.0-1-py3-none-any.whl replaces it"
    assert f"Reason for being yanked: {reason}" in said


def test_pip_reads_only_the_ranges_that_it_needs_of_a_wheel_without_metadata_beside_it(live_server, tmp_path):
    wheel = make_wheel(tag="py3-none-any", padding=os.urandom(1 << 20))
    Wheel.objects.filter(pk=wheel.pk).update(metadata_sha256="")

    said = pip(tmp_path, live_server, "download", "-vv", "demo", "--use-feature=fast-deps", "--dest", "got")

    path = f"/simple/demo/{wheel.filename}"
    assert f'"GET {path} HTTP/1.1" 206 ' in said
    assert f'"GET {path}.metadata' not in said
    assert (tmp_path / "got" / wheel.filename).exists()
