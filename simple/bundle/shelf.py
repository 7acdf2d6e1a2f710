"""What there is to choose from for a machine: this farm's wheels for its system, and upstream's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.storage import default_storage
from packaging.specifiers import SpecifierSet

from builds.models import Target, Wheel
from packages.models import Package
from simple import explain, indexes
from simple.bundle import metadata
from simple.bundle.archive import Member
from simple.bundle.metadata import Metadata, Unusable
from simple.bundle.pantry import Pantry
from simple.choose import Choice, Installer, Judged, Machine, Offer, choose, ranked
from simple.explain import PYPI, Told
from simple.index import Holdings, UpstreamEntry

# What the name of a wheel is made of; upstream's names are a stranger's text until here.
_FILENAME = re.compile(r"[A-Za-z0-9_.+!-]{1,250}\.whl")


@dataclass
class FarmShelf:
    """What this farm knows of, for one target and machine; each package is read once."""

    target: Target
    machine: Machine
    pantry: Pantry
    _told: Told = field(init=False)
    _current: indexes.Indexes = field(init=False)
    _held: dict[str, Holdings | None] = field(default_factory=dict)
    _ranked: dict[tuple[str, str, frozenset[str]], list[Judged]] = field(default_factory=dict)
    _metadata: dict[str, Metadata] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find out which index of ours is the target's: the one without wheels that do not run there."""
        self._current = indexes.current()
        own = indexes.of_release(self.target.os_release)
        own = own if own in self._current.names else indexes.ALL
        self._told = Told("pip, with the index of its system beside PyPI", Installer.PIP, (PYPI, own))

    def ranked(self, name: str, wanted: SpecifierSet, hashes: frozenset[str]) -> Sequence[Judged]:
        """Return the wheels of a package that can be taken, the best first."""
        question = (name, str(wanted), hashes)
        if question not in self._ranked:
            self._ranked[question] = ranked(
                self._wheels(name), self.machine, self._told.installer, wanted, hashes
            )
        return self._ranked[question]

    def metadata(self, name: str, offer: Offer) -> Metadata:
        """Return what a wheel needs; raises Unusable, and UpstreamUnavailable where it has to be fetched."""
        if offer.filename not in self._metadata:
            self._metadata[offer.filename] = metadata.read(self._read(name, offer), name)
        return self._metadata[offer.filename]

    def why_none(self, name: str, wanted: SpecifierSet) -> str:
        """Say why no wheel of a package can be taken."""
        held = self._holdings(name)
        if held is None:
            return f"this farm does not follow {name}"
        if held.package.is_hidden:
            return f"{name} is {held.package.status} upstream"
        fitting = self.ranked(name, SpecifierSet(), frozenset())
        if fitting:
            return f"no wheel of it for this machine is of such a version; the newest is {fitting[0].version}"
        with_sources = explain.offers(held, self._told, self._current)
        if not with_sources:
            return f"there is no file of {name} for {self.target.title}"
        choice = choose(with_sources, self.machine, self._told.installer, wanted)
        if choice.is_source:
            return (
                f"there is only a source of it for this machine; ask for a wheel at /project/{name}/request"
            )
        return _worst(choice)

    def member(self, name: str, offer: Offer) -> Member:
        """Return a wheel as the zip takes it; raises UpstreamUnavailable where it has to be fetched."""
        found = self.source(name, offer)
        if isinstance(found, Wheel):
            path = found.path
            return Member(
                found.filename, found.size, found.sha256, lambda: cast(BinaryIO, default_storage.open(path))
            )
        fetched: Path = self.pantry.wheel(found)
        return Member(found.filename, fetched.stat().st_size, found.sha256, lambda: fetched.open("rb"))

    def source(self, name: str, offer: Offer) -> Wheel | UpstreamEntry:
        """Return our wheel, or upstream's file, that an offer is."""
        held = self._holdings(name)
        if held is None:
            raise LookupError(name)
        if offer.index == PYPI:
            return next(entry for entry in held.upstream if entry.filename == offer.filename)
        return next(wheel for wheel in held.wheels if wheel.filename == offer.filename)

    def _read(self, name: str, offer: Offer) -> bytes:
        found = self.source(name, offer)
        if not isinstance(found, Wheel):
            return self.pantry.metadata(found)
        try:
            with default_storage.open(found.metadata_path) as file:
                return bytes(file.read(metadata.MOST_BYTES))
        except FileNotFoundError as error:
            raise Unusable("its METADATA is not where it should be") from error

    def _wheels(self, name: str) -> list[Offer]:
        held = self._holdings(name)
        if held is None:
            return []
        offers = explain.offers(held, self._told, self._current)
        return [offer for offer in offers if _FILENAME.fullmatch(offer.filename)]

    def _holdings(self, name: str) -> Holdings | None:
        if name not in self._held:
            package = Package.objects.filter(name=name).first()
            self._held[name] = explain.held(package) if package else None
        return self._held[name]


def _worst(choice: Choice) -> str:
    """Return what is against the newest file of a package, for short."""
    said = dict.fromkeys(judged.against for judged in choice.judged)
    newest = choice.judged[0]
    more = f", and so on: {len(choice.judged)} files" if len(said) > 1 else ""
    return f"no wheel fits this machine ({newest.offer.filename}: {newest.against}{more})"
