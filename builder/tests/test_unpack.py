import errno
import io
import os
import random
import stat
import subprocess
import sys
import tarfile
import zipfile

import pytest

from builder import exits, unpack
from builder.unpack import BadSource


def tar(path, *members, mode="w:gz"):
    """Write an archive of (name, content or type, link)."""
    with tarfile.open(path, mode) as archive:
        for name, content, *link in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
                continue
            member.type = content
            member.linkname = link[0] if link else ""
            archive.addfile(member)
    return path


def unpacked(archive, tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    return unpack.unpack(archive, folder)


GOOD = ("tiny-1.0/pyproject.toml", "")


@pytest.mark.parametrize(("ending", "mode"), [("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")])
def test_a_tar_of_any_kind_is_unpacked(tmp_path, ending, mode):
    archive = tar(tmp_path / f"tiny-1.0.{ending}", GOOD, ("tiny-1.0/tiny.py", "answer = 42"), mode=mode)

    top = unpacked(archive, tmp_path)

    assert (top / "tiny.py").read_text() == "answer = 42"


def test_a_zip_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "tiny-1.0.zip", "w") as archive:
        archive.writestr("tiny-1.0/setup.py", "pass")

    assert (unpacked(tmp_path / "tiny-1.0.zip", tmp_path) / "setup.py").read_text() == "pass"


def test_a_source_without_a_top_folder_is_its_own(tmp_path):
    archive = tar(tmp_path / "tiny-1.0.tar.gz", ("setup.py", "pass"), ("tiny.py", ""))

    assert (unpacked(archive, tmp_path) / "tiny.py").exists()


def test_links_within_a_source_stay(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", GOOD, ("tiny-1.0/a/link", tarfile.SYMTYPE, "../pyproject.toml"))

    assert (unpacked(archive, tmp_path) / "a" / "link").is_symlink()


def test_nothing_runs_with_another_users_rights(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, mode in [("tiny-1.0/setup.py", 0), ("tiny-1.0/configure", 0o6755)]:
            member = tarfile.TarInfo(name)
            member.mode = mode
            archive.addfile(member)

    top = unpacked(tmp_path / "a.tar.gz", tmp_path)

    assert stat.S_IMODE((top / "setup.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((top / "configure").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([GOOD, ("../escape", "")], "leads out"),
        ([GOOD, ("/etc/escape", "")], "leads out"),
        ([GOOD, ("tiny-1.0/../../escape", "")], "leads out"),
        ([GOOD, ("tiny-1.0/null", tarfile.CHRTYPE)], "device"),
        ([GOOD, ("tiny-1.0/disk", tarfile.BLKTYPE)], "device"),
        ([GOOD, ("tiny-1.0/pipe", tarfile.FIFOTYPE)], "device or a pipe"),
        ([GOOD, ("tiny-1.0/passwd", tarfile.SYMTYPE, "/etc/passwd")], "outside the source"),
        ([GOOD, ("tiny-1.0/up", tarfile.SYMTYPE, "../../up")], "outside the source"),
        ([GOOD, ("tiny-1.0/hard", tarfile.LNKTYPE, "../hard")], "outside the source"),
        ([("tiny-1.0/README", "")], "neither pyproject.toml nor setup.py"),
        ([], "neither pyproject.toml nor setup.py"),
    ],
)
def test_a_bad_source_is_refused_and_told_why(tmp_path, members, complaint):
    archive = tar(tmp_path / "tiny-1.0.tar.gz", *members)

    with pytest.raises(BadSource, match=complaint):
        unpacked(archive, tmp_path)

    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00" + b"\0" * 20])
def test_what_is_no_archive_is_refused(tmp_path, content):
    archive = tmp_path / "tiny-1.0.tar.gz"
    archive.write_bytes(content)

    with pytest.raises(BadSource, match="cannot be unpacked"):
        unpacked(archive, tmp_path)


def test_a_cut_archive_is_refused(tmp_path):
    archive = tar(tmp_path / "tiny-1.0.tar.gz", GOOD, ("tiny-1.0/tiny.py", "x" * 100_000))
    archive.write_bytes(archive.read_bytes()[:-40])

    with pytest.raises(BadSource, match="cannot be unpacked"):
        unpacked(archive, tmp_path)


# The same each time.
NOISE = random.Random(1).randbytes(150_000)


def damage(path):
    """Overwrite the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3)
        file.write(NOISE[:50_000])


@pytest.mark.parametrize(("ending", "mode"), [("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")])
def test_a_tar_that_is_damaged_in_its_middle_is_refused(tmp_path, ending, mode):
    archive = tar(tmp_path / f"tiny-1.0.{ending}", GOOD, ("tiny-1.0/tiny.py", NOISE.hex()), mode=mode)
    damage(archive)

    with pytest.raises(BadSource, match="cannot be unpacked"):
        unpacked(archive, tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_damaged_in_its_middle_is_refused(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "tiny-1.0.zip", "w", kind) as archive:
        archive.writestr("tiny-1.0/setup.py", NOISE.hex())
    damage(tmp_path / "tiny-1.0.zip")

    with pytest.raises(BadSource, match="cannot be unpacked"):
        unpacked(tmp_path / "tiny-1.0.zip", tmp_path)


@pytest.mark.parametrize(
    ("said", "kept"), [("1e400", 2**31 - 1), ("nan", 0), ("-1", 0), ("4102444800", 2**31 - 1)]
)
def test_a_file_of_a_time_that_no_system_can_say_is_unpacked(tmp_path, said, kept):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("tiny-1.0/setup.py")
        member.pax_headers = {"mtime": said}
        archive.addfile(member)

    top = unpacked(tmp_path / "a.tar.gz", tmp_path)

    assert (top / "setup.py").stat().st_mtime == kept


def test_the_program_tells_a_bad_source_from_a_fault_of_its_own(tmp_path):
    archive = tar(tmp_path / "tiny-1.0.tar.gz", ("tiny-1.0/README", ""))
    (tmp_path / "src").mkdir()

    done = subprocess.run(
        [sys.executable, "-m", "builder.unpack", archive, tmp_path / "src"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == exits.BAD
    assert "nobody can build it" in done.stderr


@pytest.fixture
def failing(monkeypatch):
    """Have the disk that a source is unpacked to fail."""

    def failing(number):
        def extractall(*words, **how):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)

    return failing


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, exits.FULL),
        (errno.EDQUOT, exits.FULL),
        (errno.EIO, exits.FAULT),
        (errno.EROFS, exits.FAULT),
        (errno.ENOMEM, exits.MEMORY),
        (errno.ENAMETOOLONG, exits.BAD),
    ],
)
def test_a_disk_that_takes_nothing_is_no_fault_of_the_source(tmp_path, failing, capsys, number, code):
    archive = tar(tmp_path / "tiny-1.0.tar.gz", GOOD)
    (tmp_path / "src").mkdir()
    failing(number)

    assert unpack.main([str(archive), str(tmp_path / "src")]) == code
    assert os.strerror(number) in capsys.readouterr().err
