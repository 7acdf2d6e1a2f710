"""What a wheel serves, as a table: D1 to D4 are the defects of the first piwheels that this must not have."""

import pytest
from packaging.tags import parse_tag

from builds.models import Target
from builds.wheels.coverage import Need, Offer, admits, covers, is_pure, replaces

# Python, glibc and libstdc++ of each release, oldest first.
RELEASES = {
    "bullseye": ("3.9", "2.31", "3.4.28"),
    "bookworm": ("3.11", "2.36", "3.4.30"),
    "trixie": ("3.13", "2.41", "3.4.33"),
}
PI = ["linux_armv6l", "linux_armv7l"]
COMPILED = {"is_portable": True, "glibc": "2.28"}


def need(release="trixie", platforms=PI, **fields) -> Need:
    python, glibc, glibcxx = RELEASES[release]
    defaults = {"python": python, "glibc": glibc, "glibcxx": glibcxx, "os_release": release}
    values = {**defaults, **fields}
    target = Target(**values, abi=f"cp{values['python'].replace('.', '')}", platform_tags=platforms)
    return target.need()


def offer(tag, requires="", os_release="trixie", **fields) -> Offer:
    return Offer(tags=parse_tag(tag), requires_python=requires, os_release=os_release, **fields)


def served(wheel: Offer, **fields) -> list[str]:
    """The releases that a wheel serves, oldest first."""
    return [release for release in RELEASES if covers(wheel, need(release, **fields))]


@pytest.mark.parametrize(
    ("tag", "os_release", "fields", "releases"),
    [
        # A pure wheel serves all, wherever it was built.
        ("py3-none-any", "trixie", {}, ["bullseye", "bookworm", "trixie"]),
        ("py2.py3-none-any", "bullseye", {}, ["bullseye", "bookworm", "trixie"]),
        ("py2-none-any", "trixie", {}, []),
        ("py311-none-any", "trixie", {}, ["bookworm", "trixie"]),
        ("cp313-none-any", "trixie", {}, ["trixie"]),
        # D3: never a Python that Requires-Python excludes.
        ("py3-none-any", "trixie", {"requires": ">=3.11"}, ["bookworm", "trixie"]),
        ("py3-none-any", "bullseye", {"requires": "<3.13"}, ["bullseye", "bookworm"]),
        ("py3-none-any", "bullseye", {"requires": ">=3.14"}, []),
        ("cp39-abi3-linux_armv7l", "bullseye", {**COMPILED, "requires": ">=3.11"}, ["bookworm", "trixie"]),
        # An ordinary wheel serves its own Python.
        ("cp313-cp313-linux_armv7l", "trixie", {}, ["trixie"]),
        ("cp313-cp313-linux_armv6l.linux_armv7l", "trixie", {}, ["trixie"]),
        ("cp311-cp311-linux_armv7l", "bookworm", COMPILED, ["bookworm"]),
        # D1: one for the stable ABI serves its Python and newer ones, so it is built once.
        ("cp39-abi3-linux_armv7l", "bullseye", COMPILED, ["bullseye", "bookworm", "trixie"]),
        ("cp311-abi3-linux_armv7l", "bookworm", COMPILED, ["bookworm", "trixie"]),
        ("cp314-abi3-linux_armv7l", "trixie", COMPILED, []),
        # D2: cp39 is older than cp311, though it comes behind it in the alphabet.
        ("cp310-abi3-linux_armv7l", "bullseye", COMPILED, ["bookworm", "trixie"]),
        # D4: one name on several releases counts only where the C and C++ libraries are new enough.
        ("py3-none-linux_armv7l", "bullseye", COMPILED, ["bullseye", "bookworm", "trixie"]),
        ("py3-none-linux_armv7l", "trixie", {**COMPILED, "glibc": "2.34"}, ["bookworm", "trixie"]),
        ("py3-none-linux_armv7l", "trixie", {**COMPILED, "glibc": "2.36"}, ["bookworm", "trixie"]),
        ("py3-none-linux_armv7l", "trixie", {**COMPILED, "glibc": "2.38"}, ["trixie"]),
        (
            "py3-none-linux_armv7l",
            "bullseye",
            {**COMPILED, "glibc": "2.4"},
            ["bullseye", "bookworm", "trixie"],
        ),
        (
            "py3-none-linux_armv7l",
            "trixie",
            {**COMPILED, "glibcxx": "3.4.9"},
            ["bullseye", "bookworm", "trixie"],
        ),
        ("py3-none-linux_armv7l", "trixie", {**COMPILED, "glibcxx": "3.4.30"}, ["bookworm", "trixie"]),
        ("py3-none-linux_armv7l", "trixie", {"is_portable": True}, ["bullseye", "bookworm", "trixie"]),
        # What needs a library of its release serves no other, nor does what nobody looked into.
        ("cp39-abi3-linux_armv7l", "bullseye", {"glibc": "2.28"}, ["bullseye"]),
        ("py3-none-linux_armv7l", "bookworm", {}, ["bookworm"]),
        # Another architecture's serves none.
        ("py3-none-linux_aarch64", "trixie", COMPILED, []),
    ],
)
def test_a_wheel_serves(tag, os_release, fields, releases):
    assert served(offer(tag, os_release=os_release, **fields)) == releases


