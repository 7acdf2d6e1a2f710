"""What a line of a log says, without what differs between any two builds.  Needs no Django.

Left out are times, durations, sizes, progress, addresses, hashes, the names of temporary files, and those of
the system that is built for.  Logs say the same words again and again, so each is looked at once.
"""

import re
from collections.abc import Sequence

# So many characters of different words are looked at in a log; beyond that they are as they are.  Only a log
# that means to cost time has more.
MOST = 200_000
# And so many characters in all.
MOST_IN_ALL = 1_500_000
_NUMBER = re.compile(r"[(\[]?[0-9]{1,12}(?:[.,][0-9]{1,9}){0,3}")
# A number before one of these measures this build, and one after those names this system or this run.
_UNITS = (
    "s ms us ns sec secs second seconds min mins minute minutes h hours bytes kB KB MB GB KiB MiB GiB lines"
)
_AFTER = frozenset(unit + end for unit in _UNITS.split() for end in ("", ")", "),", "]", ",", ".", ";", ":"))
_BEFORE = frozenset({"python", "Python", "pid", "process", "PID"})
# What has none of these has nothing that would be left out.
_WORTH = re.compile(r"[0-9]|tmp|arm-linux|pip-|sha256|[\u2501\u2578\u257a#=]{5}")
# How far Ninja and others are, at a line's beginning.
_PROGRESS = re.compile(r"\s{0,40}\[ {0,6}[0-9]{1,7}/[0-9]{1,7}\]")
# From what is most particular.
_LEFT_OUT = re.compile(
    r"(?P<address>\b0x[0-9a-fA-F]{2,16}\b)"
    r"|(?P<hash>\bsha256[=:][A-Za-z0-9_-]{40,64}|\b(?=[a-f]{0,63}[0-9])[0-9a-f]{7,64}\b)"
    r"|(?P<time>\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.,]{5,20})?Z?|\b[0-9]{1,3}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?)"
    r"|(?P<temporary>\bpip-[a-z-]{1,30}-[a-z0-9_]{8}\b|\btmp[a-z0-9_]{6,8}\b)"
    r"|(?P<system>(?:linux[_-])?(?:armv[67]l|aarch64|arm64|armhf|x86_64|amd64|i686)(?:-linux-gnu)?"
    r"|arm-linux-gnueabihf|manylinux[0-9_]{1,12}|\bcp(?:ython-)?3[0-9]{1,2}\b|\bpython3?\.[0-9]{1,2}(?:\.[0-9]{1,2})?)"
    r"|(?P<measure>\b[0-9]{1,9}(?:\.[0-9]{1,9})?(?:%|m?s\b|m\b|[kKMG]i?B(?:/s)?\b))"
    r"|(?P<progress>[\u2501\u2578\u257a#=]{5,1000}>?)"
    r"|(?P<port>(?<=127\.0\.0\.1:)[0-9]{2,5})"
)


class Signs:
    """Turns the lines of one log into signs; lines with the same sign say the same."""

    def __init__(self, own: Sequence[str] = ()) -> None:
        """Take what this build calls itself, as its package with its version, which is left out too."""
        self._own = [name for name in own if name]
        self._known: dict[str, str] = {}
        self._left = MOST
        self._left_in_all = MOST_IN_ALL

    def of(self, text: str) -> str:
        """Return the sign of a line."""
        self._left_in_all -= len(text)
        if self._left_in_all < 0:
            return text
        for name in self._own:
            text = text.replace(name, "\u2039own\u203a")
        text = _PROGRESS.sub("\u2039progress\u203a ", text, count=1) if "]" in text[:60] else text
        words = text.replace("[  ", "[").replace("[ ", "[").replace("/", " / ").split()
        signs = [self._known.get(word) or self._sign(word) for word in words]
        for at, word in enumerate(words):
            if word in _AFTER and at:
                self._leave_out(words, signs, at - 1)
            elif word in _BEFORE and at + 1 < len(words):
                self._leave_out(words, signs, at + 1)
            elif word == "tmp" and at + 2 < len(words):
                signs[at + 2] = "\u2039temporary\u203a"
        return " ".join(signs)

    def _sign(self, word: str) -> str:
        """Return the sign of a word."""
        sign = word
        if self._left > 0 and _WORTH.search(word):
            self._left -= len(word)
            sign = _LEFT_OUT.sub(lambda found: f"\u2039{found.lastgroup}\u203a", word)
        self._known[word] = sign
        return sign

    def _leave_out(self, words: list[str], signs: list[str], at: int) -> None:
        """Leave a number out of a line's sign."""
        self._left -= 1
        if self._left > 0 and _NUMBER.fullmatch(words[at]):
            signs[at] = "\u2039number\u203a"
