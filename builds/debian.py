"""How Debian names its packages; needs no Django."""

import re

# Debian Policy 5.6.7, but for what apt would take for a wish to remove the package: a name with `-` at its
# end.  With `+` there are names, as g++.
PACKAGE = r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+.]"
_PACKAGE = re.compile(PACKAGE)


def is_package(name: str) -> bool:
    """Tell whether this can be the name of a Debian package, and means nothing else to apt."""
    return _PACKAGE.fullmatch(name) is not None
