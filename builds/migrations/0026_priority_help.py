"""Say of a build's priority what an operator has to know; nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("builds", "0025_no_index_of_leases")]

    operations = [
        migrations.AlterField(
            "build", "priority", models.IntegerField(default=0, help_text="Higher is built first.")
        ),
    ]
