"""Find what is given up, what avoids a builder, and libraries of nobody without a look at all rows."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently, LeaveForeignKeyWithoutIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0027_given_up")]

    operations = [
        AddIndexConcurrently(
            "build",
            models.Index(
                condition=models.Q(("is_given_up", True)), fields=["id"], name="builds_build_for_a_person"
            ),
        ),
        AddIndexConcurrently(
            "build",
            models.Index(
                condition=models.Q(("avoid__isnull", False)), fields=["avoid"], name="builds_build_avoid"
            ),
        ),
        AddIndexConcurrently(
            "dependency",
            models.Index(
                condition=models.Q(("tool", "lib")), fields=["id"], name="builds_dependency_of_nobody"
            ),
        ),
        LeaveForeignKeyWithoutIndex(
            "dependency",
            "wheel",
            models.ForeignKey(
                "builds.wheel", on_delete=models.CASCADE, db_index=False, related_name="dependencies"
            ),
        ),
    ]
