"""Give builders a mode, a size and the level of their sandbox."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0003_target_c_library'),
    ]

    operations = [
        migrations.AddField(
            model_name='builder',
            name='mode',
            field=models.CharField(choices=[('active', 'Active'), ('paused', 'Paused'), ('draining', 'Draining'), ('stopped', 'Stopped'), ('quarantined', 'Quarantined')], default='active', max_length=11),
        ),
        migrations.AddField(
            model_name='builder',
            name='mode_reason',
            field=models.CharField(blank=True, help_text='Why, and who says so.', max_length=500),
        ),
        migrations.AddField(
            model_name='builder',
            name='problem',
            field=models.TextField(blank=True, help_text='Why it is given nothing at the moment.'),
        ),
        migrations.AddField(
            model_name='builder',
            name='sandbox',
            field=models.CharField(blank=True, help_text='The level that its builds run at.', max_length=4),
        ),
        migrations.AddField(
            model_name='builder',
            name='size',
            field=models.CharField(choices=[('small', 'Small'), ('medium', 'Medium'), ('large', 'Large')], default='small', help_text='By its memory; bigger builds wait for others.', max_length=6),
        ),
    ]
