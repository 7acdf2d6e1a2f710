import csv
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from builder import exits
from builder.inspection import FACTS, Facts, Ordered, Unfit, inspect, main, read_facts
from builder.tests.elves import AARCH64, ARM, ARMV7, ARMV8, EABI5, SOFT, X86_64, armhf, make_elf
from builder.tests.wheels import WHEN, write_wheel

PI = Ordered("armhf", "cp313", ("linux_armv6l", "linux_armv7l"))
PI_64 = Ordered("arm64", "cp313", ("linux_aarch64",))
PC_32 = Ordered("i386", "cp311", ("linux_i686",))
OLD = {"tiny/_tiny.so": armhf(names=["PyInit__tiny"])}
NEW = {"tiny/_tiny.so": armhf(ARMV7, names=["PyInit__tiny"])}
PLAIN = {"tiny.libs/libtiny.so.1": armhf(ARMV7)}
BOTH = "linux_armv6l.linux_armv7l"
MANY = [f"libgone{number}.so.1" for number in range(501)]


@pytest.fixture
def look(tmp_path):
    """Inspect a wheel with this tag and these members."""

    def look(tag, members=None, ordered=PI, **how) -> Facts:
        out = tmp_path / "inspected"
        out.mkdir(exist_ok=True)
        for path in out.iterdir():
            path.unlink()
        return inspect(write_wheel(tmp_path, tag, members, **how), out, ordered)

    return look


# --- Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "members", "becomes"),
    [
        # Pure wheels stay as they are.
        ("py3-none-any", {}, "py3-none-any"),
        ("py2.py3-none-any", {}, "py2.py3-none-any"),
        ("cp313-none-any", {}, "cp313-none-any"),
        ("py3-none-any", {"tiny/bpf.o": make_elf(247, kind=1)}, "py3-none-any"),
        # ARMv6 is claimed for what runs there, and for nothing else.
        ("cp313-cp313-linux_armv7l", OLD, f"cp313-cp313-{BOTH}"),
        ("cp313-cp313-linux_armv7l", NEW, "cp313-cp313-linux_armv7l"),
        ("cp313-cp313-linux_armv7l", {**OLD, **PLAIN}, "cp313-cp313-linux_armv7l"),
        (f"cp313-cp313-{BOTH}", OLD, f"cp313-cp313-{BOTH}"),
        (f"cp313-cp313-{BOTH}", NEW, "cp313-cp313-linux_armv7l"),
        ("cp313-cp313-linux_armv6l", NEW, "cp313-cp313-linux_armv7l"),
        # What else backends call it.
        ("cp313-cp313-linux_armv8l", OLD, f"cp313-cp313-{BOTH}"),
        ("cp313-cp313-linux_aarch64", OLD, f"cp313-cp313-{BOTH}"),
        ("cp313-cp313-manylinux_2_41_armv7l", NEW, "cp313-cp313-linux_armv7l"),
        ("cp313-cp313-manylinux2014_armv7l.manylinux_2_17_armv7l", NEW, "cp313-cp313-linux_armv7l"),
        ("cp313-cp313-musllinux_1_2_armv7l", NEW, "cp313-cp313-linux_armv7l"),
        # Without machine code it is for the target's system, whichever of its processors there is.
        ("cp313-cp313-linux_armv7l", {}, f"cp313-cp313-{BOTH}"),
        ("cp313-cp313-linux_armv6l", {}, f"cp313-cp313-{BOTH}"),
        ("cp313-cp313-linux_armv8l", {}, f"cp313-cp313-{BOTH}"),
        ("py3-none-manylinux_2_41_armv7l", {}, f"py3-none-{BOTH}"),
        # Code makes it a wheel for a platform; a module, for a Python.
        ("py3-none-any", PLAIN, "py3-none-linux_armv7l"),
        ("py3-none-any", NEW, "cp313-cp313-linux_armv7l"),
        ("py3-none-linux_armv7l", PLAIN, "py3-none-linux_armv7l"),
        ("py3-none-linux_armv7l", NEW, "cp313-cp313-linux_armv7l"),
        ("py3-none-linux_armv7l", {"tiny/_tiny.abi3.so": armhf(ARMV7)}, "cp313-abi3-linux_armv7l"),
        ("py3-none-linux_armv7l", {"_t.cpython-313-arm-linux-gnueabihf.so": armhf()}, f"cp313-cp313-{BOTH}"),
        # abi3 is believed until a file's name says otherwise.
        ("cp39-abi3-linux_armv7l", {"tiny/_tiny.abi3.so": armhf(ARMV7)}, "cp39-abi3-linux_armv7l"),
        ("cp39-abi3-linux_armv7l", NEW, "cp39-abi3-linux_armv7l"),
        (
            "cp39-abi3-linux_armv7l",
            {**NEW, "tiny/_t.cpython-313-arm-linux-gnueabihf.so": armhf(ARMV7)},
            "cp313-cp313-linux_armv7l",
        ),
    ],
)
def test_a_wheel_is_named_for_what_it_is(look, tag, members, becomes):
    facts = look(tag, members)

    assert facts.refused == ""
    assert facts.filename == f"tiny-1.0-{becomes}.whl"
    assert (tag == becomes) is not any("from now on" in note for note in facts.notes)


