import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from builder import brought, tools
from builder.bench import Bench, limits_for
from builder.collect import collect
from builder.log import Log
from builder.place import made
from builder.proxy import PackageProxy
from builder.sandbox import Box, Level
from builder.tests.boxes import kind_of
from builder.tests.elves import make_elf
from builder.tests.package_index import make_wheel
from builder.tests.sdists import make_sdist
from builder.tests.server import make_order
from builder.trial import is_direct, modules_in, requirements_in, try_out


@pytest.fixture(params=[Level.BARE, Level.BOX])
def bench(request, tmp_path, index):
    """A bench with a sandbox and without one."""
    kind, order = kind_of(request.param), make_order()
    socket = None if kind.level is Level.BARE else tmp_path / "index.sock"
    with (
        made(tmp_path / "1-1") as place,
        Log(tmp_path) as log,
        PackageProxy([index.simple], socket=socket) as proxy,
    ):
        box = Box(kind, place, readable=tools.readable(), doorway=socket)
        yield Bench(order, kind, place, box, proxy, limits_for(order, tmp_path, 1 << 30), log, Event())


def try_it(bench, requires=""):
    """Try a wheel that needs something."""
    path = bench.place.out / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(make_wheel(requires=requires))
    with collect(bench.place.out) as (wheel,):
        return try_out(bench, wheel, [])


@pytest.mark.parametrize(
    ("names", "modules"),
    [
        (["six.py", "six-1.0.dist-info/METADATA"], ("six",)),
        (
            ["markupsafe/__init__.py", "markupsafe/_speedups.cpython-313-arm-linux-gnueabihf.so"],
            ("markupsafe",),
        ),
        (["_cffi_backend.cpython-313-arm-linux-gnueabihf.so", "cffi/__init__.py"], ("cffi", "_cffi_backend")),
        (
            ["google/cloud/storage/__init__.py", "google/cloud/storage/blob/__init__.py"],
            ("google.cloud.storage",),
        ),
        (["compiled/__init__.cpython-313-arm-linux-gnueabihf.so"], ("compiled",)),
        (["demo/__init__.py", "tests/__init__.py", "setup.py", "docs/__init__.py"], ("demo",)),
        (["demo-1.0.data/scripts/run.py", "demo-1.0.data/purelib/demo/__init__.py"], ()),
        (["data/table.csv"], ()),
        (["a/" * 10 + "__init__.py", "b/" * 11 + "__init__.py"], (".".join("a" * 10),)),
        (["not a name/__init__.py", "1st.py", "x" * 200 + ".py"], ()),
        ([f"m{number}.py" for number in range(9)], ("m0", "m1", "m2", "m3", "m4")),
    ],
)
def test_the_modules_at_a_wheels_top_are_tried(names, modules):
    assert modules_in(names) == modules


def test_a_wheel_that_needs_something_from_an_address_is_not_tried_and_nothing_of_it_runs(bench, tmp_path):
    source = bench.place.source / "evil-1.0.tar.gz"
    source.write_bytes(make_sdist(f"Path({str(tmp_path / 'it-ran')!r}).touch()", name="evil"))

    trial = try_it(bench, requires=f"evil @ file://{bench.box.inside(source)}")

    assert (trial.outcome, trial.modules) == ("unknown", ())
    assert "address of its own" in trial.detail
    assert not (tmp_path / "it-ran").exists()


def test_a_wheel_with_honest_dependencies_is_tried(bench, index):
    index.add(name="friend")

    assert try_it(bench, requires="friend>=1").outcome == "works"


@dataclass(frozen=True)
class Trapped(Bench):
    """A bench on which an installation leaves a trap where it installs to."""

    trap: Callable[[Path], None] = lambda site: None

    def run(self, command, **how):
        outcome = super().run(command, **how)
        site = self.place.home / "site"
        if "install" in command:
            self.trap(site)
        return outcome


def nests(site):
    """Nest folders deeper than any walk goes that calls itself."""
    place = os.open(site, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)


def test_where_code_of_strangers_installed_something_the_builder_itself_does_not_look(bench, index):
    index.add(name="friend")

    trial = try_it(Trapped(**vars(bench), trap=nests), requires="friend")

    # Whichever it is: newer Pythons walk deeper.
    assert trial.outcome in ("works", "unknown")


def test_a_dependencys_libraries_are_asked_for_what_they_need_and_the_wheels_own_are_not(tmp_path, capsys):
    site = tmp_path / "site"
    (site / "friend").mkdir(parents=True)
    (site / "friend" / "fast.so").write_bytes(make_elf(needed=["libfriend.so.1", "no library's name"]))
    (site / "own.so").write_bytes(make_elf(needed=["libown.so.1"]))
    with zipfile.ZipFile(tmp_path / "tiny.whl", "w") as wheel:
        wheel.writestr("own.so", "")

    assert brought.main([str(tmp_path / "tiny.whl"), str(site)]) == 0

    assert capsys.readouterr().out == "libfriend.so.1\n"


@pytest.mark.parametrize(
    ("requirement", "answer"),
    [
        (b" evil @ file:///in/evil-1.0.tar.gz", True),
        (b" evil[fast]@git+https://example.org/evil ; python_version > '3'", True),
        (b" evil\n  @ file:///in", True),
        (b" friend>=1,<2 ; platform_release == 'a@b'", False),
        (b" friend[fast]", False),
    ],
)
def test_a_requirement_with_an_address_is_told_from_one_without(requirement, answer):
    assert is_direct(requirement) is answer


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_requirements_are_found_however_their_lines_end(tmp_path, end):
    lines = [
        b"Name: tiny",
        b"Requires-Dist: one",
        b"requires-dist: two",
        b"  @ file:///x",
        b"",
        b"    mail@example.org",
    ]
    with zipfile.ZipFile(tmp_path / "tiny.whl", "w") as wheel:
        wheel.writestr("tiny-1.0.dist-info/METADATA", end.join(lines))

        assert requirements_in(wheel) == [b" one", b" two" + end + b"  @ file:///x"]


@pytest.mark.parametrize(
    ("size", "how"), [((1 << 20) + 1, zipfile.ZIP_DEFLATED), (1, zipfile.ZIP_BZIP2), (1, zipfile.ZIP_LZMA)]
)
def test_metadata_that_could_become_too_much_is_not_read(tmp_path, size, how):
    with zipfile.ZipFile(tmp_path / "tiny.whl", "w", how) as wheel:
        wheel.writestr("tiny-1.0.dist-info/METADATA", b"x" * size)

        with pytest.raises(ValueError, match="too large"):
            requirements_in(wheel)


def test_a_wheel_that_describes_itself_many_times_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "tiny.whl", "w") as wheel:
        for name in ("tiny", "other"):
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", b"Requires-Dist: one\n")

        with pytest.raises(ValueError, match="too many values"):
            requirements_in(wheel)
