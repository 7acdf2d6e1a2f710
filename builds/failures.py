"""From a log to a class of failure, a sentence in plain English and a suggestion.  Needs no Django.

The classes are a table beside this module, `failure_classes.toml`.  A log is what a stranger's program
printed: nothing in it makes this slow, and what it claims costs no more than a few attempts.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builds.apt_contents import package_with

TABLE = Path(__file__).with_name("failure_classes.toml")
# The class of what a builder's silence ended, which no log tells.
LOST = "builder-lost"

# How much of a log's end is looked at, in characters: what went wrong is there, and only when it says nothing
# is more read before it.
END = 200_000
MORE = 800_000
# The longest line that is looked at whole.  Minified JavaScript and hostile sources have longer ones.
LINE = 1_000
# The most that is kept of what a failure is about.
ABOUT = 200

_ANY_QUOTE = "[\u2018\u2019'\"`]"
# What a line must have to be taken for an error when nothing better is known.
_ERROR = re.compile(
    r"^(?:\w{1,60}\.){0,8}\w{0,60}(?:Error|Exception|error|ERROR|FAILED)\b:? ?\S|\b[Ee]rror: \S"
)
# What pip says after every failure, whatever it was, and what merely repeats that something failed.
_NOISE = re.compile(
    "^(?:"
    r"(?:ERROR: )?(?:Failed|Could not) (?:to )?build|(?:error|ERROR): (?:Failed|subprocess-exit|metadata-gen)"
    rf"|error: command {_ANY_QUOTE}|error: failed-wheel|subprocess\.CalledProcessError|note: |hint: "
    r"|ninja: build stopped|make(?:\[\d{1,3}\])?: |exit code: |from file:|\[end of output\]|\[\d+ lines of"
    r"|Encountered error|Running setup\.py clean|Building wheel for|Getting requirements|Preparing metadata"
    ")"
)
# What pip draws around the output of others.
_BOX = " \t|\u2502\u00d7\u2570\u2500>"


@dataclass(frozen=True)
class Sign:
    """What shows a class in a log: a pattern, and a text without which it is not worth a try."""

    literal: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Failure:
    """A class of failure."""

    key: str
    title: str
    sentence: str
    suggestion: str
    for_operators: str
    weight: int
    lookup: str
    is_infrastructure: bool
    is_upstream: bool
    is_told: bool
    signs: tuple[Sign, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What a failure is, and what it is about: a header, a library, a module."""

    failure: Failure
    about: str

    @property
    def sentence(self) -> str:
        """Return what happened, in plain English."""
        return self.failure.sentence.format(about=self.about or "something")

    def apt(self, os_release: str) -> str:
        """Return the Debian package that has what is missing; "" when none is known."""
        if not self.failure.lookup:
            return ""
        kinds = dict.fromkeys([self.failure.lookup, "pkgconfig", "libraries"])
        if self.failure.lookup in ("headers", "tools"):
            kinds = dict.fromkeys([self.failure.lookup])
        names = dict.fromkeys([self.about, self.about.lower(), self.about.lower().removeprefix("lib")])
        found = (package_with(kind, name, os_release) for kind in kinds for name in names)
        return next((package for package in found if package), "")

    def suggestion(self, os_release: str) -> str:
        """Return what may help whoever wants the package."""
        return self._filled(self.failure.suggestion, os_release)

    def for_operators(self, os_release: str) -> str:
        """Return what an operator may do about it; "" where there is nothing more to say."""
        return self._filled(self.failure.for_operators, os_release)

    def _filled(self, text: str, os_release: str) -> str:
        apt = self.apt(os_release) or "the Debian package that has it"
        return text.format(about=self.about, apt=apt)


def classify(log: str, told: str) -> Diagnosis:
    """Return what a build failed of, by the end of its log and what its builder told.

    A builder is believed in what it alone can see.  It may excuse itself no more often than any build may be
    lost (`Build.MAX_LOSSES`), and with an upstream that is away for about a day (`Build.MAX_WAITS`); a log
    never with that.
    """
    told_class = classes().get(told)
    if told_class and told_class.is_told:
        return Diagnosis(told_class, "")
    end, before = log[-END:], log[-END - MORE : -END]
    found = _strongest(_cut(end))
    if (not found or found.failure.weight == 0) and before:
        found = _strongest(_cut(before)) or found
    return found or Diagnosis(classes()["unknown"], last_error(log))


def of(key: str, about: str) -> Diagnosis | None:
    """Return a diagnosis that was kept; None for a class that is no longer in the table."""
    failure = classes().get(key)
    return Diagnosis(failure, about) if failure else None


def is_infrastructure(key: str) -> bool:
    """Tell whether a class is not the package's fault."""
    return key in classes() and classes()[key].is_infrastructure


def is_upstream(key: str) -> bool:
    """Tell whether a class says that what a build is made of could not be had, wherever that is."""
    return key in classes() and classes()[key].is_upstream


@cache
def classes() -> dict[str, Failure]:
    """Return all classes by their keys, as the table orders them."""
    return {row["key"]: _failure(row) for row in tomllib.loads(TABLE.read_text())["class"]}


def _failure(row: dict[str, object]) -> Failure:
    """Return a class as the table has it."""
    signs: list[tuple[str, str]] = row.get("signs", [])  # type: ignore[assignment]
    return Failure(
        key=str(row["key"]),
        title=str(row["title"]),
        sentence=str(row["sentence"]),
        suggestion=str(row["suggestion"]),
        for_operators=str(row.get("for_operators", "")),
        weight=int(row.get("weight", 1)),  # type: ignore[call-overload]
        lookup=str(row.get("lookup", "")),
        is_infrastructure=bool(row.get("infrastructure")),
        is_upstream=bool(row.get("upstream")),
        is_told=bool(row.get("told")),
        signs=tuple(
            Sign(literal, re.compile(pattern.replace("<q>", _ANY_QUOTE), re.MULTILINE))
            for literal, pattern in signs
        ),
    )


def _cut(text: str) -> str:
    """Return a text with no line longer than we look at."""
    return "\n".join(line[:LINE] for line in text.split("\n"))


def _strongest(text: str) -> Diagnosis | None:
    """Return what the heaviest sign in a text says, the last of several."""
    best: tuple[int, int] | None = None
    found = None
    for failure in classes().values():
        for sign in failure.signs:
            if sign.literal not in text:
                continue
            match = None
            for match in sign.pattern.finditer(text):  # noqa: B007 (the last one counts)
                pass
            if match and (best is None or (failure.weight, match.start(1)) > best):
                best = failure.weight, match.start(1)
                found = Diagnosis(failure, " ".join(match[1].split())[:ABOUT])
    return found


def error_block(log: str, lines: int = 25) -> str:
    """Return the last lines up to a log's last error, which a person would look at first."""
    tail = _cut(log[-20_000:]).rstrip().split("\n")
    last = error_line(tail)
    return "\n".join(tail[max(0, last - lines + 1) : last + 1])


def last_error(log: str) -> str:
    """Return the last line that reads like an error, or the last line of all."""
    tail = _cut(log[-20_000:]).rstrip().split("\n")
    return tail[error_line(tail)].strip(_BOX)[:ABOUT]


def error_line(tail: list[str]) -> int:
    """Return which line is the last that reads like an error, or else the last that says something."""
    says = [
        number
        for number, line in enumerate(tail)
        if len(line.strip(_BOX)) > 3 and not _NOISE.search(line.strip(_BOX))
    ]
    errors = [number for number in says if _ERROR.search(tail[number].strip(_BOX))]
    return (errors or says or [len(tail) - 1])[-1]
