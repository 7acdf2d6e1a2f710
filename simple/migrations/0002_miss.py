"""Keep how often a package was looked for in vain."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('packages', '0001_initial'),
        ('simple', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Miss',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('count', models.PositiveIntegerField(default=0)),
                ('package', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='misses', to='packages.package')),
            ],
            options={
                'verbose_name_plural': 'misses',
                'constraints': [models.UniqueConstraint(fields=('package', 'day'), name='simple_miss_package_day')],
            },
        ),
    ]
