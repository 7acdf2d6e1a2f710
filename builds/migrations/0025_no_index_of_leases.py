"""Have heartbeats written in place: no index has what they change any more."""

from django.db import migrations, models

INDEX = models.Index(
    condition=models.Q(("state__in", ["dispatched", "building", "uploading"])),
    fields=["lease_until"],
    name="builds_build_leases",
)


def remove(apps, schema_editor):
    """Drop the index while others write, where the database can."""
    build = apps.get_model("builds", "Build")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.remove_index(build, INDEX, concurrently=True)
    else:
        schema_editor.remove_index(build, INDEX)


def add(apps, schema_editor):
    """Make it again."""
    build = apps.get_model("builds", "Build")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.add_index(build, INDEX, concurrently=True)
    else:
        schema_editor.add_index(build, INDEX)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0024_breakage")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(remove, add)],
            state_operations=[migrations.RemoveIndex("build", "builds_build_leases")],
        )
    ]
