"""Each refusal of `verify.py`, by a real bad wheel; and that good ones pass."""

import errno
import hashlib
import random
import re
import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from packaging.tags import Tag, parse_tag

from builder.tests.elves import ARMV7, armhf, make_elf
from builds.tests.wheels import (
    make_wheel,
    member,
    metadata_of,
    wheel_name,
    wheel_of,
)
from builds.wheels.verify import VerifiedWheel, verify
from builds.wheels.wheel_names import MAX_FILENAME, BadWheel, Expected, check_filename

PI = ("linux_armv6l", "linux_armv7l")
PI_TAG = "cp313-cp313-linux_armv6l.linux_armv7l"
INFO = "demo-1.0.dist-info"
ELF = armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.4", "GLIBC_2.34"]})
MODULE = armhf(ARMV7, names=["PyInit__fast"])


def make_expected(package="demo", version="1.0", platforms=PI, build_tag=""):
    names = ("py2.py3-none-any", "py3-none-linux_armv7l", PI_TAG, "cp39-abi3-linux_armv7l")
    supported = frozenset().union(*(parse_tag(name) for name in names))
    return Expected(package, version, platforms, supported, "armhf", build_tag)


@pytest.fixture
def check(tmp_path):
    """Verify bytes that were uploaded under a name."""

    def check(
        content: bytes, filename="demo-1.0-py3-none-any.whl", *, scratch=tmp_path, **expected
    ) -> VerifiedWheel:
        return verify(BytesIO(content), filename, make_expected(**expected), scratch=scratch)

    return check


def refuses(check, content, why, **how):
    with pytest.raises(BadWheel, match=why):
        check(content, **how)


# --- What is good ------------------------------------------------------------------------------------


def test_a_good_wheel_is_described_as_it_is(check):
    content = make_wheel(requires=["six>=1", "tqdm; extra == 'x'"], requires_python=">=3.9")

    wheel = check(content)

    assert wheel == VerifiedWheel(
        filename="demo-1.0-py3-none-any.whl",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        requires_python=">=3.9",
        metadata=metadata_of("demo", "1.0", ["six>=1", "tqdm; extra == 'x'"], ">=3.9"),
        requires_dist=("six>=1", "tqdm; extra == 'x'"),
        tags=frozenset({Tag("py3", "none", "any")}),
        glibc="",
        glibcxx="",
        is_portable=False,
        held_reason="",
        content_sha256=wheel.content_sha256,
    )


TAGGED = "demo-1.0-1-py3-none-any.whl"
WHEEL_1 = wheel_of() + b"Build: 1\n"


def test_a_rebuild_with_its_build_tag_installs_the_same_as_before(check):
    before = check(make_wheel(files={"demo/tool": b"1"}))

    after = check(make_wheel(files={"demo/tool": b"1"}, wheel=WHEEL_1), TAGGED, build_tag="1")

    assert after.content_sha256 == before.content_sha256
    assert after.sha256 != before.sha256


@pytest.mark.parametrize(
    "other",
    [
        {"files": {"demo/tool": b"2"}},
        {"files": {"demo/tools": b"1"}},
        {"requires_python": ">=3"},
        {"wheel": WHEEL_1.replace(b"make_wheel", b"another")},
        {"is_program": True},
    ],
)
def test_a_rebuild_that_installs_anything_else_is_another(check, other):
    before = check(make_wheel(files={"demo/tool": b"1"}))
    rebuilt = make_wheel(**{"files": {"demo/tool": b"1"}, "wheel": WHEEL_1, **other})

    after = check(rebuilt, TAGGED, build_tag="1")

    assert after.content_sha256 != before.content_sha256


@pytest.mark.parametrize(
    ("filename", "ordered", "why"),
    [
        ("demo-1.0-py3-none-any.whl", "1", "no build tag, and 1 was ordered.*update the builder"),
        ("demo-1.0-2-py3-none-any.whl", "1", "has the build tag 2, and 1 was ordered"),
        ("demo-1.0-01-py3-none-any.whl", "1", "has the build tag 01, and 1 was ordered"),
        ("demo-1.0-1a-py3-none-any.whl", "1", "has the build tag 1a, and 1 was ordered"),
    ],
)
def test_another_build_tag_than_the_ordered_one_is_refused(filename, ordered, why):
    with pytest.raises(BadWheel, match=why):
        check_filename(filename, make_expected(build_tag=ordered))


