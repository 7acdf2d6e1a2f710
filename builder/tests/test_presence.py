import errno
import os
from itertools import pairwise

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


class Machine:
    """A machine whose sandbox lacks what a test says, and on which time passes as it says."""

    def __init__(self, *lacks):
        self.lacks = lacks
        self.now = 0.0
        self.looks = []

    def find(self, folder):
        self.looks.append(self.now)
        return Kind(Level.BOX if self.lacks else Level.FULL, self.lacks)

    def pass_hours(self, presence, folder, hours):
        for _ in range(hours * 60):
            self.now += 60.0
            presence.sandbox(folder)


def test_while_something_is_lacking_it_is_looked_for_after_pauses_that_grow(tmp_path):
    machine = Machine("no memory controller")
    presence = Presence(machine.find, lambda: machine.now)
    presence.sandbox(tmp_path)

    machine.pass_hours(presence, tmp_path, 24)

    pauses = [after - before for before, after in pairwise(machine.looks)]
    assert 300 <= pauses[0] <= 360
    assert pauses == sorted(pauses)
    assert 6 * 3600 <= pauses[-1] <= 6 * 3600 + 60
    assert len(pauses) > 6


def test_one_trial_that_failed_does_not_cost_hours(tmp_path):
    machine = Machine("A trial in the sandbox ended with time 137.")
    presence = Presence(machine.find, lambda: machine.now)
    assert presence.sandbox(tmp_path).level is Level.BOX
    machine.lacks = ()

    machine.now = 301.0

    assert presence.sandbox(tmp_path).level is Level.FULL
    machine.pass_hours(presence, tmp_path, 5)
    assert len(machine.looks) == 2


def test_what_is_lacking_anew_is_looked_for_soon_again(tmp_path):
    machine = Machine()
    presence = Presence(machine.find, lambda: machine.now)
    presence.sandbox(tmp_path)
    machine.lacks = ("bubblewrap is not installed",)
    machine.pass_hours(presence, tmp_path, 7)
    machine.lacks = ()

    machine.pass_hours(presence, tmp_path, 2)

    assert presence.sandbox(tmp_path).level is Level.FULL
