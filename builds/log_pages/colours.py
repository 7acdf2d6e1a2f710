"""The colours of a log: a terminal's sequences become classes of the stylesheet."""

from ansi2html import Ansi2HTMLConverter
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from builds.log_text import clean, styles

# How many styles that are in force at a line's end are carried to the next.
_CARRIED = 8
_RESET = "\x1b[0m"


class Colours:
    """Turns lines that follow each other into HTML; what a line sets and does not reset, the next one has."""

    def __init__(self) -> None:
        self._in_force: list[str] = []
        self._converter = Ansi2HTMLConverter(inline=False)

    def html(self, line: str) -> SafeString:
        """Return a line as HTML: its text escaped, its colours as spans."""
        if "\x1b" not in line and not self._in_force:
            return escape(clean(line))
        pieces = [*self._in_force, *styles(line)]
        for piece in styles(line)[1::2]:
            self._set(piece)
        # What is left of the sequences are styles alone, and all else is escaped; so it writes nothing but
        # spans with classes.
        return mark_safe(self._converter.convert("".join(pieces), full=False))  # noqa: S308

    def _set(self, style: str) -> None:
        """Note a style that is set from here on."""
        if style == _RESET:
            self._in_force.clear()
        elif style:
            self._in_force = [*self._in_force, style][-_CARRIED:]
