"""H: the HTML of the index (standards.md 1.5)."""

import re
from html import escape
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from simple.tests.pages import page_of
from simple.tests.rows import make_wheel, tell

pytestmark = pytest.mark.django_db

HOSTILE = "\"><script>alert('1')</script><a href=evil>& é"


@pytest.mark.parametrize("path", ["/simple/", "/simple/demo/"])
def test_H01_pages_are_valid_html5(client, path):
    make_wheel(yanked=True, yanked_reason=HOSTILE)

    page = page_of(client, path)

    assert client.get(path).content.startswith(b"<!DOCTYPE html>\n")
    assert page.tags[:2] == ["html", "html/head"]
    assert {"html/head/title", "html/body", "html/body/a"} <= set(page.tags)
    assert "html/head/base" not in page.tags


@pytest.mark.parametrize("path", ["/simple/", "/simple/demo/"])
def test_H02_pages_name_the_version_of_the_api(client, path):
    make_wheel()

    assert page_of(client, path).metas["pypi:repository-version"] == "1.4"


def test_H03_H04_links_end_in_the_files_name_and_have_its_hash(client):
    wheel = make_wheel(number="1!2.0+pi.1")

    [(anchor, text)] = page_of(client).anchors

    url, fragment = urldefrag(anchor["href"])
    assert text == unquote(url.rpartition("/")[2]) == wheel.filename
    assert fragment == f"sha256={wheel.sha256}"


@pytest.mark.parametrize("requires_python", [">=3.9,<4", "!=3.0.*, >= 2.7"])
def test_H05_requires_python_is_escaped_and_comes_back_whole(client, requires_python):
    make_wheel(requires_python=requires_python)

    [(anchor, _)] = page_of(client).anchors

    assert anchor["data-requires-python"] == requires_python
    assert f'data-requires-python="{escape(requires_python)}"' in client.get("/simple/demo/").content.decode()


def test_H05_requires_python_is_absent_when_there_is_none(client):
    make_wheel()

    assert "data-requires-python" not in page_of(client).anchors[0][0]


def test_H06_both_names_of_the_metadatas_hash_agree(client):
    wheel = make_wheel()

    [(anchor, _)] = page_of(client).anchors

    assert anchor["data-core-metadata"] == f"sha256={wheel.metadata_sha256}"
    assert anchor["data-dist-info-metadata"] == anchor["data-core-metadata"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"yanked": True}, ""),
        ({"yanked": True, "yanked_reason": HOSTILE}, HOSTILE),
        ({"yanked_reason": "taken back"}, None),
    ],
)
def test_H07_yanked_is_there_if_and_only_if_it_is_yanked(client, fields, expected):
    make_wheel(**fields)

    [(anchor, _)] = page_of(client).anchors

    assert anchor.get("data-yanked") == expected
    assert ("data-yanked" in anchor) == (expected is not None)


def test_H08_the_root_links_to_each_projects_own_address(client):
    make_wheel("Foo.Bar")
    make_wheel("demo")

    anchors = page_of(client, "/simple/").anchors

    assert [text for _, text in anchors] == ["demo", "Foo.Bar"]
    assert [urljoin("/simple/", anchor["href"]) for anchor, _ in anchors] == [
        "/simple/demo/",
        "/simple/foo-bar/",
    ]


def test_H09_hostile_text_stays_text(client):
    make_wheel(yanked=True, yanked_reason=HOSTILE)
    tell(status="archived", status_reason=HOSTILE, display_name=HOSTILE)

    page = page_of(client)
    root = page_of(client, "/simple/")

    assert [tag for tag in page.tags + root.tags if "script" in tag] == []
    assert len(page.anchors) == len(root.anchors) == 1
    assert page.metas["pypi:project-status-reason"] == HOSTILE
    assert root.anchors[0][1] == HOSTILE


def test_H10_the_status_is_in_the_head_alone(client):
    make_wheel()

    page = page_of(client)

    assert page.metas["pypi:project-status"] == "active"
    assert {tag for tag in page.tags if tag.endswith("meta")} == {"html/head/meta"}


def test_a_page_is_as_naive_readers_expect_it(client):
    wheel = make_wheel(number="2.0", requires_python=">=3.9")
    upload_time = f"{wheel.published_at:%Y-%m-%dT%H:%M:%S.%f}Z"

    html = client.get("/simple/demo/").content.decode()

    assert re.sub(r"(?<==)[0-9a-f]{64}", "…", html) == (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "  <head>\n"
        '    <meta charset="utf-8">\n'
        '    <meta name="pypi:repository-version" content="1.4">\n'
        '    <meta name="pypi:project-status" content="active">\n'
        "    <title>Links for demo</title>\n"
        "  </head>\n"
        "  <body>\n"
        "    <h1>Links for demo</h1>\n"
        f'    <a href="/simple/demo/{wheel.filename}#sha256=…" data-requires-python="&gt;=3.9"'
        f' data-core-metadata="sha256=…" data-dist-info-metadata="sha256=…" data-size="{wheel.size}"'
        f' data-upload-time="{upload_time}">'
        f"{wheel.filename}</a><br>\n"
        "  </body>\n"
        "</html>\n"
    )
