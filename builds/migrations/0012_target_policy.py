"""Say for each target what is built of what there is."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0011_dependency_of_no_package'),
    ]

    operations = [
        migrations.AddField(
            model_name='target',
            name='policy',
            field=models.CharField(choices=[('gaps', 'gaps: what upstream has no wheel of that this target can use'), ('everything', 'everything, for an index that needs no other beside it')], db_default='gaps', default='gaps', help_text='What is built of what there is.', max_length=10),
        ),
    ]
