"""How this package's own programs end inside the sandbox when it is not for what they read.

Nothing of a stranger's runs in them, so their exit codes can be believed.
"""

import errno
import sys

# What it was given is bad; or the disk is full, something of the machine is broken, the memory is short.
BAD, FULL, FAULT, MEMORY = 65, 73, 74, 75
_CODES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EIO: FAULT,
    errno.EROFS: FAULT,
    errno.ENOMEM: MEMORY,
}


def tell(error: OSError | MemoryError, sentence: str) -> int:
    """Say on stderr what could not be done, and return the exit code; raises an error again that has none."""
    code = code_of(error)
    if code is None:
        raise error
    sys.stderr.write(f"{sentence}: {error}\n")
    return code


def code_of(error: OSError | MemoryError) -> int | None:
    """Return the exit code for an error that says nothing of what was read; None for one that may."""
    if isinstance(error, MemoryError):
        return MEMORY
    return _CODES.get(error.errno or 0)
