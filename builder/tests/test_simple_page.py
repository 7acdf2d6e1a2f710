import pytest

from builder.simple_page import absolute
from builder.tests.asking import TINY, ask, digest, listed
from builder.tests.package_index import JSON, make_wheel


def test_what_a_page_says_of_files_is_kept(index, proxy):
    fields = {
        "hashes": {"sha256": "a" * 64, "blake2b": "b" * 64},
        "requires-python": ">=3.9",
        "size": 12,
        "upload-time": "2026-01-01T12:00:00.000000Z",
        "yanked": "broken",
        "core-metadata": {"sha256": "c" * 64},
    }
    index.add(**fields, provenance=f"{index.url}/provenance")

    (file,) = listed(proxy)

    address = file.pop("url")
    assert address.startswith("/0/files/tiny/")
    assert address.endswith("/tiny-1.0-py3-none-any.whl")
    assert file == {"filename": "tiny-1.0-py3-none-any.whl", **fields}


def test_a_page_in_html_says_the_same(index, proxy):
    index.json = False
    index.add(make_wheel(), **{"requires-python": "&gt;=3.9", "yanked": True, "core-metadata": True})

    (file,) = listed(proxy)

    assert file.pop("url").endswith("/tiny-1.0-py3-none-any.whl")
    assert file == {
        "filename": "tiny-1.0-py3-none-any.whl",
        "hashes": {"sha256": digest(make_wheel())},
        "requires-python": ">=3.9",
        "yanked": "broken",
        "core-metadata": True,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://127.0.0.1/tiny-1.0-py3-none-any.whl"},
        {"url": "http://169.254.169.254/latest/tiny-1.0-py3-none-any.whl"},
        {"url": "http://2852039166/latest/tiny-1.0-py3-none-any.whl"},
        {"url": "http://[::ffff:169.254.169.254]/tiny-1.0-py3-none-any.whl"},
        {"url": "http://[broken/"},
        {"url": 7},
        {"filename": "../../tiny-1.0-py3-none-any.whl"},
        {"filename": ".whl"},
        {"filename": "tiny\u202e-1.0.zip"},
        {"filename": "tiny\r\nSet-Cookie: a=b.zip"},
        {"filename": "home page"},
        {"filename": None},
    ],
)
def test_a_file_that_nobody_should_fetch_is_left_out(index, proxy, fields):
    index.add()
    index.add(version="2.0")
    index.pages["tiny"][0].update(fields)

    assert [file["filename"] for file in listed(proxy)] == ["tiny-2.0-py3-none-any.whl"]


def test_a_page_that_came_by_https_names_no_file_by_http():
    page = "https://pypi.test/simple/tiny/"

    assert absolute(page, "https://files.test/tiny-1.0.zip") == "https://files.test/tiny-1.0.zip"
    assert absolute(page, "http://192.168.1.1/tiny-1.0.zip") == ""
    assert absolute("http://pypi.test/simple/tiny/", "http://192.168.1.1/tiny-1.0.zip")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"no JSON"),
        (JSON, b"[" * 100_000),
        (JSON, b"[]"),
        (JSON, b'{"meta": {"api-version": "1.1"}}'),
        (JSON, b'{"meta": {"api-version": "2.0"}, "files": []}'),
        ("text/html", b'<meta name="pypi:repository-version" content="2.0">'),
        ("text/plain", b"log in first"),
    ],
)
def test_what_is_no_page_of_an_index_is_the_indexs_fault(index, proxy, content_type, body):
    index.raw["/simple/tiny/"] = (content_type, body)

    assert ask(proxy, TINY)[0] == 502
    assert proxy.failed
    assert f"{index.url}/simple/tiny/ is no page of an index" in proxy.complaints[0]


def test_a_package_that_upstream_does_not_have_is_not_there(proxy):
    assert ask(proxy, "/0/simple/nothing/")[0] == 404
    assert not proxy.failed
    assert proxy.complaints == ()
