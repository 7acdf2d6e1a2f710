"""Makes the bundle that somebody asked for: resolves, fetches, and writes the zip."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from packaging.version import Version

from builds.files import moving
from builds.models import Wheel
from packages.database import DATABASE_AWAY
from packages.fetch import UpstreamUnavailable
from packages.sync import upstream
from simple import explain
from simple.bundle import archive, papers, tidying
from simple.bundle.archive import Member, WrongBytes
from simple.bundle.pantry import NoRoom, Pantry
from simple.bundle.papers import Content, Entry
from simple.bundle.resolve import CannotResolve, Pick, Resolved, resolve
from simple.bundle.shelf import FarmShelf
from simple.check import apt_of, environments_of
from simple.explain import CannotRun
from simple.machines import BY_KEY
from simple.models import Bundle
from simple.requirements import Asked, CannotRead, read

logger = logging.getLogger(__name__)

# How often a worker says how far it is.
_SAY_S = 1.0


class TooMuch(Exception):
    """A bundle would be more than this farm makes; the text says what to leave out."""


class Lost(Exception):
    """The work was given to another worker, as this one was silent for too long."""


def make_next(clock: Callable[[], datetime]) -> bool:
    """Make the bundle that has waited for longest; False if there is none, or no place for it."""
    waiting = Bundle.objects.filter(state=Bundle.State.WAITING).order_by("asked_at").first()
    if waiting is None or not waiting.claim(settings.PIWHEELS_BUNDLES_AT_ONCE, clock()):
        return False
    _Work(waiting, clock).run()
    return True


def installed_versions(asked: Asked) -> dict[str, Version]:
    """Return which versions a pip freeze names."""
    return {each.name: each.pinned for each in asked.packages if each.pinned}


@dataclass
class _Work:
    """The making of one bundle."""

    bundle: Bundle
    clock: Callable[[], datetime]
    step: str = "Finding out what they need"
    done: int = 0
    total: int = 0
    said_at: float = field(default=0.0)
    began_at: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Make it, or note why that cannot be."""
        with self._noting_problems():
            shelf = self._shelf()
            resolved = self._resolve(shelf)
            members = self._members(shelf, resolved)
            content = self._content(shelf, resolved, members)
            digest = digest_of(content)
            path = zip_path(digest)
            size = _size_kept(path) or self._write(path, digest, content, members)
            self.bundle.finish(digest, size, asdict(content), self._expiry())

    @contextmanager
    def _noting_problems(self) -> Iterator[None]:
        faults: tuple[type[Exception], ...] = (WrongBytes, *moving.faults())
        try:
            yield
        except Lost:
            logger.warning("%s was given to another worker.", self.bundle)
        except (CannotResolve, CannotRead, CannotRun, TooMuch, NoRoom) as error:
            self.bundle.fail(str(error), self._expiry())
        except UpstreamUnavailable as error:
            logger.warning("%s: %s", self.bundle, error)
            self.bundle.fail(f"A wheel could not be fetched: {error} Ask again later.", self._expiry())
        except faults as error:
            logger.exception("%s cannot be written.", self.bundle)
            said = str(error) if isinstance(error, WrongBytes) else "A file could not be read or written."
            self.bundle.fail(f"{said} The operators have a line about it; ask again later.", self._expiry())
        except DATABASE_AWAY:
            # Nothing can be noted now: it is given back after a silence.
            raise
        # Strangers' texts go through parsers that are not ours, and a row left as it is keeps its place from
        # all others.
        except Exception:
            logger.exception("%s broke off.", self.bundle)
            self.bundle.fail("Making it broke off. The operators have a line about it.", self._expiry())

    def _expiry(self) -> datetime:
        return self.clock() + timedelta(seconds=settings.PIWHEELS_BUNDLES_KEPT_S)

    def _shelf(self) -> FarmShelf:
        machine = explain.machine_of(self.bundle.target, BY_KEY.get(self.bundle.model))
        pypi = upstream()
        pantry = Pantry(
            folder=settings.PIWHEELS_BUNDLES / "upstream",
            session=pypi.session,
            most_bytes=settings.PIWHEELS_BUNDLE_BYTES,
            most_s=settings.PIWHEELS_BUNDLE_S,
            room=room_left(),
            pulse=self._pulse,
        )
        return FarmShelf(self.bundle.target, machine, pantry)

    def _pulse(self, size: int = 0) -> None:
        """Say now and then how far it is; ends the work when it takes too long, or is no longer ours."""
        self.done += size
        now = time.monotonic()
        if now - self.began_at > settings.PIWHEELS_BUNDLE_S:
            raise TooMuch(
                f"It took more than {settings.PIWHEELS_BUNDLE_S / 60:.0f} minutes ({self.step}): "
                "ask for fewer packages, or name their versions."
            )
        if now - self.said_at > _SAY_S:
            self._say()

    def _say(self) -> None:
        self.said_at = time.monotonic()
        if not self.bundle.note(self.step[:200], self.clock(), done=self.done, total=self.total):
            raise Lost

    def _resolve(self, shelf: FarmShelf) -> Resolved:
        self._say()
        installed = installed_versions(read(self.bundle.installed)) if self.bundle.installed.strip() else {}
        asked = read(self.bundle.wanted).packages
        resolved = resolve(asked, shelf, environments_of(shelf.machine), installed, self._pulse)
        if not resolved.wheels:
            raise CannotResolve(
                "There is nothing to pack: the machine has all of it, or asks for nothing of it."
            )
        if len(resolved.wheels) > settings.PIWHEELS_BUNDLE_PACKAGES:
            raise TooMuch(
                f"These are {len(resolved.wheels)} wheels; {settings.PIWHEELS_BUNDLE_PACKAGES} are the most."
            )
        _refuse_larger(
            [(pick.name, shelf.source(pick.name, pick.offer).size) for pick in resolved.wheels if pick.offer]
        )
        return resolved

    def _members(self, shelf: FarmShelf, resolved: Resolved) -> list[tuple[Pick, Member]]:
        """Return the wheels as files of this farm's, which fetches those that are not."""
        _refuse_without_room(shelf, resolved)
        found = []
        for number, pick in enumerate(resolved.wheels, 1):
            if pick.offer is None:
                continue
            self.step = f"Fetching {number} of {len(resolved.wheels)}: {pick}"
            self._pulse()
            found.append((pick, shelf.member(pick.name, pick.offer)))
        # Of upstream's files, the size is known only now.
        _refuse_larger([(pick.name, member.size) for pick, member in found])
        return found

    def _content(
        self, shelf: FarmShelf, resolved: Resolved, members: Sequence[tuple[Pick, Member]]
    ) -> Content:
        target, model = self.bundle.target, BY_KEY.get(self.bundle.model)
        sources = {pick.name: shelf.source(pick.name, pick.offer) for pick, _ in members if pick.offer}
        ours = [wheel.pk for wheel in sources.values() if isinstance(wheel, Wheel)]
        return Content(
            system=target.title,
            pi=model.name if model else "",
            python=shelf.machine.minor,
            processor=shelf.machine.processor,
            entries=tuple(
                Entry(
                    name=pick.name,
                    version=str(pick.version),
                    filename=member.filename,
                    size=member.size,
                    sha256=member.sha256,
                    is_ours=isinstance(sources[pick.name], Wheel),
                    wanted_by=resolved.wanted_by.get(pick.name, ()),
                )
                for pick, member in members
            ),
            apt=papers.apt_names(apt_of(ours, target)),
            present=tuple(f"{pick.name}=={pick.version}" for pick in resolved.present),
        )

    def _write(
        self, path: Path, digest: str, content: Content, members: Sequence[tuple[Pick, Member]]
    ) -> int:
        self.step, self.done = "Writing", 0
        self.total = sum(member.size for _, member in members)
        if self.total > room_left():
            raise NoRoom
        self._say()
        wheels = [member for _, member in members]
        return archive.write(path, f"bundle-{digest[:12]}", papers.papers(content), wheels, self._pulse)


