import shutil
import subprocess
from pathlib import Path

import pytest

from builder import visible
from builder.elf import Budget
from builder.tests.elves import make_elf

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-query") is None or visible.folder_of_libraries() is None, reason="needs a Debian"
)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_user_has_the_c_library_and_what_python_needs(tmp_path):
    shown = names(visible.show([], [], tmp_path))

    assert "libc.so.6" in shown
    assert any(name.startswith("ld-linux") for name in shown)
    assert {name for name in shown if name.startswith("libperl.so")} == set()


def test_a_package_that_is_declared_is_in_sight_with_what_it_needs(tmp_path):
    shown = names(visible.show(["libperl5.36 (>= 5.36.0)", "libperl5.40"], [], tmp_path))

    if not any(Path("/usr/lib").glob("*/libperl.so.5.*")):
        pytest.skip("there is no libperl here")
    assert {name for name in shown if name.startswith("libperl.so")}
    assert "libcrypt.so.1" in shown


def test_what_other_wheels_need_is_in_sight_too(tmp_path):
    folder = visible.folder_of_libraries()
    assert folder is not None
    library = next(path.name for path in folder.glob("libperl.so.*"))

    assert library in names(visible.show([], [library], tmp_path))


def test_a_library_links_to_where_all_of_them_are(tmp_path):
    folder = visible.show([], [], tmp_path)
    assert folder is not None

    assert (folder / "libc.so.6").readlink() == visible.ALL / "libc.so.6"


def test_what_is_no_library_asks_for_none(tmp_path):
    (tmp_path / "script.so").write_text("INPUT(-lncurses)")

    assert visible.needed_by([tmp_path / "script.so", tmp_path / "gone.so"]) == set()


def test_many_files_of_strangers_have_one_budget(tmp_path):
    for number in range(400):
        (tmp_path / f"{number}.so").write_bytes(make_elf(needed=[f"lib{number}.so.1"]))
    budget = Budget(steps=5000)

    found = visible.needed_by(sorted(tmp_path.iterdir()), budget)

    assert 0 < len(found) < 400
    assert budget.steps < 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_what_a_file_needs_is_read_and_not_run(tmp_path):
    (tmp_path / "a.c").write_text("#include <math.h>\ndouble f(double x) { return sin(x); }")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", tmp_path / "a.so", tmp_path / "a.c", "-Wl,--no-as-needed", "-lm"],
        check=True,
    )

    assert visible.needed_by([tmp_path / "a.so"]) == {"libc.so.6", "libm.so.6"}