@pytest.mark.parametrize(
    ("tag", "members", "ordered", "why"),
    [
        ("cp313-cp313-linux_x86_64", {}, PI, "named for linux_x86_64, not for linux_armv6l or linux_armv7l"),
        ("cp313-cp313-manylinux_2_17_x86_64", {}, PI, "named for manylinux_2_17_x86_64"),
        ("cp313-cp313-macosx_11_0_arm64", {}, PI, "named for macosx"),
        ("cp313-cp313-win32", {}, PI, "named for win32"),
        ("cp313-cp313-linux_armv7l", {"a.so": make_elf(X86_64)}, PI, "a.so is for amd64, not for armhf"),
        ("cp313-cp313-linux_armv7l", {"a.so": make_elf(AARCH64)}, PI, "a.so is for arm64, not for armhf"),
        ("cp313-cp313-linux_aarch64", {"a.so": make_elf(AARCH64)}, PI, "a.so is for arm64, not for armhf"),
        (
            "cp313-cp313-linux_armv7l",
            {"a.so": make_elf(ARM, 32, flags=EABI5 | SOFT)},
            PI,
            "a.so is for armel, not for armhf",
        ),
        ("py3-none-any", {"a.exe": make_elf(X86_64, kind=2)}, PI, "a.exe is for amd64"),
        ("cp313-cp313-linux_armv7l", {"a.so": b"\x7fELF nonsense"}, PI, "a.so cannot be read"),
        ("cp313-cp313-linux_armv7l", NEW, Ordered("armhf", "cp313", ("linux_armv6l",)), "ARMv6"),
        ("cp313-cp313-linux_armv8l", {}, PI_64, "named for linux_armv8l, not for linux_aarch64"),
        ("cp313-cp313-linux_armv7l", {"a.so": armhf(needed=MANY)}, PI, "It needs 501 libraries"),
        (
            "cp313-cp313-linux_armv7l",
            {"a.so": armhf(asked={"libc.so.6": [f"V_{number}" for number in range(5001)]})},
            PI,
            "in 5001 versions of",
        ),
    ],
)
def test_what_cannot_be_offered_is_refused(look, tmp_path, tag, members, ordered, why):
    facts = look(tag, members, ordered)

    assert why in facts.refused
    assert facts.filename == ""
    assert list((tmp_path / "inspected").iterdir()) == []


def test_other_targets_have_one_platform(look):
    members = {"a.so": make_elf(AARCH64)}

    assert look("cp313-cp313-manylinux_2_41_aarch64", members, PI_64).filename.endswith("-linux_aarch64.whl")


def test_a_system_of_32_bits_under_a_kernel_of_64_is_called_by_its_own_name(look):
    facts = look("cp311-cp311-linux_x86_64", {"a.so": make_elf(3, 32)}, PC_32)

    assert facts.filename == "tiny-1.0-cp311-cp311-linux_i686.whl"


