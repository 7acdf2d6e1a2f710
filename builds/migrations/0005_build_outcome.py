"""Keep how a build failed, what it took and what it waits for."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0004_builder_modes'),
    ]

    operations = [
        migrations.AddField(
            model_name='build',
            name='cpu_s',
            field=models.FloatField(blank=True, help_text='Seconds of processor time of the same.', null=True),
        ),
        migrations.AddField(
            model_name='build',
            name='failure',
            field=models.CharField(blank=True, help_text='The class of its failure, as builds.failures has it.', max_length=30),
        ),
        migrations.AddField(
            model_name='build',
            name='failure_about',
            field=models.CharField(blank=True, help_text='What the class is about here, as the header that is missing.', max_length=200),
        ),
        migrations.AddField(
            model_name='build',
            name='not_before',
            field=models.DateTimeField(blank=True, help_text="Until when it waits after a fault that was not the package's.", null=True),
        ),
        migrations.AddField(
            model_name='build',
            name='peak_memory_bytes',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='build',
            name='rung',
            field=models.CharField(blank=True, help_text='The rung of the ladder that was reached.', max_length=30),
        ),
        migrations.AddField(
            model_name='build',
            name='sandbox',
            field=models.CharField(blank=True, help_text='The level that it ran at.', max_length=4),
        ),
        migrations.AddField(
            model_name='build',
            name='size',
            field=models.CharField(choices=[('small', 'Small'), ('medium', 'Medium'), ('large', 'Large')], default='small', help_text='The smallest builder that may have it.', max_length=6),
        ),
    ]
