"""Find the few that operators skipped and that upstream took back without a look at all of them."""

from django.db import migrations, models

INDEXES = [
    (
        "Package",
        models.Index(
            condition=models.Q(("status", "active"), _negated=True),
            fields=["status", "id"],
            name="packages_package_status",
        ),
    ),
    (
        "Package",
        models.Index(
            condition=models.Q(("skip_reason", ""), _negated=True),
            fields=["id"],
            name="packages_package_skipped",
        ),
    ),
    (
        "Version",
        models.Index(condition=models.Q(("yanked", True)), fields=["id"], name="packages_version_yanked"),
    ),
    (
        "Version",
        models.Index(
            condition=models.Q(("gone_at__isnull", False)), fields=["id"], name="packages_version_gone"
        ),
    ),
    (
        "UpstreamFile",
        models.Index(condition=models.Q(("yanked", True)), fields=["id"], name="packages_file_yanked"),
    ),
    (
        "UpstreamFile",
        models.Index(
            condition=models.Q(("gone_at__isnull", False)), fields=["id"], name="packages_file_gone"
        ),
    ),
]


def add(apps, schema_editor):
    """Add the indexes while others write, where the database can."""
    for model, index in INDEXES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.add_index(apps.get_model("packages", model), index, concurrently=True)
        else:
            schema_editor.add_index(apps.get_model("packages", model), index)


def remove(apps, schema_editor):
    """Take them away again."""
    for model, index in INDEXES:
        schema_editor.remove_index(apps.get_model("packages", model), index)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("packages", "0012_versions_decided")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddIndex(model.lower(), index) for model, index in INDEXES],
        )
    ]
