"""Find a package's versions by the unique pair of it and their number alone."""

from django.db import migrations, models

from packages.concurrently import LeaveForeignKeyWithoutIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("packages", "0013_few_of_millions")]

    operations = [
        LeaveForeignKeyWithoutIndex(
            "version",
            "package",
            models.ForeignKey(
                "packages.package",
                on_delete=models.CASCADE,
                db_index=False,
                related_name="versions",
            ),
        ),
    ]
