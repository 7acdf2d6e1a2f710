"""`manage.py rebuild`: build again what there are wheels of."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from packaging.utils import canonicalize_name

from builds import rebuilding
from builds.clock import database_now
from builds.models import Target
from packages import audit
from packages.models import Package, Version, canonical_version


class Command(BaseCommand):
    """Build wheels again."""

    help = (
        "Builds again, before all that nobody asked for, what there are wheels of: all of a package, or one "
        "version. What comes out different gets a build tag and takes the place of the wheel before, which "
        "is yanked and stays for lock files."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what to build again, for what, and why."""
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        parser.add_argument("--target", help="as trixie-armhf-cp313; all that have wheels without it")
        parser.add_argument("--reason", default="", help="shown on the pages of the builds")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Queue it and say so."""
        name, _, number = options["what"].partition("==")
        package = Package.objects.filter(name=canonicalize_name(name.strip())).first()
        if package is None:
            raise CommandError(f"The farm does not follow {name}: add_package does so.")
        version = _version(package, number.strip()) if number.strip() else None
        target = _target(options["target"]) if options["target"] else None
        pairs = rebuilding.of_package(package, version, target)
        if not pairs:
            raise CommandError(
                "There are no wheels of it: name a version and a target to build one all the same."
            )
        reason = f"{getpass.getuser()} wants it built again. {options['reason']}".strip()
        said = str(rebuilding.rebuild(package, pairs, reason, database_now()))
        audit.note_command("rebuild", [package], model=Package, said=said, reason=options["reason"])
        self.stdout.write(said)


def _version(package: Package, number: str) -> Version:
    """Return a version as upstream spells it, or in another spelling."""
    found = package.versions.filter(number=number).first()
    canonical, _ = canonical_version(number)
    found = found or package.versions.filter(canonical=canonical).exclude(canonical="").first()
    if found is None:
        raise CommandError(f"Upstream has no {package} {number}, as far as the farm knows.")
    return found


def _target(key: str) -> Target:
    """Return a target by its key."""
    found = Target.objects.filter(key=key).first()
    if found is None:
        keys = ", ".join(Target.objects.active().values_list("key", flat=True))
        raise CommandError(f"There is no target {key}; active are: {keys or 'none'}.")
    return found
