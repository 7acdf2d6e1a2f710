"""What Celery beat asks of the index."""

from celery import shared_task

from packages.clock import database_now
from simple import catalogue, demand, publishing, retention, roots, summing
from simple.bundle import tidying, work


@shared_task(name="simple.publish")
def publish() -> int:
    """Write what changed into the published tree."""
    return publishing.publish(database_now())


@shared_task(name="simple.publish_lists")
def publish_lists() -> bool:
    """Write the lists of all projects."""
    return roots.publish(database_now())


@shared_task(name="simple.count_demand")
def count_demand() -> int:
    """Count how much each package is wanted."""
    return demand.count(database_now())


@shared_task(name="simple.tidy_downloads")
def tidy_downloads() -> int:
    """Add days to months, and drop what is not kept."""
    return retention.tidy(database_now(), for_s=20)


@shared_task(name="simple.publish_catalogue")
def publish_catalogue() -> bool:
    """Write the list of all packages with their downloads, and add up what time the wheels have spared."""
    return catalogue.publish(database_now())


@shared_task(name="simple.sum_downloads")
def sum_downloads() -> int:
    """Sum up downloads for the statistics."""
    return summing.sum_due(database_now(), for_s=20)


@shared_task(name="simple.make_bundles")
def make_bundles() -> bool:
    """Make the bundle that has waited for longest."""
    return work.make_next(database_now)


@shared_task(name="simple.tidy_bundles")
def tidy_bundles() -> int:
    """Give lost bundles back, and remove what is kept no longer."""
    return tidying.tidy(database_now())
