"""Keep what a wheel needs of the C library, and what trying it showed."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0005_build_outcome'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='wheel',
            name='builds_wheel_listed',
        ),
        migrations.AddField(
            model_name='wheel',
            name='glibc',
            field=models.CharField(blank=True, help_text='The least C library that it runs with.', max_length=20),
        ),
        migrations.AddField(
            model_name='wheel',
            name='glibcxx',
            field=models.CharField(blank=True, help_text='The least libstdc++, as GLIBCXX has it.', max_length=20),
        ),
        migrations.AddField(
            model_name='wheel',
            name='held_reason',
            field=models.TextField(blank=True, help_text='Why a person must look before the index shows it; empty: shown.'),
        ),
        migrations.AddField(
            model_name='wheel',
            name='is_portable',
            field=models.BooleanField(default=False, help_text='Needs nothing of the system but the C and C++ libraries, so newer releases run it too.'),
        ),
        migrations.AddField(
            model_name='wheel',
            name='reproducible',
            field=models.BooleanField(blank=True, help_text='Whether a second build gave the same bytes; empty: not tried.', null=True),
        ),
        migrations.AddField(
            model_name='wheel',
            name='trial',
            field=models.CharField(blank=True, help_text='Whether it works where only its own dependencies are.', max_length=7),
        ),
        migrations.AddField(
            model_name='wheel',
            name='trial_detail',
            field=models.TextField(blank=True, help_text='What was imported, or what went wrong.'),
        ),
        migrations.AddIndex(
            model_name='wheel',
            index=models.Index(condition=models.Q(('held_reason', ''), ('withdrawn_at', None)), fields=['package'], name='builds_wheel_listed'),
        ),
    ]