def test_a_system_whose_libraries_nobody_knows_is_served_by_its_own_release():
    wheel = offer("cp39-abi3-linux_armv7l", os_release="bullseye", **COMPILED)

    assert served(wheel, glibc="", glibcxx="") == ["bullseye"]


def test_another_python_on_the_same_release_is_served_by_the_stable_abi():
    wheel = offer("cp39-abi3-linux_armv7l", os_release="trixie")

    assert covers(wheel, need("trixie", python="3.12"))
    assert not covers(offer("cp313-cp313-linux_armv7l"), need("trixie", python="3.12"))


def test_an_older_pi_is_served_by_what_says_so():
    zero = {"platforms": ["linux_armv6l"]}

    assert served(offer("cp313-cp313-linux_armv6l.linux_armv7l"), **zero) == ["trixie"]
    assert served(offer("cp313-cp313-linux_armv7l"), **zero) == []


ZERO_TOO, ZERO_NOT = "cp313-cp313-linux_armv6l.linux_armv7l", "cp313-cp313-linux_armv7l"


@pytest.mark.parametrize(
    ("tag", "earlier", "does"),
    [
        (ZERO_TOO, ZERO_TOO, True),
        (ZERO_TOO, ZERO_NOT, True),
        (ZERO_NOT, ZERO_NOT, True),
        # A Pi Zero would be left with nothing that it runs.
        (ZERO_NOT, ZERO_TOO, False),
        (ZERO_NOT, "py3-none-any", False),
        ("py3-none-any", ZERO_TOO, True),
        # What any platform takes is taken by those that the target has.
        (ZERO_TOO, "py3-none-any", True),
    ],
)
def test_a_wheel_replaces_another_if_all_machines_of_a_target_that_take_that_take_it_too(tag, earlier, does):
    assert replaces(offer(tag), offer(earlier), [need("trixie")]) is does


@pytest.mark.parametrize(
    ("requires", "python", "admitted"),
    [
        ("", "3.13", True),
        (">=3.13.1", "3.13", True),
        ("<3.13", "3.13", False),
        ("!=3.13.*", "3.13", False),
        ("<4,>=3.9", "3.11", True),
        (">=3.9", "3.11", True),
        ("not a specifier", "3.11", True),
        ("==3.11.5", "3.11", True),
    ],
)
def test_requires_python_admits(requires, python, admitted):
    assert admits(requires, python) is admitted


def test_a_wheel_is_pure_when_any_platform_will_do():
    assert is_pure(parse_tag("py2.py3-none-any"))
    assert not is_pure(parse_tag("cp313-cp313-linux_armv7l"))
