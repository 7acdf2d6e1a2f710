"""Asks for pages as clients do, and reads the HTML of the index with the standard library."""

from html.parser import HTMLParser

from simple.formats import Format

JSON = str(Format.JSON)
HTML_V1 = str(Format.HTML_V1)
PIP = f"{JSON}, {HTML_V1}; q=0.1, text/html; q=0.01"
VOID = {"meta", "br"}


def json_of(client, path="/simple/demo/"):
    """Return a page's JSON."""
    response = client.get(path, headers={"Accept": JSON})
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == JSON
    return response.json()


class Page(HTMLParser):
    """The parts of a page that installers read; fails on HTML that is not well-formed."""

    def __init__(self, response):
        super().__init__()
        assert response.status_code == 200, response.content
        self.doctype = ""
        self.tags = []
        self.metas = {}
        self.anchors = []
        self._open: list[str] = []
        self.feed(response.content.decode())
        self.close()
        assert not self._open

    def handle_decl(self, decl):
        self.doctype = decl

    def handle_starttag(self, tag, attrs):
        self.tags.append("/".join([*self._open, tag]))
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "meta":
            self.metas[dict(attrs).get("name", "")] = dict(attrs).get("content")
        if tag == "a":
            self.anchors.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "a":
            attributes, text = self.anchors.pop()
            self.anchors.append((attributes, text + data))


def page_of(client, path="/simple/demo/"):
    """Return a page's HTML, read."""
    return Page(client.get(path))
