"""What the pages say of a wheel beside its name, in plain words."""

from builds.models import Wheel

_REPRODUCIBLE = {
    True: "A second build gave the same bytes.",
    False: "A second build gave other bytes.",
    None: "No second build was made.",
}
_TRIED = {
    "works": "Installed alone, it can be imported.",
    "fails": "Installed alone, it cannot be imported.",
}


def remarks_on(wheel: Wheel) -> list[str]:
    """Return what a reader should know of a wheel, the most important first."""
    held = f"Not offered to pip until an operator has looked at it: {wheel.held_reason}"
    return [
        *([held] if wheel.held_reason and wheel.withdrawn_at is None else []),
        _TRIED.get(wheel.trial, "It was not tried."),
        *_needs(wheel),
        _REPRODUCIBLE[wheel.reproducible],
    ]


def _needs(wheel: Wheel) -> list[str]:
    """Return which C and C++ libraries it needs, if any in particular."""
    cxx = f" and GLIBCXX {wheel.glibcxx}" if wheel.glibcxx else ""
    return [f"Needs glibc {wheel.glibc}{cxx} or newer."] if wheel.glibc else []
