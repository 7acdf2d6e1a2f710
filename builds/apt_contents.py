"""Which Debian package has a header, a library, a pkg-config file or a program; needs no Django.

The table beside this module is made by `make apt-contents` of Debian's own lists.
"""

import json
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".json")

Names = dict[tuple[str, str], str]


def package_with(kind: str, name: str, os_release: str) -> str:
    """Return the package to install for a missing file; "" when none is known.

    `kind` is one of the table's: headers, libraries, pkgconfig, tools.  A header in a folder is found by the
    folder, or by its own name if it lies where a compiler has to be told to look.
    """
    rule, differs = _tables(os_release)
    first, _, rest = name.partition("/")
    candidates = [f"{first}/", rest.rpartition("/")[2]] if kind == "headers" and rest else [name]
    return next(
        (table[kind, key] for key in candidates for table in (differs, rule) if (kind, key) in table), ""
    )


@cache
def _tables(os_release: str) -> tuple[Names, Names]:
    """Return the table that is the rule, and what is otherwise in a release."""
    releases = json.loads(TABLE.read_text())
    rule = next(iter(releases))
    return _names(releases[rule]), _names(releases.get(os_release, {}) if os_release != rule else {})


def _names(kinds: dict[str, dict[str, str]]) -> Names:
    """Return a release's table by kind and name."""
    return {
        (kind, name): package
        for kind, packages in kinds.items()
        for package, names in packages.items()
        for name in names.split(" ")
    }