def wheel_and_record(path):
    """Return WHEEL of a wheel, and what its RECORD says of it."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        record = archive.read(name.replace("/WHEEL", "/RECORD")).decode()
        content = archive.read(name)
    [line] = [line for line in csv.reader(io.StringIO(record)) if line[0] == name]
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert line[1:] == [f"sha256={digest}", str(len(content))]
    return content.decode()


@pytest.mark.parametrize(
    ("built", "ordered", "becomes"), [("", "2", "-2"), ("7-", "2", "-2"), ("7-", "", ""), ("2-", "2", "-2")]
)
def test_a_wheel_has_the_build_tag_that_was_ordered_and_no_other(look, tmp_path, built, ordered, becomes):
    asked = replace(PI, build_tag=ordered)

    facts = look("py3-none-any", ordered=asked, build=built)

    assert facts.filename == f"tiny-1.0{becomes}-py3-none-any.whl"
    if built != f"{ordered}-":
        wheel = wheel_and_record(tmp_path / "inspected" / facts.filename)
        assert [line for line in wheel.splitlines() if line.startswith("Build:")] == (
            [f"Build: {ordered}"] if ordered else []
        )
        assert "Tag: py3-none-any" in wheel


def test_the_facts_say_what_the_code_needs(look):
    code = armhf(ARMV7, needed=["libpq.so.5", "libc.so.6"], asked={"libc.so.6": ["GLIBC_2.4", "GLIBC_2.34"]})

    facts = look("cp313-cp313-linux_armv7l", {"tiny/_tiny.so": code})

    assert facts.glibc == "2.34"
    assert facts.libraries == ("libc.so.6", "libpq.so.5")
    assert not facts.is_portable
    assert "tiny/_tiny.so, one of 1, does not say that an ARMv6 processor runs it." in facts.notes


def test_code_for_a_newer_processor_is_noted_and_no_reason_to_refuse_a_wheel(look):
    """The linker lets the newest part speak for all, and that part may be used only where it runs."""
    facts = look("cp313-cp313-linux_armv7l", {**OLD, "tiny/_fast.so": armhf(ARMV8)})

    assert facts.filename == "tiny-1.0-cp313-cp313-linux_armv7l.whl"
    assert any(note.startswith("tiny/_fast.so, one of 1, has code for ARMv8") for note in facts.notes)


def test_a_platform_without_code_is_noted(look):
    assert look(f"cp313-cp313-{BOTH}").notes == (
        "It is named for linux_armv6l, linux_armv7l, but has no machine code.",
    )


# --- Files -------------------------------------------------------------------------------------------


def members_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_under_another_name_only_wheel_and_record_change(look, tmp_path):
    odd = {**OLD, "tiny/a,b \u00e9.txt": b"text", "tiny/empty": b""}
    facts = look("cp313-cp313-linux_armv8l", odd)

    before = members_of(tmp_path / "tiny-1.0-cp313-cp313-linux_armv8l.whl")
    after = members_of(tmp_path / "inspected" / facts.filename)
    described = {f"tiny-1.0.dist-info/{name}" for name in ("WHEEL", "RECORD")}
    assert list(before) == list(after)
    assert {name for name in before if before[name] != after[name]} == described
    assert after["tiny-1.0.dist-info/WHEEL"] == (
        b"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\n"
        b"Tag: cp313-cp313-linux_armv6l\nTag: cp313-cp313-linux_armv7l\n"
    )
    for path, digest, size in csv.reader(io.StringIO(after["tiny-1.0.dist-info/RECORD"].decode())):
        if digest:
            expected = urlsafe_b64encode(hashlib.sha256(after[path]).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(after[path])))


def test_times_and_permissions_stay(look, tmp_path):
    facts = look("cp313-cp313-linux_armv8l", OLD)

    with zipfile.ZipFile(tmp_path / "inspected" / facts.filename) as archive:
        assert {member.date_time for member in archive.infolist()} == {WHEN}
        assert {member.external_attr >> 16 for member in archive.infolist()} == {0o100755}


def test_what_was_pure_by_name_goes_where_machine_code_goes(look, tmp_path):
    facts = look("py3-none-any", PLAIN)

    wheel = members_of(tmp_path / "inspected" / facts.filename)["tiny-1.0.dist-info/WHEEL"]
    assert b"Root-Is-Purelib: false\nTag: py3-none-linux_armv7l\n" in wheel


@pytest.mark.parametrize("is_plain", [True, False])
def test_the_same_wheel_gives_the_same_bytes(look, tmp_path, is_plain):
    how = ("cp313-cp313-linux_armv8l", OLD, PI)
    first, second = (
        (tmp_path / "inspected" / look(*how, is_plain=is_plain).filename).read_bytes() for _ in range(2)
    )

    assert first == second


def test_a_wheel_that_has_its_name_is_not_touched(look, tmp_path):
    facts = look("py3-none-any")

    assert (tmp_path / facts.filename).read_bytes() == (tmp_path / "inspected" / facts.filename).read_bytes()


@pytest.mark.parametrize("tag", ["py3-none-any", "cp313-cp313-linux_armv8l"])
def test_sizes_behind_the_bytes_are_put_in_front(look, tmp_path, tag):
    facts = look(tag, is_plain=False)

    assert zipfile.ZipFile(tmp_path / f"tiny-1.0-{tag}.whl").infolist()[0].flag_bits & 8
    with zipfile.ZipFile(tmp_path / "inspected" / facts.filename) as archive:
        assert not any(member.flag_bits & 8 for member in archive.infolist())
        assert archive.testzip() is None


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("tiny-1.0-py3-none-any.whl", b"PK nonsense", "cannot be read"),
        ("tiny-1.0.whl", None, "not a wheel's name"),
        ("tiny.zip", None, "not a wheel's name"),
        ("tiny-1.0--none-any.whl", None, "not a wheel's name"),
    ],
)
def test_what_is_not_quite_a_wheel_is_refused(tmp_path, name, content, why):
    wheel = write_wheel(tmp_path).rename(tmp_path / name)
    if content is not None:
        wheel.write_bytes(content)
    (tmp_path / "out").mkdir()

    assert why in inspect(wheel, tmp_path / "out", PI).refused


@pytest.mark.parametrize("lacks", ["RECORD", "WHEEL", ""])
def test_a_wheel_that_cannot_be_named_anew_is_refused(tmp_path, lacks):
    good = write_wheel(tmp_path, "cp313-cp313-linux_armv8l", OLD)
    bad = tmp_path / "bad" / good.name
    (tmp_path / "out").mkdir()
    bad.parent.mkdir()
    with zipfile.ZipFile(bad, "w") as archive:
        for name, content in members_of(good).items():
            if not name.endswith(f"/{lacks}") and (lacks or ".dist-info" not in name):
                archive.writestr(name, content)

    assert "cannot be read: it " in inspect(bad, tmp_path / "out", PI).refused


# --- The program -------------------------------------------------------------------------------------


def test_the_program_writes_wheel_and_facts(tmp_path):
    wheel = write_wheel(tmp_path, "cp313-cp313-linux_armv8l", OLD)
    out = tmp_path / "out"
    out.mkdir()
    options = ["--architecture", "armhf", "--abi", "cp313"]
    options += [f"--platform={platform}" for platform in PI.platforms]

    subprocess.run(
        [sys.executable, "-P", "-m", "builder.inspection", *options, wheel, out],
        check=True,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    facts = read_facts(out)
    assert facts.filename == f"tiny-1.0-cp313-cp313-{BOTH}.whl"
    assert {path.name for path in out.iterdir()} == {FACTS, facts.filename}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), exits.FULL),
        (OSError(errno.EIO, "Input/output error"), exits.FAULT),
        (MemoryError("no more"), exits.MEMORY),
    ],
)
def test_what_fails_for_the_machine_is_told_from_what_fails_for_the_wheel(
    tmp_path, monkeypatch, capsys, error, code
):
    def fail(*words, **how):
        raise error

    wheel = write_wheel(tmp_path, "py3-none-any")
    options = ["--architecture=armhf", "--abi=cp313", "--platform=linux_armv7l"]
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(sys, "argv", ["inspection", *options, str(wheel), str(tmp_path / "out")])
    monkeypatch.setattr(shutil, "copyfileobj", fail)

    assert main() == code
    assert capsys.readouterr().err == f"{wheel.name} cannot be looked at here: {error}\n"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "[" * 100_000,
        '{"filename": "x"}',
        json.dumps({"filename": "x" * (1 << 20)}),
        json.dumps({**dict.fromkeys(("filename", "refused", "glibc", "glibcxx"), ""), "notes": "no list"}),
        json.dumps({**asdict(Facts("x", "", (), (), (), "", "", is_portable=False)), "libraries": MANY}),
    ],
)
def test_facts_that_are_none_are_not_believed(tmp_path, content):
    if content is not None:
        (tmp_path / FACTS).write_text(content)

    with pytest.raises(Unfit):
        read_facts(tmp_path)


def test_facts_behind_a_link_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("{}")
    (tmp_path / FACTS).symlink_to(tmp_path / "secret")

    with pytest.raises(Unfit, match="symbolic links"):
        read_facts(tmp_path)
