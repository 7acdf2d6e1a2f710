"""What the pages say of a wheel beside its name, in plain words."""

from builds.models import Wheel
from packages.models import Package

_REPRODUCIBLE = {
    True: "A second build gave the same bytes.",
    False: "A second build gave other bytes.",
    None: "No second build was made.",
}
_TRIED = {
    "works": "Installed alone, it can be imported.",
    "fails": "Installed alone, it cannot be imported.",
}


# Of machine code for newer processors no first Pi runs any, and pip there does not take it.
NOT_FOR_ALL = "Not for a Pi 1 or the first Zeros, whose processor cannot run it."


def remarks_on(wheel: Wheel) -> list[str]:
    """Return what a reader should know of a wheel, the most important first."""
    held = f"Not offered to pip until an operator has looked at it: {wheel.held_reason}"
    return [
        *([held] if wheel.held_reason and wheel.withdrawn_at is None else []),
        *([NOT_FOR_ALL] if leaves_out_first_pis(wheel) else []),
        _TRIED.get(wheel.trial, "It was not tried."),
        *_needs(wheel),
        _REPRODUCIBLE[wheel.reproducible],
    ]


def why_not_offered(wheel: Wheel) -> str:
    """Return why pip may not have a wheel, as it continues "built, but"; "" where it may.

    It needs the wheel's package, version and build with its source.
    """
    package, source = wheel.package, wheel.build.source
    anew = package.registered_anew_at
    reasons = [
        (wheel.taken_down_at, "taken down", wheel.withdrawn_reason),
        (wheel.withdrawn_at, "withdrawn", wheel.withdrawn_reason),
        (wheel.held_reason, "held until an operator has looked at it", ""),
        (
            package.status == Package.Status.QUARANTINED,
            "its package is quarantined upstream",
            package.status_reason,
        ),
        (package.status == Package.Status.GONE or wheel.version.gone_at, "removed upstream", ""),
        (source and source.gone_at, "its source was removed upstream", ""),
        (anew and wheel.published_at < anew, "somebody else has had the package's name since", ""),
    ]
    found = ((said, why.rstrip(".")) for applies, said, why in reasons if applies)
    return next((f"{said}: {why}" if why else said for said, why in found), "")


def leaves_out_first_pis(wheel: Wheel) -> bool:
    """Tell whether it is for 32-bit systems, but not for those of a Pi 1 or Zero (ARMv6)."""
    platforms = {tag.platform for tag in wheel.tags()}
    return "linux_armv7l" in platforms and "linux_armv6l" not in platforms


def _needs(wheel: Wheel) -> list[str]:
    """Return which C and C++ libraries it needs, if any in particular."""
    cxx = f" and GLIBCXX {wheel.glibcxx}" if wheel.glibcxx else ""
    return [f"Needs glibc {wheel.glibc}{cxx} or newer."] if wheel.glibc else []
