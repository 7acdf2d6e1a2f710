"""Give what was counted before a client of whom nothing is known, and its sums."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Sum


def sum_up(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Fill the new column and the sums from the rows that are there."""
    Download = apps.get_model("simple", "Download")
    if not Download.objects.exists():
        return
    unknown, _ = apps.get_model("simple", "Client").objects.get_or_create(installer="unknown")
    Download.objects.update(client=unknown)
    DownloadDay = apps.get_model("simple", "DownloadDay")
    PackageDownload = apps.get_model("simple", "PackageDownload")
    days = Download.objects.values_list("day").annotate(Sum("count")).order_by("day")
    DownloadDay.objects.bulk_create([DownloadDay(day=day, count=count) for day, count in days], batch_size=300)
    packages = Download.objects.values_list("wheel__package", "day").annotate(Sum("count")).order_by()
    PackageDownload.objects.bulk_create(
        (PackageDownload(package_id=package, day=day, count=count) for package, day, count in packages.iterator()),
        batch_size=300,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('simple', '0003_kinds_of_clients'),
    ]

    operations = [migrations.RunPython(sum_up, migrations.RunPython.noop)]
