import pytest

from builder.platforms import platform_of


@pytest.mark.parametrize(
    ("said", "bits", "platform"),
    [
        ("linux-aarch64", 64, "linux-aarch64"),
        ("linux-aarch64", 32, "linux-armv7l"),
        ("linux-armv8l", 32, "linux-armv7l"),
        ("linux-armv7l", 32, "linux-armv7l"),
        ("linux-armv6l", 32, "linux-armv6l"),
        ("linux-x86_64", 64, "linux-x86_64"),
        ("linux-x86_64", 32, "linux-i686"),
    ],
)
def test_a_32_bit_system_on_a_64_bit_kernel_is_one_of_32_bits(said, bits, platform):
    assert platform_of(said, bits) == platform
