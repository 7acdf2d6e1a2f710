"""A release whose storage cannot be used is not put to work."""

import subprocess
import sys

import pytest
from django.core.checks import run_checks

from builds.tests import storages
from deploy.farm import MANAGE, ROOT
from tests import buckets


def found(kind="builds.E001"):
    return [each.msg for each in run_checks(include_deployment_checks=True) if each.id == kind]


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_storage_that_is_there_or_can_be_made_is_well(settings, tmp_path, kind):
    storages.use(settings, storages.places(tmp_path)[kind])

    assert found() == []


def test_of_two_storages_both_are_looked_at(settings, tmp_path):
    lost = buckets.make_bucket()
    lost["OPTIONS"]["bucket_name"] = "no-such-bucket"
    storages.use(settings, storages.folder(tmp_path), before=lost)

    (said,) = found()

    assert "s3://no-such-bucket cannot be reached" in said


def test_a_folder_that_cannot_be_made_is_told(settings, tmp_path):
    (tmp_path / "file").touch()
    nowhere = {**storages.folder(tmp_path), "OPTIONS": {"location": str(tmp_path / "file" / "wheels")}}
    storages.use(settings, nowhere)

    (said,) = found()

    assert f"{tmp_path}/file is no folder" in said


def test_a_folder_for_uploads_that_cannot_be_made_is_told(settings, tmp_path):
    assert found("builds.E002") == []

    (tmp_path / "file").touch()
    settings.PIWHEELS_INCOMING = tmp_path / "file" / "incoming"

    (said,) = found("builds.E002")
    assert f"{tmp_path}/file may not be written to" in said
    assert "ReadWritePaths=" in said


def test_a_release_without_the_client_of_a_bucket_does_not_pass(tmp_path):
    """As one that was installed without it would: the check tells before publishing fails."""
    (tmp_path / "botocore.py").write_text("raise ModuleNotFoundError(\"No module named 'botocore'\")\n")
    env = {
        "PATH": "/usr/bin:/bin",
        "PIWHEELS_VAR": str(tmp_path),
        "PIWHEELS_STORAGE": "s3://wheels",
        "PYTHONPATH": str(tmp_path),
    }

    done = subprocess.run(
        [*MANAGE, "check", "--deploy"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert "The storage cannot be used: " in done.stderr
    assert "No module named 'botocore'" in done.stderr


def test_a_release_brings_the_client_of_a_bucket():
    lock = (ROOT / "requirements" / "run.txt").read_text()

    assert "\nboto3==" in lock
    assert sys.modules["boto3"].__version__ in lock