@pytest.mark.parametrize(("said", "ordered"), [("", "1"), ("2", "1"), ("1", "")])
def test_a_build_tag_that_is_in_the_name_alone_or_in_wheel_alone_is_refused(check, said, ordered):
    content = make_wheel(wheel=wheel_of() + (f"Build: {said}\n".encode() if said else b""))
    filename = f"demo-1.0-{ordered}-py3-none-any.whl" if ordered else "demo-1.0-py3-none-any.whl"

    refuses(check, content, "WHEEL has Build", filename=filename, build_tag=ordered)


def test_a_wheel_for_two_platforms_may_hold_machine_code(check):
    content = make_wheel(tag=PI_TAG, files={"demo/_fast.so": ELF})

    wheel = check(content, filename=wheel_name(tag=PI_TAG))

    assert {tag.platform for tag in wheel.tags} == set(PI)
    assert (wheel.glibc, wheel.glibcxx, wheel.is_portable) == ("2.34", "", True)


def test_a_library_of_the_system_ties_a_wheel_to_it(check):
    content = make_wheel(
        tag="cp313-cp313-linux_armv7l", files={"demo/_fast.so": armhf(needed=["libpq.so.5"])}
    )

    assert not check(content, filename=wheel_name(tag="cp313-cp313-linux_armv7l")).is_portable


@pytest.mark.parametrize(
    ("tag", "path", "code", "why"),
    [
        (PI_TAG, "demo/_fast.so", make_elf(), "demo/_fast.so is for amd64, not for armhf"),
        (PI_TAG, "demo/fast.bin", armhf(flags=0x05000200), "demo/fast.bin is for armel, not for armhf"),
        (PI_TAG, "demo/_fast.so", MODULE, "does not say that an ARMv6 processor runs it"),
        (PI_TAG, "demo/_fast.so", ELF[:99], "'demo/_fast.so' cannot be read"),
        ("py3-none-linux_armv7l", "demo/_fast.so", MODULE, "demo/_fast.so is for one Python"),
        (
            "cp39-abi3-linux_armv7l",
            "demo/_fast.cpython-313-arm-linux-gnueabihf.so",
            MODULE,
            "linux-gnueabihf.so is for one Python",
        ),
    ],
)
def test_machine_code_that_does_not_run_where_the_tags_say_is_refused(check, tag, path, code, why):
    refuses(check, make_wheel(tag=tag, files={path: code}), why, filename=wheel_name(tag=tag))


@pytest.mark.parametrize(
    ("tag", "path", "code"),
    [
        ("py3-none-linux_armv7l", "demo.libs/libfast.so.1", ELF),
        ("cp39-abi3-linux_armv7l", "demo/_fast.abi3.so", MODULE),
        ("py3-none-any", "demo/bpf.o", make_elf(247, kind=1)),
    ],
)
def test_machine_code_that_fits_its_tags_passes(check, tag, path, code):
    assert check(make_wheel(tag=tag, files={path: code}), filename=wheel_name(tag=tag))


def test_a_wheel_in_other_peoples_way_passes_and_is_held(check):
    content = make_wheel(files={"demo.pth": b"import demo\n"}, requires=["x @ https://example.org/x.zip"])

    assert check(content).held_reason == (
        "demo.pth runs, or adds folders, at each start of Python. "
        "It requires x from https://example.org/x.zip."
    )


@pytest.mark.parametrize("name", ["../demo", "sub/demo", "sub\\demo", ".."])
@pytest.mark.parametrize("group", ["console_scripts", "gui_scripts"])
def test_a_program_that_is_a_path_is_refused(check, group, name):
    content = make_wheel(files={f"{INFO}/entry_points.txt": f"[{group}]\n{name} = demo:main\n".encode()})

    refuses(check, content, "is a path: give it a plain name")


