import io
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from builder.elf import read_elf, system_of
from builder.libraries import _key, apt_packages

SYMBOLS = {
    "libc6:armhf": """ld-linux-armhf.so.3 libc6 #MINVER#
| libc6 (>> 2.41), libc6 (<< 2.42)
 GLIBC_2.4@GLIBC_2.4 2.4
libc.so.6 libc6 #MINVER#
| libc6 (>> 2.41), libc6 (<< 2.42)
* Build-Depends-Package: libc6-dev
 GLIBC_2.34@GLIBC_2.34 2.34
 GLIBC_2.4@GLIBC_2.4 2.4
 GLIBC_2.9@GLIBC_2.9 2.9
 atoi@GLIBC_2.4 2.4
libm.so.6 libc6 #MINVER#
 GLIBC_2.38@GLIBC_2.38 2.38
""",
    "libc6:amd64": "libc.so.6 libc6 #MINVER#\n GLIBC_2.34@GLIBC_2.34 9.9\n",
    "libgl1": "libGL.so.1 libgl1 #MINVER# | libgl1-mesa-glx, libglvnd0\n GL@GL 1:1.3.0\n",
    "libpq5:armhf": "libpq.so.5 libpq5 #MINVER#\n PQfinish@Base 9~beta1\n",
    "libbare1": "libbare.so.1 libbare1 #MINVER#\n bare@Base 1.0\n",
}
SHLIBS = {
    "libpq5:armhf": "libpq 5 libpq5 (>= 17.5)\n",
    "libdb5.3t64:armhf": "libdb 5.3 libdb5.3t64\nlibdb5.3 5.3 no\nudeb: libx 1 x\n",
}
LISTS = {
    "libodd1:armhf": "/.\n/usr/lib/arm-linux-gnueabihf/libodd.so.1\n",
    "games": "/usr/lib/games/libplugin.so.1\n/opt/lib/libopt.so.1\n",
}


@pytest.fixture
def database(tmp_path):
    for kind, texts in (("symbols", SYMBOLS), ("shlibs", SHLIBS), ("list", LISTS)):
        for name, text in texts.items():
            (tmp_path / f"{name}.{kind}").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("libraries", "asked", "apt"),
    [
        ([], [], ()),
        (["libc.so.6"], ["libc.so.6@GLIBC_2.4"], ("libc6 (>= 2.4)",)),
        (["libc.so.6"], ["libc.so.6@GLIBC_2.9", "libc.so.6@GLIBC_2.34"], ("libc6 (>= 2.34)",)),
        # What one library has is not asked of another.
        (["libc.so.6"], ["libc.so.6@GLIBC_2.38"], ("libc6",)),
        (["libc.so.6"], ["libc.so.6@GLIBC_2.4", "libx.so.1@GLIBC_2.34"], ("libc6 (>= 2.4)",)),
        (["libm.so.6", "libc.so.6"], ["libm.so.6@GLIBC_2.38"], ("libc6", "libc6 (>= 2.38)")),
        # Of several that will do, what Debian itself would install; and what comes with it.
        (["libGL.so.1"], ["libGL.so.1@GL"], ("libgl1 (>= 1:1.3.0)", "libglvnd0")),
        # Without versions of symbols, the version that was there is what is known to do.
        (["libpq.so.5"], [], ("libpq5 (>= 17.5)",)),
        (["libbare.so.1"], [], ("libbare1",)),
        (["libdb-5.3.so"], [], ("libdb5.3t64",)),
        (["libodd.so.1"], [], ("libodd1",)),
    ],
)
def test_a_library_is_in_a_package(database, libraries, asked, apt):
    needs = apt_packages(libraries, asked, "armhf", [database])

    assert needs.apt == apt
    assert needs.unresolved == ()


def test_a_library_of_no_package_is_unresolved_and_the_others_are_found(database):
    libraries = ["libc.so.6", "libgone.so.1", "libplugin.so.1", "libopt.so.1", "libx.so.1", "odd", "a+(b"]

    needs = apt_packages(libraries, ["libc.so.6@GLIBC_2.4"], "armhf", [database])

    assert needs.apt == ("libc6 (>= 2.4)",)
    assert needs.unresolved == ("a+(b", "libgone.so.1", "libopt.so.1", "libplugin.so.1", "libx.so.1", "odd")


def test_each_file_is_read_once_however_many_libraries_are_nowhere(database, monkeypatch):
    read = []
    read_text = Path.read_text

    def noted(path, *words, **how):
        read.append(path.name)
        return read_text(path, *words, **how)

    monkeypatch.setattr(Path, "read_text", noted)

    apt_packages([f"libgone{number}.so.1" for number in range(500)], [], "armhf", [database])

    assert "games.list" in read
    assert len(read) == len(set(read))


def test_the_first_database_that_knows_a_library_decides(database, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    (more / "libgone1.shlibs").write_text("libgone 1 libgone1\nlibpq 5 other\n")

    needs = apt_packages(["libgone.so.1", "libpq.so.5"], [], "armhf", [database, more])

    assert needs.apt == ("libgone1", "libpq5 (>= 17.5)")


def test_a_machine_without_dpkg_resolves_nothing(tmp_path):
    assert apt_packages(["libc.so.6"], [], "armhf", [tmp_path / "none"]).unresolved == ("libc.so.6",)


def test_versions_are_compared_as_dpkg_does():
    ordered = ["1.0~beta1", "1.0", "1.0-1", "1.0-1+b1", "1.0a", "1.0+x", "1.2", "1.10", "2", "1:0.1"]

    assert all(_key(low) < _key(high) for low, high in pairwise(ordered))


@pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("dpkg-shlibdeps")), reason="needs gcc and dpkg-shlibdeps"
)
def test_debians_own_tool_finds_the_same(tmp_path):
    (tmp_path / "code.c").write_text("#include <stdlib.h>\nint twice(const char *s) { return 2 * atoi(s); }")
    command = ["gcc", "-shared", "-fPIC", "-o", "tiny.so", "code.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "control").write_text("Source: x\n\nPackage: x\nArchitecture: any\n")
    command = ["dpkg-shlibdeps", "-O", "-etiny.so"]
    theirs = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    machine = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()

    system = system_of({"tiny.so": read_elf(io.BytesIO((tmp_path / "tiny.so").read_bytes()))})
    ours = apt_packages(system.libraries, system.asked, machine)

    assert theirs.strip() == f"shlibs:Depends={', '.join(ours.apt)}"
