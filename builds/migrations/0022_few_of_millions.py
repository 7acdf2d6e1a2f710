"""Find the few builds and wheels that somebody has to look at without a look at all of them."""

from django.db import migrations, models

INDEXES = [
    (
        "Build",
        models.Index(
            condition=models.Q(("state__in", ["cancelled", "lost"])),
            fields=["state", "id"],
            name="builds_build_rare",
        ),
    ),
    (
        "Build",
        models.Index(
            condition=models.Q(("losses__gte", 3), ("state__in", ["failed", "lost"])),
            fields=["id"],
            name="builds_build_given_up",
        ),
    ),
    (
        "Wheel",
        models.Index(
            condition=models.Q(models.Q(("held_reason", ""), _negated=True), ("withdrawn_at", None)),
            fields=["id"],
            name="builds_wheel_held",
        ),
    ),
]


def add(apps, schema_editor):
    """Add the indexes while others write, where the database can."""
    for model, index in INDEXES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.add_index(apps.get_model("builds", model), index, concurrently=True)
        else:
            schema_editor.add_index(apps.get_model("builds", model), index)


def remove(apps, schema_editor):
    """Take them away again."""
    for model, index in INDEXES:
        schema_editor.remove_index(apps.get_model("builds", model), index)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0021_dependency_needed")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddIndex(model.lower(), index) for model, index in INDEXES],
        )
    ]
