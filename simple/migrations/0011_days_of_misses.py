"""Find what was looked for in vain by its day, and write no index of wheels for each download."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently, LeaveForeignKeyWithoutIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("simple", "0010_bundle")]

    operations = [
        AddIndexConcurrently("miss", models.Index(fields=["day"], name="simple_miss_day")),
        LeaveForeignKeyWithoutIndex(
            "download",
            "wheel",
            models.ForeignKey(
                "builds.wheel",
                on_delete=models.CASCADE,
                db_constraint=False,
                db_index=False,
                related_name="downloads",
            ),
        ),
    ]
