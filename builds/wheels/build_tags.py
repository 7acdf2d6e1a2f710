"""Which build tag a build's wheels get, and whether what came of it is anything new (PEP 427).

The bytes behind a name never change, so of a version that had wheels before the next ones have another name.
"""

import re

from builds.models import Build, Wheel
from builds.wheels.coverage import covers
from builds.wheels.upstream import tags_of
from builds.wheels.verify import VerifiedWheel


def next_tag(build: Build) -> int | None:
    """Return the number that a build's wheels shall have; None when their plain names are free.

    A wheel that the target's pip would take may have the very name that the new one gets, whichever target it
    was built for and whoever owned the package's name.  Withdrawn ones count: their names are taken for ever.
    So are those of upstream's own wheels, in whose place installers would refuse ours for its hash; but no
    number of theirs is one that ours have to follow.
    """
    supported = build.target.supported_tags()
    numbers: dict[bool, set[int]] = {False: set(), True: set()}
    for name, is_upstreams in Wheel.objects.names(build.version_id):
        if not tags_of(name).isdisjoint(supported):
            numbers[is_upstreams].add(_number(name))
    number = max(numbers[False], default=-1) + 1
    while number in numbers[True]:
        number += 1
    return number or None


def _number(filename: str) -> int:
    """Return the number of the build tag in a wheel's name; 0 for none."""
    parts = filename.split("-")
    found = re.match("[0-9]+", parts[2]) if len(parts) == 6 else None
    return int(found[0]) if found else 0


def same_before(build: Build, file: VerifiedWheel) -> Wheel | None:
    """Return the wheel that installs just what a rebuild's does and that nothing has replaced; None if none.

    One that is not known to run on the target stands for nothing there.  The answer holds for as long as the
    package's row is ours, as it is everybody's who publishes.
    """
    if build.build_tag is None:
        return None
    standing = Wheel.objects.of_version(build.version).standing().sourced()
    standing = standing.select_related("package", "build__target")
    need = build.target.need()
    alike = [wheel for wheel in standing if wheel.tags() == file.tags and covers(wheel.offer(), need)]
    latest = max(alike, key=Wheel.build_tag, default=None)
    return latest if latest and latest.content_sha256 == file.content_sha256 else None
