"""Has disks remember what was written, gives a file a second name, and finds what is there (no Django)."""

import errno
import os
from pathlib import Path

# The other name may be on another file system, or the file belong to somebody else.
NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


def nearest(path: Path) -> Path:
    """Return a path if it is there, or else the nearest folder above it that is."""
    return next(each for each in (path, *path.parents) if each.exists())


def may_write(folder: Path) -> bool:
    """Tell whether this process may make files in a folder."""
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def sync(path: Path) -> None:
    """Have the disk remember a file's bytes, or which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(file: Path, name: Path) -> bool:
    """Give a file another name; False where that cannot be."""
    try:
        name.hardlink_to(file)
    except OSError as error:
        if error.errno not in NO_HARD_LINK:
            raise
        return False
    return True
