"""What was ordered, and does a file's name say that it is that?"""

import re
from dataclasses import dataclass

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from packages.project import MAX_TAGS

# What our rows can hold.
MAX_TEXT = 255
# Most file systems can name 255 bytes: beside a wheel lies its statement, whose name is the wheel's with the
# number of its build, of 18 digits at most.
MAX_FILENAME = 255 - len(".123456789012345678.provenance")

_PLAIN_FILENAME = re.compile(r"[A-Za-z0-9_.+!-]+\.whl")


class BadWheel(ValueError):
    """The file is not the wheel that was ordered; the text says why and what to do."""


@dataclass(frozen=True)
class Expected:
    """What was ordered, and what the target can use."""

    package: str  # canonical name
    version: str  # as upstream spells it
    platforms: tuple[str, ...]  # that a wheel may name besides "any", ("linux_armv6l", "linux_armv7l")
    supported: frozenset[Tag]  # that the target's pip takes
    architecture: str  # Debian's name, "armhf"
    build_tag: str = ""  # that the name must have (PEP 427); "" for none

    def is_version(self, text: str) -> bool:
        """Tell whether this is the version that was ordered, in any spelling."""
        try:
            return len(text) <= MAX_TEXT and Version(text) == Version(self.version)
        except InvalidVersion:
            return False


def is_plain(filename: str) -> bool:
    """Tell whether this can be a wheel's file name: no path, and nothing that a URL would change."""
    return len(filename) <= MAX_FILENAME and bool(_PLAIN_FILENAME.fullmatch(filename))


def check_filename(filename: str, expected: Expected) -> frozenset[Tag]:
    """Return the tags in a wheel's name; BadWheel if no such file was ordered."""
    if not is_plain(filename):
        raise BadWheel(
            f"{filename[:MAX_TEXT]!a} is not a wheel's plain file name: send it without a path, and with"
            f" {MAX_FILENAME} characters at most."
        )
    try:
        name, version, _, tags = parse_wheel_filename(filename, validate_order=True)
    except InvalidWheelFilename as error:
        raise BadWheel(f"{error}. Name the file as the wheel specification says.") from error
    if name != expected.package or not expected.is_version(str(version)):
        raise BadWheel(
            f"{filename} is not {expected.package} {expected.version}: send only what was ordered."
        )
    _check_build_tag(filename, expected.build_tag)
    platforms = {tag.platform for tag in tags}
    if strange := platforms.difference(expected.platforms, {"any"}):
        raise BadWheel(
            f"{filename} is for {', '.join(sorted(strange))}: build for {' or '.join(expected.platforms)}."
        )
    useless = {tag for tag in tags.difference(expected.supported) if not _is_for_any_python(tag)}
    if len(tags) > MAX_TAGS or useless or tags.isdisjoint(expected.supported):
        raise BadWheel(f"The target's pip would not take {filename}: build it with the target's own Python.")
    return tags


def _check_build_tag(filename: str, ordered: str) -> None:
    """Refuse a build tag that was not ordered, as the highest wins, and a name without the one that was."""
    parts = filename.split("-")
    found = parts[2] if len(parts) == 6 else ""
    if found == ordered:
        return
    if ordered:
        raise BadWheel(
            f"{filename} has {f'the build tag {found}' if found else 'no build tag'}, and {ordered} was "
            "ordered, as there is a wheel of this version already: update the builder, as an older one "
            "knows no build tags."
        )
    raise BadWheel(f"{filename} has the build tag {found}, which was not ordered: leave it out.")


def _is_for_any_python(tag: Tag) -> bool:
    """Tell whether a tag is one that pure wheels have next to those that the target's pip takes, as py2."""
    return tag.interpreter.startswith("py") and tag.abi == "none"
