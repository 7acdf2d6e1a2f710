"""Keep the series of the statistics as they were last read."""

import datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('piwheels_site', '0001_notice'),
    ]

    operations = [
        migrations.CreateModel(
            name='SeriesRead',
            fields=[
                ('span', models.CharField(help_text='As simple.spans has it.', max_length=3, primary_key=True, serialize=False)),
                ('today', models.DateField(help_text='The day that it ends on.')),
                ('at', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))),
                ('took_s', models.FloatField(default=0)),
                ('rows', models.JSONField(default=dict, help_text='By the name of each series.')),
            ],
            options={
                'verbose_name': 'read series',
                'verbose_name_plural': 'read series',
            },
        ),
    ]
