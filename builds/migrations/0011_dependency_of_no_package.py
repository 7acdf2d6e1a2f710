"""Let a dependency be a library that no package has."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The choices alone; the column stays as it is."""

    dependencies = [("builds", "0010_build_retries")]
    operations = [
        migrations.AlterField(
            model_name="dependency",
            name="tool",
            field=models.CharField(
                choices=[("apt", "Apt"), ("pip", "Pip"), ("lib", "library of no package")], max_length=3
            ),
        ),
    ]
