"""E: the real pip and the real uv, with this index as their only one (standards.md 1.5)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from simple import downloads
from simple.tests.rows import make_wheel

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]


def run(tmp_path, *command):
    """Run an installer that knows nothing of this machine's configuration."""
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
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def pip(tmp_path, live_server, *arguments):
    index = ["--index-url", f"{live_server.url}/simple/", "--no-cache-dir", "--disable-pip-version-check"]
    return run(tmp_path, sys.executable, "-m", "pip", *arguments, *index)


def uv(tmp_path, live_server, *arguments):
    command = [str(Path(sys.executable).with_name("uv")), "pip", *arguments]
    return run(tmp_path, *command, "--default-index", f"{live_server.url}/simple", "--python", sys.executable)


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
    make_wheel(tag="py3-none-any")

    pip(tmp_path, live_server, "download", "demo", "--uploaded-prior-to", "2999-01-01T00:00:00Z")
    uv(tmp_path, live_server, "install", "demo", "--exclude-newer", "2999-01-01", "--target", "got")

    assert (tmp_path / "got" / "demo.py").exists()


def test_E04_pip_agrees_with_the_metadata_beside_the_wheel(live_server, tmp_path):
    make_wheel(tag="py3-none-any", requires_python=">=3.9")

    pip(tmp_path, live_server, "install", "demo", "--target", str(tmp_path / "got"))

    assert (tmp_path / "got" / "demo.py").exists()


def test_E06_a_yanked_version_is_not_chosen(live_server, tmp_path):
    older = make_wheel(tag="py3-none-any")
    make_wheel(number="2.0", tag="py3-none-any").yank("broken")

    pip(tmp_path, live_server, "download", "demo", "--dest", str(tmp_path / "got"))

    assert [path.name for path in (tmp_path / "got").iterdir()] == [older.filename]


def test_pip_reads_only_the_ranges_that_it_needs(live_server, tmp_path):
    make_wheel(tag="py3-none-any")

    pip(tmp_path, live_server, "download", "demo", "--use-feature=fast-deps", "--dest", str(tmp_path / "got"))

    assert len(list((tmp_path / "got").iterdir())) == 1
