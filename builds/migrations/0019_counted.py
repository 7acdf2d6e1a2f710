"""Keep what was counted of builds, so that no page counts millions."""
import datetime
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0018_rebuilds'),
    ]

    operations = [
        migrations.CreateModel(
            name='Counting',
            fields=[
                ('thing', models.CharField(choices=[('queue', 'what waits'), ('days', 'how builds ended'), ('failures', 'what fails at the moment'), ('campaigns', 'how far campaigns are')], max_length=10, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), help_text='When it was last begun.')),
                ('took_s', models.FloatField(default=0)),
                ('through', models.DateField(blank=True, help_text='Of days: the last that is counted for good.', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='StandingFailure',
            fields=[
                ('failure', models.CharField(max_length=30, primary_key=True, serialize=False)),
                ('packages', models.PositiveIntegerField(default=0)),
                ('dependents', models.PositiveBigIntegerField(default=0, help_text='How many packages need one of these, each counted once for each that it needs.')),
            ],
        ),
        migrations.CreateModel(
            name='TargetQueue',
            fields=[
                ('target', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='queue', serialize=False, to='builds.target')),
                ('ready', models.PositiveIntegerField(default=0, help_text='Builds that wait for a builder alone.')),
                ('pausing', models.PositiveIntegerField(default=0, help_text='Builds that wait for a time after a fault.')),
                ('oldest_at', models.DateTimeField(blank=True, help_text='Since when the oldest of them waits.', null=True)),
                ('levels', models.JSONField(default=dict, help_text='How many of those that are ready each class has.')),
                ('ended', models.PositiveIntegerField(default=0, help_text='How many ended in the last day.')),
                ('per_hour', models.FloatField(default=0, help_text='How many ended an hour in that time.')),
            ],
            options={
                'ordering': ['target'],
            },
        ),
        migrations.AddField(
            model_name='campaign',
            name='counted',
            field=models.JSONField(blank=True, editable=False, help_text='How far its builds were when last counted.', null=True),
        ),
        migrations.CreateModel(
            name='BuildDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('dispatched', 'Dispatched'), ('building', 'Building'), ('uploading', 'Uploading'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('lost', 'Lost')], max_length=10)),
                ('failure', models.CharField(blank=True, help_text='The class of its failure, if it failed.', max_length=30)),
                ('count', models.PositiveIntegerField(default=0)),
                ('target', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='builds.target')),
            ],
            options={
                'indexes': [models.Index(fields=['failure', 'day'], name='builds_buildday_of_failure')],
                'constraints': [models.UniqueConstraint(fields=('day', 'target', 'state', 'failure'), name='builds_buildday_of_a_kind')],
            },
        ),
    ]
