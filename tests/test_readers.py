"""The readers of other tests notice what they are there for."""

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.readers import JSON, Away, Reader

WHEEL, METADATA = b"a wheel", b"its metadata"
EMPTY = {"meta": {"api-version": "1.4"}, "name": "demo", "files": []}
SHA256 = hashlib.sha256(WHEEL).hexdigest()
NAME = "demo-1.0-py3-none-any.whl"


def pages(sha256=SHA256, yanked=False):
    """Return the two pages of a project with one file."""
    told = hashlib.sha256(METADATA).hexdigest()
    file = {"filename": NAME, "url": f"/simple/demo/{NAME}", "hashes": {"sha256": sha256}, "yanked": yanked}
    page = {
        "meta": {"api-version": "1.4"},
        "name": "demo",
        "files": [{**file, "core-metadata": {"sha256": told}}],
    }
    attributes = f'data-core-metadata="sha256={told}"{" data-yanked" if yanked else ""}'
    link = f'<a href="/simple/demo/{NAME}#sha256={sha256}" {attributes}>{NAME}</a>'
    return json.dumps(page).encode(), f"<!DOCTYPE html>\n<html><body>{link}</body></html>\n".encode()


@pytest.fixture
def site():
    """A server whose pages and files a test spoils; by path, and by what they are for the page."""
    as_json, html = pages()
    answers = {
        # Of all that a farm has published, how often it did; each time has two seconds.
        "passes": 0,
        ("/simple/demo/", JSON): as_json,
        ("/simple/demo/", "text/html"): html,
        (f"/simple/demo/{NAME}", ""): WHEEL,
        (f"/simple/demo/{NAME}.metadata", ""): METADATA,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            of_page = "" if self.path.endswith((".whl", ".metadata")) else self.headers["Accept"]
            kind = JSON if of_page.startswith(JSON) else of_page.replace("*/*", "text/html")
            body = answers.get((self.path, kind))
            self.send_response(404 if body is None else 500 if body == b"fault" else 200)
            self.send_header("Content-Type", kind or "application/octet-stream")
            is_packed = "packed" in answers and of_page and self.headers["Accept-Encoding"] == "gzip"
            if body and is_packed:
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            # The seconds of one pass, as the publisher gives them.
            second = 2 * answers["packed" if is_packed else "passes"] + int(kind == JSON)
            self.send_header("Last-Modified", f"Thu, 26 Nov 2026 06:00:{second:02} GMT")
            self.send_header(
                "Content-Length", str(len(body or b"") + (len(WHEEL) if body == WHEEL[:3] else 0))
            )
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()


def wrong(address, times=1, **options):
    """Return what a reader finds wrong."""
    reader = Reader(address, ["demo"], **options)
    for _ in range(times):
        reader.guard(reader.read, "demo")
    return reader.wrong


def test_a_reader_finds_nothing_wrong_where_nothing_is(site):
    address, _ = site

    assert wrong(address, times=5) == []


@pytest.mark.parametrize(
    ("path", "kind", "spoilt", "found"),
    [
        (f"/simple/demo/{NAME}", "", None, "404"),
        (f"/simple/demo/{NAME}.metadata", "", None, "404"),
        (f"/simple/demo/{NAME}", "", b"another", "is not what a page says"),
        (f"/simple/demo/{NAME}", "", WHEEL[:3], "no whole answer"),
        (f"/simple/demo/{NAME}", "", b"fault", "500"),
        ("/simple/demo/", "text/html", pages()[1][:-9], "half a page"),
        ("/simple/demo/", JSON, pages()[0][:-9], "JSONDecodeError"),
        ("/simple/demo/", "text/html", pages(yanked=True)[1], "one pass has written two states"),
        ("/simple/demo/", "text/html", b"fault", "500"),
    ],
)
def test_a_reader_finds_what_is_wrong(site, path, kind, spoilt, found):
    address, answers = site
    if spoilt is None:
        del answers[path, kind]
    else:
        answers[path, kind] = spoilt

    assert found in "".join(wrong(address))


def test_bytes_that_change_behind_a_name_are_found(site):
    address, answers = site
    reader = Reader(address, ["demo"])
    reader.read("demo")
    other = hashlib.sha256(b"another").hexdigest()
    answers["/simple/demo/", JSON], answers["/simple/demo/", "text/html"] = pages(sha256=other)
    answers[f"/simple/demo/{NAME}", ""] = b"another"
    answers["passes"] += 1

    reader.guard(reader.read, "demo")

    assert "was" in reader.wrong[0]


@pytest.mark.parametrize(("passes", "found"), [(-1, "gone back by 2 seconds"), (0, "the same second")])
def test_a_page_that_is_older_than_the_one_before_is_found(site, passes, found):
    address, answers = site
    answers["passes"] = 1
    reader = Reader(address, ["demo"])
    reader.read("demo")
    answers["/simple/demo/", JSON], answers["/simple/demo/", "text/html"] = pages(yanked=True)
    answers["passes"] += passes

    reader.guard(reader.read, "demo")

    assert found in reader.wrong[0]


def test_a_page_may_be_behind_the_same_one_packed_and_not_stay_there(site, monkeypatch):
    address, answers = site
    answers["packed"] = 1
    reader = Reader(address, ["demo"])

    def read():
        for _ in range(10):
            reader.guard(reader.read, "demo")

    read()
    for_a_while = list(reader.wrong)
    monkeypatch.setattr(Reader, "DIFFERING_S", 0.0)
    read()

    assert for_a_while == []
    assert "stays 2 seconds behind" in reader.wrong[0]


def test_a_link_that_a_page_had_a_moment_ago_is_followed_still(site):
    address, answers = site
    reader = Reader(address, ["demo"], good_for_s=30)
    reader.read("demo")
    answers["/simple/demo/", JSON] = json.dumps(EMPTY).encode()
    answers["/simple/demo/", "text/html"] = b"<!DOCTYPE html>\n<html><body></body></html>\n"
    answers["passes"] += 1
    reader.read("demo")
    assert reader.late == 1
    del answers[f"/simple/demo/{NAME}", ""]

    reader.guard(reader.read, "demo")

    assert "404" in reader.wrong[0]


def test_who_knows_that_the_server_is_away_complains_of_nothing():
    reader = Reader("http://127.0.0.1:9", ["demo"], excuses=lambda since: True)

    reader.guard(reader.read, "demo")

    assert reader.wrong == []
    with pytest.raises(Away):
        reader.ask("/simple/demo/")
