"""Has the disk remember what was written, so that it is there after a power cut (no Django)."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk remember a file's bytes, or which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
