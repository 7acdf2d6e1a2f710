"""A bucket as the storage, on a real server that speaks S3."""

import gzip
import hashlib
from io import BytesIO

import pytest
import requests
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from builds.files import logs, moving, storage
from builds.files.stored import GRACE, log_name
from builds.tests.rows import make_build
from builds.tests.storages import make_whole_wheel
from tests import buckets

pytestmark = pytest.mark.django_db

CONTENT = b"the bytes of a wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"{SHA256[:2]}/{SHA256}/demo-1.0-py3-none-any.whl"


@pytest.fixture
def bucket(settings):
    settings.STORAGES = {**settings.STORAGES, "default": buckets.make_bucket("some/where")}
    return default_storage


def raw(storage, name):
    return storage.bucket.Object(storage._key(name))


@pytest.mark.parametrize("location", ["", "some/where"])
def test_what_is_stored_is_read_and_is_where_the_prefix_says(settings, location):
    settings.STORAGES = {**settings.STORAGES, "default": buckets.make_bucket(location)}
    bucket = default_storage

    storage.store({NAME: BytesIO(CONTENT), f"{NAME}.metadata": BytesIO(b"Metadata-Version: 2.1\n")})

    assert storage.read_bytes(NAME) == CONTENT
    assert default_storage.size(NAME) == len(CONTENT)
    assert raw(bucket, NAME).get()["Body"].read() == CONTENT
    assert [each.name for each in moving.both()[0].walk(NAME[:2])] == [NAME, f"{NAME}.metadata"]


def test_a_missing_file_is_missing_in_every_way(bucket):
    assert not default_storage.exists(NAME)
    for ask in (default_storage.size, default_storage.open, storage.read_bytes):
        with pytest.raises(FileNotFoundError):
            ask(NAME)


@pytest.mark.parametrize("wrong", [CONTENT[:7], b"", bytes(len(CONTENT))], ids=["half", "empty", "others"])
def test_bytes_that_are_not_the_names_are_written_anew(bucket, wrong):
    raw(bucket, NAME).put(Body=wrong)

    storage.store({NAME: BytesIO(CONTENT)})

    assert storage.read_bytes(NAME) == CONTENT


def test_what_is_there_is_not_written_twice_nor_under_another_name(bucket):
    storage.store({NAME: BytesIO(CONTENT)})
    # What only the first write has.
    raw(bucket, NAME).put(Body=CONTENT, Metadata={"first": "yes"})

    storage.store({NAME: BytesIO(CONTENT)})

    assert raw(bucket, NAME).metadata == {"first": "yes"}
    assert default_storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert [each.name for each in bucket.walk("")] == [NAME]


def test_a_large_file_goes_in_parts_and_comes_back_whole(bucket):
    content = bytes(range(256)) * (36 << 10)
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{sha256[:2]}/{sha256}/demo-1.0-py3-none-any.whl"

    storage.store({name: BytesIO(content)})

    assert "-" in raw(bucket, name).e_tag  # an upload of several parts
    assert storage.stored_sha256(default_storage, name) == sha256


def test_a_log_is_kept_as_the_packed_file_that_it_is(bucket):
    build = make_build()
    logs.append(build.pk, 0, b"hello\n")
    logs.keep(build.pk)

    assert logs.tail(build, 100) == ("hello\n", False)
    assert raw(bucket, log_name(build.pk)).content_encoding is None
    assert gzip.decompress(storage.read_bytes(log_name(build.pk))) == b"hello\n"


def test_a_log_of_a_build_that_had_the_number_before_makes_room(bucket):
    build = make_build()
    storage.store_bytes(log_name(build.pk), gzip.compress(b"old\n"))

    logs.begin(build.pk)
    logs.end(build.pk, 0, b"new\n")
    logs.keep(build.pk)
    logs.keep(build.pk)

    assert logs.tail(build, 100) == ("new\n", False)


def test_a_client_is_sent_to_the_bucket_and_gets_all_or_a_part_with_the_headers_of_the_index(bucket, client):
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)

    sent = client.get(wheel.url)
    whole = requests.get(sent["Location"], timeout=10)
    part = requests.get(sent["Location"], headers={"Range": "bytes=10-19"}, timeout=10)

    assert (sent.status_code, sent["Cache-Control"]) == (302, "no-store")
    assert (whole.status_code, whole.content) == (200, content)
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{wheel.size}"
    for answer in (whole, part):
        assert answer.headers["Cache-Control"] == "public, max-age=365000000, immutable"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "Content-Encoding" not in answer.headers


def test_head_is_answered_without_the_bucket_being_shown(bucket, client):
    wheel = make_whole_wheel()

    head = client.head(wheel.url)

    assert (head.status_code, head["Content-Length"]) == (200, str(wheel.size))


def test_a_listing_goes_on_after_a_name_in_the_order_of_names(bucket):
    names = [f"{NAME}.{number}.provenance" for number in range(12)]
    for name in names:
        raw(bucket, name).put(Body=b"x")

    [*listed] = bucket.walk(NAME[:2], after=sorted(names)[1])

    assert [each.name for each in listed] == sorted(names)[2:]
    assert {each.size for each in listed} == {1}
    assert timezone.now() - listed[0].modified_at < GRACE
    assert bucket.folders("") == [NAME[:2]]


def test_a_file_gets_another_name_without_its_bytes_passing_here(bucket):
    storage.store({NAME: BytesIO(CONTENT)})

    bucket.rename(NAME, f"lost-and-found/{NAME}")

    assert [each.name for each in bucket.walk("")] == [f"lost-and-found/{NAME}"]
    with pytest.raises(FileNotFoundError):
        bucket.rename(NAME, "elsewhere")


def test_a_bucket_that_is_not_there_is_told_with_its_name(settings):
    place = buckets.make_bucket()
    place["OPTIONS"]["bucket_name"] = "no-such-bucket"
    settings.STORAGES = {**settings.STORAGES, "default": place}

    with pytest.raises(storage.Unreachable, match="s3://no-such-bucket cannot be reached"):
        default_storage.require()
