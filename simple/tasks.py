"""What Celery beat asks of the index."""

from celery import shared_task

from builds.clock import database_now
from simple import demand


@shared_task(name="simple.count_demand")
def count_demand() -> int:
    """Count how much each package is wanted."""
    return demand.count(database_now())
