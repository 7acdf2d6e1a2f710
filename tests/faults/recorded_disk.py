"""A disk that records all that is written to it, and what it has after a power cut at any moment.

The record is kept by qemu's storage daemon: it shows an image as a file (FUSE), in which a loop device has
its blocks, and notes each write and each flush in their order (`blklogwrites`, in the format of the kernel's
dm-log-writes).  It does one after the other, so a flush covers all that stands before it.
"""

import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from tests import services

DAEMON = "qemu-storage-daemon"
_MAGIC = 0x6A736677736872
_SUPERBLOCK = struct.Struct("<QQQI")  # magic, version, number of entries, bytes of a sector
_ENTRY = struct.Struct("<QQQQ")  # sector, number of sectors, flags, unused
_FLUSHES, _DISCARDS = 1, 4
# What a disk writes whole or not at all.
_ATOM = 512


class Entry(NamedTuple):
    """A write or a flush, in bytes."""

    end: int  # where the next one begins in the record
    at: int  # where its bytes stand in the record ...
    to: int  # ... and on the disk
    size: int
    flushes: bool


class RecordedDisk:
    """A mounted disk; what is mounted `here` is first the disk itself, and later what cuts leave of it.

    It does without what ext4 does for programs that rename files before the disk has their bytes
    (`noauto_da_alloc`), as other file systems have nothing like it.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.here = folder / "here"
        self._folder, self._size = folder, size
        self._record, self._shown = folder / "record", folder / "shown"
        # What it has for certain at the last cut: all entries before this one, none after.
        self._flushed, self._covered = folder / "flushed", 0

    def __enter__(self) -> Self:
        # The one has it since Debian 13, the other had it before.
        for package in ("qemu-utils", "qemu-system-common"):
            services.install([] if shutil.which(DAEMON) else [package])
        self.here.mkdir(parents=True)
        image = self._folder / "image"
        with image.open("wb") as file:
            file.truncate(self._size)
        # All that it has is written now, so that nothing is in the record but what somebody wrote.
        tables = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", tables, image], check=True)
        _copy(image, self._flushed)
        self._record.touch()
        self._shown.touch()
        # That it syncs neither is no matter: the cuts are played.
        nodes = [
            f"driver=file,node-name=image,filename={image},cache.no-flush=on",
            f"driver=file,node-name=record,filename={self._record},cache.no-flush=on",
            "driver=blklogwrites,node-name=disk,file=image,log=record",
        ]
        words = [word for node in nodes for word in ("--blockdev", node)]
        export = f"type=fuse,id=shown,node-name=disk,mountpoint={self._shown},writable=on"
        self._daemon = subprocess.Popen([DAEMON, *words, "--export", export])
        try:
            self._wait()
            _mount(self._shown, self.here)
        except BaseException:
            self._end_daemon()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _wait(self) -> None:
        """Wait until the image is shown."""
        for _ in range(100):
            if self._daemon.poll() is not None:
                raise RuntimeError(f"{DAEMON} ended with status {self._daemon.returncode}.")
            if self._shown.stat().st_size == self._size:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{DAEMON} shows no image after 10 s.")

    def end(self) -> None:
        """Have nothing written any more: what is `here` is gone."""
        try:
            if self.here.is_mount():
                _unmount(self.here)
        finally:
            self._end_daemon()

    def _end_daemon(self) -> None:
        self._daemon.terminate()
        try:
            self._daemon.wait(30)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()

    def sync(self) -> None:
        """Have the disk remember all that was written until now, whoever cared."""
        subprocess.run(["sync", "--file-system", self.here], check=True)

    def moment(self) -> int:
        """Return the moment: whatever was written and flushed by now stands before it in the record."""
        return self._record.stat().st_size

    def entries(self, end: int = 0) -> Iterator[Entry]:
        """Read the record of a disk that has ended, behind the end of an entry or from the first one on."""
        with self._record.open("rb") as file:
            magic, _, _, sector = _SUPERBLOCK.unpack(file.read(_SUPERBLOCK.size))
            assert magic == _MAGIC, "this is no record"
            end = end or sector
            while header := _at(file, end, _ENTRY.size):
                to, sectors, flags, _ = _ENTRY.unpack(header)
                at, size = end + sector, 0 if flags & _DISCARDS else sectors * sector
                end = at + size
                yield Entry(end, at, to * sector, size, bool(flags & _FLUSHES))

    @contextmanager
    def after_cut(self, moment: int, chance: random.Random) -> Iterator[None]:
        """Have here what the disk may have when the power went at that moment, no earlier than the last one.

        What was flushed is there; of each write since then all, nothing or a beginning, as chance has it.
        """
        cut = self._folder / "cut"
        unsure = self._cover(moment)
        _copy(self._flushed, cut)
        with self._record.open("rb") as record, cut.open("r+b") as disk:
            for entry in unsure:
                part = chance.randrange(0, entry.size + 1, _ATOM)
                _write(record, disk, entry, chance.choice([0, part, entry.size]))
        _mount(cut, self.here)
        try:
            yield
        finally:
            _unmount(self.here)

    def _cover(self, moment: int) -> list[Entry]:
        """Write what was flushed by then; return what was written since."""
        unsure: list[Entry] = []
        with self._record.open("rb") as record, self._flushed.open("r+b") as disk:
            for entry in self.entries(self._covered):
                if entry.end > moment:
                    break
                unsure.append(entry)
                if entry.flushes:
                    for covered in unsure:
                        _write(record, disk, covered, covered.size)
                    self._covered, unsure = entry.end, []
        return unsure


def _at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _write(record: BinaryIO, disk: BinaryIO, entry: Entry, size: int) -> None:
    """Write the beginning of an entry, of that size, to a disk."""
    disk.seek(entry.to)
    disk.write(_at(record, entry.at, size))


def _copy(image: Path, other: Path) -> None:
    """Copy an image, whose holes take no time, to a new file: somebody may still have the old one open."""
    other.unlink(missing_ok=True)
    subprocess.run(["cp", "--sparse=always", image, other], check=True)


def _mount(image: Path, folder: Path) -> None:
    subprocess.run(["mount", "-o", "loop,noauto_da_alloc", image, folder], check=True)


def _unmount(folder: Path) -> None:
    """Unmount a disk as soon as the last of those who were killed there is gone."""
    for _ in range(50):
        done = subprocess.run(["umount", folder], check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    # It goes when they do; but no test may go on with it.
    subprocess.run(["umount", "--lazy", folder], check=False)
    raise RuntimeError(done.stderr)
