"""Which build tag a build's wheels get, and whether what came of it is anything new (PEP 427).

The bytes behind a name never change, so of a version that had wheels before the next ones have another name.
"""

from packaging.utils import parse_wheel_filename

from builds.models import Build, Wheel
from builds.wheels.coverage import covers
from builds.wheels.verify import VerifiedWheel


def next_tag(build: Build) -> int | None:
    """Return the number that a build's wheels shall have; None when their plain names are free.

    A wheel that the target's pip would take may have the very name that the new one gets, whichever target it
    was built for and whoever owned the package's name.  Withdrawn ones count: their names are taken for ever.
    """
    supported = build.target.supported_tags()
    named = [parse_wheel_filename(name)[2:] for name in Wheel.objects.names(build.version_id)]
    taken = [tag[0] if tag else 0 for tag, tags in named if not tags.isdisjoint(supported)]
    return max(taken) + 1 if taken else None


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
