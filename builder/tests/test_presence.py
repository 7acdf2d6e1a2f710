import errno
import os

from builder.presence import Presence
from builder.sandbox import Kind, Level


def test_a_disk_that_takes_nothing_is_told_of_and_looked_at_again(tmp_path):
    faults = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def find(folder):
        if faults:
            raise faults.pop()
        return Kind(Level.BOX)

    presence = Presence(find)

    first, second = presence.facts(tmp_path), presence.facts(tmp_path)

    assert first.sandbox == "bare"
    assert first.sandbox_lacks == (f"No sandbox can be tried in {tmp_path}: No space left on device.",)
    assert second.sandbox == "box"
