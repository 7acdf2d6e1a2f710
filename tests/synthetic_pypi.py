"""A synthetic PyPI of any size, whose life goes on: what happens next is computed from a seed, too.

with SyntheticPyPI(projects=100_000, seed=1) as upstream:
    upstream.happen(1000)
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from packaging.utils import canonicalize_name

from tests.catalogue import NATIVE, Catalogue, grown_sdist, grown_wheel
from tests.fake_pypi import FakePyPI
from tests.fake_pypi_faults import Request
from tests.fake_pypi_pages import FakeProject

# Of what happens, half happens to one project of ten.
HOT = 10


class SyntheticPyPI(FakePyPI):
    """The server, its catalogue, and what happens to it."""

    def __init__(
        self, projects: int, seed: int = 1, versions: float = 10, *, is_hollow: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.seed = seed
        self.happened = 0
        self.asked = 0
        self.catalogue = Catalogue(seed, projects, versions, is_hollow=is_hollow)
        self.projects = self.catalogue
        self.journal.serial = self.catalogue.last_serial
        # The names of files and projects that were here and, at some time, were not.
        self.withdrawn: set[str] = set()
        # Versions that lost a file: nobody can upload a file of that name again.
        self.emptied: set[tuple[str, str]] = set()
        self._newcomers: list[str] = []

    def happen(self, times: int = 1) -> None:
        """Let the next things happen; the same seed has the same things happen in the same order."""
        with self._state:
            for _ in range(times):
                chance = random.Random(f"{self.seed}/event/{self.happened}")
                deed = chance.choices(list(DEEDS), [often for often, _ in DEEDS.values()])[0]
                self.do(deed, self.somebody(chance), chance)
                if chance.random() < 0.1:
                    self.journal.skip(chance.randrange(1, 4))
                if chance.random() < 0.01:
                    self.journal.jump(chance.uniform(-600, 600))

    def do(self, deed: str, name: str, chance: random.Random) -> None:
        """Let one thing happen to a project."""
        with self._state:
            self.happened += 1
            before = self._seen(name)
            DEEDS[deed][1](self, name, f"{chance.randrange(1, 9)}.{self.happened}", chance)
            self.withdrawn |= before - self._seen(name)

    def note(self, request: Request) -> None:
        """Count a request; a log of them would grow without end."""
        with self._state:
            self.asked += 1

    def shown(self, name: str, api: str) -> FakeProject | None:
        """Return what one of the APIs shows of the project with a canonical name."""
        with self._state:
            if (api, name) in self._stale or name in self.catalogue.changed:
                return super().shown(name, api)
            return self.catalogue.peek(name)

    def _root(self) -> tuple[int, list[tuple[str, int]]]:
        return self.serial, list(self.catalogue.serials())

    def somebody(self, chance: random.Random) -> str:
        """Return the name of a project that something happens to; it may be gone."""
        if self._newcomers and chance.random() < 0.1:
            return chance.choice(self._newcomers)
        count = self.catalogue.count
        return self.catalogue.name(chance.randrange(max(count // HOT, 1) if chance.random() < 0.5 else count))

    def _seen(self, name: str) -> set[str]:
        """Return what a farm can see of a project: its name and those of its files."""
        project = self.catalogue.peek(name)
        return {name, *(file.filename for file in project.files)} if project else set()

    def begin(self, name: str) -> None:
        """Register a project; a name of one that is gone belongs to somebody else then."""
        with self._state:
            if canonicalize_name(name) not in self.projects:
                self._newcomers.append(canonicalize_name(name))
            self.add_project(name)

    def upload(self, name: str, version: str, *tags: str, with_source: bool = True) -> None:
        """Upload the files of a version."""
        at = self.journal.now + timedelta(seconds=1)
        spelling = self.projects[name].name if name in self.projects else name
        if with_source:
            self._add(spelling, version, grown_sdist(spelling, version, at))
        for tag in tags:
            file = grown_wheel(spelling, version, tag, at)
            self._add(spelling, version, file, tag.partition("-")[0])


def _release(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    upstream.upload(name, version, *chance.choice([(), ("py3-none-any",), (NATIVE,)]))


def _release_wheels(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    upstream.upload(name, version, "py3-none-any", with_source=False)


def _release_nothing(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    upstream.add_version(name, version)


def _begin(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    # Not after the project that gave rise to it: names would grow until no archive can hold them.
    upstream.begin(f"New.Project-{version.replace('.', '-')}")


def _come_late(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    """Upload a source to a version that never had one."""
    project = upstream.projects.get(name)
    for number, files in project.versions.items() if project else ():
        if not files and (name, number) not in upstream.emptied:
            upstream.upload(name, number)
            return
    upstream.upload(name, version)


def _of_version(deed: Callable[[SyntheticPyPI, str, str], None]) -> "Deed":
    """Return what does something to one of a project's versions; one that is gone comes back instead."""

    def do(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
        project = upstream.projects.get(name)
        if project is None or not project.versions:
            upstream.upload(name, version)
        else:
            deed(upstream, name, chance.choice(list(project.versions)))

    return do


def _of_project(deed: Callable[[SyntheticPyPI, str], None]) -> "Deed":
    """Return what does something to a project; one that is gone comes back instead."""

    def do(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
        if name in upstream.projects:
            deed(upstream, name)
        else:
            upstream.upload(name, version)

    return do


def _remove_file(upstream: SyntheticPyPI, name: str, version: str) -> None:
    for file in upstream.projects[name].versions[version][:1]:
        upstream.remove(name, version, file.filename)
        upstream.emptied.add((name, version))


def _archive(upstream: SyntheticPyPI, name: str) -> None:
    if upstream.projects[name].status is None:
        upstream.set_status(name, "archived", "use another")
    elif upstream.projects[name].status == "archived":
        upstream.set_status(name, None)


def _quarantine(upstream: SyntheticPyPI, name: str) -> None:
    upstream.set_status(name, None if upstream.projects[name].status == "quarantined" else "quarantined")


def _hide(upstream: SyntheticPyPI, name: str, version: str) -> None:
    hidden = sorted(upstream.projects[name].hidden)
    upstream.show(name, hidden[0]) if hidden else upstream.hide(name, version)


def _yank(upstream: SyntheticPyPI, name: str, version: str) -> None:
    is_yanked = any(file.yanked is not None for file in upstream.projects[name].versions[version])
    upstream.unyank(name, version) if is_yanked else upstream.yank(name, version, "it is broken")


def _spell(upstream: SyntheticPyPI, name: str) -> None:
    upstream.spell(name, upstream.projects[name].name.swapcase())


def _write_noise(upstream: SyntheticPyPI, name: str, version: str, chance: random.Random) -> None:
    """Write what says nothing of a project that there is."""
    action, about = chance.choice(
        [("docdestroy", name), ("nuke user", "user:mallory"), ("create", "-no-name-")]
    )
    upstream.write(about, action)


Deed = Callable[[SyntheticPyPI, str, str, random.Random], None]

# What happens, and how often of some 400 times.
DEEDS: dict[str, tuple[int, Deed]] = {
    "release": (200, _release),
    "release wheels": (20, _release_wheels),
    "release nothing": (10, _release_nothing),
    "come late": (15, _come_late),
    "begin": (30, _begin),
    "yank": (20, _of_version(_yank)),
    "remove file": (10, _of_version(_remove_file)),
    "remove version": (12, _of_version(lambda upstream, name, version: upstream.remove(name, version))),
    "hide": (6, _of_version(_hide)),
    "remove": (6, _of_project(lambda upstream, name: upstream.remove(name))),
    "quarantine": (6, _of_project(_quarantine)),
    "archive": (6, _of_project(_archive)),
    "spell": (4, _of_project(_spell)),
    "summarise": (6, _of_project(lambda upstream, name: upstream.summarise(name, "Told anew"))),
    "add role": (30, _of_project(lambda upstream, name: upstream.add_role(name, "bob"))),
    "write noise": (8, _write_noise),
}
