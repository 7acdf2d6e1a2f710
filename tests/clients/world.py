"""An upstream and an index in production beside it, which a test fills with files that it can tell apart."""

import itertools
import sysconfig
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Self

from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from builds.models import Target, Wheel
from packages import fetch, sync
from packages.pypi import PyPI
from simple import publishing
from simple.tests import rows
from tests import sdists
from tests.clients.installers import Sources
from tests.fake_pypi import UPLOADED_AT, FakePyPI
from tests.fake_pypi_pages import FakeFile
from tests.stack import Stack

PURE = "py3-none-any"
# What a build of any of the clients' Pythons is called, on each of the platforms.
_HOST = sysconfig.get_platform().replace("-", "_")
PYTHONS = ("cp36-cp36m", "cp37-cp37m", "cp39-cp39", "cp310-cp310", "cp311-cp311", "cp313-cp313")
PLATFORMS = ("linux_armv6l.linux_armv7l", "linux_aarch64", _HOST)
# What a Pi in the same house may call the farm.
FARM = "farm.home"
# What is built from one of upstream's sdists says this, and no wheel does.
FROM_SOURCE = 42


class World:
    """A fake PyPI, and the production stack with a tree that only the test writes."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.upstream = FakePyPI()
        self.stack = Stack(folder, database, upstream=self.upstream.simple_url, name=FARM)
        self._answers = itertools.count(100)
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        storages = dict(settings.STORAGES)
        storage = {
            "BACKEND": "builds.files.storage.WholeFileStorage",
            "OPTIONS": {"location": str(self.stack.files)},
        }
        self._closing.enter_context(
            override_settings(
                PIWHEELS_PUBLIC=self.stack.public,
                PIWHEELS_PYPI=self.upstream.simple_url,
                STORAGES={**storages, "default": storage},
            )
        )
        self._closing.enter_context(self.upstream)
        self._session = self._closing.enter_context(fetch.Session())
        self._closing.enter_context(self.stack)
        _make_targets()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    # The indexes.

    def ours(self, index: str = "simple") -> Sources:
        """Return one of our indexes as the only one."""
        return Sources(f"{self.stack.nginx.url}/{index}/")

    def beside(self, *names: str, index: str = "simple") -> Sources:
        """Return one of our indexes beside upstream's, as it is on every Pi, to have these packages from."""
        return Sources(self.upstream.simple_url, f"{self.stack.nginx.url}/{index}/", names)

    def alone(self) -> Sources:
        """Return upstream's index as the only one."""
        return Sources(self.upstream.simple_url)

    # What upstream's people do.

    def upstream_wheel(self, name: str, number: str, tag: str = PURE) -> int:
        """Upload a wheel, and return what it answers."""
        answer = next(self._answers)
        self.upstream.add_wheel(name, number, sdists.make_wheel(name, number, tag, answer=answer), tag=tag)
        return answer

    def upstream_sdist(self, name: str, number: str, uploaded_at: datetime = UPLOADED_AT) -> FakeFile:
        """Upload an sdist that builds without a network."""
        return self.upstream.add_sdist(name, number, uploaded_at=uploaded_at)

    # What we do.

    def follow(self, name: str) -> None:
        """Bring what upstream says of a package into our rows."""
        pypi = PyPI(self.upstream.simple_url, self._session)
        sync.look_up(pypi, name, now=timezone.now(), believes_absence=True)

    def wheel(self, name: str, number: str, tag: str = PURE, **fields: object) -> tuple[Wheel, int]:
        """Have a wheel of our own, and return it with what it answers."""
        answer = next(self._answers)
        return rows.make_wheel(name, number, tag=tag, answer=answer, **fields), answer

    def wheels(
        self, name: str, number: str = "1.0", minor: str = "", **fields: object
    ) -> dict[str, tuple[Wheel, int]]:
        """Have wheels for all Pythons, or one, and all platforms; return them by their tags."""
        pythons = [python for python in PYTHONS if not minor or python.startswith(f"{_abi(minor)}-")]
        tags = [f"{python}-{platform}" for python in pythons for platform in PLATFORMS]
        return {tag: self.wheel(name, number, tag, **fields) for tag in tags}

    def rebuild(self, wheel: Wheel) -> tuple[Wheel, int]:
        """Build a wheel's version again, with other bytes."""
        answer = next(self._answers)
        return rows.make_rebuild(wheel, answer=answer), answer

    def publish(self) -> None:
        """Bring the published tree to what the rows say."""
        publishing.publish(timezone.now(), wait=True)


def _make_targets() -> None:
    """Have two releases with all of the Pythons, of which the second has a newer C library."""
    tags = [platform for each in PLATFORMS for platform in each.split(".")]
    for release, glibc in (("test", "2.36"), ("next", "2.41")):
        for python in PYTHONS:
            implementation, abi = python.split("-")
            fields = {
                "os_release": release,
                "os_name": release.title(),
                "architecture": "armhf",
                "python": f"3.{implementation.removeprefix('cp3')}",
                "abi": abi,
                "platform_tags": tags,
                "glibc": glibc,
                "is_active": True,
            }
            Target.objects.update_or_create(key=f"{release}-armhf-{implementation}", defaults=fields)


def chosen(wheels: dict[str, tuple[Wheel, int]], minor: str, platform: str) -> tuple[Wheel, int]:
    """Return the wheel that a Python on a platform is to get."""
    ending = (platform or sysconfig.get_platform()).replace("-", "_")
    [wheel] = [
        wheel
        for tag, wheel in wheels.items()
        if tag.startswith(f"{_abi(minor)}-") and ending in tag.split("-")[2].split(".")
    ]
    return wheel


def _abi(minor: str) -> str:
    return f"cp{minor.replace('.', '')}"
