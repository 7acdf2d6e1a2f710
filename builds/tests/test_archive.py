"""Each refusal of `archive.py`, by a real bad zip; and that good ones are read."""

import random
import re
import struct
import tracemalloc
import warnings
import zlib
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile

import pytest

from builds.tests.wheels import member, pack, pack_members
from builds.wheels.archive import BadArchive, read_directory, unpack

LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
# What `make_zip` makes: the first name begins with these two letters, and its size is one byte long.
TEXT = b"to be read " * 10


def make_zip(compression: int = ZIP_DEFLATED) -> bytes:
    return pack({"one.txt": TEXT, "two.txt": b"2", "three.txt": b"3"}, compression)


def read(content: bytes) -> dict[str, bytes]:
    """Every member of a zip, as `archive` reads it."""
    file = BytesIO(content)
    return {member.name: b"".join(unpack(file, member)) for member in read_directory(file)}


def refuses(content: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        read(content)


def place(content: bytes, mark: bytes, which: int) -> int:
    """Where the n-th record with that mark begins."""
    return [found.start() for found in re.finditer(re.escape(mark), content)][which]


def patch(content: bytes, mark: bytes, offset: int, new: bytes, which: int = 0) -> bytes:
    """Write over a field of the n-th record with that mark."""
    at = place(content, mark, which) + offset
    return content[:at] + new + content[at + len(new) :]


def patch_both(content: bytes, local: int, entry: int, new: bytes) -> bytes:
    """Write over a field of the first member, in its header and in the directory."""
    return patch(patch(content, LOCAL, local, new), ENTRY, entry, new)


def pack_deflated(deflated: bytes, said: bytes) -> bytes:
    """A zip of one member with those deflated bytes, said to unpack to something."""
    content = pack_members([(member("x"), deflated)], ZIP_STORED)
    content = patch_both(content, 8, 10, b"\x08")
    content = patch_both(content, 14, 16, struct.pack("<L", zlib.crc32(said)))
    return patch_both(content, 22, 24, struct.pack("<L", len(said)))


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
def test_members_may_be_stored_or_deflated(compression):
    files = {"big": bytes(3_000_000), "empty": b"", "noise": random.Random(1).randbytes(700_000)}

    assert read(pack(files, compression)) == files


def test_folders_and_names_in_other_scripts_are_fine():
    files = {"a/": b"", "a/größe.py": b"", "a/数据/": b"", "a/数据/a b.txt": b"1", "B/": b"", "b.txt": b""}

    assert read(pack(files)) == files


def test_a_zip_of_nothing_is_a_zip():
    assert read(pack({})) == {}


def test_members_come_in_the_order_of_their_bytes():
    content = make_zip()
    first, second, third = (place(content, ENTRY, which) for which in range(3))
    turned = content[:first] + content[second:third] + content[first:second] + content[third:]

    assert list(read(turned)) == ["one.txt", "two.txt", "three.txt"]


def test_sizes_in_extra_fields_are_fine_where_both_are():
    """Tools write this when they do not know beforehand how long a member will be."""
    with (
        ZipFile(file := BytesIO(), "w") as archive,
        archive.open(member("x"), "w", force_zip64=True) as opened,
    ):
        opened.write(b"123")

    assert read(file.getvalue()) == {"x": b"123"}


def test_other_extra_fields_are_fine():
    assert read(pack_members([(member("x", extra=b"UT\x05\0\x01abcd"), b"1")])) == {"x": b"1"}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda good: b"", "too short"),
        (lambda good: b"nonsense" * 10, "end record"),
        (lambda good: good[:-1], "end record"),
        (lambda good: good[: len(good) // 2], "end record"),
        (lambda good: good + b"\0", "end record"),
        (lambda good: good[:-2] + b"\x03\0why", "end record"),
        (lambda good: good + good, "directory does not fill"),
        (lambda good: b"#!/bin/sh\n" + good, "directory does not fill"),
        (lambda good: patch(good, END, 4, b"\1\0"), "one part of several"),
        (lambda good: patch(good, END, 6, b"\1\0"), "one part of several"),
        (lambda good: patch(good, END, 8, b"\1\0"), "one part of several"),
        (lambda good: patch(good, END, 8, b"\2\0\2\0"), "more entries than it says"),
        (lambda good: patch(good, END, 8, b"\4\0\4\0"), "ends too early"),
        (lambda good: patch(good, END, 8, b"\xff\xff\xff\xff"), "more than 50000 members"),
        (lambda good: patch(good, ENTRY, 0, b"XX"), "entry that is broken"),
        (lambda good: patch(good, ENTRY, 6, b"\x40"), "entry that is broken"),
        (lambda good: patch(good, ENTRY, 32, b"\1"), "entry that is broken"),
        (lambda good: patch(good, ENTRY, 34, b"\1"), "entry that is broken"),
        (lambda good: patch(good, ENTRY, 30, b"\xff\xff"), "entry that is broken"),
        (lambda good: patch(good, ENTRY, 28, b"\xff\xff", 2), "entry that is broken"),
        (lambda good: patch(good, LOCAL, 0, b"XX"), "header is broken"),
        (lambda good: patch(good, LOCAL, 4, b"\x40"), "header is broken"),
        (lambda good: patch(good, LOCAL, 26, b"\xff\xff", 2), "header is broken"),
        (lambda good: patch(good, LOCAL, 6, b"\2"), "differs from its entry"),
        (lambda good: patch(good, LOCAL, 8, b"\0"), "differs from its entry"),
        (lambda good: patch(good, LOCAL, 10, b"\1"), "differs from its entry"),
        (lambda good: patch(good, LOCAL, 30, b"O"), "differs from its entry"),
        (lambda good: patch(good, ENTRY, 16, b"\1\2\3\4"), "differs from its entry"),
        (lambda good: patch(good, ENTRY, 20, b"\1"), "differs from its entry"),
        (lambda good: patch(good, ENTRY, 24, b"\1"), "differs from its entry"),
        (lambda good: patch_both(good, 14, 16, b"\1\2\3\4"), "size and checksum"),
        (lambda good: patch_both(good, 22, 24, b"\1"), "unpacks to more than the 1 bytes"),
        (lambda good: patch_both(good, 22, 24, b"\xff"), "size and checksum"),
        (lambda good: patch_both(good, 18, 20, b"\1"), "do not end where the next"),
        (lambda good: patch_both(good, 6, 8, b"\1"), "encrypted"),
        (lambda good: patch_both(good, 6, 8, b"\x08"), "sizes behind its bytes"),
        (lambda good: patch_both(good, 8, 10, b"\x5d"), "neither stored nor deflated"),
        (lambda good: patch_both(good, 8, 10, b"\0"), "stored, but has two sizes"),
        (lambda good: patch(good, LOCAL, 37, b"\xff"), "cannot be unpacked"),
        (lambda good: patch(good, ENTRY, 42, b"\1"), "in front of the first"),
        (lambda good: patch(good, ENTRY, 42, bytes(4), 1), "differs|do not end"),
    ],
)
def test_a_zip_that_readers_could_read_differently_is_refused(spoil, why):
    refuses(spoil(make_zip()), why)


