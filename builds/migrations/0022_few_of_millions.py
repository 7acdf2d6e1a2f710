"""Find the few builds and wheels that somebody has to look at without a look at all of them."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0021_dependency_needed")]

    operations = [
        AddIndexConcurrently(
            "build",
            models.Index(
                condition=models.Q(("state__in", ["cancelled", "lost"])),
                fields=["state", "id"],
                name="builds_build_rare",
            ),
        ),
        AddIndexConcurrently(
            "build",
            models.Index(
                condition=models.Q(("losses__gte", 3), ("state__in", ["failed", "lost"])),
                fields=["id"],
                name="builds_build_given_up",
            ),
        ),
        AddIndexConcurrently(
            "wheel",
            models.Index(
                condition=models.Q(models.Q(("held_reason", ""), _negated=True), ("withdrawn_at", None)),
                fields=["id"],
                name="builds_wheel_held",
            ),
        ),
    ]
