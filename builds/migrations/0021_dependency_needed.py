"""Find who needs a package without a look at all dependencies."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0020_counted_by_builder_and_wheels")]

    operations = [
        AddIndexConcurrently(
            "dependency",
            models.Index(
                condition=models.Q(("tool", "pip")), fields=["name"], name="builds_dependency_needed"
            ),
        )
    ]