def _refuse_without_room(shelf: FarmShelf, resolved: Resolved) -> None:
    """Raise NoRoom if wheels that are still to be fetched would leave none for the archive."""
    sources = [shelf.source(pick.name, pick.offer) for pick in resolved.wheels if pick.offer]
    missing = sum(shelf.pantry.missing(source) for source in sources if not isinstance(source, Wheel))
    shelf.pantry.room = room_left() - sum(source.size or 0 for source in sources)
    # Where nothing is missing the archive may be there, too.
    if missing and missing > shelf.pantry.room:
        raise NoRoom


def _refuse_larger(sizes: Sequence[tuple[str, int | None]]) -> None:
    """Raise TooMuch if wheels are more than a bundle may have."""
    total = sum(size or 0 for _, size in sizes)
    if total > settings.PIWHEELS_BUNDLE_BYTES:
        largest, size = max(sizes, key=lambda each: each[1] or 0)
        raise TooMuch(
            f"These wheels have {filesizeformat(total)}; {filesizeformat(settings.PIWHEELS_BUNDLE_BYTES)} "
            f"are the most. The largest is {largest}, with {filesizeformat(size or 0)}."
        )


def digest_of(content: Content) -> str:
    """Return a hash of all that a bundle is made of."""
    told = json.dumps([asdict(content), papers.papers(content)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def zip_path(digest: str) -> Path:
    """Return where the zip of a bundle is."""
    folder: Path = settings.PIWHEELS_BUNDLES
    return folder / f"{digest}.zip"


def _size_kept(path: Path) -> int:
    """Return the size of a zip that was made before, and have it stay for longer; 0 if there is none."""
    try:
        # It may be that of no other bundle any more, and would be tidied away before ours has its digest.
        os.utime(path)
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_ready(bundle: Bundle, now: datetime) -> bool:
    """Tell whether a bundle's zip can be downloaded, now and for a while."""
    return (
        bundle.state == Bundle.State.READY
        and bundle.expires_at is not None
        and bundle.expires_at > now
        and zip_path(bundle.digest).exists()
        and not tidying.withdrawn([bundle])
    )


def room_left() -> int:
    """Return how many bytes bundles, and what they are made of, may still have."""
    most: int = settings.PIWHEELS_BUNDLES_BYTES
    return most - space_taken()


def space_taken() -> int:
    """Return how many bytes all bundles, and what they are made of, have now."""
    folder: Path = settings.PIWHEELS_BUNDLES
    taken = 0
    for path in folder.rglob("*"):
        # What is kept no longer is removed meanwhile.
        with suppress(FileNotFoundError):
            taken += path.stat().st_size if path.is_file() else 0
    return taken
