"""A badge for a package's README: how many targets can install it, in words and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from piwheels_site.answers import Answer

# Widths of letters in Verdana of 11 pixels, roughly: most are of one width, some narrow, some wide.
_NARROW, _WIDE = frozenset("fijlrt.:,!' "), frozenset("mwMW")
_PADDING = 10


@dataclass(frozen=True)
class Badge:
    """What a badge says, and where its parts are."""

    label: str
    said: str
    mood: str  # good, some or none: the colour beside the words

    @property
    def left(self) -> int:
        """How wide the label's part is."""
        return _width(self.label)

    @property
    def right(self) -> int:
        """How wide the other part is."""
        return _width(self.said)

    @property
    def width(self) -> int:
        """How wide it is in all."""
        return self.left + self.right

    @property
    def middles(self) -> tuple[float, float]:
        """Where the middles of the two texts are."""
        return self.left / 2, self.left + self.right / 2


def badge(answers: Sequence[Answer]) -> Badge:
    """Return the badge of a package that gets these answers."""
    served = sum(answer.mood == "good" or bool(answer.wheel) or answer.is_upstreams for answer in answers)
    if not answers:
        return Badge("wheel for Pi", "no target", "none")
    mood = "good" if served == len(answers) else "some" if served else "none"
    targets = "target" if len(answers) == 1 else "targets"
    return Badge("wheel for Pi", f"{served} of {len(answers)} {targets}", mood)


def _width(text: str) -> int:
    return round(sum(4 if c in _NARROW else 10 if c in _WIDE else 6.7 for c in text)) + _PADDING
