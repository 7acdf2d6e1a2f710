"""Where a build stands."""

from django.db import models


class State(models.TextChoices):
    """Where a build stands; it only ever moves down this list, or ends."""

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    BUILDING = "building"
    UPLOADING = "uploading"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


ASSIGNED = (State.DISPATCHED, State.BUILDING, State.UPLOADING)
RUNNING = (State.BUILDING, State.UPLOADING)
OPEN = (State.QUEUED, *ASSIGNED)
# Of these each says something about its builder; a cancelled one does not.
ENDED = (State.SUCCEEDED, State.FAILED, State.LOST)
