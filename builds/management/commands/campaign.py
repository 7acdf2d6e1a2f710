"""`manage.py campaign`: start, watch and stop a great many builds."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from builds.management import named
from builds.models import Build, Campaign
from builds.planning import campaigns
from packages import audit
from packages.clock import database_now
from packages.command import REFUSED, DestructiveCommand, moment
from packages.wording import are, were


class Command(DestructiveCommand):
    """Start, watch or stop a campaign."""

    help = (
        "start NAME --target KEY with one of --most-wanted N, --failed CLASS [--since DATE], "
        "--packages NAMES: builds them, a few hundred waiting at a time, behind new releases. "
        "show [NAME]: says how far it is. "
        "stop NAME: drops what waits for it, and lets end what builds."
    )
    examples = (
        "campaign start trixie --target trixie-armhf-cp313 --most-wanted 10000",
        "campaign start headers --target trixie-armhf-cp313 --failed missing-header --since 2026-11-01",
        "campaign show",
        "campaign stop headers --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what to do."""
        super().add_arguments(parser)
        parser.add_argument("deed", choices=["start", "show", "stop"])
        parser.add_argument("name", nargs="?")
        parser.add_argument("--target", help="as trixie-armhf-cp313")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--most-wanted", type=int, metavar="N")
        what.add_argument("--failed", metavar="CLASS")
        what.add_argument("--packages", nargs="+", metavar="NAME")
        parser.add_argument("--since", type=moment, help="with --failed: a date, in UTC")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Do it and say so."""
        if options["deed"] == "start":
            return self._start(options)
        found = Campaign.objects.select_related("target")
        if options["deed"] == "stop":
            return self._stop(self._named(options["name"]), options)
        for campaign in [self._named(options["name"])] if options["name"] else found:
            told = campaigns.progress(campaign, database_now())
            self.stdout.write(f"{campaign} ({campaign.target}, {campaign.state}): {told}.")
        return None

    def _named(self, name: str | None) -> Campaign:
        """Return the campaign of that name; to guess which one is meant could end another."""
        if not name:
            running = ", ".join(Campaign.objects.running().values_list("name", flat=True))
            raise CommandError(f"Name the campaign; going on: {running or 'none'}.", returncode=REFUSED)
        found = Campaign.objects.filter(name=name).select_related("target").first()
        if found is None:
            raise CommandError(f"There is no campaign {name}: `campaign show` lists them.")
        return found

    def _stop(self, campaign: Campaign, options: dict[str, Any]) -> None:
        """End a campaign, or finish what a crash has left of its end."""
        now = database_now()
        waiting = campaigns.progress(campaign, now).waiting
        is_over = campaign.state == Campaign.State.FINISHED
        if is_over or (campaign.ended_at and not waiting):
            self.stdout.write(f"{campaign} had {campaign.state} before; nothing was done.")
        elif self.may(f"{campaign} ends, and {are(waiting, Build._meta, 'waiting ')} dropped.", options):
            with self.noting("stop campaign", [campaign]) as told:
                dropped = campaigns.stop(campaign, audit.who(), now)
                ended = were(dropped, Build._meta, "waiting ")
                told.said = f"{campaign} is {campaign.state}; {ended} dropped."

    def _start(self, options: dict[str, Any]) -> None:
        """Start a campaign."""
        if not options["target"]:
            raise CommandError("Name a target with --target, by its key.", returncode=REFUSED)
        if options["since"] and not options["failed"]:
            raise CommandError("--since is for --failed alone.", returncode=REFUSED)
        target = named.target(options["target"])
        campaign = Campaign(name=options["name"] or "", target=target, by=audit.who(), **_kind(options))
        try:
            campaign.full_clean()
            campaigns.prepare(campaign, database_now())
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages)) from problem
        except campaigns.CannotBegin as problem:
            raise CommandError(str(problem)) from problem
        if not self.may(f"{campaign} queues builds of up to {campaign.total} for {target}.", options):
            return
        with transaction.atomic():
            campaigns.begin(campaign, database_now())
            said = f"{campaign} goes through {campaign.total} for {target}."
            self.conclude(said, "start campaign", [campaign])


def _kind(options: dict[str, Any]) -> dict[str, Any]:
    """Return what a campaign goes through, as its row has it."""
    if options["failed"]:
        return {
            "kind": Campaign.Kind.FAILED,
            "failure": options["failed"],
            "since": options["since"],
        }
    if options["packages"]:
        return {"kind": Campaign.Kind.PACKAGES, "packages": " ".join(options["packages"])}
    return {"kind": Campaign.Kind.MOST_WANTED, "count": options["most_wanted"]}
