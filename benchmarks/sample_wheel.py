"""What a sample build leaves: a log, and a small wheel of some 3 kB.  No Django."""

from builds.tests.wheels import make_wheel

LOG = b"copying sample/module.py -> build/lib/sample\n" * 45
MODULE = {"sample.py": b"".join(b"VALUE_%d = %d\n" % (number, number) for number in range(500))}


def sample_wheel(package: str, version: str) -> bytes:
    """Return the wheel of a version."""
    return make_wheel(package, version, files=MODULE, requires=["packaging>=23"])
