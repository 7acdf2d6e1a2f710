"""The Raspberry Pis that there are, and how their kernels name their processors (no Django)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A kind of Raspberry Pi; `bits32` and `bits64` are its processor under either kind of system."""

    key: str
    name: str
    bits32: str
    bits64: str = ""  # "" for one that runs no 64-bit system


# From raspberrypi.com's table of processors: BCM2835 is ARMv6, the first BCM2836 ARMv7, all later ones are
# ARMv8, on which a 32-bit system calls itself armv7l.
MODELS = (
    Model("5", "Raspberry Pi 5, 500, 500+, CM5", "armv7l", "aarch64"),
    Model("4", "Raspberry Pi 4, 400, CM4", "armv7l", "aarch64"),
    Model("3", "Raspberry Pi 3, CM3", "armv7l", "aarch64"),
    Model("zero2", "Raspberry Pi Zero 2 W", "armv7l", "aarch64"),
    Model("2", "Raspberry Pi 2", "armv7l"),
    Model("zero", "Raspberry Pi Zero, Zero W", "armv6l"),
    Model("1", "Raspberry Pi 1, CM1", "armv6l"),
)
BY_KEY = {model.key: model for model in MODELS}

# What Debian calls an architecture, and what kernels call its processor, for machines that are no Pis.
_PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l", "armel": "armv6l"}


def processor(model: Model | None, architecture: str) -> str:
    """Return what the kernel calls the processor under such a system; "" if it cannot run one."""
    if model is None:
        return _PROCESSORS.get(architecture, architecture)
    if architecture == "armhf":
        return model.bits32
    return model.bits64 if architecture == "arm64" else ""
