"""The ladder: what to try next when `pip wheel` fails with today's build tools.

Tools leave their past behind, and old sources need it: setuptools 82 dropped pkg_resources, 81 dropped
`--dry-run`, Cython 3 and numpy 2 changed what they compile against.  A failure's own words choose the next
rung, so that a package which merely lacks a header is not built five times.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from builder.contract import BuildOrder

# How long after a source's upload its maker's tools were still what he had.
_AFTER = timedelta(days=30)
# Before a Python was there, no build tool knew it: nothing older than this is worth going back to.
FIRST_RELEASED = {
    "3.9": datetime(2020, 10, 5, tzinfo=UTC),
    "3.10": datetime(2021, 10, 4, tzinfo=UTC),
    "3.11": datetime(2022, 10, 24, tzinfo=UTC),
    "3.12": datetime(2023, 10, 2, tzinfo=UTC),
    "3.13": datetime(2024, 10, 7, tzinfo=UTC),
    "3.14": datetime(2025, 10, 7, tzinfo=UTC),
}

# What old sources import in their setup.py without asking for it, by the distribution that has it.  A fixed
# list: a name taken from a log would let any package choose what runs in its build.
MODULES = {
    "Cython": "cython",
    "cffi": "cffi",
    "numpy": "numpy",
    "pbr": "pbr",
    "pkgconfig": "pkgconfig",
    "pybind11": "pybind11",
    "pytest_runner": "pytest-runner",
    "requests": "requests",
    "scipy": "scipy",
    "setuptools_rust": "setuptools-rust",
    "setuptools_scm": "setuptools-scm",
    "six": "six",
    "versioneer": "versioneer",
    "wheel": "wheel",
}


@dataclass(frozen=True)
class Rung:
    """One way to build, and the words in a log that call for it."""

    name: str
    asked_by: "re.Pattern[str] | None" = None
    constraints: tuple[str, ...] = ()
    # Only what the index had soon after the source came.
    is_of_its_time: bool = False
    # What is installed beside what the source asks for; then pip's own isolation is off.
    modules: tuple[str, ...] = field(default=())


# No older tool would find the network that a build has not.
_WANTS_NETWORK = re.compile(
    r"name resolution|Name or service not known|[Cc]ould(?: not|n't) resolve host|Network is unreachable"
    r"|urlopen error|Connection refused"
)
_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z0-9_]+)")

CURRENT = Rung("current")
LADDER = (
    CURRENT,
    Rung(
        "setuptools<82",
        re.compile(r"No module named 'pkg_resources'|cannot import name 'pkg_resources'"),
        ("setuptools<82",),
    ),
    Rung(
        "known-modules",
        re.compile(rf"ModuleNotFoundError: No module named '(?:{'|'.join(MODULES)})\b"),
        modules=("setuptools", "wheel"),
    ),
    Rung(
        "older-tools",
        re.compile(
            r"Cython\.Compiler\.Errors|\.pyx:\d+:\d+: "
            r"|has no member named '(?:elsize|subarray|fields|c_metadata)'"
            r"|`np\.\w+` was removed|module 'numpy' has no attribute|numpy\.distutils"
            r"|--dry-run|test_suite|invalid command 'test'|has no attribute '_(?:dry_run|Distribution)"
            r"|pkg_resources|install_layout|setuptools\.command\.test"
        ),
        ("setuptools<81", "cython<3", "numpy<2"),
    ),
    Rung("time-travel", re.compile(r"Traceback \(most recent call last\)"), is_of_its_time=True),
)


def first(order: BuildOrder) -> Rung:
    """Return the rung that an order begins with; one that we do not know counts as the first."""
    return next((rung for rung in LADDER if rung.name == order.rung), CURRENT)


def following(tried: Iterable[Rung], log: str, order: BuildOrder, python: str) -> Rung | None:
    """Return the rung to try after those, by the end of the last one's log; None when there is none."""
    names = {rung.name for rung in tried}
    for rung in LADDER:
        if rung.name in names or rung.asked_by is None or not rung.asked_by.search(log):
            continue
        if rung.is_of_its_time and (_WANTS_NETWORK.search(log) or not _is_possible(order, python)):
            continue
        if rung.modules:
            return Rung(rung.name, rung.asked_by, modules=(*rung.modules, *_missing(log)))
        return rung
    return None


def uploaded_prior_to(order: BuildOrder) -> str:
    """Return the moment that time travel goes back to, in UTC, as pip's option wants it."""
    uploaded = datetime.fromtimestamp(order.uploaded_at or 0, UTC)
    return f"{uploaded + _AFTER:%Y-%m-%dT%H:%M:%SZ}"


def _is_possible(order: BuildOrder, python: str) -> bool:
    """Tell whether there were build tools for this Python at the source's time."""
    released = FIRST_RELEASED.get(python)
    if order.uploaded_at is None or released is None:
        return False
    return datetime.fromtimestamp(order.uploaded_at, UTC) + _AFTER > released


def _missing(log: str) -> tuple[str, ...]:
    """Return the distributions of the modules that a log misses, of those that we know."""
    return tuple(sorted({MODULES[name] for name in _MISSING_MODULE.findall(log) if name in MODULES}))