def test_what_is_no_program_may_be_a_path(check):
    points = b"[console_scripts]\ndemo = demo:main\n[demo.plugins]\na/b = demo:plugin\n"

    assert check(make_wheel(files={f"{INFO}/entry_points.txt": points}))


def test_folders_may_be_in_record_and_need_not(check):
    assert check(make_wheel(files={"demo/": b""}))
    assert check(make_wheel(unlisted={"demo/": b""}))


def test_other_spellings_of_name_and_version_are_the_same(check):
    metadata = metadata_of("Demo.Kit", "1.0.0")
    content = make_wheel("demo-kit", metadata=metadata, dist_info="Demo_Kit-1.dist-info")

    assert check(content, filename="demo_kit-1.0-py3-none-any.whl", package="demo-kit", version="1.0.0")


def test_old_signatures_are_ignored(check):
    assert check(make_wheel(unlisted={f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b""}))


def test_a_compressed_tag_in_wheel_means_its_tags(check):
    wheel = wheel_of().replace(b"py3-none-any", b"py2.py3-none-any")

    assert len(check(make_wheel(wheel=wheel), filename="demo-1.0-py2.py3-none-any.whl").tags) == 2


def test_a_later_metadata_version_is_no_reason_to_refuse(check):
    assert check(make_wheel(metadata=metadata_of().replace(b"2.4", b"9.9")))


def test_requirements_that_nobody_understands_are_left_out(check):
    deep = "x; " + "(" * 5000 + "os_name == 'a'" + ")" * 5000
    metadata = metadata_of(
        requires=["good >=1,\n  <2", "bad>>1", "x" * 300, deep, "also; os_name == 'posix'"]
    )

    assert check(make_wheel(metadata=metadata)).requires_dist == (
        "good >=1, <2",
        "also; os_name == 'posix'",
    )


def test_a_requirement_that_no_row_could_hold_is_left_out(check):
    fits = f"six; extra == '{'é' * 492}'"
    big = f"big; extra == '{'é' * 493}'"
    assert len(fits.encode()) == 1000

    assert check(make_wheel(requires=[big, fits])).requires_dist == (fits,)


def test_no_more_requirements_are_kept_than_the_limit(check):
    names = tuple(f"demo{number}" for number in range(510))

    assert check(make_wheel(requires=["bad>>1", *names])).requires_dist == names[:500]


# --- Names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "why"),
    [
        ("../demo-1.0-py3-none-any.whl", "plain file name"),
        ("a/demo-1.0-py3-none-any.whl", "plain file name"),
        ("a\\demo-1.0-py3-none-any.whl", "plain file name"),
        ("demo-1.0-py3-none-any.whl\n", "plain file name"),
        ("demo-1.0-py3-none-any\0.whl", "plain file name"),
        ("demo-1.0-py3-none-\u202eany.whl", "plain file name"),
        (f"demo-1.0-py3-none-{'a' * 250}.whl", "plain file name"),
        (f"demo-1.0-py3-none-{'a' * (MAX_FILENAME + 1 - 22)}.whl", "225 characters at most"),
        ("demo-1.0.tar.gz", "plain file name"),
        ("demo-1.0-any.whl", "wrong number of parts"),
        ("demo-1.0-py3-none-any-variant-x.whl", "wrong number of parts"),
        ("demo-x-py3-none-any.whl", "invalid version"),
        ("demo-1.0-py3.py2-none-any.whl", "sorted order"),
        ("demo-1.0-b1-py3-none-any.whl", "Invalid build number"),
        ("other-1.0-py3-none-any.whl", "is not demo 1.0"),
        ("demo-1.1-py3-none-any.whl", "is not demo 1.0"),
        ("demo-1.0+pi-py3-none-any.whl", "is not demo 1.0"),
        ("demo-1.0-cp313-cp313-linux_x86_64.whl", "is for linux_x86_64: build for linux_armv6l or"),
        ("demo-1.0-cp313-cp313-manylinux_2_41_armv7l.whl", "is for manylinux"),
        ("demo-1.0-cp313-cp313-any.linux_aarch64.whl", "is for linux_aarch64"),
        ("demo-1.0-cp312-cp312-linux_armv7l.whl", "would not take"),
        ("demo-1.0-py27-none-any.whl", "would not take"),
        ("demo-1.0-cp312.cp313-cp313-linux_armv7l.whl", "would not take"),
        ("demo-1.0-py3.xy9-none-any.whl", "would not take"),
        ("demo-1.0-py3-abi9.none-any.whl", "would not take"),
        ("demo-1.0-2-py3-none-any.whl", "has the build tag 2"),
        ("demo-1.0-0-py3-none-any.whl", "has the build tag 0"),
        ("demo-1.0-1a-py3-none-any.whl", "has the build tag 1a"),
        (
            "demo-1.0-" + ".".join(["py3", *(f"py3{n}" for n in range(10, 40))]) + "-a.b.c.none-any.whl",
            "not take",
        ),
    ],
)
def test_a_name_that_was_not_ordered_is_refused(filename, why):
    with pytest.raises(BadWheel, match=why):
        check_filename(filename, make_expected())


