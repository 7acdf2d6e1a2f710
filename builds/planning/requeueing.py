"""Queues again what has ended, as somebody says so; what is no longer wanted its plan drops again."""

from django.db import transaction

from builds.models import Build, Builder


@transaction.atomic
def requeue(build: Build, why: str, *, size: str = "", avoid: Builder | None = None) -> bool:
    """Queue another attempt at an ended build; False if it has not ended, or something newer came of it.

    It goes to another builder than the one to avoid, if there is one.
    """
    package = build.version.package
    package.hold()
    newer = Build.objects.filter(version=build.version_id, target=build.target_id, attempt__gt=build.attempt)
    if build.is_open or newer.exists():
        return False
    build.again(losses=0, priority=build.priority, why=why, size=size, avoid=avoid.pk if avoid else None)
    package.mark_changed()
    # The plan drops it again if nobody wants the version any more.
    package.request_plan()
    return True
