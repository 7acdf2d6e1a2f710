"""How this package's own programs end inside the sandbox when it is not for what they read.

Nothing of a stranger's runs in them, so their exit codes can be believed.
"""

import errno

# What it was given is bad; or the disk is full, something of the machine is broken, the memory is short.
BAD, FULL, FAULT, MEMORY = 65, 73, 74, 75
_CODES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EIO: FAULT,
    errno.EROFS: FAULT,
    errno.ENOMEM: MEMORY,
}


def code_of(error: OSError | MemoryError) -> int | None:
    """Return the exit code for an error that says nothing of what was read; None for one that may."""
    if isinstance(error, MemoryError):
        return MEMORY
    return _CODES.get(error.errno or 0)