@pytest.mark.parametrize(
    "filename",
    [
        "demo-1.0-py3-none-any.whl",
        "Demo-1-py2.py3-none-any.whl",
        "demo-1.0-py27.py3.py313-none-any.whl",
        "demo-1.0-py3-none-linux_armv6l.linux_armv7l.whl",
        "demo-1.0-cp39-abi3-linux_armv7l.whl",
        wheel_name(tag=PI_TAG),
    ],
)
def test_a_name_that_was_ordered_gives_its_tags(filename):
    assert check_filename(filename, make_expected()) == parse_tag("-".join(filename[:-4].split("-")[-3:]))


def test_a_local_version_passes_when_it_was_ordered():
    expected = make_expected(version="1.0+pi.1")

    assert check_filename("demo-1.0+pi.1-py3-none-any.whl", expected)


# --- The wheel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"dist_info": "other-1.0.dist-info"}, "one folder demo-1.0.dist-info, but has other"),
        ({"dist_info": "demo-1.1.dist-info"}, "one folder demo-1.0.dist-info, but has demo-1.1"),
        ({"dist_info": "demo.dist-info"}, "one folder"),
        ({"dist_info": "sub/demo-1.0.dist-info"}, "but has none"),
        ({"files": {"other-2.dist-info/METADATA": b""}}, "one folder"),
        ({"files": {"OTHER-2.DIST-INFO/METADATA": b""}}, "one folder"),
        ({"without": [f"{INFO}/METADATA"]}, "must have demo-1.0.dist-info/METADATA"),
        ({"without": [f"{INFO}/WHEEL"]}, "must have demo-1.0.dist-info/WHEEL"),
        ({"without": [f"{INFO}/RECORD"]}, "must have demo-1.0.dist-info/RECORD"),
        ({"metadata": metadata_of() + b"x" * (1 << 20)}, "1048576 bytes at most"),
        ({"metadata": b"Metadata-Version: 2.4\nVersion: 1.0\n"}, "has Name 0 times"),
        ({"metadata": b"Metadata-Version: 2.4\nName: demo\n"}, "has Version 0 times"),
        ({"metadata": b"Name: demo\nname: demo\nVersion: 1.0\n"}, "has Name 2 times"),
        ({"metadata": b"Name: demo\nVersion: 1.0\nVersion: 1.0\n"}, "has Version 2 times"),
        ({"metadata": b"\nName: demo\nVersion: 1.0\n"}, "has Name 0 times"),
        ({"metadata": metadata_of("other")}, "METADATA is of 'other' '1.0'"),
        ({"metadata": metadata_of(version="1.1")}, "METADATA is of 'demo' '1.1'"),
        ({"metadata": metadata_of(version="1" * 5000)}, "METADATA is of"),
        ({"metadata": metadata_of(version="x")}, "METADATA is of"),
        ({"metadata": metadata_of() + b"\xff"}, "not UTF-8"),
        ({"metadata": metadata_of() + b"\0"}, "NUL"),
        ({"metadata": metadata_of(requires_python=">=3\nRequires-Python: <3")}, "several Requires-Python"),
        ({"metadata": metadata_of(requires_python=">=3" + ",!=3.1" * 50)}, "over 255 characters"),
        ({"wheel": wheel_of(version="2.0")}, "Wheel-Version is '2.0'"),
        ({"wheel": wheel_of(version="10.0")}, "Wheel-Version is '10.0'"),
        ({"wheel": b"Tag: py3-none-any\n"}, "has Wheel-Version 0 times"),
        ({"wheel": wheel_of() + b"Wheel-Version: 2.0\n"}, "has Wheel-Version 2 times"),
        ({"wheel": b"Wheel-Version: 1.0\n"}, "tags in WHEEL"),
        ({"wheel": wheel_of("py2-none-any")}, "tags in WHEEL"),
        ({"wheel": wheel_of("py2.py3-none-any")}, "tags in WHEEL"),
        ({"wheel": wheel_of() + b"Tag: py3-none-any\n" * 100}, "tags in WHEEL"),
        ({"wheel": wheel_of() + b"Tag: py3\n"}, "bad tag"),
        ({"wheel": wheel_of() + b"Tag: " + b"-".join([b".".join([b"a"] * 50_000)] * 3)}, "bad tag"),
        ({"files": {"demo/_fast.so": ELF}}, "machine code"),
        ({"unlisted": {"demo/extra.py": b""}}, "does not list 'demo/extra.py'"),
        ({"files": {"demo/gone.py": b""}, "without": ["demo/gone.py"]}, "lists 'demo/gone.py'"),
        ({"edit_record": lambda text: text.replace("sha256=", "sha256=A", 1)}, "is not what RECORD says"),
        ({"edit_record": lambda text: text.replace("sha256=", "md5=", 1)}, "use sha256"),
        ({"edit_record": lambda text: text.replace("sha256=", "sha1=", 1)}, "use sha256"),
        ({"edit_record": lambda text: text.replace("sha256=", "sha384=", 1)}, "is not what RECORD says"),
        ({"edit_record": lambda text: re.sub(r"sha256=[^,]*", "", text, count=1)}, "use sha256"),
        ({"edit_record": lambda text: re.sub(r",(\d+)", r",1\1", text, count=1)}, "another size"),
        ({"edit_record": lambda text: text.replace(f"{INFO}/RECORD,,", "")}, "must list itself"),
        ({"edit_record": lambda text: text.replace("RECORD,,", "RECORD,sha256=x,1")}, "must list itself"),
        ({"edit_record": lambda text: text + text}, "there twice"),
        ({"edit_record": lambda text: text + "a,b\n"}, "RECORD cannot be read"),
        ({"edit_record": lambda text: text + 'a,"b\n'}, "RECORD cannot be read"),
        ({"edit_record": lambda text: text + "x" * 200_000}, "RECORD cannot be read"),
        ({"edit_record": lambda text: "".join(f"{n},,\n" for n in range(60_000))}, "one file too many"),
    ],
)
def test_T33_a_wheel_that_is_not_what_was_ordered_is_refused(check, damage, why):
    refuses(check, make_wheel(**damage), why)


