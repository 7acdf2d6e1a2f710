"""What operators do to a farm, in a process of its own beside it: a line of JSON says what, a line answers.

A deed goes through the product's own functions, and is tried again while the database is away.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Count, QuerySet

from builds.builders.host import host_target
from builds.files import takedown
from builds.models import Build, Builder, Wheel
from builds.planning import rebuilding
from deploy import farm as miniature
from packages.clock import database_now
from packages.database import DATABASE_AWAY
from packages.models import Package, Version
from simple import index, tree
from simple import rebuilding as published
from simple.tests import trees
from tests.faults import kept

# The version of each package that is never taken away, so that it always has a page.
KEPT = "1.0"
_RUN = "from tests import operators; operators.main()"


class Operators:
    """The process, as a test sees it."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*miniature.MANAGE, "shell", "--no-imports", "-v", "0", "-c", _RUN],
                env=env,
                cwd=miniature.ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def ask(self, deed: str, **told: object) -> Any:
        """Have something done, and return what came of it."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"deed": deed, **told}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the operators' process has ended; its log says why"
        return json.loads(answer)


def main() -> None:
    """Do what the lines of the standard input say."""
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(_patiently(DEEDS[told.pop("deed")], told)), flush=True)
    connection.close()


def _patiently(deed: Callable[..., object], told: Mapping[str, object]) -> object:
    """Do something, as soon as the database lets us."""
    while True:
        try:
            return deed(**told)
        except DATABASE_AWAY:
            connection.close()
            time.sleep(0.1)


def enrol(name: str) -> str:
    """Make a builder for this machine, and return its token."""
    builder = Builder(name=name, target=host_target())
    token = builder.rekey()
    builder.save()
    return token


def enrol_all(names: list[str]) -> None:
    """Make builders that are at work, and that nobody hears of again."""
    for name in names:
        enrol(name)
    Builder.objects.filter(name__in=names).update(heard_at=database_now())


def choose(kind: str, chance: float) -> str | None:
    """Return the name of a wheel that something can be done to; which one, chance has drawn."""
    wheels = {
        "rebuild": index.offered().filter(yanked=False),
        "yank": index.offered().filter(yanked=False),
        "unyank": index.offered().filter(yanked=True, superseded_by=None),
        "withdraw": index.offered().exclude(version__number=KEPT),
        "take_down": index.offered().exclude(version__number=KEPT),
    }[kind]
    names = list(wheels.order_by("filename").values_list("filename", flat=True))
    return names[int(chance * len(names))] if names else None


def act(kind: str, filename: str, reason: str = "") -> bool:
    """Do something to a wheel; the reason is that of a rebuild, by which its builds are known."""
    wheel, now = Wheel.objects.select_related("package").get(filename=filename), database_now()
    if kind == "rebuild":
        # Said once more, as the database went away before it could answer.
        if reason and Build.objects.filter(rebuild_reason=reason).exists():
            return True
        pairs = {(wheel.version_id, wheel.build.target_id)}
        return rebuilding.rebuild(wheel.package, pairs, reason or "The compiler was bad.", now).queued == 1
    if kind == "take_down":
        takedown.take_down([wheel], "Somebody else's.", now)
    elif kind == "withdraw":
        wheel.withdraw(now, "It does not work.")
    elif kind == "yank":
        wheel.yank("It is slow.")
    else:
        wheel.unyank()
    return True


def state() -> dict[str, int]:
    """Return how much is still to be done."""
    return {
        "to_plan": Package.objects.to_plan(database_now()).count(),
        "builds": Build.objects.filter(finished_at=None).count(),
        "building": Build.objects.filter(state=Build.State.BUILDING).count(),
        "to_show": Package.objects.to_show().count(),
        "to_remove": Wheel.objects.to_remove().count(),
    }


def known() -> list[tuple[str, str]]:
    """Return the package and the number of each version that upstream has, as far as we know."""
    return list(Version.objects.listed().values_list("package__name", "number"))


def rebuild_lost() -> int:
    """Have built what was lost so often that it waits for a person; return how much that is."""
    lost = _without_wheel(Version.objects.filter(builds__state=Build.State.LOST)).distinct()
    for version in lost.select_related("package"):
        pairs = {(version.pk, host_target().pk)}
        rebuilding.rebuild(version.package, pairs, "It was lost four times.", database_now())
    return len(lost)


def lost_for_good() -> list[str]:
    """Return what was lost so often that it waits for a person, and how often it was tried."""
    lost = _without_wheel(Version.objects.filter(builds__state=Build.State.LOST)).distinct()
    return [f"{version}: {version.builds.count()} attempts" for version in lost]


def unbuilt() -> list[str]:
    """Return the versions that should have a wheel and never had one, and how each attempt at them ended."""
    versions = _without_wheel(Version.objects.listed().filter(yanked=False))
    return [f"{version}: {[str(build.state) for build in version.builds.all()]}" for version in versions]


def twice_built() -> list[str]:
    """Return what was built more often than once, and once for each reason to rebuild it."""
    built = Build.objects.filter(state=Build.State.SUCCEEDED).order_by()
    by = ("version__package__name", "version__number", "target__key", "rebuild_reason")
    more = built.values_list(*by).annotate(count=Count("pk")).filter(count__gt=1)
    return [f"{name} {number}: {count} times for {reason!r}" for name, number, _, reason, count in more]


def unfulfilled(wishes: list[tuple[str, str, str]]) -> list[str]:
    """Return which rebuilds, by package, version and reason, came to nothing, and how each attempt ended.

    What was lost so often that it waits for a person is none of them.
    """
    found = []
    for name, number, reason in wishes:
        builds = Build.objects.filter(
            version__package__name=name, version__number=number, rebuild_reason=reason
        )
        states = [str(build.state) for build in builds]
        if Build.State.SUCCEEDED not in states and not builds.given_up().exists():
            found.append(f"{name} {number}, {reason!r}: {states}")
    return found


def _without_wheel(versions: QuerySet[Version]) -> QuerySet[Version]:
    """Return those of which there is no wheel, and nothing that goes on."""
    return versions.filter(wheels=None).exclude(
        pk__in=Build.objects.filter(finished_at=None).values("version")
    )


def faults() -> list[str]:
    """Return what is wrong with the published tree, once nobody writes it and the rest of time is over."""
    now = database_now()
    trees.settle(now)
    before = _stamps()
    published.rebuild([], now + timedelta(hours=2))
    found = [] if _stamps() == before else ["rebuild_indexes changes something"]
    there = trees.contents()
    found += [f"half written: {path}" for path in tree.folder("simple").parent.rglob(".*.new")]
    found += [fault for wheel in Wheel.objects.select_related("package") for fault in _faults_of(wheel)]
    anew = trees.expected(settings, settings.VAR / "public-anew", now + timedelta(days=1))
    found += [
        f"not as in a new tree: {name}" for name in {*there, *anew} if there.get(name) != anew.get(name)
    ]
    return found


def _stamps() -> dict[str, tuple[int, int]]:
    """Return which files the tree has, and when they were written."""
    public = tree.folder("simple").parent
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in public.rglob("*")
        if path.is_file()
    }


def _faults_of(wheel: Wheel) -> list[str]:
    """Return what is wrong with a wheel in the tree and in the storage."""
    offered = index.offered().filter(pk=wheel.pk).exists()
    found = []
    for suffix, sha256 in (("", wheel.sha256), (".metadata", wheel.metadata_sha256)):
        path = tree.folder("simple", wheel.package.name) / f"{wheel.filename}{suffix}"
        if path.exists() != offered:
            found.append(f"{path.name} is {'there' if path.exists() else 'not there'}")
        elif offered and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            found.append(f"{path.name} is not whole")
        if wheel.taken_down_at and default_storage.exists(wheel.path):
            found.append(f"{wheel} was taken down and is still stored")
    return found


DEEDS: dict[str, Callable[..., object]] = {
    deed.__name__: deed
    for deed in (
        *(enrol, enrol_all, choose, act, known, state, rebuild_lost, lost_for_good),
        *(unbuilt, twice_built, unfulfilled, faults, kept.lost),
    )
}