def test_something_in_front_is_found_even_when_the_offsets_allow_for_it():
    with ZipFile(file := BytesIO(b"#!/bin/sh\nexit\n"), "a") as archive:
        archive.writestr("x", b"1")

    refuses(file.getvalue(), "in front of the first member")


def test_a_gap_between_members_is_refused():
    good = make_zip(ZIP_STORED)
    cut = place(good, LOCAL, 2)
    start, where = (struct.pack("<L", at + len(b"hidden")) for at in (cut, place(good, ENTRY, 0)))
    gapped = good[:cut] + b"hidden" + good[cut:]

    refuses(
        patch(patch(gapped, ENTRY, 42, start, 2), END, 16, where), "do not end where the next record begins"
    )


def test_a_member_that_only_streaming_readers_see_is_refused():
    """The directory does not mention it, so that pip would not install what another installer does."""
    good = make_zip()
    begins, ends = place(good, ENTRY, 1), place(good, ENTRY, 2)
    size = place(good, END, 0) - place(good, ENTRY, 0) - (ends - begins)
    hidden = patch(good[:begins] + good[ends:], END, 8, struct.pack("<HHL", 2, 2, size))

    refuses(hidden, "do not end where the next record begins")


def test_what_looks_like_a_second_directory_is_refused():
    """`zipfile` would follow a zip64 locator, even one that is in the last entry's extra field."""
    locator = struct.pack("<HH", 0x9999, 20) + b"PK\x06\x07" + bytes(16)

    refuses(pack_members([(member("x", extra=locator), b"")]), "second directory")


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (b"\x75\x70\x08\0\x01\0\0\0\0abc", "second name"),
        (b"\x99\x99\xff\0\0", "extra fields are broken"),
        (b"\x97\x97\0\0\x99", "extra fields are broken"),
        (b"\x99\x99\0\0" * 2, "there twice"),
        (struct.pack("<HHQ", 1, 8, 3), "sizes in two places"),
        (struct.pack("<HHQQ", 1, 16, 3, 3), "sizes in two places"),
    ],
)
def test_extra_fields_that_readers_use_differently_are_refused(extra, why):
    """They are patched in, as `ZipFile` drops some of them."""
    harmless = b"\x98\x98" + struct.pack("<H", len(extra) - 4) + bytes(len(extra) - 4)
    content = pack_members([(member("x", extra=harmless), b"123")])

    refuses(content.replace(harmless, extra), why)


