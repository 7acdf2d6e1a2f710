"""What a build printed, as text that acts on nothing: neither a terminal nor a page.  Needs no Django."""

import re

# Escape sequences of terminals, and what else would act on one instead of being seen.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_UNSEEN = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x200E, 0x200F]
_UNSEEN += [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
# One sign for each: spelled out, a hostile log would become six times as long.
_SEEN = dict.fromkeys(_UNSEEN, "\ufffd")
# Those of the sequences that set a colour or a style, with up to eight codes.
_STYLE = re.compile(r"\x1b\[((?:[0-9]{1,3}(?:;[0-9]{1,3}){0,7})?)m")
# Bold, italic and underlined, and the sixteen colours for ink and ground, set and unset.  Others would hide
# text, let it blink, or need a rule of CSS for each of millions of colours.
_SHOWN = frozenset({0, 1, 3, 4, 22, 23, 24, *range(30, 38), 39, *range(40, 48), 49})
_SHOWN |= {*range(90, 98), *range(100, 108)}


def clean(text: str) -> str:
    """Make terminal sequences vanish and other control characters visible."""
    return _ANSI.sub("", text.replace("\r\n", "\n")).translate(_SEEN)


def styles(line: str) -> list[str]:
    """Cut a line into what it says, cleaned, and between two pieces of that the sequence that sets a style.

    Every second piece is such a sequence, or empty where it was none that we show.
    """
    pieces = _STYLE.split(line)
    return [_style(piece) if number % 2 else clean(piece) for number, piece in enumerate(pieces)]


def _style(codes: str) -> str:
    """Return the sequence that sets these styles; "" if we do not show one of them."""
    numbers = [int(code) for code in codes.split(";") if code] or [0]
    return f"\x1b[{';'.join(map(str, numbers))}m" if _SHOWN.issuperset(numbers) else ""
