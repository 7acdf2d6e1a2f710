"""What must be true of this app before a release is put to work; `manage.py check --deploy` asks it."""

from pathlib import Path

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from builds.files import incoming
from builds.files.moving import both
from builds.files.storage import Holder, Unreachable, WholeFileStorage
from packages import disk


def storage_can_be_used(**_: object) -> list[CheckMessage]:
    """Find that nothing could be published: the storage of the settings is not there, or not for us."""
    try:
        for place in both():
            if place:
                _require(place)
    # Django wraps what a backend lacks, as the client of a bucket.
    except (Unreachable, ImproperlyConfigured) as fault:
        return [Error(f"The storage cannot be used: {fault}", hint="PIWHEELS_STORAGE", id="builds.E001")]
    return []


def uploads_can_be_taken(**_: object) -> list[CheckMessage]:
    """Find that nothing could be taken in: the folder of uploads is not ours to write to, nor to make."""
    try:
        incoming.require()
    except Unreachable as fault:
        return [Error(str(fault), hint="PIWHEELS_INCOMING", id="builds.E002")]
    return []


def _require(place: Holder) -> None:
    """Raise Unreachable if there is no such bucket, or a folder is neither ours to write to nor to make."""
    if not isinstance(place, WholeFileStorage):
        place.require()
        return
    path = Path(place.path(""))
    there = disk.nearest(path)
    if not disk.may_write(there):
        raise Unreachable(f"{there} is no folder that this user may write to; files would go to {path}.")
