import sysconfig
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from builder.apt import Extra
from builder.bench import Bench, limits_for
from builder.limits import Outcome
from builder.log import Log
from builder.pip_wheel import Made, PipFailed, _asked, build, climb, command, environment
from builder.place import made
from builder.proxy import PackageProxy
from builder.rungs import CURRENT, LADDER
from builder.sandbox import Box, Kind, Level
from builder.tests.sdists import make_sdist
from builder.tests.server import make_order

SOURCE = Path("/build/source")


@pytest.fixture
def bench(tmp_path):
    """A bench without a sandbox, on which nothing is run."""
    with (
        made(tmp_path / "1-1") as place,
        Log(tmp_path) as log,
        PackageProxy(["http://127.0.0.1:9/simple/", "http://127.0.0.1:9/ours/simple/"], socket=None) as proxy,
    ):
        order = make_order()
        kind = Kind(Level.BARE)
        box = Box(kind, place)
        limits = limits_for(order, tmp_path, disk_bytes=1 << 30)
        yield Bench(order, kind, place, box, proxy, limits, log, Event())


def with_order(bench, **fields):
    return replace(bench, order=make_order(**fields))


def test_a_build_knows_nothing_of_the_builder(bench, monkeypatch):
    monkeypatch.setenv("PIWHEELS_BUILDER_TOKEN", "secret")
    monkeypatch.setenv("LD_PRELOAD", "secret")

    told = environment(bench)

    assert "secret" not in told.values()
    assert told["HOME"] == str(bench.place.home)


def test_the_time_of_upload_makes_builds_repeatable(bench):
    assert environment(bench)["SOURCE_DATE_EPOCH"] == "1700000000"
    assert "SOURCE_DATE_EPOCH" not in environment(with_order(bench, uploaded_at=None))
    assert "SOURCE_DATE_EPOCH" not in environment(with_order(bench, uploaded_at=315_532_799))


def test_the_platform_is_set_only_when_it_is_another(bench):
    own = sysconfig.get_platform()

    assert environment(bench)["_PYTHON_HOST_PLATFORM"] == "linux-armv7l"
    assert "_PYTHON_HOST_PLATFORM" not in environment(with_order(bench, platform=own))


def test_a_recipe_adds_variables_and_changes_none_that_keep_a_build_in_its_place(bench):
    recipe = {"CYTHON_FORCE": "1", "MAKEFLAGS": "-j1", "HOME": "/root", "PIP_CONFIG_FILE": "/etc/pip.conf"}
    recipe["OPENSSL_STATIC"] = "0"
    assert environment(bench)["OPENSSL_STATIC"] == "1"

    told = environment(with_order(bench, environment=recipe))

    assert (told["CYTHON_FORCE"], told["MAKEFLAGS"], told["OPENSSL_STATIC"]) == ("1", "-j1", "0")
    assert told["HOME"] == str(bench.place.home)
    assert told["PIP_CONFIG_FILE"] == "/dev/null"


def test_packages_of_a_recipe_are_found_by_compilers(bench):
    unpacked = Extra(root=Path("/place/apt/root"), shown_at=Path("/run/apt"))

    told = environment(replace(bench, extra=unpacked))

    assert told["PATH"].startswith("/run/apt/usr/bin:")
    assert "/run/apt/usr/include" in told["CPATH"].split(":")
    assert any(path.endswith("/pkgconfig") for path in told["PKG_CONFIG_PATH"].split(":"))


def test_a_small_builder_compiles_one_file_at_a_time(bench):
    small = replace(bench, limits=replace(bench.limits, memory_bytes=512 << 20))

    assert environment(small)["MAKEFLAGS"] == "-j1"


def test_what_is_told_of_jobs_is_how_many_processors_a_build_has(bench):
    told, jobs = environment(bench), bench.limits.jobs

    assert (told["MAKEFLAGS"], told["CMAKE_BUILD_PARALLEL_LEVEL"]) == (f"-j{jobs}", str(jobs))


def test_pip_builds_the_source_that_was_checked_and_asks_the_proxy_alone(bench):
    words = command(bench, CURRENT, SOURCE)

    assert words[-3:] == ["--wheel-dir", str(bench.place.out), str(SOURCE)]
    assert "--no-deps" in words
    assert [words[words.index("--index-url") + 1], words[words.index("--extra-index-url") + 1]] == list(
        bench.proxy.indexes
    )


def test_older_tools_are_asked_for_by_constraints(bench):
    rung = next(rung for rung in LADDER if rung.constraints)

    words = command(bench, rung, SOURCE)

    constraints = Path(words[words.index("--build-constraint") + 1])
    assert constraints.read_text().split() == list(rung.constraints)


def test_time_travel_asks_upstream_alone_which_knows_when_files_came(bench):
    rung = next(rung for rung in LADDER if rung.is_of_its_time)

    words = command(bench, rung, SOURCE)

    assert words[words.index("--uploaded-prior-to") + 1] == "2023-12-14T22:13:20Z"
    assert "--extra-index-url" not in words


def test_an_environment_with_modules_is_used_as_it_is(bench):
    rung = next(rung for rung in LADDER if rung.modules)

    words = command(bench, rung, SOURCE, "/tmp/environment/bin/python")

    assert words[0] == "/tmp/environment/bin/python"
    assert "--no-build-isolation" in words


def test_the_steps_before_pip_wheel_take_of_the_time_that_a_build_has(bench, index):
    index.pause_s = 30.0
    slow = replace(bench, limits=replace(bench.limits, time_s=4.0))
    source = bench.place.source / "tiny-1.0.tar.gz"
    source.write_bytes(make_sdist())
    began = time.monotonic()

    with (
        PackageProxy([index.simple], socket=None) as patient,
        pytest.raises(
            PipFailed, match="installing modules that it may import took longer than 4 s"
        ) as failed,
    ):
        climb(with_order(replace(slow, proxy=patient), rung="known-modules"), source)

    assert (failed.value.failure, failed.value.made.rung.name) == ("timeout", "known-modules")
    assert time.monotonic() - began < 15


def test_a_source_has_no_time_to_be_unpacked_when_the_time_is_over(bench):
    source = bench.place.source / "tiny-1.0.tar.gz"
    source.write_bytes(make_sdist())

    with pytest.raises(PipFailed, match="unpacking the source took longer") as failed:
        build(bench.within(0.0), source, Made(CURRENT))

    assert failed.value.failure == "timeout"


@pytest.mark.parametrize(
    "odd", ["--index-url=http://example.org/", "six @ file:///in", "six --pre", "x" * 400]
)
def test_what_is_no_name_with_versions_is_not_handed_to_pip(bench, odd):
    class Said(Bench):
        def ask(self, program, *words):
            return Outcome(0, "exit", 1.0, 1.0, 0), [odd, "cffi>=1,<2"]

    assert _asked(Said(**vars(bench)), bench.place.src, Made(CURRENT)) == ["cffi>=1,<2"]


def test_a_pyproject_that_takes_memory_to_be_read_takes_that_of_the_run(bench):
    source = bench.place.source / "tiny-1.0.tar.gz"
    source.write_bytes(make_sdist(pyproject=".".join("a" * 20_000) + " = 1\n"))
    small = replace(bench, limits=replace(bench.limits, memory_bytes=200 << 20))

    with pytest.raises(PipFailed, match=r"reading pyproject\.toml used more than") as failed:
        climb(with_order(small, rung="known-modules"), source)

    assert failed.value.failure == "out-of-memory"
