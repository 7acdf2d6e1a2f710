import subprocess
import sys

import pytest
import requests

from tests.fake_pypi import FakePyPI


@pytest.fixture
def upstream():
    with FakePyPI() as server:
        yield server


@pytest.mark.parametrize(
    "wanted, status, content",
    [
        ("", 200, b"0123456789"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=10-", 416, b""),
    ],
)
def test_a_part_of_a_file_can_be_had(upstream, wanted, status, content):
    upstream.add_sdist("demo", "1.0", b"0123456789")

    answer = requests.get(
        f"{upstream.url}/files/demo/demo-1.0.tar.gz", headers={"Range": wanted} if wanted else {}, timeout=5
    )

    assert (answer.status_code, answer.content) == (status, content)


def test_a_fault_happens_as_often_as_it_was_told_to(upstream):
    upstream.fail("/simple/", 503, times=2)

    codes = [requests.get(upstream.simple_url, timeout=5).status_code for _ in range(3)]

    assert codes == [503, 503, 200]
    assert upstream.paths() == ["/simple/"] * 3


def test_each_change_has_a_serial(upstream):
    serials = [upstream.serial]
    for change in (
        lambda: upstream.add_sdist("demo", "1.0"),
        lambda: upstream.yank("demo", "1.0"),
        lambda: upstream.unyank("demo", "1.0"),
        lambda: upstream.quarantine("demo"),
        lambda: upstream.remove("demo"),
    ):
        change()
        serials.append(upstream.serial)

    assert serials == sorted(set(serials))


def test_pip_installs_from_it(upstream, tmp_path):
    upstream.add_sdist("Demo.Pkg", "1.0")
    upstream.add_wheel("other", "2.0")

    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", upstream.simple_url),
            *("--target", tmp_path, "demo-pkg", "other"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert {"demo_pkg.py", "other.py"} <= {path.name for path in tmp_path.iterdir()}
