"""Find the versions that somebody skipped or asked for without a look at all of them."""

from django.db import migrations, models

INDEXES = [
    models.Index(
        condition=models.Q(("skip_reason", ""), _negated=True), fields=["id"], name="packages_version_skipped"
    ),
    models.Index(
        condition=models.Q(("requested_at__isnull", False)), fields=["id"], name="packages_version_asked_for"
    ),
]


def add(apps, schema_editor):
    """Add the indexes while others write, where the database can."""
    Version = apps.get_model("packages", "Version")
    for index in INDEXES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.add_index(Version, index, concurrently=True)
        else:
            schema_editor.add_index(Version, index)


def remove(apps, schema_editor):
    """Take them away again."""
    for index in INDEXES:
        schema_editor.remove_index(apps.get_model("packages", "Version"), index)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("packages", "0011_importing")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddIndex("version", index) for index in INDEXES],
        )
    ]
