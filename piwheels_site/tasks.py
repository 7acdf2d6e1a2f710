"""What Celery beat asks of the site."""

from celery import shared_task

from packages.clock import database_now
from piwheels_site import alerts, couriers, figures, series


@shared_task(name="site.read_series")
def read_series() -> int:
    """Read the series of the statistics for all who ask."""
    return series.read_due(database_now())


@shared_task(name="site.watch")
def watch() -> int:
    """Look at what needs a person, and write what is to be told."""
    return alerts.watch(database_now())


@shared_task(name="site.deliver")
def deliver() -> int:
    """Send messages that are due."""
    return couriers.deliver(database_now())


@shared_task(name="site.write_figures")
def write_figures() -> int:
    """Write the figures of days and months that are over, and forget old messages."""
    now = database_now()
    return figures.write_due(now) + alerts.tidy(now)
