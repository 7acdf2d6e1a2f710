"""Count downloads by wheel, day and client, where it was wheel and day."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('simple', '0004_clients_of_old_downloads'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='download',
            name='simple_download_wheel_day',
        ),
        migrations.AlterField(
            model_name='download',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='simple.client'),
        ),
        migrations.AlterField(
            model_name='download',
            name='wheel',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='builds.wheel'),
        ),
        migrations.AddConstraint(
            model_name='download',
            constraint=models.UniqueConstraint(fields=('day', 'wheel', 'client'), name='simple_download_day_wheel_client'),
        ),
    ]
