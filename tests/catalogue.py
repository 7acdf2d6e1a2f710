"""What a synthetic PyPI has, computed from a seed and a project's number instead of being stored.

Only what was changed since is kept.  The shapes are those of the real one: most projects have a few versions
and some have hundreds; sources and wheels, one or neither; pre-releases, yanked versions, versions without
files, and numbers from before PEP 440.
"""

import hashlib
import random
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

from packaging.utils import canonicalize_name

from tests.fake_pypi_journal import FIRST_SERIAL
from tests.fake_pypi_pages import FakeFile, FakeProject
from tests.quick_sdists import quick_sdist
from tests.sdists import make_wheel, stem

OLDEST = datetime(2015, 1, 1, tzinfo=UTC)
MAX_VERSIONS = 500
_FIRST = ("amber", "brisk", "calm", "dusty", "early", "faint", "grand", "hollow", "icy", "jolly", "keen")
_SECOND = ("anvil", "bridge", "candle", "drum", "engine", "fox", "garden", "harbour", "island")
_SPELLINGS = ("{}-{}-{}", "{}_{}.{}", "{}-{}-{}")
_SPECIFIERS = (None, ">=3.8", ">=3.9", ">=3.11", "<4,>=3.7", "three or so")
NATIVE = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"


@dataclass
class GrownFile(FakeFile):
    """A file whose bytes are made when somebody asks for them."""

    project: str = ""
    version: str = ""
    tag: str = ""  # a wheel's
    # Whether there are bytes at all; to make them is most of what a page costs.
    is_hollow: bool = False

    @property
    def body(self) -> bytes:
        """The bytes: those that fit the digest and the size."""
        specifiers = self.requires_python or ""
        if self.tag:
            return make_wheel(self.project, self.version, self.tag, requires_python=specifiers)
        return quick_sdist(self.project, self.version, specifiers)

    @cached_property
    def _facts(self) -> tuple[str, int]:
        if self.is_hollow:
            return hashlib.sha256(self.filename.encode()).hexdigest(), len(self.filename)
        return FakeFile(self.filename, self.packagetype, self.body, self.uploaded_at).sha256, len(self.body)

    @property
    def sha256(self) -> str:
        """The digest that the index shows."""
        return self._facts[0]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._facts[1]


def grown_sdist(
    name: str, version: str, uploaded_at: datetime, *, filename: str = "", requires_python: str | None = None
) -> GrownFile:
    """Return an sdist of a version."""
    return GrownFile(
        filename or f"{stem(name, version)}.tar.gz",
        "sdist",
        b"",
        uploaded_at,
        requires_python,
        project=name,
        version=version,
    )


def grown_wheel(name: str, version: str, tag: str, uploaded_at: datetime) -> GrownFile:
    """Return a wheel of a version."""
    filename = f"{stem(name, version)}-{tag}.whl"
    return GrownFile(filename, "bdist_wheel", b"", uploaded_at, None, project=name, version=version, tag=tag)


