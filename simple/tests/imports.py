"""Imports a made-up farm of piwheels.org's software, and tells what that has written."""

import io
import json

from django.core.management import CommandError, call_command

from builds.models import Build, Dependency, Wheel
from packages.models import Alias, ImportRefusal, ImportStep, Package, Version
from simple.models import Download, Miss, PackageDownload


def imported(original, *options):
    """Import, and return what the report says and how the command ended."""
    out = io.StringIO()
    status = 0
    try:
        call_command("import_piwheels", original.url, str(original.folder), "--json", *options, stdout=out)
    except CommandError as error:
        status = error.returncode
        if status == 2:
            raise
    return json.loads(out.getvalue()), status


def refusals(subject):
    return dict(ImportRefusal.objects.filter(subject=subject).values_list("key", "reason"))


def everything():
    """Return all that an import writes, but for when it did so."""
    return [
        sorted(rows, key=repr)
        for rows in (
            Package.objects.values_list("name", "display_name", "skip_reason"),
            Alias.objects.values_list("name", "package__name", "seen_at"),
            Version.objects.values_list("package__name", "number", "yanked", "skip_reason", "released_at"),
            Build.objects.values_list(
                "pk", "version__number", "attempt", "state", "failure", "builder__name"
            ),
            Wheel.objects.values_list("filename", "sha256", "build", "metadata_sha256", "requires_python"),
            Dependency.objects.values_list("wheel__filename", "tool", "name", "requirement"),
            Download.objects.values_list("day", "wheel__filename", "client__installer", "count"),
            PackageDownload.objects.values_list("package__name", "day", "count"),
            Miss.objects.values_list("package__name", "count"),
            ImportRefusal.objects.values_list("subject", "key", "reason"),
            [
                (row.name, row.cursor, json.dumps(row.counts, sort_keys=True))
                for row in ImportStep.objects.all()
            ],
        )
    ]


def fill(original):
    """A small farm with something of everything."""
    original.package("demo", "Demo")
    name = original.wheel("demo", "1.0", requires=("six",), apt=("libffi8",))
    original.wheel("demo", "2.0", tag="py3-none-any")
    original.build("demo", "1.0", "cp39", is_good=False)
    lost = original.wheel("lost", tag="py3-none-any")
    original.path("lost", lost).unlink()
    original.package("gone", skip="deleted")
    for day in ("2024-05-01", "2024-05-02"):
        original.download(name, day)
    original.sql(
        "INSERT INTO searches VALUES ('lost', '192.0.2.1', now() AT TIME ZONE 'UTC' - interval '3 days')"
    )
