"""N: who gets which format (standards.md 1.5)."""

from urllib.parse import quote, urldefrag

import pytest

from simple.tests.pages import HTML_V1, JSON, PIP, json_of, page_of
from simple.tests.rows import make_wheel

pytestmark = pytest.mark.django_db

HTML = "text/html"
UV = f"{JSON}, {HTML_V1};q=0.2, text/html;q=0.01"
POETRY = f"{JSON}, */*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
LATEST = "application/vnd.pypi.simple.latest"

ASKED = {
    "N02 anything": ("*/*", HTML),
    "N02 any text": ("text/*", HTML),
    "N02 nothing said": ("", HTML),
    "N02 old setuptools": ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", HTML),
    "N03 HTML": (HTML, HTML),
    "N04 JSON": (JSON, JSON),
    "N05 versioned HTML": (HTML_V1, HTML_V1),
    "N06 pip": (PIP, JSON),
    "N07 uv": (UV, JSON),
    "N08 poetry": (POETRY, JSON),
    "N09 latest JSON": (f"{LATEST}+json", JSON),
    "N09 latest HTML": (f"{LATEST}+html", HTML_V1),
    "N09 latest JSON preferred": (f"{LATEST}+json, text/html;q=0.5", JSON),
    "N10 JSON refused": (f"{JSON};q=0, text/html", HTML),
    "N11 HTML liked better": (f"{HTML_V1};q=0.9, {JSON};q=0.2", HTML_V1),
    "N11 order does not matter": (f"text/html;q=0.1, {JSON};q=0.2", JSON),
    "N12 browser": (BROWSER, HTML),
}
REFUSED = {
    "N13 plain JSON": "application/json",
    "N13 a later version": "application/vnd.pypi.simple.v2+json",
    "N13 a picture": "image/png",
    "N13 nothing at all": f"{JSON};q=0",
    "N14 no type": "garbage",
    "N14 semicolons": ";;;",
    "N14 commas": ",,,",
    "N14 an unknown charset": "text/html;q*=nonsense'en'1",
    "N14 parts that do not fit": "text/html;q*=utf-8''1;q*1*=utf-8''1",
    "N14 not a number": "image/png;q=nan, image/gif;q=inf, image/x;q=-1",
    "N14 10 KB": "a/b;" * 2500,
    "N14 10 KB of types": "a/b," * 2500,
}


def media_type(response):
    return response["Content-Type"].partition(";")[0]


def test_N01_without_accept_it_is_html(client):
    make_wheel()

    assert media_type(client.get("/simple/demo/")) == HTML


@pytest.mark.parametrize("path", ["/simple/demo/", "/simple/"])
@pytest.mark.parametrize(("accept", "expected"), ASKED.values(), ids=ASKED.keys())
def test_N02_to_N12_clients_get_the_format_that_they_like_best(client, path, accept, expected):
    make_wheel()

    response = client.get(path, headers={"Accept": accept})

    assert (response.status_code, media_type(response)) == (200, expected)
    assert response["Vary"] == "Accept, Accept-Encoding"


def test_N05_both_kinds_of_html_are_the_same_text(client):
    make_wheel()

    versioned = client.get("/simple/demo/", headers={"Accept": HTML_V1})

    assert versioned.content == client.get("/simple/demo/").content


@pytest.mark.parametrize("path", ["/simple/demo/", "/simple/"])
@pytest.mark.parametrize("accept", REFUSED.values(), ids=REFUSED.keys())
def test_N13_N14_who_wants_none_of_ours_is_told_what_there_is(client, path, accept):
    make_wheel()

    response = client.get(path, headers={"Accept": accept})

    assert (response.status_code, media_type(response)) == (406, "text/plain")
    assert response["Vary"] == "Accept"
    assert all(format_ in response.content.decode() for format_ in (JSON, HTML_V1, HTML))


@pytest.mark.parametrize("format_", [JSON, quote(JSON, safe=""), f"{LATEST}+json"])
def test_N15_the_query_outdoes_the_header(client, format_):
    make_wheel()

    response = client.get(f"/simple/demo/?format={format_}", headers={"Accept": "text/html"})

    assert media_type(response) == JSON


@pytest.mark.parametrize("format_", ["", "json", "image/png"])
def test_N15_a_query_for_another_format_is_406(client, format_):
    make_wheel()

    assert client.get(f"/simple/demo/?format={format_}").status_code == 406


def test_N16_json_and_html_say_the_same(client):
    make_wheel(requires_python=">=3.9,<4")
    make_wheel(number="1!2.0+pi.1", yanked=True, yanked_reason="it <breaks>")

    files = {
        (file["filename"], file["url"], file["hashes"]["sha256"], file["requires-python"], file["yanked"])
        for file in json_of(client)["files"]
    }
    anchors = {
        (
            text,
            urldefrag(anchor["href"]).url,
            urldefrag(anchor["href"]).fragment.removeprefix("sha256="),
            anchor.get("data-requires-python"),
            anchor.get("data-yanked", False),
        )
        for anchor, text in page_of(client).anchors
    }

    assert len(files) == 2
    assert files == anchors


@pytest.mark.parametrize("path", ["/simple/", "/simple", "/simple/demo/", "/simple/Demo", "/simple/none/"])
@pytest.mark.parametrize("accept", [JSON, "image/png"])
def test_N17_every_answer_names_its_type(client, path, accept):
    make_wheel()

    assert client.get(path, headers={"Accept": accept})["Content-Type"]
