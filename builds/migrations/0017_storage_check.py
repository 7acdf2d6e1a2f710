"""Note of wheels what was lost or taken down, and of the storage what was found in it."""

import datetime
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0016_build_lean_indexes'),
        ('packages', '0007_shown_revision'),
    ]

    operations = [
        migrations.CreateModel(
            name='StorageCheck',
            fields=[
                ('prefix', models.CharField(max_length=2, primary_key=True, serialize=False)),
                ('checked_at', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), help_text='When it was last compared with the rows.')),
                ('read_at', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), help_text='When all its bytes were last read.')),
                ('wheels', models.PositiveIntegerField(default=0, help_text='Rows of wheels that must have a file.')),
                ('files', models.PositiveIntegerField(default=0)),
                ('size', models.BigIntegerField(default=0, help_text='Bytes of all files.')),
                ('faults', models.PositiveIntegerField(default=0, help_text='How much was not as it must be.')),
                ('report', models.TextField(blank=True, help_text='The first of what was found.')),
                ('position', models.CharField(blank=True, help_text='Where a check goes on; empty: it ended.', max_length=300)),
                ('is_reading', models.BooleanField(default=False)),
                ('so_far', models.JSONField(blank=True, default=dict)),
            ],
            options={
                'ordering': ['-faults', 'prefix'],
            },
        ),
        migrations.AddField(
            model_name='wheel',
            name='lost_at',
            field=models.DateTimeField(blank=True, help_text='Withdrawn as its file was lost or spoilt; the same bytes bring it back.', null=True),
        ),
        migrations.AddField(
            model_name='wheel',
            name='removed_at',
            field=models.DateTimeField(blank=True, help_text='When the last of its bytes went.', null=True),
        ),
        migrations.AddField(
            model_name='wheel',
            name='taken_down_at',
            field=models.DateTimeField(blank=True, help_text='Since when its bytes must be nowhere; nothing gets its name again.', null=True),
        ),
        migrations.AddField(
            model_name='wheel',
            name='withdrawn_reason',
            field=models.TextField(blank=True, db_default=''),
        ),
        migrations.AddIndex(
            model_name='wheel',
            index=models.Index(django.db.models.functions.text.Left('sha256', 2), name='builds_wheel_prefix'),
        ),
        migrations.AddIndex(
            model_name='wheel',
            index=models.Index(condition=models.Q(('removed_at', None), ('taken_down_at__isnull', False)), fields=['taken_down_at'], name='builds_wheel_to_remove'),
        ),
        migrations.AddConstraint(
            model_name='wheel',
            constraint=models.CheckConstraint(condition=models.Q(('taken_down_at', None), models.Q(('lost_at', None), ('withdrawn_at__isnull', False)), _connector='OR'), name='builds_wheel_taken_down_is_withdrawn'),
        ),
        migrations.AddConstraint(
            model_name='wheel',
            constraint=models.CheckConstraint(condition=models.Q(('lost_at', None), ('withdrawn_at__isnull', False), _connector='OR'), name='builds_wheel_lost_is_withdrawn'),
        ),
    ]
