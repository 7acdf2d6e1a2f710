"""What Celery beat asks of the site."""

from celery import shared_task

from builds.clock import database_now
from piwheels_site import series


@shared_task(name="site.read_series")
def read_series() -> int:
    """Read the series of the statistics for all who ask."""
    return series.read_due(database_now())
