import os
import subprocess
import sys
import zipfile

import pytest

from tests.sdists import c_sdist, failing_sdist, make_wheel, pure_sdist, slow_sdist


@pytest.fixture
def wheel(tmp_path):
    """Run a real `pip wheel` over an sdist, without any index; return how it ended and the wheels."""

    def build(filename, content, **environment):
        (tmp_path / filename).write_bytes(content)
        command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-index", "--no-cache-dir"]
        ended = subprocess.run(
            [*command, "--wheel-dir", tmp_path / "out", tmp_path / filename],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        return ended, sorted((tmp_path / "out").glob("*.whl"))

    return build


def run(code, *wheels):
    """Run code that imports from installed wheels, as they are unpacked."""
    target = wheels[0].parent / "installed"
    for path in wheels:
        zipfile.ZipFile(path).extractall(target)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, cwd=target, capture_output=True, text=True).stdout


def test_a_c_sdist_becomes_a_wheel_of_this_machine(wheel):
    ended, [built] = wheel("demo_pkg-1.0.tar.gz", c_sdist("Demo.Pkg", "1.0", libraries=("m",)))

    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert ended.returncode == 0, ended.stdout
    assert built.name.startswith(f"demo_pkg-1.0-{python}-{python}-linux_")
    assert run("import demo_pkg; print(demo_pkg.answer())", built) == "42\n"


def test_a_wheel_of_another_platform_says_so(wheel):
    _, [built] = wheel("demo-1.0.tar.gz", c_sdist("demo", "1.0"), _PYTHON_HOST_PLATFORM="linux-armv7l")

    assert built.name.endswith("-linux_armv7l.whl")
    assert b"linux_armv7l" in zipfile.ZipFile(built).read("demo-1.0.dist-info/WHEEL")


def test_a_pure_sdist_becomes_the_same_wheel_each_time(wheel):
    _, [first] = wheel("demo-1.0.tar.gz", pure_sdist("demo", "1.0"), SOURCE_DATE_EPOCH="1700000000")
    content = first.read_bytes()
    first.unlink()

    _, [again] = wheel("demo-1.0.tar.gz", pure_sdist("demo", "1.0"), SOURCE_DATE_EPOCH="1700000000")

    assert again.name == "demo-1.0-py3-none-any.whl"
    assert again.read_bytes() == content
    assert run("import demo; print(demo.ANSWER)", again) == "42\n"


def test_a_failing_sdist_fails_with_its_message(wheel):
    ended, built = wheel("demo-1.0.tar.gz", failing_sdist("demo", "1.0", 'no "luck"'))

    assert (ended.returncode, built) == (1, [])
    assert 'RuntimeError: no "luck"' in ended.stdout + ended.stderr


def test_a_slow_sdist_shows_that_it_lives(wheel):
    ended, built = wheel("demo-1.0.tar.gz", slow_sdist("demo", "1.0", 0.5))

    assert len(built) == 1
    assert (ended.stdout + ended.stderr).count("still building") >= 2


def test_a_made_wheel_is_whole(tmp_path):
    (tmp_path / "demo-1.0-py2.py3-none-any.whl").write_bytes(make_wheel("demo", "1.0", "py2.py3-none-any"))

    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-index", "--target", tmp_path / "to"),
            tmp_path / "demo-1.0-py2.py3-none-any.whl",
        ],
        check=True,
    )

    assert (tmp_path / "to" / "demo.py").exists()
