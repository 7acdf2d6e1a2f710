"""Keep what waits in lanes, each of which one index has in its order."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0014_campaign'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='build',
            name='builds_build_queue',
        ),
        migrations.AddField(
            model_name='build',
            name='expected_s',
            field=models.FloatField(blank=True, help_text='How long it may take, by those before.', null=True),
        ),
        migrations.AddField(
            model_name='build',
            name='is_long',
            field=models.BooleanField(db_default=False, default=False, help_text='One that others should not all have to wait for; they go before it.'),
        ),
        migrations.AlterField(
            model_name='build',
            name='priority',
            field=models.IntegerField(default=0, help_text='Higher is built first; builds.priority makes it.'),
        ),
        migrations.AlterField(
            model_name='build',
            name='why',
            field=models.CharField(blank=True, help_text='Why it has that priority.', max_length=300),
        ),
        migrations.AddField(
            model_name='build',
            name='campaign',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='builds', to='builds.campaign'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(models.F('target'), models.F('size'), models.F('is_long'), models.OrderBy(models.F('priority'), descending=True), models.OrderBy(models.F('released_at'), descending=True), models.F('id'), condition=models.Q(('not_before', None), ('state', 'queued')), name='builds_build_lanes'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('not_before__isnull', False), ('state', 'queued')), fields=['not_before'], name='builds_build_pausing'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('campaign__isnull', False)), fields=['campaign', 'state'], name='builds_build_campaign'),
        ),
    ]
