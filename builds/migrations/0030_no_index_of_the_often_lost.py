"""Forget the index of all that was ever lost so often, which only grew."""

from django.db import migrations

from packages.concurrently import RemoveIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("builds", "0029_who_was_given_up")]

    operations = [RemoveIndexConcurrently("build", "builds_build_given_up")]
