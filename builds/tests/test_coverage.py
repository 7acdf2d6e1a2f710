import pytest
from packaging.tags import parse_tag

from builds.coverage import Need, Offer, admits, covers, is_pure
from builds.models import Target


def need(python="3.13", os_release="trixie"):
    abi = f"cp{python.replace('.', '')}"
    target = Target(python=python, abi=abi, platform_tags=["linux_armv6l", "linux_armv7l"])
    return Need(supported=target.supported_tags(), python=python, os_release=os_release)


def offer(tag, requires="", os_release="trixie"):
    return Offer(tags=parse_tag(tag), requires_python=requires, os_release=os_release)


@pytest.mark.parametrize(
    ("tag", "os_release", "serves"),
    [
        ("py3-none-any", "trixie", True),
        ("py3-none-any", "bookworm", True),
        ("py2.py3-none-any", "bullseye", True),
        ("py2-none-any", "trixie", False),
        ("cp313-cp313-linux_armv7l", "trixie", True),
        ("cp313-cp313-linux_armv6l.linux_armv7l", "trixie", True),
        ("cp311-cp311-linux_armv7l", "trixie", False),
        ("cp39-abi3-linux_armv7l", "trixie", True),
        ("cp314-abi3-linux_armv7l", "trixie", False),
        # Machine code from another release may want a newer C library than this one has.
        ("cp39-abi3-linux_armv7l", "bookworm", False),
        ("py3-none-linux_armv7l", "bookworm", False),
        ("cp313-cp313-linux_aarch64", "trixie", False),
    ],
)
def test_a_wheel_serves_a_target(tag, os_release, serves):
    assert covers(offer(tag, os_release=os_release), need()) is serves


def test_a_pure_wheel_serves_no_python_that_it_excludes():
    assert not covers(offer("py3-none-any", ">=3.14"), need())
    assert covers(offer("py3-none-any", ">=3.9"), need())


@pytest.mark.parametrize(
    ("requires", "python", "admitted"),
    [
        ("", "3.13", True),
        (">=3.13.1", "3.13", True),
        ("<3.13", "3.13", False),
        ("!=3.13.*", "3.13", False),
        ("<4,>=3.9", "3.11", True),
        ("not a specifier", "3.11", True),
        ("==3.11.5", "3.11", True),
    ],
)
def test_requires_python_admits(requires, python, admitted):
    assert admits(requires, python) is admitted


def test_a_wheel_is_pure_when_any_platform_will_do():
    assert is_pure(parse_tag("py2.py3-none-any"))
    assert not is_pure(parse_tag("cp313-cp313-linux_armv7l"))