def test_a_record_without_sizes_is_proven_by_its_hashes(check):
    assert check(make_wheel(edit_record=lambda text: re.sub(r",\d+\n", ",\n", text)))


def test_a_record_in_latin_1_is_refused(check):
    content = make_wheel(without=[f"{INFO}/RECORD"], unlisted={"x": b""})
    with ZipFile(file := BytesIO(content), "a") as archive:
        archive.writestr(f"{INFO}/RECORD", b"demo/\xe9.py,,\n")

    refuses(check, file.getvalue(), "RECORD cannot be read")


def test_machine_code_is_found_behind_a_slow_start(check):
    """More packed bytes than are read at once come before the first that unpack to something."""
    nothing = zlib.compressobj(wbits=-15).flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(wbits=-15)
    first, rest = packer.compress(ELF[:1]) + packer.flush(zlib.Z_FULL_FLUSH), packer.compress(ELF[1:])
    slow = first + nothing * 60_000 + rest + packer.flush()
    good = make_wheel(files={"demo/x": ELF})

    refuses(check, pack_otherwise(good, "demo/x", slow), "machine code")


def pack_otherwise(wheel: bytes, path: str, deflated: bytes) -> bytes:
    """The same wheel, with one member deflated in another way."""
    with ZipFile(BytesIO(wheel)) as archive, ZipFile(file := BytesIO(), "w") as target:
        for info in archive.infolist():
            if info.filename != path:
                target.writestr(info, archive.read(info))
                continue
            with target.open(member(path), "w") as opened:
                opened.write(deflated)
            # What is stored is said to be deflated, before the directory is written.
            stored = target.getinfo(path)
            stored.compress_type, stored.CRC, stored.file_size = ZIP_DEFLATED, info.CRC, info.file_size
            file.seek(stored.header_offset)
            file.write(stored.FileHeader())
            file.seek(0, 2)
    return file.getvalue()


