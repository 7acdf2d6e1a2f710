import io
import shutil
import subprocess
import threading
import zipfile

import pytest

from builder.libraries import Needs, Runner, apt_packages, unboxed
from builder.log import Log

needs_tools = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("dpkg-shlibdeps")), reason="needs gcc and dpkg-shlibdeps"
)
CODE = "#include <stdlib.h>\nint twice(const char *s) { return 2 * atoi(s); }"


@pytest.fixture
def log(tmp_path):
    with Log(tmp_path) as log:
        yield log


def compile_library(folder, name, code=CODE, *options):
    (folder / "code.c").write_text(code)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", name, "code.c", *options], cwd=folder, check=True)
    return (folder / name).read_bytes()


def make_wheel(members) -> io.BytesIO:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return wheel


def needs(wheel, tmp_path, log, runner=None) -> Needs:
    folder = tmp_path / "libraries"
    folder.mkdir()
    return apt_packages(wheel, folder, log=log, runner=runner or unboxed(threading.Event()))


def packages(wheel, tmp_path, log) -> tuple[str, ...]:
    return needs(wheel, tmp_path, log).apt


@needs_tools
def test_a_library_needs_the_package_of_its_libraries(tmp_path, log):
    wheel = make_wheel({"tiny/_tiny.cpython-313.so": compile_library(tmp_path, "tiny.so")})

    (apt,) = packages(wheel, tmp_path, log)

    assert apt.startswith("libc6 (>= 2.")


@needs_tools
def test_a_library_within_the_wheel_needs_no_package(tmp_path, log):
    inner = compile_library(tmp_path, "libinner.so", CODE, "-Wl,-soname,libinner-1.so.1")
    outer = compile_library(
        tmp_path, "outer.so", "int twice(const char *); int four(void) { return twice(0); }", "./libinner.so"
    )

    found = packages(make_wheel({"a/outer.so": outer, "a.libs/libinner-1.so.1": inner}), tmp_path, log)

    assert [apt.split(" ")[0] for apt in found] == ["libc6"]
    assert log.size == 0


@needs_tools
def test_a_library_that_no_package_has_is_noted_and_the_others_are_found(tmp_path, log):
    compile_library(tmp_path, "libgone.so", "int gone(void) { return 1; }", "-Wl,-soname,libgone.so.1")
    code = CODE + "\nint gone(void); int call(void) { return gone(); }"
    outer = compile_library(tmp_path, "outer.so", code, "./libgone.so")

    found = needs(make_wheel({"outer.so": outer}), tmp_path, log)

    assert [apt.split(" ")[0] for apt in found.apt] == ["libc6"]
    assert found.unresolved == ("libgone.so.1",)
    assert log.read(0, 1000) == b"[piwheels: no package on this builder has libgone.so.1]\n"


@pytest.mark.parametrize(
    "members",
    [
        {"tiny.py": b"answer = 42"},
        {"a.so": b"version https://git-lfs.github.com/spec/v1"},
        {"a.so": b"", "b.so/": b""},
        {"a.so": b"\x7fELF nonsense"},
    ],
)
def test_a_wheel_without_libraries_needs_nothing(tmp_path, log, members):
    assert packages(make_wheel(members), tmp_path, log) == ()
    assert log.size == 0


def test_what_is_not_quite_a_wheel_is_noted(tmp_path, log):
    assert packages(io.BytesIO(b"PK nonsense"), tmp_path, log) == ()
    assert b"cannot be read" in log.read(0, 1000)


def test_without_dpkg_shlibdeps_the_log_says_how_to_get_it(tmp_path, log, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert packages(make_wheel({"a.so": b"\x7fELF nonsense"}), tmp_path, log) == ()
    assert b"apt install dpkg-dev" in log.read(0, 1000)


@needs_tools
def test_libraries_of_the_same_name_are_all_looked_at(tmp_path, log):
    compile_library(tmp_path, "libgone.so", "int gone(void) { return 1; }", "-Wl,-soname,libgone.so.1")
    outer = {
        name: compile_library(
            tmp_path, "x.so", f"int {name}(void); int f(void) {{ return {name}(); }}", *options
        )
        for name, options in {"gone": ["./libgone.so"], "cos": ["-Wl,--no-as-needed", "-lm"]}.items()
    }

    found = packages(make_wheel({"a/x.so": outer["cos"], "b/x.so": outer["gone"]}), tmp_path, log)

    assert [apt.split(" ")[0] for apt in found] == ["libc6"]
    assert b"libgone.so.1" in log.read(0, 1000)


@needs_tools
def test_a_library_of_an_odd_name_is_looked_at(tmp_path, log):
    library = compile_library(tmp_path, "tiny.so")

    found = packages(make_wheel({"a/-x y.so": library}), tmp_path, log)

    assert [apt.split(" ")[0] for apt in found] == ["libc6"]


@needs_tools
def test_a_program_is_looked_at_too(tmp_path, log):
    (tmp_path / "main.c").write_text("#include <stdlib.h>\nint main(void) { return atoi(getenv(0)); }")
    subprocess.run(["gcc", "-o", "run", "main.c"], cwd=tmp_path, check=True)
    wheel = make_wheel({"tiny-1.0.data/scripts/run": (tmp_path / "run").read_bytes()})

    assert [apt.split(" ")[0] for apt in packages(wheel, tmp_path, log)] == ["libc6"]


@needs_tools
def test_the_program_is_told_where_it_sees_the_files(tmp_path, log):
    """As in a sandbox, where our folder is at another place."""
    plain = unboxed(threading.Event())
    (tmp_path / "seen").symlink_to(tmp_path / "libraries")
    commands = []

    def run(command, environment, folder, told):
        commands.append(command)
        return plain.run(command, environment, folder, told)

    def inside(path):
        return tmp_path / "seen" / path.relative_to(tmp_path / "libraries")

    wheel = make_wheel({"tiny.so": compile_library(tmp_path, "tiny.so")})
    found = needs(wheel, tmp_path, log, Runner(run, inside))

    assert [apt.split(" ")[0] for apt in found.apt] == ["libc6"]
    assert not any(str(tmp_path / "libraries") in part for part in commands[0])


@needs_tools
def test_a_search_that_takes_too_long_is_noted(tmp_path, log):
    wheel = make_wheel({"tiny.so": compile_library(tmp_path, "tiny.so")})

    def run(command, environment, folder, told):
        told.write(b"killed after a while")
        return -1

    assert needs(wheel, tmp_path, log, Runner(run, lambda path: path)) == Needs((), ())
    assert b"killed after a while" in log.read(0, 1000)
