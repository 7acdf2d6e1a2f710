"""Have a build say that a person must look at it, which was read from all that had failed so often."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("builds", "0026_priority_help")]

    operations = [
        migrations.AddField(
            "build",
            "is_given_up",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="It ended so often by no fault of its package that a person must look.",
            ),
        ),
    ]
