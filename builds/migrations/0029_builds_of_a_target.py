"""Find the builds of a target that has few without a look at all rows."""

import django.contrib.postgres.indexes
from django.db import migrations

from packages.concurrently import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0028_few_of_tens_of_millions")]

    operations = [
        AddIndexConcurrently(
            "build",
            django.contrib.postgres.indexes.BrinIndex(
                fields=["target"], name="builds_build_of_target", opclasses=["int8_minmax_multi_ops"]
            ),
        ),
    ]
