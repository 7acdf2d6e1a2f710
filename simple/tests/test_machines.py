import pytest

from simple.machines import BY_KEY, processor, reported


@pytest.mark.parametrize(
    ("model", "architecture", "expected"),
    [
        ("5", "armhf", ("armv7l", "aarch64")),
        ("4", "armhf", ("armv7l", "aarch64")),
        ("3", "armhf", ("armv7l", "aarch64")),
        ("2", "armhf", ("armv7l",)),
        ("zero", "armhf", ("armv6l",)),
        ("4", "arm64", ("aarch64",)),
        ("", "armhf", ("armv7l", "aarch64")),
        ("", "amd64", ("x86_64",)),
    ],
)
def test_a_32_bit_system_may_have_a_64_bit_kernel_and_says_that_of_itself(model, architecture, expected):
    assert reported(BY_KEY.get(model), architecture) == expected
    assert processor(BY_KEY.get(model), architecture) == expected[0]
