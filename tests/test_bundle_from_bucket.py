"""A bundle is made by a real worker of a farm that has its wheels in a bucket."""

import hashlib
import io
import zipfile

import pytest
import requests

from tests import buckets, sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

pytestmark = pytest.mark.whole


@pytest.fixture
def upstream():
    with FakePyPI() as fake:
        fake.add_sdist("tiny", "1.0", sdists.c_sdist("tiny", "1.0"))
        fake.add_wheel("ready", "1.0")
        yield fake


@pytest.fixture
def farm(tmp_path, upstream, database):
    farm = Farm(tmp_path, upstream.simple_url, "tiny", "ready", database=database)
    with buckets.server_of_its_own() as url:
        buckets.client(url).create_bucket(Bucket="wheels")
        farm.env |= {
            "PIWHEELS_STORAGE": "s3://wheels/of/the/farm",
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": buckets.KEYS["access_key"],
            "AWS_SECRET_ACCESS_KEY": buckets.KEYS["secret_key"],
            "AWS_DEFAULT_REGION": buckets.KEYS["region_name"],
        }
        with farm:
            yield farm


def test_a_bundle_has_our_wheel_and_upstreams_own(farm, upstream):
    listed = farm.wait_until(lambda: farm.files("tiny"))
    farm.wait_until(lambda: requests.get(f"{farm.address}/project/ready/json", timeout=5).ok)

    asked = requests.post(f"{farm.address}/api/v1/bundles", json={"text": "tiny\nready"}, timeout=20).json()

    def made():
        found = requests.get(f"{farm.address}{asked['status']}", timeout=20).json()
        assert found["state"] != "failed", found["problem"]
        return found if found["state"] == "ready" else None

    bundle = farm.wait_until(made)
    whole = requests.get(f"{farm.address}{bundle['download']}", timeout=60)
    start, rest = (
        requests.get(
            f"{farm.address}{bundle['download']}",
            headers={"Range": f"bytes={part}", "If-Range": whole.headers["ETag"]},
            timeout=60,
        )
        for part in ("0-999", "1000-")
    )

    assert start.content + rest.content == whole.content
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        packed = {
            info.filename.rpartition("/")[2]: hashlib.sha256(archive.read(info)).hexdigest()
            for info in archive.infolist()
            if info.filename.endswith(".whl")
        }
    assert packed == {
        **{name: file["hashes"]["sha256"] for name, file in listed.items()},
        "ready-1.0-py3-none-any.whl": hashlib.sha256(sdists.make_wheel("ready", "1.0")).hexdigest(),
    }
