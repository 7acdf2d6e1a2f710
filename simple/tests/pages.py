"""Asks for pages as clients do, and reads the HTML of the index as a browser does that forgives nothing."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib

from simple.formats import Format

JSON = str(Format.JSON)
HTML_V1 = str(Format.HTML_V1)
PIP = f"{JSON}, {HTML_V1}; q=0.1, text/html; q=0.01"


def json_of(client, path="/simple/demo/"):
    """Return a page's JSON."""
    response = client.get(path, headers={"Accept": JSON})
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == JSON
    return response.json()


class Page:
    """The parts of a page that installers read; fails on what is not valid HTML5."""

    def __init__(self, response):
        assert response.status_code == 200, response.content
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        root = parser.parse(response.content, transport_encoding="utf-8")
        elements = list(_walk(root))
        self.tags = [path for path, _ in elements]
        self.metas = {
            each.get("name", ""): each.get("content") for path, each in elements if path.endswith("/meta")
        }
        self.anchors = [
            (dict(each.attrib), each.text or "") for path, each in elements if path.endswith("/a")
        ]


def _walk(element: Element, above: str = "") -> Iterator[tuple[str, Element]]:
    """Give an element and all in it, each with the names of those that it is in."""
    path = f"{above}/{element.tag}" if above else str(element.tag)
    yield path, element
    for child in element:
        yield from _walk(child, path)


def page_of(client, path="/simple/demo/"):
    """Return a page's HTML, read."""
    return Page(client.get(path))
