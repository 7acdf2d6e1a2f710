"""Which file of a package a Pi gets, from which index, and why: the rows that `simple.choose` looks at."""

from dataclasses import dataclass, replace
from enum import StrEnum

from packaging.specifiers import SpecifierSet

from builds.models import Target, Wheel
from builds.wheels.coverage import covers
from packages.models import Package
from simple import index, indexes
from simple.choose import Choice, Installer, Machine, Offer, choose
from simple.formats import File
from simple.index import Holdings, UpstreamEntry
from simple.machines import Model, processor, reported

PYPI = "PyPI"
# Stands for the index of a system's own release, whichever that is.
RELEASE = "<release>/simple"


class Setup(StrEnum):
    """How a client is told of this farm; each is shown on the pages as something to copy."""

    PIP = "pip"
    PIP_RELEASE = "pip-release"
    PIP_FULL = "pip-full"
    PIP_ALONE = "pip-alone"
    UV = "uv"
    UV_PLATFORM = "uv-platform"


@dataclass(frozen=True)
class Told:
    """What a set-up means: who chooses, and the indexes in the order in which it is told of them."""

    title: str
    installer: Installer
    indexes: tuple[str, ...]

    def on(self, target: Target) -> "Told":
        """Return what it means on a target's system."""
        own = indexes.of_release(target.os_release) or indexes.ALL
        return replace(self, indexes=tuple(own if name == RELEASE else name for name in self.indexes))


SETUPS = {
    Setup.PIP: Told("pip, with this farm beside PyPI", Installer.PIP, (PYPI, indexes.ALL)),
    Setup.PIP_RELEASE: Told(
        "pip, with this farm's index of its release beside PyPI", Installer.PIP, (PYPI, RELEASE)
    ),
    Setup.PIP_FULL: Told("pip, with /simple-full/ alone", Installer.PIP, (indexes.FULL,)),
    Setup.PIP_ALONE: Told("pip, with this farm alone", Installer.PIP, (indexes.ALL,)),
    Setup.UV: Told("uv, with /simple-full/ as its default", Installer.UV, (indexes.FULL,)),
    Setup.UV_PLATFORM: Told("uv, with /simple-platform/ before PyPI", Installer.UV, (indexes.PLATFORM, PYPI)),
}


class CannotRun(Exception):
    """A machine cannot run a system; the text says why."""


@dataclass(frozen=True)
class Explanation:
    """What a machine takes of a package, and what we know of that file."""

    choice: Choice
    wheel: Wheel | None  # ours, if it is one
    runs: bool  # whether what it takes runs there, as far as anybody knows

    @property
    def is_ours(self) -> bool:
        """Whether the file comes from this farm."""
        return self.wheel is not None


def machine_of(target: Target, model: Model | None) -> Machine:
    """Return a target's system on a model of the Pi, or on whatever it was built for; raises CannotRun."""
    found = processor(model, target.architecture)
    if not found and model:
        raise CannotRun(f"{model.name} runs no {target.architecture} system: choose a 32-bit one.")
    return Machine(
        python=target.python,
        abi=target.abi,
        processor=found,
        glibc=target.glibc,
        reported=reported(model, target.architecture),
    )


def explain(
    package: Package, target: Target, model: Model | None, setup: Setup, wanted: SpecifierSet | None = None
) -> Explanation:
    """Return what a Pi takes of a package; raises CannotRun."""
    machine = machine_of(target, model)
    told = SETUPS[setup].on(target)
    there = held(package)
    choice = choose(offers(there, told, indexes.current()), machine, told.installer, wanted)
    wheel = ours(choice.taken.offer, there) if choice.taken else None
    return Explanation(choice, wheel, runs=wheel is None or covers(wheel.offer(), target.need()))


def ours(offer: Offer, held: Holdings) -> Wheel | None:
    """Return the wheel of ours that an offer is; None for a file of upstream's, whoever lists it."""
    is_theirs = offer.index == PYPI or (
        offer.index == indexes.FULL and any(entry.filename == offer.filename for entry in held.upstream)
    )
    wheels = () if is_theirs else held.wheels
    return next((wheel for wheel in wheels if wheel.filename == offer.filename), None)


def held(package: Package) -> Holdings:
    """Return what there is of a package, with upstream's files also where there is nothing of ours."""
    [found] = index.holdings([package], with_upstream=True)
    if found.wheels or package.is_hidden:
        return found
    return replace(found, upstream=tuple(index.upstream_files([package.pk]).get(package.pk, ())))


def offers(held: Holdings, told: Told, current: indexes.Indexes) -> list[Offer]:
    """Return the files of a package that a client sees, in the order in which it is told of their indexes."""
    pages = index.details(held, current)
    found = []
    for name in told.indexes:
        if name == PYPI:
            found += [_offer(entry, PYPI, held.package) for entry in held.upstream]
        elif name in pages:
            found += [_offer(file, name, held.package) for file in pages[name].files]
    # Where we have no page of the package, /simple-full/ leads to upstream's.
    if not found and indexes.FULL in told.indexes:
        found = [_offer(entry, PYPI, held.package) for entry in held.upstream]
    return found


def _offer(file: File | UpstreamEntry, name: str, package: Package) -> Offer:
    """Return a file of a page, or of upstream's, as one that an index offers."""
    return Offer(
        filename=file.filename,
        index=name,
        project=package.name,
        requires_python=file.requires_python,
        yanked=file.yanked,
        yanked_reason=file.yanked_reason,
        sha256=file.sha256,
    )
