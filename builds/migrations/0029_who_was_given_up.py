"""Say of the builds that are there which of them are given up, as those that end from now on do."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Exists, OuterRef

from packages.batches import BATCH


def note(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Find them as was done until now: nothing follows them, and they were lost often enough."""
    Build = apps.get_model("builds", "Build")
    later = Build.objects.filter(
        version=OuterRef("version"), target=OuterRef("target"), attempt__gt=OuterRef("attempt")
    )
    ended = Build.objects.filter(~Exists(later), state__in=["failed", "lost"], losses__gte=3).order_by("pk")
    after = 0
    while some := list(ended.filter(pk__gt=after).values_list("pk", flat=True)[:BATCH]):
        Build.objects.filter(pk__in=some).update(is_given_up=True)
        after = some[-1]


class Migration(migrations.Migration):
    # Each lot by itself, so that nobody waits for these rows.
    atomic = False

    dependencies = [("builds", "0028_few_of_tens_of_millions")]

    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
