"""How sentences say how many, for admin and commands alike (no Django)."""

from typing import Any


def many(count: int, opts: Any, kind: str = "") -> str:  # Any: Django's options of a model
    """Say so many of something: "1 build", "1,234 builds", "1,234 waiting builds"."""
    return f"{count:,} {kind}{opts.verbose_name if count == 1 else opts.verbose_name_plural}"


def are(count: int, opts: Any, kind: str = "") -> str:  # Any: as above
    """Begin a sentence on what so many are: "1 build is", "2 builds are"."""
    return f"{many(count, opts, kind)} {'is' if count == 1 else 'are'}"


def were(count: int, opts: Any, kind: str = "") -> str:  # Any: as above
    """Begin a sentence on what so many were: "1 build was", "2 builds were"."""
    return f"{many(count, opts, kind)} {'was' if count == 1 else 'were'}"
