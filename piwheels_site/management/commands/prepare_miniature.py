"""`manage.py prepare_miniature`: bring a farm on one machine to the state in which it can start."""

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from packaging.utils import InvalidName

from builds.builders.host import host_target
from builds.models import Builder, Target
from packages.command import DestructiveCommand
from packages.models import Dirty

BUILDER = "local-1"


class Command(DestructiveCommand):
    """Prepare a farm on one machine; again and again without harm, which it would do to one of several."""

    help = (
        "For `make run`: migrate, make this machine a target with a builder of its own, and follow the named"
        " packages."
    )
    examples = (
        "prepare_miniature --yes",
        "prepare_miniature lxml numpy --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name packages to follow beside those of PIWHEELS_WATCH."""
        super().add_arguments(parser)
        parser.add_argument("packages", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Do each part that is still to be done."""
        if not self.may(
            f"This migrates the database, and makes this machine a target and its builder {BUILDER}.",
            options,
        ):
            return
        call_command("migrate", interactive=False, verbosity=0)
        self._enrol(host_target(), settings.VAR / "builder-token")
        self._create_operator(settings.VAR / "admin-password")
        # Not left to the first tick, as whoever started the farm is waiting.
        followed = [] if settings.PIWHEELS_WATCH == ["all"] else settings.PIWHEELS_WATCH
        for name in [*followed, *options["packages"]]:
            try:
                Dirty.mark(name)
            except InvalidName as error:
                raise CommandError(
                    f"{name!r} is no package name: use letters, digits, '-', '_', '.'."
                ) from error

    def _enrol(self, target: Target, token_file: Path) -> None:
        """Give this machine's builder a new token, which no older process of it has."""
        builder = Builder.objects.filter(name=BUILDER).first() or Builder(name=BUILDER)
        builder.target = target
        _write_secret(token_file, builder.rekey())
        builder.save()

    def _create_operator(self, password_file: Path) -> None:
        """Create the user `admin` for the first start, with a password in a private file."""
        users = get_user_model().objects
        if not users.filter(is_active=True).exists():
            password = secrets.token_urlsafe(12)
            users.create_superuser("admin", password=password)
            _write_secret(password_file, password)


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that nobody else can read, not even for a moment."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret)
