"""Keep what was summed up of downloads, so that no page sums millions."""

import datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('simple', '0008_request'),
    ]

    operations = [
        migrations.CreateModel(
            name='TopPackages',
            fields=[
                ('span', models.CharField(help_text='As simple.spans has it.', max_length=3, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))),
                ('took_s', models.FloatField(default=0)),
                ('found', models.JSONField(default=list, help_text='Pairs of a name and its count, the largest first.')),
            ],
            options={
                'verbose_name_plural': 'top packages',
            },
        ),
        migrations.AddField(
            model_name='downloadday',
            name='saved_s',
            field=models.FloatField(db_default=0, default=0, help_text='How long those would have compiled, as simple.summing says.'),
        ),
        migrations.AddField(
            model_name='downloadday',
            name='summed',
            field=models.PositiveBigIntegerField(db_default=0, default=0, help_text='How many it had when they were summed up for the statistics.'),
        ),
        migrations.CreateModel(
            name='DownloadShare',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('fact', models.CharField(choices=[('python', 'Python'), ('system', 'System'), ('architecture', 'Architecture'), ('installer', 'Installer')], max_length=12)),
                ('name', models.CharField(blank=True, help_text='Empty: they do not say.', max_length=45)),
                ('count', models.PositiveBigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('fact', 'day', 'name'), name='simple_downloadshare_of_a_kind')],
            },
        ),
    ]