class Catalogue(MutableMapping[str, FakeProject]):
    """The projects by their canonical names.

    Whoever takes one with `[]` may change it, so it is kept from then on; `peek` only shows it.
    """

    def __init__(self, seed: int, count: int, versions: float, *, is_hollow: bool = False) -> None:
        self.seed = seed
        self.count = count
        self.versions = versions
        self.is_hollow = is_hollow
        # None is what was removed.
        self.changed: dict[str, FakeProject | None] = {}
        self._grown = lru_cache(256)(self._grow)

    @property
    def last_serial(self) -> int:
        """The serial of the last project that was there from the beginning."""
        return FIRST_SERIAL + self.count

    def spelling(self, number: int) -> str:
        """Return the name of the project with a number, as its people spell it."""
        first, second = _FIRST[(number * 7 + self.seed) % len(_FIRST)], _SECOND[number % len(_SECOND)]
        return _SPELLINGS[number % len(_SPELLINGS)].format(first.title(), second, number)

    def name(self, number: int) -> str:
        """Return the canonical name of the project with a number."""
        return canonicalize_name(self.spelling(number))

    def number(self, name: str) -> int | None:
        """Return the number of the project that was there from the beginning, or None."""
        digits = name.rpartition("-")[2]
        if not (digits.isascii() and digits.isdigit() and int(digits) < self.count):
            return None
        return int(digits) if self.name(int(digits)) == name else None

    def peek(self, name: str) -> FakeProject | None:
        """Return a project to look at; it must not be changed."""
        if name in self.changed:
            return self.changed[name]
        number = self.number(name)
        return None if number is None else self._grown(number)

    def serials(self) -> Iterator[tuple[str, int]]:
        """Return the spellings and serials of what the root page shows."""
        for number in range(self.count):
            if self.name(number) not in self.changed and not _is_quarantined(number):
                yield self.spelling(number), self._serial(number)
        for project in self.changed.values():
            if project and project.status != "quarantined":
                yield project.name, project.serial

    def __getitem__(self, name: str) -> FakeProject:
        if name not in self.changed and (number := self.number(name)) is not None:
            self.changed[name] = self._grow(number)
        project = self.changed.get(name)
        if project is None:
            raise KeyError(name)
        return project

    def __setitem__(self, name: str, project: FakeProject) -> None:
        self.changed[name] = project

    def __delitem__(self, name: str) -> None:
        self.changed[name] = None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.peek(name) is not None

    def __iter__(self) -> Iterator[str]:
        for number in range(self.count):
            if self.name(number) not in self.changed:
                yield self.name(number)
        yield from (name for name, project in self.changed.items() if project)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _serial(self, number: int) -> int:
        return FIRST_SERIAL + 1 + number

    def _grow(self, number: int) -> FakeProject:
        """Return the project with a number as it was in the beginning."""
        chance = random.Random(f"{self.seed}/{number}")
        project = FakeProject(self.spelling(number), self._serial(number))
        project.status = _status(number)
        count = min(1 + int(chance.expovariate(1 / (self.versions - 0.5))), MAX_VERSIONS)
        kind = chance.random()
        specifiers = chance.choice(_SPECIFIERS)
        first = OLDEST + timedelta(days=chance.random() * 3000)
        for step in range(count):
            version = _version(number, step, count)
            at = first + timedelta(days=step)
            files = _files(project.name, version, at, kind, specifiers)
            for each in files:
                each.is_hollow = self.is_hollow
            project.versions[version] = [*files]
        for version in chance.sample(list(project.versions), 1 if chance.random() < 0.1 else 0):
            for file in project.versions[version]:
                file.yanked = "broken"
        return project


def _is_quarantined(number: int) -> bool:
    return number % 500 == 77


def _status(number: int) -> str | None:
    if _is_quarantined(number):
        return "quarantined"
    return "archived" if number % 100 == 33 else None


def _version(number: int, step: int, count: int) -> str:
    """Return the number of a project's version: what people write, old and new."""
    if number % 40 == 3 and step == 0:
        return f"{2000 + number % 10}d"
    if step == count - 1 and number % 9 == 4:
        return f"{step // 10}.{step % 10}rc1"
    return f"{step // 10}.{step % 10}"


def _files(name: str, version: str, at: datetime, kind: float, specifiers: str | None) -> list[GrownFile]:
    """Return the files of a version of a project of some kind."""
    if version.endswith("d"):
        return [grown_sdist(name, version, at, filename=f"{name}-{version}.tar.gz")]
    source = grown_sdist(name, version, at, requires_python=specifiers)
    if kind < 0.3:
        return [source]
    if kind < 0.8:
        return [source, grown_wheel(name, version, "py3-none-any", at)]
    if kind < 0.9:
        return [source, grown_wheel(name, version, NATIVE, at)]
    if kind < 0.98:
        return [grown_wheel(name, version, "py3-none-any", at)]
    return []
