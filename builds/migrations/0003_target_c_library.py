"""Say which C and C++ libraries a target has."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0002_raspberry_pi_targets'),
    ]

    operations = [
        migrations.AddField(
            model_name='target',
            name='glibc',
            field=models.CharField(blank=True, help_text="The C library's version, as 2.41.", max_length=20),
        ),
        migrations.AddField(
            model_name='target',
            name='glibcxx',
            field=models.CharField(blank=True, help_text='The newest GLIBCXX version of its libstdc++, as 3.4.33.', max_length=20),
        ),
    ]
