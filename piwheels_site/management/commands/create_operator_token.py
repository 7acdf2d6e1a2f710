"""`manage.py create_operator_token USER`: make a token for an operator's programs, and print it, once."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from packages import audit
from packages.clock import database_now
from packages.command import ManualCommand
from piwheels_site.models import OperatorToken


def _day(text: str) -> datetime:
    """Return the beginning of a day, UTC."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day, as 2027-01-31.") from error


class Command(ManualCommand):
    """Make a token."""

    help = (
        "Make a token with which programs of an account, as piwheels-monitor, open the operators' part of "
        "the API: they may what its role may. It is printed once; the admin lists tokens, and revokes them."
    )
    examples = (
        "create_operator_token ann",
        "create_operator_token ann --name 'her laptop' --expires 2027-01-31",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the account."""
        parser.add_argument("user", help="the name of an account that may sign in to the admin")
        parser.add_argument("--name", default="command line", help="where it is used (%(default)s)")
        parser.add_argument(
            "--expires", type=_day, metavar="DAY", help="the first day (UTC) it is not good on"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Make it and print it."""
        user = User.objects.filter(username=options["user"], is_active=True, is_staff=True).first()
        if user is None:
            raise CommandError(
                f"There is no account {options['user']} that may sign in: `createsuperuser` or the admin's"
                " Users make one."
            )
        now = database_now()
        if options["expires"] and options["expires"] <= now:
            raise CommandError("That day has begun: give one to come, or none.")
        token = OperatorToken(user=user, name=options["name"][:100], expires_at=options["expires"])
        secret = token.issue(now)
        audit.note_command(
            "make operator token", [token], model=OperatorToken, said=f"1 token made for {user}."
        )
        self.stdout.write(secret)