@pytest.mark.parametrize("compression", [ZIP_BZIP2, ZIP_LZMA])
def test_other_compressions_are_refused(compression):
    content = make_zip(compression)
    for which in range(3):
        content = patch(patch(content, LOCAL, 6, b"\0", which), ENTRY, 8, b"\0", which)

    refuses(content, "neither stored nor deflated")


def test_bytes_behind_the_deflated_ones_are_refused():
    deflated = zlib.compress(b"123", wbits=-15)

    assert read(pack_deflated(deflated, b"123")) == {"x": b"123"}
    refuses(pack_deflated(deflated + b"hidden", b"123"), "behind its deflated bytes")


def test_deflated_bytes_that_do_not_end_are_refused():
    deflated = zlib.compress(TEXT, wbits=-15)

    refuses(pack_deflated(deflated[:-1], TEXT), "is cut off")


@pytest.fixture
def peak():
    """Measure the most memory that was held meanwhile."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


def test_a_bomb_is_refused_before_it_is_unpacked(peak):
    bomb = pack({"x": bytes(65 << 20)})
    tracemalloc.reset_peak()

    with pytest.raises(BadArchive, match="would unpack to 68157440 bytes"):
        read_directory(BytesIO(bomb))

    assert peak() < 1 << 20


def test_a_bomb_that_lies_about_its_size_is_stopped(peak):
    bomb = BytesIO(pack_deflated(zlib.compress(bytes(65 << 20), wbits=-15), b"123"))
    (liar,) = read_directory(bomb)
    tracemalloc.reset_peak()

    with pytest.raises(BadArchive, match="unpacks to more than the 3 bytes"):
        list(unpack(bomb, liar))

    assert peak() < 2 << 20


def test_a_large_member_is_never_held_in_memory(peak):
    file = BytesIO(pack({"a": random.Random(1).randbytes(8 << 20), "b": bytes(20 << 20)}))
    tracemalloc.reset_peak()

    read_sizes = [sum(map(len, unpack(file, member))) for member in read_directory(file)]

    assert read_sizes == [8 << 20, 20 << 20]
    assert peak() < 3 << 20


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "leads out"),
        ("../evil.py", "leads out"),
        ("demo/../../evil.py", "leads out"),
        ("demo/./evil.py", "leads out"),
        ("demo//evil.py", "leads out"),
        ("demo/..", "leads out"),
        ("/", "leads out"),
        ("C:/evil.py", "begins with a drive"),
        ("x" * 513, "too long"),
        ("demo\\evil.py", "backslash"),
        ("demo/evil\n.py", "cannot be seen"),
        ("demo/evil\x7f.py", "cannot be seen"),
        ("demo/\u202eyp.live", "cannot be seen"),
        ("demo/ev\u200bil.py", "cannot be seen"),
        ("demo/ev\u2028il.py", "cannot be seen"),
        ("demo/GR\u00d6SSE", "in each other's way"),
        ("demo/gro\u0308sse", "in each other's way"),
        ("demo/gr\u00f6sse/", "in each other's way"),
        ("demo/gr\u00f6sse/x", "in each other's way"),
        ("demo", "in each other's way"),
    ],
)
def test_names_that_could_unpack_elsewhere_are_refused(name, why):
    refuses(pack({"demo/gr\u00f6sse": b"", name: b"", "zzz": b""}), why)


def test_a_nul_in_a_name_is_refused():
    refuses(make_zip().replace(b"one.txt", b"one\0txt"), "cannot be seen")


@pytest.mark.parametrize("raw", [b"\xe9ne.txt", b"\xc3\xa9e.txt"])
def test_a_name_that_is_not_said_to_be_utf8_is_refused(raw):
    refuses(make_zip().replace(b"one.txt", raw), "is not UTF-8")


def test_a_name_that_is_said_to_be_utf8_and_is_not_is_refused():
    content = patch_both(make_zip().replace(b"one.txt", b"\xe9ne.txt"), 6, 8, b"\0\x08")

    refuses(content, "is not UTF-8")


def test_two_members_of_one_name_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = pack_members([(member("x"), b"1"), (member("x"), b"2")])

    refuses(content, "in each other's way")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010644, 0o040755, 0o140755])
def test_what_is_no_plain_file_is_refused(mode):
    refuses(pack_members([(member("x", mode), b"/etc/shadow")]), "neither a plain file")


@pytest.mark.parametrize("mode", [0o104755, 0o102755, 0o101755, 0o004755])
def test_what_would_run_with_other_rights_is_refused(mode):
    refuses(pack_members([(member("x", mode), b"")]), "another user's rights")


def test_a_folder_that_is_a_file_is_refused():
    refuses(pack_members([(member("x/", 0o100644), b"")]), "nor an empty folder")


def test_a_folder_with_content_is_refused():
    content = pack_members([(member("a/x", 0o644), b"123")]).replace(b"a/x", b"aa/")

    refuses(content, "nor an empty folder")
