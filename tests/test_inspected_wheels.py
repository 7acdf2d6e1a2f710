"""What the builder's inspection writes, the server takes; neither can see the other's code."""

import pytest

from builder.inspection import Ordered, inspect
from builder.tests.elves import ARMV7, armhf
from builder.tests.wheels import write_wheel
from builds.models import Target
from builds.wheels.verify import verify
from builds.wheels.wheel_names import Expected

PI = ("linux_armv6l", "linux_armv7l")


@pytest.mark.parametrize("build_tag", ["", "12"])
@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize(
    ("tag", "members"),
    [
        ("py3-none-any", {}),
        ("py3-none-any", {"tiny/_tiny.so": armhf(names=["PyInit__tiny"])}),
        ("py3-none-any", {"tiny.libs/libx.so.1": armhf(ARMV7)}),
        ("cp313-cp313-linux_armv8l", {"tiny/_tiny.so": armhf(names=["PyInit__tiny"])}),
        ("cp313-cp313-manylinux_2_41_armv7l", {"tiny/_tiny.so": armhf(ARMV7), "tiny/\u00e9.txt": b"x"}),
        ("cp39-abi3-linux_armv7l", {"tiny/_tiny.abi3.so": armhf(ARMV7)}),
        ("cp313-cp313-linux_aarch64", {}),
    ],
)
def test_the_server_takes_what_the_inspection_wrote(tmp_path, tag, members, is_plain, build_tag):
    target = Target(python="3.13", abi="cp313", platform_tags=list(PI), architecture="armhf")
    expected = Expected("tiny", "1.0", PI, target.supported_tags(), "armhf", build_tag)
    (tmp_path / "out").mkdir()

    facts = inspect(
        write_wheel(tmp_path, tag, members, is_plain=is_plain),
        tmp_path / "out",
        Ordered("armhf", "cp313", PI, build_tag),
    )

    with (tmp_path / "out" / facts.filename).open("rb") as file:
        wheel = verify(file, facts.filename, expected, scratch=tmp_path)
    assert (wheel.glibc, wheel.is_portable) == (facts.glibc, facts.is_portable)
    assert wheel.held_reason == ""
