"""`manage.py builder NAME DEED`: say what is wanted of a builder."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds.builders import enrolment
from builds.builders.enrolment import Retired
from builds.builders.redis_users import RedisFault
from builds.models import Build, Builder
from packages import audit
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.wording import many

MODES = ("pause", "resume", "drain", "stop")
# What cannot be taken back by another word.
LASTING = ("retire", "rekey")


class Command(DestructiveCommand):
    """Say what is wanted of a builder."""

    help = (
        "pause: gives it nothing more until resume. drain: the same, and says when it is done with what it "
        "has. stop: ends its process when it is idle. retire: lets it go for good, and gives its build to "
        "another. rekey: gives it a new token and Redis password. show: says how it is. "
        "Before it retires or rekeys one it asks."
    )
    examples = (
        "builder pi-07 show",
        'builder pi-07 drain --reason "A new SD card."',
        "builder pi-07 retire --dry-run",
        "builder pi-07 retire --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the builder, and what to do."""
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument("deed", choices=[*MODES, "retire", "rekey", "show"])
        parser.add_argument("--reason", default="An operator wanted it so.")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Do it and say so."""
        builder = Builder.objects.filter(name=options["name"]).select_related("target").first()
        if builder is None:
            raise CommandError(f"There is no builder {options['name']}: `create_builder` makes one.")
        if options["deed"] in (*MODES, "rekey"):
            _refuse_retired(builder)
        asks = options["deed"] in LASTING or options["dry_run"]
        if asks and not self.may(_say(builder, options["deed"]), options):
            return
        try:
            self.stdout.write(self._do(builder, options["deed"], options["reason"]))
        except RedisFault as error:
            raise CommandError(str(error)) from error

    def _do(self, builder: Builder, deed: str, reason: str) -> str:
        """Do what is wanted of a builder, and note it; return what to say."""
        if deed == "rekey":
            with audit.noting_command("re-key builder", [builder], model=Builder) as told:
                text = enrolment.rekey(builder).text()
                told.said = "New keys for 1 builder."
            return text
        if deed == "retire":
            with audit.noting_command("retire builder", [builder], model=Builder, reason=reason) as told:
                taken = enrolment.retire(builder, reason, database_now())
                told.said = f"{builder} is retired; {many(taken, Build._meta)} went back into the queue."
            return told.said
        if deed in MODES:
            getattr(builder, deed)(reason, database_now())
            said = f"{builder} is {builder.standing}."
            audit.note_command(f"{deed} builder", [builder], model=Builder, said=said, reason=reason)
        words = [f"{builder} is {builder.standing}.", builder.mode_reason, builder.problem]
        if build := builder.current_build():
            words.append(f"It has {build}.")
        return " ".join(word for word in words if word)


def _refuse_retired(builder: Builder) -> None:
    """Raise CommandError of a builder that was let go for good."""
    try:
        enrolment.refuse_retired(builder)
    except Retired as error:
        raise CommandError(str(error)) from error


def _say(builder: Builder, deed: str) -> str:
    """Say what a deed takes from a builder."""
    build = builder.current_build()
    has = f"it has {build}" if build else "it has no build"
    said = {
        "retire": "is let go for good: its keys open nothing any more, and its build goes to another",
        "rekey": "gets new keys, and stands still until it has them",
    }
    return f"{builder} {said.get(deed, f'is told to {deed}')}; {has}."
