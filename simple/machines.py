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
# ARMv8, on which a 32-bit system is one for armv7l, whatever its kernel is.
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
    """Return the processor that files are for under such a system, by a kernel's name; "" if it runs none."""
    if model is None:
        return _PROCESSORS.get(architecture, architecture)
    if architecture == "armhf":
        return model.bits32
    return model.bits64 if architecture == "arm64" else ""


def reported(model: Model | None, architecture: str) -> tuple[str, ...]:
    """Return what Python may say of the processor there (`platform.machine()`), which markers compare.

    Python says what the kernel says, and on a Pi that can have it a 32-bit system comes with a 64-bit kernel.
    The first is what those mean who write markers for a 32-bit system.
    """
    own = processor(model, architecture)
    has_wider = architecture == "armhf" and (model is None or model.bits64)
    return (own, "aarch64") if has_wider else (own,)
