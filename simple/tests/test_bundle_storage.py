"""Bundles of wheels that are in a folder, or in a bucket."""

import hashlib
import random
import zipfile

import pytest
from botocore.config import Config

from builds.models import Wheel
from builds.tests.rows import make_target
from packages.clock import database_now
from simple.bundle import work
from simple.bundle.asking import Question, ask
from simple.models import Bundle
from simple.tests.rows import make_wheel
from tests import buckets

pytestmark = pytest.mark.django_db


def made(wanted):
    bundle = ask(Question(wanted, "", make_target("test-armhf-cp313"), None), "192.0.2.1", database_now())
    assert work.make_next(database_now)
    bundle.refresh_from_db()
    return bundle


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_bundle_has_the_wheels_as_they_are_wherever_that_is(settings, place):
    if place == "bucket":
        settings.STORAGES = {**settings.STORAGES, "default": buckets.make_bucket("wheels")}
    make_wheel("one", requires=("two",))
    # More than a file of a bucket has in memory.
    make_wheel("two", padding=random.Random(1).randbytes(9 << 20))

    bundle = made("one")

    assert bundle.problem == ""
    with zipfile.ZipFile(work.zip_path(bundle.digest)) as archive:
        for wheel in Wheel.objects.all():
            [member] = [info for info in archive.infolist() if info.filename.endswith(wheel.filename)]
            assert hashlib.sha256(archive.read(member)).hexdigest() == wheel.sha256
            # A wheel is packed already.
            assert member.compress_type == zipfile.ZIP_STORED


def test_a_bundle_fails_at_once_where_the_storage_cannot_be_reached(settings, caplog):
    with buckets.server_of_its_own() as url:
        bucket = buckets.make_bucket("wheels", url)
        bucket["OPTIONS"]["client_config"] = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
        settings.STORAGES = {**settings.STORAGES, "default": bucket}
        make_wheel("one")

    bundle = made("one")

    assert bundle.state == Bundle.State.FAILED
    assert "A file could not be read or written." in bundle.problem
    assert "cannot be written" in caplog.text
