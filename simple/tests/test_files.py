"""F: the files behind the index (standards.md 1.5)."""

from urllib.parse import quote, urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage
from django.utils import timezone

from builds.models import Wheel
from builds.tests.rebuilds import Farm
from builds.tests.rows import make_build
from builds.tests.storages import metadata_of
from packages import merge
from simple import downloads, tree
from simple.tests.pages import json_of
from simple.tests.rows import make_wheel, tell

pytestmark = pytest.mark.django_db

WHOLE = [
    "",
    "bytes=",
    "bytes=-",
    "bytes=5-2",
    "bytes=0-1,5-6",
    "bytes=a-b",
    "lines=0-1",
    "0-1",
    f"bytes={9**30}-",
]
# What is no range may be ignored or refused (RFC 9110, 14.2); nginx refuses these.
UNSATISFIABLE = {"bytes=-", "bytes=5-2", "bytes=a-b", f"bytes={9**30}-"}


def content_of(wheel):
    with default_storage.open(wheel.path) as file:
        return file.read()


def etag_of(client, wheel, suffix=""):
    """Return a file's validator: its hash, or where it is published, what nginx makes of it."""
    if client.reads_tree:
        with client.quiet():
            pass
        told = (tree.folder("simple", "demo") / f"{wheel.filename}{suffix}").stat()
        return f'"{int(told.st_mtime):x}-{told.st_size:x}"'
    return f'"{wheel.metadata_sha256 if suffix else wheel.sha256}"'


class Bucket(Storage):
    """A storage that is no folder of this machine."""

    files: dict[str, bytes] = {}

    def _save(self, name, content):
        self.files[name] = content.read()
        return name

    def _open(self, name, mode="rb"):
        return ContentFile(self.files[name])

    def exists(self, name):
        return name in self.files

    def get_modified_time(self, name):
        return timezone.now()

    def size(self, name):
        return len(self.files[name])


@pytest.mark.parametrize("suffix", ["", ".metadata"])
def test_F01_a_file_comes_with_all_that_caches_and_installers_use(client, suffix):
    wheel = make_wheel()
    content = content_of(wheel)
    expected = metadata_of(content) if suffix else content

    response = client.get(wheel.url + suffix)

    assert (response.status_code, response["Content-Type"]) == (200, "application/octet-stream")
    assert response.getvalue() == expected
    assert response["Content-Length"] == str(len(expected))
    assert response["ETag"] == etag_of(client, wheel, suffix)
    assert response["Accept-Ranges"] == "bytes"
    assert response["Cache-Control"] == "public, max-age=365000000, immutable"


@pytest.mark.parametrize("suffix", ["", ".metadata"])
def test_F02_head_has_the_same_headers_and_no_body(client, suffix):
    wheel = make_wheel()

    got, head = client.get(wheel.url + suffix), client.head(wheel.url + suffix)

    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.items()) == dict(got.items())


