"""Find the versions that somebody skipped or asked for without a look at all of them."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("packages", "0011_importing")]

    operations = [
        AddIndexConcurrently(
            "version",
            models.Index(
                condition=models.Q(("skip_reason", ""), _negated=True),
                fields=["id"],
                name="packages_version_skipped",
            ),
        ),
        AddIndexConcurrently(
            "version",
            models.Index(
                condition=models.Q(("requested_at__isnull", False)),
                fields=["id"],
                name="packages_version_asked_for",
            ),
        ),
    ]
