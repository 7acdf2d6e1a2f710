"""Storages for tests, and wheels that have all of their files."""

import errno
import hashlib
import io
import zipfile
from pathlib import Path

from django.core.files.storage import default_storage, storages

from builds.files import storage
from builds.files.stored import MARK
from builds.models import Build
from builds.tests.rows import NOON, make_build, make_target, make_version, make_wheel
from packages.models import Version
from tests import buckets, sdists

TAG = "cp313-cp313-linux_armv6l.linux_armv7l"


def folder(path):
    """A folder that is known as a storage, though its first wheel has a row before it has files."""
    path.mkdir(parents=True, exist_ok=True)
    (path / MARK).touch()
    return {"BACKEND": "builds.files.storage.WholeFileStorage", "OPTIONS": {"location": str(path)}}


def places(tmp_path):
    """A folder and a bucket."""
    return {"folder": folder(tmp_path / "place"), "bucket": buckets.make_bucket("wheels")}


def use(settings, new, before=None):
    """Have the farm write to one place, and read from another one, too."""
    both = {"BACKEND": "builds.files.moving.MovingStorage", "OPTIONS": {"new": new, "before": before}}
    settings.STORAGES = {**settings.STORAGES, "default": both if before else new}


def dead(path):
    """A folder on a disk that answers each question with an error: no file system takes such a name."""
    location = str(path / ("x" * 300))
    return {"BACKEND": "builds.files.storage.WholeFileStorage", "OPTIONS": {"location": location}}


def opened(place):
    return storages.create_storage(place)


def make_whole_wheel(package="demo", tag=TAG):
    """A published wheel with its file, its METADATA and its statement."""
    content = sdists.make_wheel(package, "1.0", tag)
    version = Version.objects.filter(package__name=package).first() or make_version(package=package)
    ended = {"state": Build.State.SUCCEEDED, "finished_at": NOON}
    build = Build.objects.filter(version=version).first() or make_build(version, make_target(), **ended)
    wheel = make_wheel(
        build,
        filename=f"{package}-1.0-{tag}.whl",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata_sha256=hashlib.sha256(metadata_of(content)).hexdigest(),
    )
    storage.store_bytes(wheel.metadata_path, metadata_of(content))
    storage.store_bytes(wheel.path, content)
    storage.store_bytes(wheel.provenance_path, b"{}")
    wheel.package.mark_changed()
    return wheel


def metadata_of(content):
    """Return the METADATA in the bytes of a wheel."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


def path_of(holder, name):
    return Path(holder.path(name))


def unreadable(monkeypatch, name):
    """Have the disk give an error in place of one file's bytes."""

    def open_other(path, *words):
        if path == default_storage.path(name):
            raise OSError(errno.EIO, "Input/output error")
        return Path(path).open(*words)

    monkeypatch.setattr("django.core.files.storage.filesystem.open", open_other, raising=False)
