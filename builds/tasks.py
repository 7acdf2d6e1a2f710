"""What Celery beat asks of the farm.  Each may run twice, or at the same time as itself, without harm."""

from celery import shared_task

from builds import dispatch
from builds.builders import quarantine
from builds.figures import counting
from builds.files import nightly, takedown
from builds.models import Build
from builds.planning import campaigns, plan, raising
from packages.clock import database_now


@shared_task(name="builds.plan")
def plan_changed() -> int:
    """Queue what changed packages lack."""
    return plan.plan_changed(database_now(), limit=200)


@shared_task(name="builds.advance_campaigns")
def advance_campaigns() -> int:
    """Queue the next builds of campaigns."""
    return campaigns.advance(database_now())


@shared_task(name="builds.raise_classes")
def raise_classes() -> int:
    """Move the builds of classes that operators have raised, or no longer raise."""
    return raising.raise_classes(limit=5000)


@shared_task(name="builds.dispatch")
def give_out() -> int:
    """Give free builders their next builds."""
    return dispatch.dispatch(database_now())


@shared_task(name="builds.sweep")
def sweep() -> int:
    """Ring again where nobody answered, and take back what fell silent."""
    return dispatch.sweep(database_now())


@shared_task(name="builds.quarantine")
def quarantine_bad() -> int:
    """Take out builders that spoil what their peers build."""
    return quarantine.quarantine_bad(database_now())


@shared_task(name="builds.tidy")
def tidy() -> int:
    """Forget uploads of builds that have ended, and note what code of before a release has given up."""
    return dispatch.tidy() + Build.objects.note_given_up()


@shared_task(name="builds.check_storage")
def check_storage() -> int:
    """Go on with this night's check of the storage."""
    return nightly.look(database_now())


@shared_task(name="builds.remove_taken_down")
def remove_taken_down() -> int:
    """Remove the bytes of wheels that were taken down."""
    return takedown.remove_bytes(database_now(), limit=100)


@shared_task(name="builds.count")
def count() -> int:
    """Count what pages say of many builds, and is soon counted."""
    return counting.count_due(database_now(), things=counting.SHORT)


@shared_task(name="builds.count_failures")
def count_failures() -> int:
    """Count what fails and what was broken, for which a large farm takes minutes."""
    return counting.count_due(database_now(), things=counting.LONG)
