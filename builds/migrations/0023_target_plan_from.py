"""Have all packages planned anew in pieces when a target has changed, and note how far that has come."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("builds", "0022_few_of_millions")]

    operations = [
        migrations.AddField(
            "target",
            "plan_from",
            models.BigIntegerField(
                null=True,
                blank=True,
                editable=False,
                help_text="The key from which on packages are to be asked for another plan, as this has changed.",
            ),
        ),
    ]
