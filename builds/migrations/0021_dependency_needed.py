"""Find who needs a package without a look at all dependencies."""

from django.db import migrations, models

INDEX = models.Index(
    condition=models.Q(("tool", "pip")), fields=["name"], name="builds_dependency_needed"
)


def add(apps, schema_editor):
    """Add the index while others write, where the database can."""
    Dependency = apps.get_model("builds", "Dependency")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.add_index(Dependency, INDEX, concurrently=True)
    else:
        schema_editor.add_index(Dependency, INDEX)


def remove(apps, schema_editor):
    """Take it away again."""
    schema_editor.remove_index(apps.get_model("builds", "Dependency"), INDEX)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0020_counted_by_builder_and_wheels")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddIndex("dependency", INDEX)],
        )
    ]
