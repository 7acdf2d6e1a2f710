"""`manage.py distrust BUILDER --since DATE --reason TEXT`: take back what a builder has published."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds import dispatch
from builds.builders.distrust import Doubt
from builds.models import Build, Builder, Wheel
from builds.planning import rebuilding
from packages.batches import batches
from packages.clock import database_now
from packages.command import DestructiveCommand, moment
from packages.models import Package
from packages.progress_bar import ProgressBar
from packages.wording import are, were


class Command(DestructiveCommand):
    """Take back what a builder has published, and have it built again."""

    help = (
        "Withdraw all wheels that a builder has published since a day, as it was in wrong hands or spoilt "
        "them, and have them built again. It must not be at work any more: pause, stop or retire it first. "
        "The index serves none of them any more; `take_down` removes the bytes of those that do harm."
    )
    examples = (
        'distrust pi-07 --since 2026-11-01 --reason "Its card was stolen." --dry-run',
        'distrust pi-07 --since 2026-11-01 --reason "Its card was stolen." --yes',
        'distrust pi-07 --always --reason "It was never ours." --yes',
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the builder, the time and the reason."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="BUILDER")
        when = parser.add_mutually_exclusive_group(required=True)
        when.add_argument("--since", type=moment, help="a date, or a date and time, in UTC")
        when.add_argument("--always", action="store_true", help="all that it has ever published")
        parser.add_argument("--reason", required=True, help="kept with each wheel")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Take its wheels back, and say how many are built again."""
        builder = Builder.objects.filter(name=options["name"]).first()
        if builder is None:
            raise CommandError(f"There is no builder {options['name']}.")
        if builder.is_enabled and builder.mode == Builder.Mode.ACTIVE:
            raise CommandError(
                f"{builder} is at work, and would build them again itself: `builder {builder} retire`, or"
                " pause, first."
            )
        doubt = Doubt(builder, options["since"])
        wheels = _named(doubt)
        when = f"since {doubt.since:%Y-%m-%d %H:%M}" if doubt.since else "ever"
        deed = (
            f"{are(len(wheels), Wheel._meta)} withdrawn that {builder} has published {when}, and built again."
        )
        if not self.may(deed, options):
            return
        with self.noting("withdraw wheel", wheels or [builder], options["reason"]) as told:
            # What it still has it would publish; what came since the question it has published.
            dispatch.take_back(builder, f"{builder} is not believed any more.", database_now())
            wheels = _named(doubt)
            self._withdraw(wheels, options["reason"])
            told.said = f"{were(len(wheels), Wheel._meta)} withdrawn that {builder} had published {when}."
            queued, refused = self._rebuild(doubt, options["reason"])
            told.said += f" {were(queued, Build._meta)} queued."
        if refused:
            raise CommandError(
                f"{refused} cannot be built again, as is said above: nothing takes their place."
            )

    def _withdraw(self, wheels: list[Wheel], reason: str) -> None:
        """Take them out of the index."""
        with ProgressBar(len(wheels)) as bar:
            for some in batches(wheels):
                keys = [wheel.pk for wheel in some]
                for wheel in Wheel.objects.filter(pk__in=keys).select_related("package", "build__target"):
                    wheel.distrust(database_now(), reason)
                    bar.advance(1)

    def _rebuild(self, doubt: Doubt, reason: str) -> tuple[int, int]:
        """Queue them again, also those of a try that was cut short; return how many, and how many are not."""
        wanted, queued, refused = doubt.to_rebuild(), 0, 0
        with ProgressBar(len(wanted)) as bar:
            for package, pairs in wanted.items():
                of = Package.objects.get(pk=package)
                answer = rebuilding.rebuild(of, pairs, reason, database_now())
                queued, refused = queued + answer.queued, refused + len(answer.refused)
                for refusal in answer.refused:
                    self.stderr.write(refusal)
                bar.advance(1)
        return queued, refused


def _named(doubt: Doubt) -> list[Wheel]:
    """Return the wheels that are to be withdrawn, with their names alone: there may be a hundred thousand."""
    return list(doubt.wheels().only("filename"))
