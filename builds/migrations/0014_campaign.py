"""Keep what an operator wants a great many builds for."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0013_skip_push_demand'),
        ('packages', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('kind', models.CharField(choices=[('wanted', 'the newest version of the most wanted packages'), ('failed', 'again what failed in one way'), ('packages', 'the newest version of these packages')], max_length=8)),
                ('count', models.PositiveIntegerField(blank=True, help_text='How many of the most wanted packages.', null=True)),
                ('failure', models.CharField(blank=True, help_text='The class of failure to try again.', max_length=30)),
                ('since', models.DateTimeField(blank=True, help_text='What failed since then; empty: ever.', null=True)),
                ('packages', models.TextField(blank=True, help_text='Names of packages, separated by spaces.')),
                ('state', models.CharField(choices=[('running', 'Running'), ('stopped', 'Stopped'), ('finished', 'Finished')], default='running', editable=False, max_length=8)),
                ('total', models.PositiveIntegerField(default=0, editable=False, help_text='What it goes through in all.')),
                ('looked_at', models.PositiveIntegerField(default=0, editable=False, help_text='How far it is with that.')),
                ('todo', models.JSONField(default=list, editable=False)),
                ('cursor', models.BigIntegerField(default=0, editable=False)),
                ('by', models.CharField(blank=True, editable=False, help_text='Who started it.', max_length=150)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.AddField(
            model_name='campaign',
            name='target',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='campaigns', to='builds.target'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('count__gt', 0), ('failure', ''), ('kind', 'wanted'), ('packages', '')), models.Q(('count', None), ('kind', 'failed'), ('packages', ''), models.Q(('failure', ''), _negated=True)), models.Q(('count', None), ('failure', ''), ('kind', 'packages'), models.Q(('packages', ''), _negated=True)), _connector='OR'), name='builds_campaign_of_its_kind', violation_error_message='Give what its kind needs and nothing else: a count, a class of failure, or packages.'),
        ),
    ]