def test_F02_head_ignores_ranges(client):
    wheel = make_wheel()

    response = client.head(wheel.url, headers={"Range": "bytes=0-9"})

    # nginx has no other way for HEAD than for GET; no installer asks for a part in it.
    expected = (206, "10") if client.is_nginx else (200, str(wheel.size))
    assert (response.status_code, response["Content-Length"]) == expected


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=10-", slice(10, None)),
        ("Bytes=10-20", slice(10, 21)),
        ("bytes=10-99999999", slice(10, None)),
        ("bytes=-99999999", slice(0, None)),
    ],
)
def test_F03_a_range_is_206(client, wanted, part):
    wheel = make_wheel()
    expected = content_of(wheel)[part]
    first = part.indices(wheel.size)[0]

    response = client.get(wheel.url, headers={"Range": wanted})

    assert (response.status_code, response.getvalue()) == (206, expected)
    assert response["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{wheel.size}"
    assert response["Content-Length"] == str(len(expected))
    assert response["ETag"] == etag_of(client, wheel)
    # nginx says it of whole files alone; whoever got a part knows.
    assert client.is_nginx or response["Accept-Ranges"] == "bytes"
    assert "immutable" in response["Cache-Control"]


def test_F03_the_last_byte_can_be_asked_for(client):
    wheel = make_wheel()

    response = client.get(wheel.url, headers={"Range": f"bytes={wheel.size - 1}-"})

    assert (response.status_code, response.getvalue()) == (206, content_of(wheel)[-1:])


@pytest.mark.parametrize("wanted", ["bytes={size}-", "bytes={size}-{size}", "bytes=-0", "bytes=99999999-"])
def test_F03_a_range_beyond_the_end_is_416(client, wanted):
    wheel = make_wheel()

    response = client.get(wheel.url, headers={"Range": wanted.format(size=wheel.size)})

    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{wheel.size}"
    # nginx has given the file its headers before it sees that the part is not there.
    assert client.is_nginx or "Cache-Control" not in response


@pytest.mark.parametrize("wanted", WHOLE)
def test_F03_several_ranges_or_nonsense_are_ignored(client, wanted):
    wheel = make_wheel()

    response = client.get(wheel.url, headers={"Range": wanted})

    if client.is_nginx and wanted in UNSATISFIABLE:
        assert response.status_code == 416
    else:
        assert (response.status_code, response.getvalue()) == (200, content_of(wheel))


@pytest.mark.parametrize(
    ("if_range", "status"),
    [("{etag}", 206), ("W/{etag}", 200), ('"other"', 200), ("Wed, 18 Nov 2026 07:28:00 GMT", 200)],
)
def test_F03_a_range_of_another_file_is_not_given(client, if_range, status):
    wheel = make_wheel()

    response = client.get(
        wheel.url, headers={"Range": "bytes=0-9", "If-Range": if_range.format(etag=etag_of(client, wheel))}
    )

    assert response.status_code == status
    assert len(response.getvalue()) == (10 if status == 206 else wheel.size)


@pytest.mark.parametrize("suffix", ["", ".metadata"])
def test_F04_files_are_never_encoded(client, suffix):
    wheel = make_wheel()

    response = client.get(wheel.url + suffix, headers={"Accept-Encoding": "gzip, br, zstd"})

    assert "Content-Encoding" not in response
    assert "Vary" not in response


def test_F05_the_metadata_is_that_of_the_wheel(client):
    wheel = make_wheel(requires_python=">=3.9")

    served = client.get(f"{wheel.url}.metadata").getvalue()

    assert served == metadata_of(client.get(wheel.url).getvalue())
    assert b"Requires-Python: >=3.9" in served


def test_F06_the_bytes_behind_an_address_never_change(client):
    farm = Farm()
    assert farm.make(make_build(), b"1").status_code == 200
    first = Wheel.objects.get()
    before = client.get(first.url).getvalue()

    # A builder that would give the old name to other bytes is refused; the rebuild that follows has its own.
    assert farm.make(farm.again(), b"2", ignores_tag=True).status_code == 422
    assert farm.make(farm.again(), b"2").status_code == 200

    [old, new] = [file["url"] for file in json_of(client)["files"]]
    assert old == first.url != new
    assert client.get(old).getvalue() == before == content_of(first)
    assert client.get(new).getvalue() != before


def test_F07_yanked_and_superseded_files_stay(client):
    old = make_wheel()
    make_wheel(build_tag="-1")
    old.yank("superseded by build 1")

    assert client.get(old.url).getvalue() == content_of(old)


@pytest.mark.parametrize("suffix", ["", ".metadata"])
@pytest.mark.parametrize(
    ("remove", "is_at_once"),
    [
        (lambda wheel: wheel.withdraw(timezone.now()), False),
        (lambda wheel: tell(numbers=()), False),
        (lambda wheel: merge.vanish("demo", timezone.now()), True),
        (lambda wheel: tell(status="quarantined"), True),
    ],
    ids=["withdrawn", "version gone", "package gone", "quarantined"],
)
def test_F07_removed_files_are_404(client, suffix, remove, is_at_once):
    wheel = make_wheel()
    assert client.get(wheel.url + suffix).status_code == 200
    remove(wheel)
    if not is_at_once:
        client.outlast_readers()

    response = client.get(wheel.url + suffix)

    assert (response.status_code, response["Cache-Control"]) == (404, "public, max-age=60")
    assert "ETag" not in response


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_file_that_was_lost_is_404_and_an_error_in_the_log(client, caplog, method):
    wheel = make_wheel()
    default_storage.delete(wheel.path)

    response = getattr(client, method)(wheel.url)

    assert response.status_code == 404
    assert [record.levelname for record in caplog.records if record.name == "simple.files"] == ["ERROR"]
    assert wheel.path in caplog.text


def test_F10_names_with_special_characters_are_found(client):
    wheel = make_wheel(number="1!2.0+pi.1")
    [file] = json_of(client)["files"]

    assert file["url"] == f"/simple/demo/{quote(wheel.filename)}" != wheel.url
    for address in (file["url"], wheel.url):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["/simple/other/{filename}", "/simple/demo/x{filename}", "/simple/demo/{path}"]
)
def test_only_published_names_are_served(client, address):
    wheel = make_wheel()
    make_wheel("other")

    assert client.get(address.format(filename=wheel.filename, path=wheel.path)).status_code == 404


@pytest.mark.parametrize(
    ("old", "address"),
    [
        ("/simple/index.html", "/simple/"),
        ("/simple/demo/index.html", "/simple/demo/"),
        ("/simple/De.mo/index.html", "/simple/de-mo/"),
        ("/simple/De.mo/De.mo-1!2.0-py3-none-any.whl", "/simple/de-mo/De.mo-1%212.0-py3-none-any.whl"),
        (
            "/simple/De.mo/demo-1.0-py3-none-any.whl.metadata",
            "/simple/de-mo/demo-1.0-py3-none-any.whl.metadata",
        ),
        ("/index.html", "/"),
        ("/project/demo/index.html", "/project/demo/"),
        ("/project/demo/json/index.json", "/project/demo/json"),
    ],
)
def test_S04_an_address_of_a_tree_of_files_leads_to_ours(client, old, address):
    answer = client.get(old)

    assert (answer.status_code, answer["Location"]) == (301, address)


def test_a_file_below_what_is_no_name_is_404(client):
    assert client.get("/simple/-x_/demo-1.0-py3-none-any.whl").status_code == 404


def test_whoever_has_the_file_gets_304(client):
    wheel = make_wheel()
    known = client.head(wheel.url)["ETag"]
    default_storage.delete(wheel.path)

    with client.costing(1):
        response = client.get(wheel.url, headers={"If-None-Match": known})

    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == known == etag_of(client, wheel)
    assert "immutable" in response["Cache-Control"]


def test_a_bucket_serves_its_files_itself(client, settings, monkeypatch):
    wheel = make_wheel()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    s3 = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": "wheels"}}
    settings.STORAGES = {**settings.STORAGES, "default": s3}

    response = client.get(wheel.url)

    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == f"/{wheel.path}"
    assert "Signature=" in response["Location"]
    assert response["Cache-Control"] == "no-store"
    assert downloads.total() == 1


def test_a_buckets_files_are_described_here_because_its_addresses_are_for_get(client, settings):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.Bucket"}}
    wheel = make_wheel()

    response = client.head(wheel.url)

    assert (response.status_code, response["Content-Length"]) == (200, str(wheel.size))
    assert response["Accept-Ranges"] == "bytes"
