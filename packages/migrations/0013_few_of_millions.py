"""Find the few that operators skipped and that upstream took back without a look at all of them."""

from django.db import migrations, models

from packages.concurrently import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("packages", "0012_versions_decided")]

    operations = [
        AddIndexConcurrently(
            "package",
            models.Index(
                condition=models.Q(("status", "active"), _negated=True),
                fields=["status", "id"],
                name="packages_package_status",
            ),
        ),
        AddIndexConcurrently(
            "package",
            models.Index(
                condition=models.Q(("skip_reason", ""), _negated=True),
                fields=["id"],
                name="packages_package_skipped",
            ),
        ),
        AddIndexConcurrently(
            "version",
            models.Index(
                condition=models.Q(("yanked", True)), fields=["id"], name="packages_version_yanked"
            ),
        ),
        AddIndexConcurrently(
            "version",
            models.Index(
                condition=models.Q(("gone_at__isnull", False)), fields=["id"], name="packages_version_gone"
            ),
        ),
        AddIndexConcurrently(
            "upstreamfile",
            models.Index(condition=models.Q(("yanked", True)), fields=["id"], name="packages_file_yanked"),
        ),
        AddIndexConcurrently(
            "upstreamfile",
            models.Index(
                condition=models.Q(("gone_at__isnull", False)), fields=["id"], name="packages_file_gone"
            ),
        ),
    ]
