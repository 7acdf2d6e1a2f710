"""Have heartbeats written in place: no index has what they change any more."""

from django.db import migrations

from packages.concurrently import RemoveIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0024_breakage")]

    operations = [RemoveIndexConcurrently("build", "builds_build_leases")]