def test_a_bad_zip_is_a_bad_wheel(check):
    refuses(check, make_wheel() + b"x", "behind it. Make demo-1.0-py3-none-any.whl again, as a plain zip")


class BrokenDisk(BytesIO):
    """A file that can no longer be read."""

    def read(self, size=-1):
        raise OSError(errno.EIO, "Input/output error")


def test_a_broken_disk_is_our_own_fault_and_not_the_builders(tmp_path):
    with pytest.raises(OSError, match="Input/output error"):
        verify(BrokenDisk(make_wheel()), "demo-1.0-py3-none-any.whl", make_expected(), scratch=tmp_path)


def test_large_machine_code_lies_on_the_disk_that_is_named(check, tmp_path):
    content = make_wheel(tag=PI_TAG, files={"demo/_fast.so": ELF + bytes(17 << 20)})

    assert check(content, f"demo-1.0-{PI_TAG}.whl").glibc == "2.34"

    with pytest.raises(FileNotFoundError, match="nowhere"):
        check(content, f"demo-1.0-{PI_TAG}.whl", scratch=tmp_path / "nowhere")


def test_endless_machine_code_is_refused_before_it_is_unpacked(check, tmp_path, monkeypatch):
    monkeypatch.setattr("builds.wheels.verify.MAX_ELF", 16 << 20)
    content = make_wheel(tag=PI_TAG, files={"demo/_fast.so": ELF + bytes(17 << 20)})

    refuses(check, content, "Strip it", filename=f"demo-1.0-{PI_TAG}.whl", scratch=tmp_path / "nowhere")


# --- Everything else -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_T34_a_mutated_wheel_is_refused_or_has_the_same_content(check, seed):
    """Never another exception, and never other bytes than RECORD proves."""
    chance = random.Random(seed)
    good = make_wheel(files={"demo/a.py": b"x = 1\n" * 50, "demo/b.bin": chance.randbytes(300)})
    outcomes = {"same": 0, "refused": 0}
    for _ in range(200):
        content = mutate(good, chance)
        try:
            check(content)
        except BadWheel as error:
            assert "could not be read (" not in str(error)
            outcomes["refused"] += 1
        else:
            assert contents(content) == contents(good)
            outcomes["same"] += 1

    assert outcomes["refused"] > 100


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Change a few bytes, cut some out, or write some of it elsewhere."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at, length = chance.randrange(len(changed)), chance.choice([1, 1, 2, 4, 30])
        match chance.randrange(4):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at : at + length] = chance.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                source = chance.randrange(len(changed))
                changed[at : at + length] = changed[source : source + length]
    return bytes(changed)


def contents(wheel: bytes) -> dict[str, bytes]:
    """What pip would find in a wheel."""
    with ZipFile(BytesIO(wheel)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}
