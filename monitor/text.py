"""Text for a terminal: what comes from a farm is cleaned, and numbers are said short."""

import unicodedata

# Of whatever a farm says, no more than this is shown.
LONGEST = 500
# Control characters, what is said to terminals, halves of characters, and what turns the direction of reading
# around, by their categories in Unicode.
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def clean(text: str, most: int = LONGEST) -> str:
    """Return what may be written to a terminal: one line, and nothing in it that acts."""
    seen = "".join("\N{REPLACEMENT CHARACTER}" if _is_unseen(each) else each for each in text[: most + 1])
    return f"{seen[:most]}…" if len(seen) > most else seen


def _is_unseen(character: str) -> bool:
    """Tell whether a character is none that one sees."""
    return unicodedata.category(character) in _UNSEEN


def duration(seconds: float | None) -> str:
    """Say how long something took, in at most six characters: "42s", "3m 20s" is "3:20m", "2:05h", "12d"."""
    if seconds is None:
        return "-"
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}m"
    if whole < 100 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02}h"
    return f"{min(whole // 86400, 99_999)}d"


def size(count: float) -> str:
    """Say how many bytes something has, as "12.3 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} TiB"


def many(count: int, what: str) -> str:
    """Say so many of something: "1 builder", "1,234 builders"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
