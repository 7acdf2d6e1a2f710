"""The house itself: what `make check` and `make run` promise."""

import ast
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI, TestPyPI
from redis import Redis

import tests
from builder.rungs import FIRST_RELEASED
from builds.models import Target
from deploy import farm, play, redis

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("piwheels_site", "packages", "builds", "simple", "builder", "monitor")


def tracked():
    """Every file of the project as git knows it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines()]


def lint_imports(folder):
    linter = str(Path(sys.executable).with_name("lint-imports"))
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("builder/client.py", "import builds.models", "A builder knows nothing of Django"),
        ("monitor/client.py", "import builder.contract", "A monitor knows the API alone"),
        ("packages/sync.py", "import builds.queue", "Data flows one way"),
        ("builds/planning/plan.py", "import builds.dispatch", "In builds, too, data flows one way"),
        ("builds/wheels/verify.py", "import django", "Pure modules need no Django"),
        ("piwheels_site/pages/farm.py", "import piwheels_site.pages.queue", "Doors import no doors"),
        ("builds/api.py", "import builder.client", "Of the builder, the server knows the contract"),
    ],
)
def test_an_import_against_the_stream_is_found(tmp_path, module, line, contract):
    # What is compiled comes and goes while others run.
    compiled = shutil.ignore_patterns("__pycache__")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=compiled)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0

    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")

    found = lint_imports(tmp_path)
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout


def contracts():
    """The import contracts, by their names."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {contract["name"]: contract for contract in listed}


def test_a_new_module_of_the_builder_is_forbidden_to_the_server():
    shared = {
        *("builder.contract", "builder.elf", "builder.log_lines", "builder.platforms"),
        "builder.zip_directory",
    }
    # The server reaches it through `builder.elf`, and imports it nowhere itself.
    shared.add("builder.arm")
    modules = {f"builder.{path.stem}" for path in (ROOT / "builder").glob("[!_]*.py")}

    forbidden = contracts()["Of the builder, the server knows the contract"]["forbidden_modules"]

    assert sorted(modules - shared) == sorted(forbidden)


def test_what_says_that_it_needs_no_django_is_held_to_it():
    rooms = [ROOT / room for room in ROOMS if room not in ("builder", "monitor")]
    modules = [path for room in rooms for path in room.rglob("[!_]*.py")]

    pure = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules
        if re.search(r"\bno Django\b(?!')", ast.get_docstring(ast.parse(path.read_text())) or "", re.I)
    }

    assert pure - set(contracts()["Pure modules need no Django"]["source_modules"]) == set()


@pytest.mark.django_db
def test_of_each_python_that_is_built_for_a_builder_knows_how_old_it_is():
    """Or it never tries the tools of the time of a source."""
    assert set(Target.objects.values_list("python", flat=True)) <= set(FIRST_RELEASED)


def test_no_file_names_a_registry():
    hosts = {PyPI.netloc, PyPI.file_storage_domain, TestPyPI.netloc, TestPyPI.file_storage_domain}

    named = [
        (path.name, host)
        for path in tracked()
        if path.is_file()
        for host in hosts
        if host.encode() in path.read_bytes()
    ]

    assert named == []


def test_our_tests_go_before_those_that_a_dependency_installs():
    """linehaul's wheel has a package `tests` of its own at the top."""
    printing = "import tests.services; print(tests.__file__)"

    found = [
        subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        for words in (
            [sys.executable, "-c", printing],
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", printing],
        )
    ]

    assert {tests.__file__, *found} == {str(ROOT / "tests" / "__init__.py")}


def test_the_locks_have_hashes_and_no_address():
    for name in ("builder", "run", "dev"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        pins = [line for line in lines if "==" in line]
        assert pins
        assert all(line.endswith("\\") for line in pins)
        assert not any("://" in line or line.startswith("-") for line in lines)


def test_the_redis_that_pip_installs_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("PIWHEELS_REDIS_SERVER", redis.installed())
    server = subprocess.Popen(redis.command(tmp_path), stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if redis.socket(tmp_path).exists():
                break
            time.sleep(0.05)
        client = Redis(unix_socket_path=str(redis.socket(tmp_path)))
        assert client.ping()
        client.close()
    finally:
        server.terminate()
        server.wait(20)


def test_a_long_path_gets_a_short_socket(tmp_path):
    long = tmp_path / ("deep" * 30)
    long.mkdir()

    path = redis.socket(long)

    assert len(str(path).encode()) < 108
    assert redis.socket(long) == path
    shutil.rmtree(path.parent)


def test_two_farms_do_not_share_a_folder(tmp_path):
    held = farm.lock(tmp_path)

    with pytest.raises(farm.CannotStart, match="already, as process"):
        farm.lock(tmp_path)

    held.close()
    farm.lock(tmp_path).close()


def test_a_taken_port_is_said_before_anything_starts():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(farm.CannotStart, match="PORT=8001"):
            farm.check_port(other.getsockname()[1])


def test_nothing_leads_from_the_sample_to_a_farm_that_somebody_uses(tmp_path):
    elsewhere = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "PIWHEELS_STORAGE", "PIWHEELS_PUBLIC"), "x")

    env = play.settings(tmp_path, {**elsewhere, "PIWHEELS_VAR": "/srv/farm", "PATH": "/bin"})

    assert not elsewhere.keys() & env.keys()
    assert (env["PIWHEELS_VAR"], env["PATH"]) == (str(tmp_path), "/bin")


def test_the_builder_of_the_miniature_gets_no_secret(tmp_path):
    env = farm.settings(
        tmp_path, {"DATABASE_URL": "postgresql://x", "SECRET_KEY": "x", "PIWHEELS_PYPI": "http://u/"}
    )

    own = farm.builder_settings(env, "http://127.0.0.1:8000")

    assert not {"DATABASE_URL", "SECRET_KEY"} & set(own)
    assert own["PIWHEELS_BUILD_INDEX"] == "http://u/"
