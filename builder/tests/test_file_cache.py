import errno
import os
import time
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest

from builder import file_cache
from builder.file_cache import FileCache


def keep(cache, content) -> str:
    """Pass a file through the cache; return its sha256."""
    digest = sha256(content).hexdigest()
    assert b"".join(cache.keep(digest, [content[:3], content[3:]])) == content
    return digest


def used_at(folder, digest, at) -> None:
    os.utime(folder / digest, (at, at))


def test_a_file_that_was_kept_is_found(tmp_path):
    cache = FileCache(tmp_path / "cache")

    digest = keep(cache, b"content")

    with cache.open(digest) as file:
        assert b"".join(file_cache.read(file)) == b"content"
    assert cache.open("0" * 64) is None


def test_a_file_with_another_sha256_is_not_kept(tmp_path):
    cache = FileCache(tmp_path)

    assert list(cache.keep("0" * 64, [b"content"])) == [b"content"]

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_did_not_come_to_its_end_is_not_kept(tmp_path):
    blocks = FileCache(tmp_path).keep(sha256(b"content").hexdigest(), [b"con", b"tent"])
    next(blocks)
    assert len(list(tmp_path.iterdir())) == 1

    blocks.close()

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changed_is_removed(tmp_path):
    cache = FileCache(tmp_path)
    digest = keep(cache, b"content")
    (tmp_path / digest).write_bytes(b"Content")

    assert cache.open(digest) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_disk_does_not_give_any_more_is_removed(tmp_path, caplog):
    # Whose first page no process has: reading it fails as a bad sector does.
    (tmp_path / ("0" * 64)).symlink_to("/proc/self/mem")

    assert FileCache(tmp_path).open("0" * 64) is None

    assert list(tmp_path.iterdir()) == []
    assert "cannot be read ([Errno 5] Input/output error) and is removed" in caplog.text


def test_a_bad_file_on_a_disk_that_has_become_read_only_is_passed_over(tmp_path, caplog):
    (tmp_path / ("0" * 64)).symlink_to("/proc/self/mem")

    with patch.object(Path, "unlink", side_effect=OSError(errno.EROFS, os.strerror(errno.EROFS))):
        assert FileCache(tmp_path).open("0" * 64) is None

    assert "cannot be removed: [Errno 30] Read-only file system" in caplog.text


def test_what_nobody_used_for_the_longest_time_goes_first(tmp_path):
    cache = FileCache(tmp_path, total_bytes=25)
    first, second = keep(cache, b"1" * 10), keep(cache, b"2" * 10)
    used_at(tmp_path, first, 1000)
    used_at(tmp_path, second, 2000)
    cache.open(first).close()

    third = keep(cache, b"3" * 10)

    assert {path.name for path in tmp_path.iterdir()} == {first, third}


@pytest.mark.parametrize(("age_s", "is_left"), [(60, True), (200_000, False)])
def test_what_a_killed_builder_left_goes_in_time(tmp_path, age_s, is_left):
    part = tmp_path / "abc.part"
    part.write_bytes(b"half")
    os.utime(part, (time.time() - age_s, time.time() - age_s))

    keep(FileCache(tmp_path), b"content")

    assert part.exists() is is_left


def test_a_large_file_pushes_no_other_out(tmp_path):
    cache = FileCache(tmp_path)
    block = bytes(1 << 20)
    digest = sha256(block * 65).hexdigest()

    assert sum(map(len, cache.keep(digest, [block] * 65))) == 65 << 20

    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_to_stops_nobody(tmp_path):
    cache = FileCache(tmp_path / "cache")
    (tmp_path / "cache").rmdir()

    keep(cache, b"content")
